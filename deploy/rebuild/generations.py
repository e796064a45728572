"""The generations of a deployment: streams and tables that were made under one state of the definitions.

The first one's tables lie in the database that dashboards read, those of later ones beside it. Which one is live is said by
the views of that database, and by nothing else: they are exchanged all together (`show`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkstemp
from typing import Final

from clickhouse_connect.driver import Client

from schemas.config.definitions import Definitions
from schemas.config.loading import GENERATION_FILE
from schemas.config.settings import Settings
from schemas.errors import DeploymentError
from sinks.clickhouse import Address, StatementError, UnavailableError, connected
from sinks.definition_rows import Recorded, recorded, refuse_other
from sinks.migrations import ON_CLUSTER, render

#: What no replay makes anew: who was told of what ...
ALERT_HISTORY: Final = ("alert_rows", "alert_delivery_rows", "monitor_rows")
#: ... which refused messages were sent again, and who was erased. That is carried last of all, as `erasures_missing` goes by it.
HISTORY: Final = (*ALERT_HISTORY, "dead_letter_replay_rows", "erasure_rows")
_ERASURES_MISSING: Final = """
    SELECT uniqExact(subject) FROM {source:Identifier}.erasure_rows
    WHERE asked_at >= (SELECT min(applied_at) FROM migrations) AND subject NOT IN (SELECT subject FROM erasure_rows)
