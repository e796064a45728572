"""Connections to ClickHouse: HTTP, by clickhouse-connect, to one address.

Errors of this package:

    ClickHouseError
    ├── UnavailableError    no answer: it is down, or too busy; the same call may succeed later
    ├── StatementError      it answered with an error, which has a name
    └── ClickHouseError     its tables were migrated by another version (sinks.migrations)
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import Error as DriverError
from clickhouse_connect.driver.exceptions import error_name_from_body, scrub_error_details

from schemas.config.settings import is_trust
from schemas.errors import ClickHouseError

DEFAULT_DATABASE: Final = "firstcall"
CONNECT_SECONDS: Final = 5
#: An insert behind a busy disk may take long; a server that is silent for longer is away.
ANSWER_SECONDS: Final = 120


_NOT_MIGRATED: Final = frozenset({"UNKNOWN_DATABASE", "UNKNOWN_TABLE"})
_CAUSE: Final = re.compile(r"\(Caused by \w+\(['\"]?(?:\w+\([^)]*\): )?(.*?)['\"]?\)\)")
_INTERNALS: Final = re.compile(r"\s*: (?:While executing|\(in file/uri) ")
_DRIVER_ENDING: Final = re.compile(r"\s*\(for url \S+\)\s*$")


class UnavailableError(ClickHouseError):
    """ClickHouse does not answer. It is unknown whether it executed the statement; execute it again."""


class StatementError(ClickHouseError):
    """ClickHouse answered with an error.

    `name` is its own name of the error, as in UNKNOWN_TABLE, and empty if it has none; `reason` is its message.
    """

    def __init__(self, address: Address, name: str, reason: str) -> None:
        advice = "; `firstcall migrate` creates it" if name in _NOT_MIGRATED else ""
        super().__init__(f"ClickHouse at {address}: {reason}{advice}")
        self.name = name
        self.reason = reason


@dataclass(frozen=True)
class Address:
    """Host, port, database and user of ClickHouse."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    secure: bool
    #: The authority whose certificates are trusted; empty: those that this machine trusts.
    ca_file: str = ""

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read `http(s)://user:password@host:port/database`, with https `?ca_file=/path/of/authority.pem` behind it if need be.

        The port defaults to 8123 (https: 8443), the user to `default`, the database to `firstcall`. User, password and
        database are percent-decoded. Raises ValueError, whose text holds no part of the URL.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError("the ClickHouse URL has no valid host and port") from None
        if parts.scheme not in ("http", "https"):
            raise ValueError("the ClickHouse URL must begin with http:// or https://")
        if not host:
            raise ValueError("the ClickHouse URL names no host")
        database = unquote(parts.path.strip("/"))
        if "/" in database or parts.fragment or not is_trust(parts.scheme, parts.query):
            raise ValueError("the ClickHouse URL has more than a database after the host")
        secure = parts.scheme == "https"
        return cls(
            host=host,
            port=port or (8443 if secure else 8123),
            database=database or DEFAULT_DATABASE,
            user=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            secure=secure,
            ca_file=dict(parse_qsl(parts.query)).get("ca_file", ""),
        )

    def __str__(self) -> str:
        """The address as it may be shown."""
        return f"{'https' if self.secure else 'http'}://{self.host}:{self.port}/{self.database}"


def connect(address: Address, *, database: str | None = None, answer_seconds: int = ANSWER_SECONDS) -> Client:
    """A client whose unqualified names are those of `database`, by default the address's own.

    It has no session, so threads may share it. `answer_seconds`: how long it may be silent. Raises ClickHouseError.
    """
    # The driver logs each error that it raises, and the caller logs it again.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    if address.ca_file and not Path(address.ca_file).is_file():
        raise UnavailableError(f"ClickHouse at {address}: {address.ca_file} cannot be read: No such file")
    with named_errors(address):
        return clickhouse_connect.get_client(
            host=address.host,
            port=address.port,
            username=address.user,
            password=address.password,
            secure=address.secure,
            ca_cert=address.ca_file or None,
            database=database or address.database,
            connect_timeout=CONNECT_SECONDS,
            send_receive_timeout=answer_seconds,
            client_name="firstcall",
            autogenerate_session_id=False,
            # Most rows go to the same machine or rack, where compressing costs more than sending.
            compress=False,
        )


@contextmanager
def connected(
    address: Address, *, database: str | None = None, answer_seconds: int = ANSWER_SECONDS
) -> Iterator[Client]:
    """A client as `connect` makes it, closed in the end. Raises ClickHouseError, whatever the driver raises meanwhile."""
    client = connect(address, database=database, answer_seconds=answer_seconds)
    try:
        with named_errors(address):
            yield client
    finally:
        client.close()


@contextmanager
def named_errors(address: Address) -> Iterator[None]:
    """Turn the driver's errors into those of this package."""
    try:
        yield
    except DriverError as error:
        text = str(error)
        name = error.name or error_name_from_body(text)
        if name is None and error.code is None:
            raise UnavailableError(f"ClickHouse at {address}: {_reason(text)}{_advice(text, address)}") from None
        raise StatementError(address, name or "", _reason(text)) from None
    except OSError as error:
        raise UnavailableError(f"ClickHouse at {address}: {error}") from None


def _advice(text: str, address: Address) -> str:
    """What to do about a certificate that is not trusted."""
    if "CERTIFICATE_VERIFY_FAILED" not in text:
        return ""
    if "mismatch" in text:
        return "; name the server in FIRSTCALL_CLICKHOUSE as its certificate does"
    trusted = f"{address.ca_file} has another authority" if address.ca_file else "if its authority is a private one"
    return f"; {trusted}: put ?ca_file=/path/of/authority.pem behind the database in FIRSTCALL_CLICKHOUSE"


def _reason(text: str) -> str:
    """The message of ClickHouse, or of the system, in an error of the driver, without the additions of driver and server."""
    caused = _CAUSE.search(text)
    if caused:
        return caused[1]
    text = _DRIVER_ENDING.sub("", text).rpartition("DB::Exception: ")[2]
    return " ".join(scrub_error_details(_INTERNALS.split(text)[0]).split())
