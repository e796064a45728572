"""Checks what a deployment runs on and with: brokers, topics, consumer groups, ClickHouse, and one process' health."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Final

from kafka.errors import KafkaError

from deploy.doctor.finding import Finding
from deploy.local.process.status_server import reached_at, url_of
from deploy.rebuild import generations
from deploy.services import groups, topics
from deploy.services.required import require_clickhouse
from schemas.config.definitions import load as load_definitions
from schemas.config.settings import Settings
from schemas.errors import ClickHouseError, ConfigurationError, DeploymentError
from sinks.clickhouse import Address, connected
from sinks.migrations import pending_migrations

#: More than this many records behind is worth a note: normal while catching up, else a sign that it does not.
LAG_NOTED: Final = 100_000
REACHED_WITHIN_MS: Final = 10_000


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
    """How far worker and sink are behind."""
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


def check_worker(settings: Settings) -> Iterator[Finding]:
    """Whether any worker is a member of its consumer group, and the group is not rebalancing."""
    yield _group(settings, "worker", settings.streams_id)


def check_sink(settings: Settings) -> Iterator[Finding]:
    """Whether any sink is a member of its consumer group."""
    yield _group(settings, "sink", f"{settings.streams_id}-sink")


def _group(settings: Settings, role: str, group: str) -> Finding:
    try:
        with topics.administration(settings, REACHED_WITHIN_MS) as client:
            members = groups.members_of(client, group)
    except (KafkaError, DeploymentError) as error:
        return Finding(role, "wrong", f"{settings.brokers}: {error}", _start_kafka(settings))
    if members:
        return Finding(role, "ok", f"{members} in group {group}")
    return Finding(
        role, "wrong", f"none in group {group}", f"start one with `firstcall {role}`, or all with `firstcall up`"
    )


def check_ready(settings: Settings) -> Iterator[Finding]:
    """The health of the process on this machine that listens on the metrics port."""
    if not settings.metrics_port:
        yield Finding(
            "ready",
            "wrong",
            "FIRSTCALL_METRICS_PORT is not set",
            "set it to the port of the process to check",
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
