"""How long each question of a dashboard takes over many events: `make bench-queries ROWS=50000000`.

Makes a synthetic population in the embedded engine itself (`synthetic/`), settles it as the sink does, then asks each question
three times and prints the best time, so that whoever else uses the machine is seen least. Loading takes most of the time: a
directory that is kept (`--keep`) is asked again without it.
"""

from __future__ import annotations

import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from clickhouse_connect.driver import Client

from deploy.clickhouse import LocalClickHouse
from deploy.queries import bind, named_queries
from schemas.definitions import build
from sinks.connection import Address, connect
from sinks.definition_rows import write_definitions
from sinks.migrations import migrate
from sinks.settling import settle
from tests.dashboard_questions import GIVEN, QUESTIONS

SYNTHETIC: Final = Path(__file__).parent / "synthetic"
#: Rows of one insert: so many parts come about as do from a sink that is behind.
STEP: Final = 1_000_000
TIMES: Final = 3


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="how many events")
    parser.add_argument("--keep", type=Path, help="a directory to keep the tables in, or that has them already")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="firstcall-bench-") as name,
        LocalClickHouse(options.keep or Path(name)) as clickhouse,
    ):
        address = Address.parse(f"{clickhouse.url}/firstcall")
        migrate(address)
        with connect(address) as client:
            if not client.command("SELECT count() FROM event_rows"):
                _load(client, options.rows)
            _ask(client)


def _load(client: Client, rows: int) -> None:
    _run(client, "identities")
    began = time.perf_counter()
    for first in range(0, rows, STEP):
        _run(client, "events", {"first": first, "rows": min(STEP, rows - first), "total": rows})
        _run(client, "touches", {"first": first, "rows": min(STEP, rows - first), "total": rows})
    _tell("events written", began)
    began = time.perf_counter()
    settle(client)
    _tell("all settled", began)
    for name in ("profiles", "activity", "rolling"):
        _run(client, name)
    began = time.perf_counter()
    # As much as one insert of a sink that is behind; some of them copies of what is there.
    _run(client, "events", {"first": rows - 2_000, "rows": 4_000, "total": rows})
    settle(client)
    _tell("4,000 more settled", began)


def _run(client: Client, name: str, values: Mapping[str, int] | None = None) -> None:
    client.command((SYNTHETIC / f"{name}.sql").read_text("utf-8"), dict(values or {}))


def _ask(client: Client) -> None:
    sizes = "SELECT table, sum(rows), formatReadableSize(sum(bytes_on_disk)) FROM system.parts WHERE active AND database = currentDatabase()"
    for table, rows, size in client.query(
        f"{sizes} GROUP BY table HAVING sum(rows) > 0 ORDER BY sum(rows) DESC"
    ).result_rows:
        print(f"{table:50}{rows:>14,} rows {size:>12}")
    for title, sql in QUESTIONS.items():
        _time(client, title, sql, {name: value for name, value in GIVEN.items() if f"{{{name}:" in sql})
    definitions = build({})
    write_definitions(client, definitions)
    for name, query in named_queries().items():
        # Of all, unless one must be named.
        asked = next((key for key in GIVEN if key in query.needs), None)
        values = bind(query, {asked: GIVEN[asked]} if asked else {}, definitions)
        assert isinstance(values, dict), values
        _time(client, f"firstcall query {name}", query.sql, values)


def _time(client: Client, title: str, sql: str, values: Mapping[str, str]) -> None:
    best, found, read = float("inf"), 0, 0
    for _ in range(TIMES):
        began = time.perf_counter()
        result = client.query(sql, dict(values))
        best = min(best, time.perf_counter() - began)
        found, read = result.row_count, int(result.summary.get("read_rows", 0))
    print(f"{title:50}{best:>9.3f} s {found:>10,} rows, of {read:>12,}", flush=True)


def _tell(title: str, began: float) -> None:
    print(f"{title:50}{time.perf_counter() - began:>9.1f} s", flush=True)


if __name__ == "__main__":
    main()
