"""The checks of `firstcall doctor`: this installation, then what a deployment runs on and with."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import stat
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from kafka.errors import KafkaError

from deploy.local.kafka.runtime import Available, Missing, availability
from deploy.local.process.status_server import reached_at, url_of
from deploy.rebuild import generations
from deploy.services import groups, topics
from deploy.services.required import require_clickhouse
from schemas.config.definitions import load as load_definitions
from schemas.config.loading import hmac_secrets
from schemas.config.settings import Settings
from schemas.errors import ClickHouseError, ConfigurationError, DeploymentError
from sinks.clickhouse import Address, connected
from sinks.migrations import pending_migrations

LOW_DISK_GB: Final = 2
#: More than this many records behind is worth a note: normal while catching up, else a sign that it does not.
LAG_NOTED: Final = 100_000
REACHED_WITHIN_MS: Final = 10_000


@dataclass(frozen=True)
class Finding:
    """What one check found. `advice` is what to do; it is empty when all is well."""

    check: str
    verdict: Literal["ok", "note", "wrong"]
    detail: str
    advice: str = ""


def check_python(_: Settings) -> Iterator[Finding]:
    """The interpreter and the versions of what matters most."""
    supported = (3, 11) <= sys.version_info < (3, 14)
    named = ("firstcall", "faust-streaming", "confluent-kafka", "chdb-core")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in named)
    yield Finding(
        "python",
        "ok" if supported else "wrong",
        f"{platform.python_version()}; {versions}",
        "" if supported else "use Python 3.11, 3.12 or 3.13",
    )


def check_configuration(settings: Settings) -> Iterator[Finding]:
    """Definitions, data directory and the HMAC secret. Wrong settings have ended the command before."""
    shown = settings.config or "shipped definitions; FIRSTCALL_CONFIG is not set"
    try:
        definitions = load_definitions(settings.config)
    except ConfigurationError as error:
        yield Finding("configuration", "wrong", str(error), "correct the file that FIRSTCALL_CONFIG names")
    else:
        count = f"{len(definitions.stages)} stages, {len(definitions.activations)} activations"
        yield Finding("configuration", "ok", f"{shown}: {count}, fingerprint {definitions.fingerprint()}")
    yield from _check_data_dir(settings)
    yield _secret_found(settings)


def _check_data_dir(settings: Settings) -> Iterator[Finding]:
    directory = settings.data_dir
    existing = next(parent for parent in (directory, *directory.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            "data", "wrong", f"{directory} cannot be written", "set FIRSTCALL_DATA_DIR to a folder that can be"
        )
        return
    free = shutil.disk_usage(existing).free / 1e9
    low = free < LOW_DISK_GB
    advice = "free some space, or set FIRSTCALL_DATA_DIR to another disk" if low else ""
    yield Finding("data", "note" if low else "ok", f"{directory}, {free:.0f} GB free", advice)


def _secret_found(settings: Settings) -> Finding:
    path = settings.data_dir / "secret"
    if settings.secrets:
        return Finding("secret", "ok", _shown_secrets(len(settings.secrets), "given"))
    if not path.exists():
        return Finding("secret", "ok", f"none yet; one will be made in {path}")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding("secret", "wrong", f"{path} can be read by others", f"chmod 600 {path}")
    try:
        secrets = hmac_secrets(settings)
    except ConfigurationError as error:
        return Finding("secret", "wrong", str(error), f"correct {path}: one secret a line, the oldest first")
    return Finding("secret", "ok", _shown_secrets(len(secrets), f"generated, in {path}; keep a copy of it"))


def _shown_secrets(number: int, source: str) -> str:
    if number == 1:
        return f"1 {source}"
    return f"{number} {source}; the first one hashes API keys, and keys are recognised by all of them"


def check_tools(settings: Settings) -> Iterator[Finding]:
    """What the local broker can be run with. Nothing where brokers are given."""
    if settings.kafka is not None:
        return
    match availability(settings.data_dir):
        case Available(detail=detail):
            yield Finding("tools", "ok", f"the local broker can be {detail}")
        case Missing(reason=reason, what_to_do=what_to_do):
            yield Finding("tools", "wrong", f"no local broker: {reason}", what_to_do)


def check_kafka(settings: Settings) -> Iterator[Finding]:
    """Whether the brokers answer, and the topics exist with the right number of partitions."""
    try:
        with topics.administration(settings, REACHED_WITHIN_MS) as client:
            brokers = len(client.describe_cluster()["brokers"])
            states = topics.inspect_topics(client, settings)
    except (KafkaError, DeploymentError) as error:
        yield Finding("kafka", "wrong", f"{settings.brokers}: {error}", _start_kafka(settings))
        return
    yield Finding("kafka", "ok", f"{settings.brokers}, {brokers} broker{'s' if brokers != 1 else ''}")
    wrong = [state for state in states if state.problem]
    for state in wrong:
        yield Finding(
            "topics", "wrong", f"{state.name}: {state.problem}", "firstcall migrate" if not state.partitions else ""
        )
    if not wrong:
        yield Finding("topics", "ok", f"{len(states)} topics, {settings.partitions} partitions")


def check_lag(settings: Settings) -> Iterator[Finding]:
    try:
        with topics.administration(settings, REACHED_WITHIN_MS) as client:
            found = groups.lags(client, groups.consumed_topics(settings))
    except (KafkaError, DeploymentError) as error:
        yield Finding("lag", "wrong", f"{settings.brokers}: {error}", _start_kafka(settings))
        return
    for group in groups.consumed_topics(settings):
        behind = {lag.topic: lag.records for lag in found if lag.group == group and lag.records}
        total = sum(behind.values())
        most = max(behind, key=lambda topic: behind[topic], default="")
        detail = f"{group}: {total:,} records behind" + (f", most of them of {most}" if most else "")
        noted = total > LAG_NOTED
        advice = (
            "normal after an import or a rebuild; if it does not shrink, start more workers, or look at the log"
            if noted
            else ""
        )
        yield Finding("lag", "note" if noted else "ok", detail, advice)


def check_members(settings: Settings, role: Literal["worker", "sink"]) -> Iterator[Finding]:
    """Whether any worker or sink is a member of its consumer group, and the group is not rebalancing."""
    group = settings.streams_id if role == "worker" else f"{settings.streams_id}-sink"
    try:
        with topics.administration(settings, REACHED_WITHIN_MS) as client:
            members = groups.members_of(client, group)
    except (KafkaError, DeploymentError) as error:
        yield Finding(role, "wrong", f"{settings.brokers}: {error}", _start_kafka(settings))
        return
    if members:
        yield Finding(role, "ok", f"{members} in group {group}")
    else:
        advice = f"start one with `firstcall {role}`, or all with `firstcall up`"
        yield Finding(role, "wrong", f"none in group {group}", advice)


def check_ready(settings: Settings) -> Iterator[Finding]:
    """The health of the process on this machine that listens on the metrics port."""
    if not settings.metrics_port:
        yield Finding(
            "ready", "wrong", "FIRSTCALL_METRICS_PORT is not set", "set it to the port of the process to check"
        )
        return
    url = url_of(reached_at(settings.metrics_host), settings.metrics_port)
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=REACHED_WITHIN_MS / 1000) as answer:  # noqa: S310 - our own
            health = json.load(answer)
    except urllib.error.HTTPError as error:
        health = json.load(error)
    except OSError as error:
        yield Finding(
            "ready", "wrong", f"{url}: {error}", "look at the process' log; it has ended, hangs, or listens elsewhere"
        )
        return
    behind = f"{health['lag_events']:,} messages behind on {health['partitions']} partitions"
    for reason in health["reasons"]:
        yield Finding("ready", "wrong", f"{reason}; {behind}", "deploy/docs/RUNBOOK.md, FirstcallNotReady")
    if health["ready"]:
        yield Finding("ready", "ok", f"{url}: {behind}")


def check_clickhouse(settings: Settings) -> Iterator[Finding]:
    """Whether ClickHouse answers and has the tables of this version."""
    address = Address.parse(settings.clickhouse_address)
    try:
        require_clickhouse(settings)
        with connected(address, database="default") as client:
            version = client.server_version
    except DeploymentError as error:
        advice = (
            "check FIRSTCALL_CLICKHOUSE"
            if settings.clickhouse
            else "start it with `firstcall clickhouse` or `firstcall up`"
        )
        yield Finding("clickhouse", "wrong", str(error), advice)
        return
    yield Finding("clickhouse", "ok", f"{settings.clickhouse_shown}, version {version}")
    try:
        pending = pending_migrations(address)
    except ClickHouseError as error:
        yield Finding("tables", "wrong", str(error), "firstcall migrate")
        return
    if pending:
        yield Finding("tables", "wrong", f"{len(pending)} migrations have not run", "firstcall migrate")
    else:
        yield Finding("tables", "ok", "all migrations have run")
        yield from _check_generation(settings)


def _check_generation(settings: Settings) -> Iterator[Finding]:
    """Whether the configured generation and definitions are those that dashboards read."""
    try:
        shown = generations.live(settings)
        generations.refuse_others(settings, load_definitions(settings.config))
    except DeploymentError as error:
        yield Finding("generation", "wrong", str(error))
    except ConfigurationError:
        # `check_configuration` reports it.
        return
    else:
        if shown < settings.generation:
            detail = f"generation {settings.generation} is configured, and dashboards read generation {shown}"
            yield Finding("generation", "note", detail, "`firstcall rebuild --elsewhere` waits for it and shows it")


def _start_kafka(settings: Settings) -> str:
    if settings.kafka is None:
        return "start the local broker with `firstcall broker` or `firstcall up`"
    return "check FIRSTCALL_KAFKA, FIRSTCALL_KAFKA_OPTIONS and the way to the brokers"


CHECKS: Final[dict[str, Callable[[Settings], Iterator[Finding]]]] = {
    "python": check_python,
    "configuration": check_configuration,
    "tools": check_tools,
    "kafka": check_kafka,
    "worker": partial(check_members, role="worker"),
    "sink": partial(check_members, role="sink"),
    "lag": check_lag,
    "ready": check_ready,
    "clickhouse": check_clickhouse,
}

#: Of the one process that listens on the metrics port: only when asked for.
_OF_ONE_PROCESS: Final = "ready"


def examine(settings: Settings, checks: Sequence[str] = ()) -> Iterator[Finding]:
    """Run the named checks, by default all that are not about one process."""
    for name, check in CHECKS.items():
        if name in checks or (not checks and name != _OF_ONE_PROCESS):
            yield from check(settings)
