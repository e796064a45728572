"""How long each question of a dashboard takes over many events: `make bench-queries ROWS=50000000`.

Makes a synthetic population in the embedded engine itself (`synthetic/`), reconciles it as the sink does, then asks each question
three times and prints the best time, so that other work on the machine disturbs least. Processor time is printed beside it, and
that of a reference question: by these, runs on machines with other work can be compared. Loading takes most of the time: a
directory that is kept (`--keep`) is asked again without it.
"""

from __future__ import annotations

import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from clickhouse_connect.driver import Client

from deploy.local.clickhouse import LocalClickHouse
from deploy.local.process.children import unwinding_signals
from deploy.queries.catalog import bind
from schemas.config.definitions import build
from schemas.sql.named_queries import Query, query_names, read_query
from sinks.clickhouse import Address, connect
from sinks.definition_rows import write_definitions
from sinks.migrations import migrate
from sinks.reconcile import reconcile
from tests.benchmarks.dashboard_questions import GIVEN, QUESTIONS

SYNTHETIC: Final = Path(__file__).parent / "synthetic"
#: Rows of one insert: so many parts come about as do from a sink that is behind.
STEP: Final = 1_000_000
TIMES: Final = 3
#: What loading may take, on a machine with other work.
ANSWER_SECONDS: Final = 3600
#: What is to be answered within.
BAR_SECONDS: Final = 1.0
#: By what dashboards narrow a question or widen it, where the query can.
VARIANTS: Final = (
    {"company": GIVEN["company"]},
    {"developer": GIVEN["developer"]},
    {"level": "company"},
    {"segment": "technology"},
    {"from": "2026-01-01", "to": "2026-04-01"},
)
#: One core's work, whatever the tables hold.
REFERENCE: Final = "SELECT sum(sipHash64(number)) FROM numbers(50000000) SETTINGS max_threads = 1"
_CPU: Final = "SELECT sum(value) FROM system.events WHERE event IN ('UserTimeMicroseconds', 'SystemTimeMicroseconds')"


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="how many events")
    parser.add_argument("--keep", type=Path, help="a directory to keep the tables in, or that has them already")
    parser.add_argument("--only", default="", help="only questions with this in their title")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="firstcall-bench-") as name,
        LocalClickHouse(options.keep or Path(name)) as clickhouse,
    ):
        address = Address.parse(f"{clickhouse.url}/firstcall")
        migrate(address)
        with connect(address, answer_seconds=ANSWER_SECONDS) as client:
            if not client.command("SELECT count() FROM event_rows"):
                _load(client, options.rows)
            _ask(client, options.only)


def _load(client: Client, rows: int) -> None:
    write_definitions(client, build({}))
    _run(client, "identities")
    began = time.perf_counter()
    for first in range(0, rows, STEP):
        _run(client, "events", {"first": first, "rows": min(STEP, rows - first), "total": rows})
        _run(client, "touches", {"first": first, "rows": min(STEP, rows - first), "total": rows})
    _print_seconds("events written", began)
    began = time.perf_counter()
    reconcile(client)
    _print_seconds("all reconciled", began)
    for name in ("profiles", "activity", "rolling", "refusals", "replays"):
        _run(client, name)
    began = time.perf_counter()
    # As much as one insert of a sink that is behind; some of them copies of what is there.
    _run(client, "events", {"first": rows - 2_000, "rows": 4_000, "total": rows})
    reconcile(client)
    _print_seconds("4,000 more reconciled", began)


def _run(client: Client, name: str, values: Mapping[str, int] | None = None) -> None:
    client.command((SYNTHETIC / f"{name}.sql").read_text("utf-8"), dict(values or {}))


def _ask(client: Client, only: str) -> None:
    sizes = "SELECT table, sum(rows), formatReadableSize(sum(bytes_on_disk)) FROM system.parts WHERE active AND database = currentDatabase()"
    for table, rows, size in client.query(
        f"{sizes} GROUP BY table HAVING sum(rows) > 0 ORDER BY sum(rows) DESC"
    ).result_rows:
        print(f"{table:64}{rows:>14,} rows {size:>12}")
    # What merges meanwhile is not what a question costs.
    while client.command("SELECT count() FROM system.merges"):
        time.sleep(1)
    print(f"{'question':64}{'wall':>10}{'processor':>12}{'rows':>11}{'rows read':>14}{'bytes read':>16}")
    _time(client, "reference: 50,000,000 hashes on one core", REFERENCE, {})
    for title, sql in QUESTIONS.items():
        if only in title:
            _time(client, title, sql, {name: value for name, value in GIVEN.items() if f"{{{name}:" in sql})
    for query in map(read_query, query_names()):
        for given in variants(query):
            title = " ".join([f"firstcall query {query.name}", *(f"{key}={value}" for key, value in given.items())])
            values = bind(query, given)
            if only in title:
                _time(client, title, query.sql, values)


def variants(query: Query) -> Iterator[dict[str, str]]:
    """By its defaults, unless one parameter must be given; then as dashboards vary it."""
    known = query.parameters.keys()
    if not query.needs:
        yield {}
    for given in VARIANTS:
        if given.keys() <= known and (not query.needs or not given.keys().isdisjoint(query.needs)):
            yield given


def _time(client: Client, title: str, sql: str, values: Mapping[str, str]) -> None:
    wall, processor, found, rows, volume = float("inf"), float("inf"), 0, 0, 0
    for _ in range(TIMES):
        spent = _processor_seconds(client)
        began = time.perf_counter()
        result = client.query(sql, dict(values))
        wall = min(wall, time.perf_counter() - began)
        processor = min(processor, _processor_seconds(client) - spent)
        found = result.row_count
        rows, volume = (int(result.summary.get(name, 0)) for name in ("read_rows", "read_bytes"))
    over = f"  over {BAR_SECONDS:g} s" if wall > BAR_SECONDS else ""
    print(f"{title:64}{wall:>8.3f} s{processor:>10.3f} s{found:>11,}{rows:>14,}{volume:>16,}{over}", flush=True)


def _processor_seconds(client: Client) -> float:
    """Of the engine, since it started: what merges meanwhile is counted too."""
    return int(client.query(_CPU).result_rows[0][0]) / 1e6


def _print_seconds(title: str, began: float) -> None:
    print(f"{title:64}{time.perf_counter() - began:>9.1f} s", flush=True)


if __name__ == "__main__":
    with unwinding_signals():
        main()
