"""The generations of a deployment: streams and tables that were made under one state of the definitions.

The first generation's tables are in the database that dashboards read (`served`), those of later ones in databases beside it.
The views of the served database alone decide which generation is live; `deploy.rebuild.view_switch` switches them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from tempfile import mkstemp
from typing import Final

from schemas.config.definitions import Definitions
from schemas.config.loading import GENERATION_FILE
from schemas.config.settings import Settings
from schemas.errors import DeploymentError
from sinks.clickhouse import Address, StatementError, UnavailableError, connected
from sinks.definition_rows import Recorded, recorded, refuse_other

_ABSENT: Final = ("UNKNOWN_DATABASE", "UNKNOWN_TABLE")


def of_generation(settings: Settings, generation: int) -> Settings:
    return settings.model_copy(update={"generation": generation})


def address_of(settings: Settings, generation: int) -> Address:
    """The database with the tables of a generation."""
    return Address.parse(of_generation(settings, generation).clickhouse_address)


def live_record(settings: Settings) -> Recorded | None:
    """The definitions that the served numbers were made under; None before a sink has written any. Raises ClickHouseError."""
    return _recorded(Address.parse(settings.served_address), own=False)


def own_record(address: Address) -> Recorded | None:
    """The definitions that the tables of a database were made under; None without any. Raises ClickHouseError."""
    return _recorded(address, own=True)


def generation_of(settings: Settings, record: Recorded | None) -> int:
    """The generation whose tables hold a record; the first without one."""
    served = Address.parse(settings.served_address).database
    found = re.fullmatch(rf"{re.escape(served)}_g(\d+)", record.database) if record else None
    return int(found[1]) if found else 1


def live(settings: Settings) -> int:
    """The generation that dashboards read. Raises ClickHouseError."""
    return generation_of(settings, live_record(settings))


def generation_before(settings: Settings, generation: int) -> int:
    """The last generation before one that has written tables; the first if none has. Raises ClickHouseError."""
    candidates = range(generation - 1, 1, -1)
    return next((each for each in candidates if own_record(address_of(settings, each)) is not None), 1)


def refuse_superseded(generation: int, shown: int) -> None:
    """Raise DeploymentError when a later generation than this one is live."""
    if shown > generation:
        raise DeploymentError(
            f"dashboards read generation {shown}; generation {generation} is over. Set FIRSTCALL_GENERATION={shown}"
        )


def refuse_others(settings: Settings, definitions: Definitions) -> None:
    """Raise DeploymentError when a later generation is live, or the tables were made under other definitions.

    Does nothing while ClickHouse is away.
    """
    try:
        own, shown = own_record(Address.parse(settings.clickhouse_address)), live(settings)
    except UnavailableError:
        return
    refuse_superseded(settings.generation, shown)
    refuse_other(own, definitions)


def remember(data_dir: Path, generation: int) -> None:
    """Make a generation the one that runs from this data directory, where no setting names another."""
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor, draft = mkstemp(dir=data_dir, prefix=f"{GENERATION_FILE}-")
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{generation}\n")
        file.flush()
        os.fsync(file.fileno())
    Path(draft).replace(data_dir / GENERATION_FILE)


def _recorded(address: Address, *, own: bool) -> Recorded | None:
    try:
        with connected(address) as client:
            return recorded(client, own=own)
    except StatementError as error:
        if error.name in _ABSENT:
            return None
        raise
