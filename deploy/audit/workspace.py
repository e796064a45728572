"""The working tables of one audit: unique names, statements from `sql/` that run on them, and their removal.

They are in the audited database, and hold intermediate results, so that no step needs more memory than its limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from typing import Any, Final
from uuid import uuid4

from clickhouse_connect.driver import Client

from schemas.errors import ClickHouseError
from sinks.clickhouse import Address, connected

PREFIX: Final = "audit_"
_TABLE: Final = re.compile(r"CREATE TABLE \{(\w+):Identifier\}")
#: What a killed audit left is removed by the next one, once no audit can still be at work on it.
_LEFT_AFTER_HOURS: Final = 24
#: A statement over many events runs for long without an answer.
_ANSWER_SECONDS: Final = 6 * 3600


class Workspace:
    """Runs the statements of an audit. `parameters`: bound values, the names of the working tables among them.

    `settings`: ClickHouse's, for every statement.
    """

    def __init__(self, client: Client, memory_bytes: int) -> None:
        self.client = client
        audit = uuid4().hex[:12]
        self.tables = {name: f"{PREFIX}{audit}_{name}" for name in _TABLE.findall(statement("tables"))}
        self.parameters: dict[str, Any] = dict(self.tables)
        # Beyond a part of the memory each step goes on disk; a join reads its right side in pieces.
        spill = memory_bytes // 4
        self.settings: dict[str, Any] = {
            "max_memory_usage": memory_bytes,
            "max_bytes_before_external_group_by": spill,
            "max_bytes_before_external_sort": spill,
            "join_algorithm": "grace_hash",
            "max_bytes_in_join": spill,
            "optimize_aggregation_in_order": 1,
            "max_execution_time": 0,
            # Each statement runs once, so compiling it would take longer than it saves.
            "compile_expressions": 0,
            "compile_aggregate_expressions": 0,
            "compile_sort_description": 0,
        }

    def create(self) -> None:
        """Create the working tables, and remove those that an audit left behind long ago."""
        left = self.client.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND match(name, {pattern:String})"
            " AND metadata_modification_time < now() - toIntervalHour({hours:UInt32})",
            {"pattern": f"^{PREFIX}[0-9a-f]{{12}}_", "hours": _LEFT_AFTER_HOURS},
        )
        for (name,) in left.result_rows:
            self.client.command("DROP TABLE IF EXISTS {name:Identifier}", {"name": name})
        for each in statement("tables").split(";\n"):
            self.client.command(each, self.tables)

    def drop(self) -> None:
        """Remove the working tables."""
        for name in self.tables.values():
            self.client.command("DROP TABLE IF EXISTS {name:Identifier}", {"name": name})

    def run(self, name: str, more: Mapping[str, Any] | None = None, **texts: str) -> None:
        """Run the statement of a file. `texts` stand for comments of that name in it."""
        self.client.command(statement(name, **texts), self._bound(more), settings=self.settings)

    def rows(self, name: str, more: Mapping[str, Any] | None = None, **texts: str) -> Sequence[Sequence[Any]]:
        """The few rows of the query of a file."""
        return self.client.query(statement(name, **texts), self._bound(more), settings=self.settings).result_rows

    def _bound(self, more: Mapping[str, Any] | None) -> dict[str, Any]:
        return self.parameters | dict(more or {})


def statement(name: str, **texts: str) -> str:
    """The text of a file of `sql/`; `made_of=...` takes the place of the comment `made of`."""
    text = files("deploy.audit").joinpath("sql", f"{name}.sql").read_text("utf-8").strip().removesuffix(";")
    for mark, put in texts.items():
        text = text.replace(f"/* {mark.replace('_', ' ')} */", put)
    return text


@contextmanager
def workspace(address: Address, memory_bytes: int) -> Iterator[Workspace]:
    """A workspace whose tables are there, and are gone in the end whatever happens. Raises ClickHouseError."""
    with connected(address, answer_seconds=_ANSWER_SECONDS) as client:
        space = Workspace(client, memory_bytes)
        try:
            space.create()
            yield space
        finally:
            # An interrupted connection cannot be used again.
            with suppress(ClickHouseError):
                _drop(address, space)


def _drop(address: Address, space: Workspace) -> None:
    with connected(address) as client:
        space.client = client
        space.drop()
