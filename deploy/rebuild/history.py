"""Copies what a rebuild cannot compute from the input topics from one generation's tables to the next one's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from deploy.rebuild.generations import address_of
from schemas.config.settings import Settings
from sinks.clickhouse import connected

#: Alerts that fired, where they were sent, and the state of each monitor.
ALERT_TABLES: Final = ("alert_rows", "alert_delivery_rows", "monitor_rows")
#: Also which refused messages were sent again, and who was erased. `erasure_rows` is last, as `erasures_missing` compares it.
TABLES: Final = (*ALERT_TABLES, "dead_letter_replay_rows", "erasure_rows")
_ERASURES_MISSING: Final = """
    SELECT uniqExact(subject) FROM {source:Identifier}.erasure_rows
    WHERE asked_at >= (SELECT min(applied_at) FROM migrations) AND subject NOT IN (SELECT subject FROM erasure_rows)
"""


def erasures_missing(settings: Settings, before: int, after: int) -> int:
    """The number of erasures requested since a generation began and not done in it. Raises ClickHouseError."""
    source = address_of(settings, before)
    with connected(address_of(settings, after)) as client:
        (found,) = client.query(_ERASURES_MISSING, {"source": source.database}).result_rows
    return int(found[0])


def copy_tables(settings: Settings, before: int, after: int, tables: Sequence[str] = TABLES) -> None:
    """Copy the rows of tables. Copying them again changes nothing. Raises ClickHouseError."""
    source, address = address_of(settings, before), address_of(settings, after)
    with connected(address) as client:
        for table in tables:
            client.command(
                "INSERT INTO {table:Identifier} SELECT * FROM {source:Identifier}.{table:Identifier}",
                {"table": table, "source": source.database},
            )


def copy_dead_letters(settings: Settings, before: int, after: int, first: Mapping[tuple[str, int], int]) -> None:
    """Copy the dead letters of messages before the first offset that a topic and partition still holds."""
    source, address = address_of(settings, before), address_of(settings, after)
    with connected(address) as client:
        for (topic, partition), offset in first.items():
            client.command(
                "INSERT INTO dead_letter_rows SELECT * FROM {source:Identifier}.dead_letter_rows"
                " WHERE topic = {topic:String} AND partition = {partition:Int32} AND offset < {offset:Int64}",
                {"source": source.database, "topic": topic, "partition": partition, "offset": offset},
            )
