"""Runs the statements of `sql/` with bound values, in parcels that fit into one request.

A file that begins with FROM holds the condition of rows that are counted and deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final, TypeVar
from urllib.parse import quote

from clickhouse_connect.driver import Client

from sinks.clickhouse import Address, connect, named_errors

#: Bound values travel in the URL, of which ClickHouse takes one megabyte.
PARCEL_BYTES: Final = 100_000
#: A deletion may have to rewrite large parts, and a search to read all events.
_ANSWER_SECONDS: Final = 6 * 3600
#: A deletion is done when every replica has done it.
_SETTINGS: Final = {"mutations_sync": 2, "lightweight_deletes_sync": 2}

T = TypeVar("T")


class Statements:
    """One connection to ClickHouse. Statements are named by their files in `sql/`. All methods raise ClickHouseError."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client: Client = connect(address, answer_seconds=_ANSWER_SECONDS)

    def rows(self, name: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with named_errors(self.address):
            return [tuple(row) for row in self._client.query(_text(name), dict(values or {})).result_rows]

    def stream(self, name: str, values: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """The rows of a query as tuples, however many, in bounded memory."""
        with named_errors(self.address), self._client.query_rows_stream(_text(name), dict(values or {})) as rows:
            for row in rows:
                yield tuple(row)

    def run(self, name: str, values: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns no rows."""
        with named_errors(self.address):
            self._client.command(_text(name), dict(values or {}), settings=_SETTINGS)

    def count(self, name: str, values: Mapping[str, Any]) -> int:
        """How many rows meet the condition of a file."""
        with named_errors(self.address):
            return int(self._client.query(f"SELECT count() {_text(name)}", dict(values)).result_rows[0][0])

    def delete(self, name: str, values: Mapping[str, Any]) -> None:
        """Delete the rows that meet the condition of a file. Counts first, as a deletion of nothing rewrites parts too."""
        if self.count(name, values):
            with named_errors(self.address):
                self._client.command(f"DELETE {_text(name)}", dict(values), settings=_SETTINGS)

    @property
    def client(self) -> Client:
        """The connection itself."""
        return self._client

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def parcels(items: Iterable[T], limit: int = PARCEL_BYTES) -> Iterator[list[T]]:
    """The items in pieces of at most so many bytes as they stand in a URL; a piece has at least one."""
    piece: list[T] = []
    size = 0
    for item in items:
        weight = len(quote(str(item)))
        if piece and size + weight > limit:
            yield piece
            piece, size = [], 0
        piece.append(item)
        size += weight
    if piece:
        yield piece


def by_kind(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Identifiers as statements take them: `users`, `keys`, `sessions`, `devices`."""
    names = {"user_id": "users", "api_key": "keys", "session_token": "sessions", "anonymous_id": "devices"}
    found: dict[str, list[str]] = {name: [] for name in names.values()}
    for kind, identifier in pairs:
        found[names[kind]].append(identifier)
    return found


def _text(name: str) -> str:
    return files("deploy.erasure").joinpath("sql", f"{name}.sql").read_text("utf-8")
