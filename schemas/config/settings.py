"""The one settings object: where the parts of a deployment are, and how they run.

What the numbers *mean* is in `schemas.config.definitions`. Of the settings only `secrets`, which name the API keys,
change a published number. `schemas.config.loading.load_settings` reads and checks them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.config.kafka_options import KafkaOptions
from schemas.config.sources import PREFIX, settings_in_files, settings_in_yaml
from schemas.event import ERASURES_TOPIC, TOPIC_BY_SOURCE

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
MIN_SECRET_CHARACTERS = 16
_MAKE_ONE = "make one with `openssl rand -hex 32`"

_SHARED = frozenset({*TOPIC_BY_SOURCE.values(), ERASURES_TOPIC})
#: Shared by all generations of an application, so its consumers receive alerts of the next one too.
ALERTS_TOPIC = "alerts"
_BROKER = re.compile(r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})$")
_TOPIC_PART = re.compile(r"^[A-Za-z0-9._-]{0,100}$")
_OF_A_GENERATION = re.compile(r"-g[0-9]+$")
_URL_SHAPE = "give http(s)://user:password@host:port/database"


def _brokers(value: str) -> str:
    parts = [part.strip() for part in value.split(",")]
    for part in parts:
        found = _BROKER.match(part)
        if found is None or not 0 < int(found[2]) < 65536:
            raise ValueError(
                f"{part!r} is not host:port; give one or more, separated by commas, as in kafka-1:9092,kafka-2:9092"
            )
    return ",".join(parts)


def _clickhouse_url(value: SecretStr) -> SecretStr:
    url = urlsplit(value.get_secret_value())
    if url.scheme not in {"http", "https"}:
        raise ValueError(
            f"does not start with http:// or https://; {_URL_SHAPE}. It is ClickHouse's HTTP port: 8123, or 8443 with TLS"
        )
    try:
        port = url.port
    except ValueError:
        raise ValueError(f"its port is not a number up to 65535; {_URL_SHAPE}") from None
    if not url.hostname:
        raise ValueError(f"names no host; {_URL_SHAPE}")
    if port == 9000:
        raise ValueError("port 9000 is ClickHouse's native protocol; give its HTTP port, 8123 by default")
    if url.path.rstrip("/").count("/") > 1 or url.fragment or not is_trust(url.scheme, url.query):
        raise ValueError(
            f"has more than a database after the host; {_URL_SHAPE}, with https ?ca_file=/path/of/authority.pem behind it"
        )
    return value


def is_trust(scheme: str, query: str) -> bool:
    """Whether the query of ClickHouse's address is empty or only names an authority (`ca_file`)."""
    return not query or (scheme == "https" and [name for name, _ in parse_qsl(query)] == ["ca_file"])


def wrong_secrets(secrets: Sequence[str]) -> str:
    """What is wrong with a list of secrets, which it does not show; '' if nothing is."""
    for position, secret in enumerate(secrets, start=1):
        if len(secret) < MIN_SECRET_CHARACTERS:
            return f"secret {position} has fewer than {MIN_SECRET_CHARACTERS} characters; {_MAKE_ONE}"
        if secret in secrets[: position - 1]:
            return f"secret {position} is there before; a new one goes to the end of the list, the oldest one is first"
    return ""