"""
_ABSENT: Final = ("UNKNOWN_DATABASE", "UNKNOWN_TABLE")
_NAME: Final = r"`?[\w-]+`?"
_HEAD: Final = re.compile(rf"CREATE VIEW {_NAME}\.{_NAME} ")
_ROW_TABLES: Final = (
    "SELECT name FROM system.tables WHERE database = {database:String} AND endsWith(name, '_rows') ORDER BY name"
)
_VIEWS: Final = "SELECT name, create_table_query FROM system.tables WHERE database = {database:String} AND engine = 'View' ORDER BY name"


def of_generation(settings: Settings, generation: int) -> Settings:
    """The settings of another generation of the same deployment."""
    return settings.model_copy(update={"generation": generation})


def address_of(settings: Settings, generation: int) -> Address:
    """Where the tables of a generation are."""
    return Address.parse(of_generation(settings, generation).clickhouse_address)


def live_record(settings: Settings) -> Recorded | None:
    """What the numbers were made under that dashboards read; None if nobody has written it. Raises ClickHouseError."""
    return _recorded(Address.parse(settings.served_address), own=False)


def own_record(address: Address) -> Recorded | None:
    """What the tables of a database were made under; None if that is not written, or there is no such database."""
    return _recorded(address, own=True)


def generation_of(settings: Settings, record: Recorded | None) -> int:
    """Which generation a record is of; the first if it does not say."""
    served = Address.parse(settings.served_address).database
    found = re.fullmatch(rf"{re.escape(served)}_g(\d+)", record.database) if record else None
    return int(found[1]) if found else 1


def live(settings: Settings) -> int:
    """The generation that dashboards read. Raises ClickHouseError."""
    return generation_of(settings, live_record(settings))


def over(generation: int, shown: int) -> str:
    """What to say to who runs a generation that nobody reads any more."""
    return f"dashboards read generation {shown}; generation {generation} is over. Set FIRSTCALL_GENERATION={shown}"


def refuse_others(settings: Settings, definitions: Definitions) -> None:
    """Raise DeploymentError when the tables were made under other definitions, or nobody reads this generation any more.

    While ClickHouse is away nothing is known, and nothing is said.
    """
    try:
        own, shown = own_record(Address.parse(settings.clickhouse_address)), live(settings)
    except UnavailableError:
        return
    if shown > settings.generation:
        raise DeploymentError(over(settings.generation, shown))
    try:
        refuse_other(own, definitions)
    except DeploymentError as error:
        raise DeploymentError(str(error)) from None


def remember(data_dir: Path, generation: int) -> None:
    """Make a generation the one that runs from this data directory, where no setting says otherwise."""
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor, draft = mkstemp(dir=data_dir, prefix=f"{GENERATION_FILE}-")
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{generation}\n")
        file.flush()
        os.fsync(file.fileno())
    Path(draft).replace(data_dir / GENERATION_FILE)


def generation_before(settings: Settings, generation: int) -> int:
    """The last generation before one that has written tables; the first if none has. Raises ClickHouseError."""
    candidates = range(generation - 1, 1, -1)
    return next((each for each in candidates if own_record(address_of(settings, each)) is not None), 1)


def erasures_missing(settings: Settings, before: int, after: int) -> int:
    """How many erasures were asked for since a generation began that were not done in it. Raises ClickHouseError."""
    source = address_of(settings, before)
    with connected(address_of(settings, after)) as client:
        (found,) = client.query(_ERASURES_MISSING, {"source": source.database}).result_rows
    return int(found[0])


def carry_history(settings: Settings, before: int, after: int, tables: Sequence[str] = HISTORY) -> None:
    """Copy what no replay makes anew. Copying it again changes nothing. Raises ClickHouseError."""
    source, address = address_of(settings, before), address_of(settings, after)
    with connected(address) as client:
        for table in tables:
            client.command(
                "INSERT INTO {table:Identifier} SELECT * FROM {source:Identifier}.{table:Identifier}",
                {"table": table, "source": source.database},
            )


def carry_dead_letters(settings: Settings, before: int, after: int, kept_from: Mapping[tuple[str, int], int]) -> None:
    """Copy the refusals of messages that topics hold no more: before the offset by topic and partition."""
    source, address = address_of(settings, before), address_of(settings, after)
    with connected(address) as client:
        for (topic, partition), offset in kept_from.items():
            client.command(
                "INSERT INTO dead_letter_rows SELECT * FROM {source:Identifier}.dead_letter_rows"
                " WHERE topic = {topic:String} AND partition = {partition:Int32} AND offset < {offset:Int64}",
                {"source": source.database, "topic": topic, "partition": partition, "offset": offset},
            )


def show(settings: Settings, generation: int) -> bool:
    """Make the views that dashboards read show the tables of a generation, all with one statement; whether they did not yet.

    The new views are prepared in a database of their own. The statement exchanges them for the old ones; ClickHouse runs it
    to its end whatever becomes of who asked for it. Should ClickHouse itself be killed in these milliseconds, doing it again
    puts it right. Raises ClickHouseError.
    """
    served, own = Address.parse(settings.served_address), address_of(settings, generation)
    if served.database == own.database:
        return False
    prepared = f"{served.database}_views"
    cluster = settings.clickhouse_cluster
    with connected(own, database="default") as client:
        wanted = _views(client, own.database)
        there = _views(client, served.database)
        made = {name: _moved(text, served.database, name) for name, text in wanted.items()}
        changed = [name for name in made if made[name] != _moved(there.get(name, ""), served.database, name)]
        if not changed:
            return False
        client.command(render(f"DROP DATABASE IF EXISTS `{prepared}` {ON_CLUSTER} SYNC", cluster))
        client.command(render(f"CREATE DATABASE `{prepared}` {ON_CLUSTER}", cluster))
        for name in changed:
            client.command(_moved(wanted[name], prepared, name, render(ON_CLUSTER, cluster)))
        pairs = [f"`{served.database}`.`{name}` AND `{prepared}`.`{name}`" for name in changed if name in there]
        added = [f"`{prepared}`.`{name}` TO `{served.database}`.`{name}`" for name in changed if name not in there]
        if added:
            client.command(render(f"RENAME TABLE {', '.join(added)} {ON_CLUSTER}", cluster))
        if pairs:
            client.command(render(f"EXCHANGE TABLES {', '.join(pairs)} {ON_CLUSTER}", cluster))
        client.command(render(f"DROP DATABASE IF EXISTS `{prepared}` {ON_CLUSTER} SYNC", cluster))
    return True


def drop_tables(settings: Settings, generation: int) -> None:
    """Remove the rows of a generation that is not live, with its database, if it is not that of the views.

    Raises ClickHouseError.
    """
    own, cluster = address_of(settings, generation), settings.clickhouse_cluster
    with connected(own, database="default") as client:
        if generation > 1:
            client.command(render(f"DROP DATABASE IF EXISTS `{own.database}` {ON_CLUSTER} SYNC", cluster))
            return
        for (table,) in client.query(_ROW_TABLES, {"database": own.database}).result_rows:
            client.command(render(f"TRUNCATE TABLE `{own.database}`.`{table}` {ON_CLUSTER}", cluster))


def _moved(text: str, database: str, name: str, more: str = "") -> str:
    """The text of a view, as one of a database."""
    return _HEAD.sub(f"CREATE OR REPLACE VIEW `{database}`.`{name}` {f'{more} ' if more else ''}", text, count=1)


def _views(client: Client, database: str) -> dict[str, str]:
    rows = client.query(_VIEWS, {"database": database}).result_rows
    return {str(name): str(text) for name, text in rows}


def _recorded(address: Address, *, own: bool) -> Recorded | None:
    try:
        with connected(address) as client:
            return recorded(client, own=own)
    except StatementError as error:
        if error.name in _ABSENT:
            return None
        raise
