"""Removes generations that are not live: their topics, consumer groups, local state and tables."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from typing import Final

from kafka.admin import KafkaAdminClient
from kafka.errors import GroupIdNotFoundError

from deploy.rebuild.generations import address_of, of_generation
from deploy.services import groups
from schemas.config.settings import Settings
from schemas.errors import DeploymentError
from sinks.clickhouse import connected
from sinks.migrations import ON_CLUSTER, render
from streams.processors import PROCESSORS
from streams.topology import ROWS, UPDATES

#: Longer than the session timeout after which brokers drop a killed member.
_GONE_WITHIN_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.5
_ROW_TABLES: Final = (
    "SELECT name FROM system.tables WHERE database = {database:String} AND endsWith(name, '_rows') ORDER BY name"
)


def remove(client: KafkaAdminClient, settings: Settings, removed: Iterable[int]) -> None:
    """Remove generations. Raises DeploymentError while one still runs."""
    existing = set(client.list_topics())
    for number in removed:
        each = of_generation(settings, number)
        names = [each.streams_id, f"{each.streams_id}-sink"]
        _await_end(client, number, names)
        _delete_groups(client, number, names)
        own_topics = [each.topic(topic.name) for topic in (*UPDATES, *ROWS)] + changelogs(each)
        if found := sorted(existing.intersection(own_topics)):
            client.delete_topics(found)
        drop_tables(settings, number)
        for directory in (settings.data_dir, *settings.data_dir.glob("worker-*")):
            shutil.rmtree(directory / each.streams_dir.name, ignore_errors=True)


def changelogs(settings: Settings) -> list[str]:
    """The changelog topics of a generation, by Faust's names. No pattern: another deployment's id may begin with this one's."""
    return [f"{settings.streams_id}-{table.__name__}-changelog" for table in PROCESSORS.values()]


def _await_end(client: KafkaAdminClient, generation: int, names: Iterable[str]) -> None:
    end = time.monotonic() + _GONE_WITHIN_SECONDS
    while not all(groups.is_deserted(client, group) for group in names):
        if time.monotonic() > end:
            raise DeploymentError(f"a worker or sink of generation {generation} still runs; stop it first")
        time.sleep(_POLL_SECONDS)


def _delete_groups(client: KafkaAdminClient, generation: int, names: list[str]) -> None:
    """Delete the groups with their offsets: a later generation of the same number must read from the start."""
    for group, answer in client.delete_groups(names).items():
        if answer not in ("OK", GroupIdNotFoundError.__name__):
            raise DeploymentError(
                f"the consumer group {group} of generation {generation} cannot be deleted: {answer}. If a worker or sink of it"
                " still runs, stop it; then run this command again"
            )


def drop_tables(settings: Settings, generation: int) -> None:
    """Drop the database of a generation. The first one's is that of the views, so its rows are deleted instead."""
    own, cluster = address_of(settings, generation), settings.clickhouse_cluster
    with connected(own, database="default") as client:
        if generation > 1:
            client.command(render(f"DROP DATABASE IF EXISTS `{own.database}` {ON_CLUSTER} SYNC", cluster))
            return
        for (table,) in client.query(_ROW_TABLES, {"database": own.database}).result_rows:
            client.command(render(f"TRUNCATE TABLE `{own.database}`.`{table}` {ON_CLUSTER}", cluster))