class Settings(BaseSettings):
    """Every setting. Its variable is `FIRSTCALL_` and the name in upper case."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    config: Path | None = Field(
        None,
        description="A YAML file with a `settings` section and the metric definitions. Without it: the shipped definitions.",
    )
    kafka: Annotated[str, AfterValidator(_brokers)] | None = Field(
        None,
        description="Kafka brokers, host:port separated by commas. Without it: a local broker that Firstcall runs itself.",
    )
    kafka_options: Annotated[KafkaOptions, NoDecode] = Field(
        KafkaOptions(),
        description="Authentication to Kafka: a JSON object of security_protocol, sasl_mechanism, sasl_username, sasl_password, "
        "sasl_token_file, ssl_ca_file, ssl_cert_file, ssl_key_file.",
    )
    clickhouse: Annotated[SecretStr, AfterValidator(_clickhouse_url)] | None = Field(
        None,
        description="ClickHouse, http(s)://user:password@host:port/database, with https ?ca_file=/path/of/authority.pem behind it if its "
        "certificate is signed by a private authority. Without it: the embedded one, in the data directory.",
    )
    clickhouse_cluster: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="ClickHouse cluster on which to create replicated tables. Without it: one server.",
    )
    data_dir: Path = Field(
        Path(".firstcall"),
        validate_default=True,
        description="Local broker, embedded ClickHouse, stream state, generated secret. In the working directory like .git and .venv: "
        "two checkouts never share data, and removing one folder removes it all.",
    )
    secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="HMAC secrets that name API keys, oldest first, separated by commas: the first one names keys, a further one is on "
        "its way to replace it (deploy/docs/key-rotation.md). Required when Kafka is remote; else one is generated in the data "
        "directory. Losing it makes every known key a stranger.",
    )
    retired_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Secrets that name no key any more, but under which people or companies were erased (deploy/docs/erasure.md).",
    )
    app_id: str = Field(
        "firstcall",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Names the consumer groups and internal topics. A new id starts from nothing.",
    )
    generation: int = Field(
        1,
        ge=1,
        le=9999,
        description="Counts the rebuilds under changed definitions (deploy/docs/rebuild.md). Each has streams and tables of its own. "
        "Without it: the one that the data directory remembers, else the first.",
    )
    topic_prefix: str = Field("", description="Put before every topic name to share a Kafka cluster, as in `staging.`")
    partitions: int = Field(
        3,
        ge=1,
        le=1024,
        description="Partitions of every topic. At most so many workers share the load, and it cannot change later.",
    )
    replication_factor: int = Field(1, ge=1, le=9, description="Copies of every topic: 3 in production.")
    batch_size: int = Field(2000, ge=1, le=100_000, description="Events that one step of the streams decides together.")
    sink_batch_rows: int = Field(
        50_000, ge=1, le=5_000_000, description="Rows after which the sink writes to ClickHouse."
    )
    sink_batch_seconds: float = Field(0.5, gt=0, le=300, description="Seconds after which the sink writes what it has.")
    session_seconds: float = Field(
        12,
        ge=3,
        le=300,
        description="After so many seconds without a heartbeat, a worker or sink loses its partitions to others. A killed one's wait "
        "as long; one that only paused stops then, so give more than its longest pause.",
    )
    broker_port: int = Field(19092, ge=1, le=65535, description="Port of the local broker, on loopback.")
    clickhouse_port: int = Field(18123, ge=1, le=65535, description="Port of the embedded ClickHouse, on loopback.")
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Port of /metrics, /healthz and /readyz of a worker, sink or alerts; 0: none. Each process on a machine needs its own; "
        "`firstcall up` gives them out itself, from this one on or else from 19464 on.",
    )
    metrics_host: str = Field(
        "127.0.0.1",
        pattern=r"^[0-9A-Za-z.:-]+$",
        description="Address that /metrics, /healthz and /readyz listen on. They name topics and lag and need no password: "
        "let only your monitoring reach them.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least serious line to log."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="`auto`: console on a terminal, else JSON lines."
    )

    @field_validator("secrets", "retired_secrets", mode="before")
    @classmethod
    def _split_secrets(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [part.strip() for part in value.replace("\n", ",").split(",") if part.strip()]
        # The default, that there is none, is a tuple; a list is what somebody gave.
        if isinstance(value, list) and not value:
            raise ValueError(f"holds no secret; {_MAKE_ONE}")
        return value

    @field_validator("secrets", "retired_secrets")
    @classmethod
    def _usable(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        problem = wrong_secrets([secret.get_secret_value() for secret in value])
        if problem:
            raise ValueError(problem)
        return value

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("topic_prefix")
    @classmethod
    def _topic_characters(cls, value: str) -> str:
        if not _TOPIC_PART.match(value):
            raise ValueError("may have up to 100 letters, digits, dots, underscores and hyphens")
        return value

    @field_validator("app_id")
    @classmethod
    def _no_generation(cls, value: str) -> str:
        if _OF_A_GENERATION.search(value):
            raise ValueError(
                "ends as the names of generations do, and would meet one of another application; choose another ending"
            )
        return value

    @field_validator("data_dir", "config")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @model_validator(mode="after")
    def _remote_kafka_needs_a_secret(self) -> Settings:
        if self.kafka_is_remote and not self.secrets:
            raise ValueError(
                f"{PREFIX}SECRETS: missing. Kafka is remote, so all workers and sinks must share the secret that names API keys; "
                "make one with `openssl rand -hex 32`, keep it, and set it everywhere"
            )
        return self

    @property
    def kafka_is_remote(self) -> bool:
        """Whether any broker is on another machine than this."""
        hosts = {broker.rpartition(":")[0].strip("[]") for broker in (self.kafka or "localhost:9092").split(",")}
        return not hosts <= LOOPBACK_HOSTS

    @property
    def brokers(self) -> str:
        """Where Kafka is: the given brokers, else the local one's place."""
        return self.kafka or f"127.0.0.1:{self.broker_port}"

    @property
    def retired(self) -> tuple[bytes, ...]:
        """The retired secrets as keys of an HMAC."""
        return tuple(secret.get_secret_value().encode() for secret in self.retired_secrets)

    @property
    def streams_id(self) -> str:
        """Names the worker's group, its changelogs and the internal topics: application id and generation."""
        return f"{self.app_id}{self._apart('-')}"

    @property
    def streams_dir(self) -> Path:
        """Where a worker keeps its tables: generations do not share any."""
        return self.data_dir / f"streams{self._apart('-')}"

    @property
    def served_address(self) -> str:
        """The database that dashboards read, whatever the generation. It holds the password: not to be logged."""
        if self.clickhouse is None:
            return f"http://127.0.0.1:{self.clickhouse_port}/firstcall"
        return self.clickhouse.get_secret_value()

    @property
    def clickhouse_address(self) -> str:
        """The database of this generation: the given address, else the embedded one's place. It holds the password."""
        if self.generation == 1:
            return self.served_address
        url = urlsplit(self.served_address)
        return url._replace(path=f"/{url.path.strip('/') or 'firstcall'}{self._apart('_')}").geturl()

    @property
    def clickhouse_shown(self) -> str:
        """The address of ClickHouse without its password, for people and logs."""
        url = urlsplit(self.clickhouse_address)
        user = f"{url.username}@" if url.username else ""
        return f"{url.scheme}://{user}{url.hostname}:{url.port or (8443 if url.scheme == 'https' else 8123)}{url.path}"

    def topic(self, name: str) -> str:
        """The name of a topic on this Kafka cluster.

        Inputs and erasures are shared by all applications, alerts by the generations of one; others are of a generation.
        """
        if name in _SHARED:
            return f"{self.topic_prefix}{name}"
        return f"{self.topic_prefix}{self.app_id if name == ALERTS_TOPIC else self.streams_id}-{name}"

    def _apart(self, separator: str) -> str:
        return "" if self.generation == 1 else f"{separator}g{self.generation}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - named by the library
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - named by the library
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Strongest first: arguments, variables, files that variables name, the YAML file."""
        return (
            init_settings,
            env_settings,
            InitSettingsSource(settings_cls, init_kwargs=settings_in_files(settings_cls.model_fields)),
            InitSettingsSource(settings_cls, init_kwargs=settings_in_yaml()),
        )
