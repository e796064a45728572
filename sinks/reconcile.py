"""Reconciles copies of events and counts of usage with the event rows, in a thread of its own. Its SQL is in `schemas/sql/reconcile`.

    event_rows ──copies──▶ event_rows ──usage──▶ usage_rows

Copies of an event in one week are merged by the table's engine (`schemas/sql/migrations/002_event_rows.sql`), whose key begins
with the week. `copies` handles the rest: it writes a deleting row over each copy in a later week than the earliest copy.
`usage` counts events by day and alias.

Both are functions of the rows in the tables, and writing their results twice changes nothing: a run may begin at any time,
be killed anywhere, and overlap with those of other sinks. New rows are found by ClickHouse's clock, which may be set back.
"""

from __future__ import annotations

import threading
import time
from datetime import date
from importlib.resources import files
from typing import Final, NamedTuple

import structlog
from clickhouse_connect.driver import Client

from schemas import metrics
from schemas.errors import ClickHouseError
from sinks.clickhouse import ANSWER_SECONDS, Address, connected

#: A row may become visible so long after its timestamp: a sink writes it again after ANSWER_SECONDS without an answer. So each run
#: includes the rows of this time before the last run.
OVERLAP_SECONDS: Final = 2 * ANSWER_SECONDS
#: The clocks of ClickHouse's servers may differ by so much. If the last run lies further in the future, the clock was set back, and
#: new rows cannot be found by it.
CLOCKS_AGREE_SECONDS: Final = ANSWER_SECONDS
#: A count is checked by the next run too, and by runs of other sinks that began so long before.
RECOUNT_SECONDS: Final = 60
#: The pause between two runs: so many times as long as the last run took, within these bounds.
PAUSE_FACTOR: Final = 9
SHORTEST_PAUSE_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 60.0
#: Rows whose copies are searched for at once: about 500 MB of ClickHouse's memory.
SHARE_ROWS: Final = 4_000_000

log = structlog.get_logger("firstcall.sink")


class Reconciled(NamedTuple):
    """What a run covered: the weeks, by their Mondays, with rows written since `since`, in seconds since 1970.

    `recent`: how many event rows were written since then.
    """

    since: int
    weeks: tuple[date, ...]
    recent: int


def reconcile(client: Client) -> Reconciled:
    """Reconcile all rows written so far. Raises the driver's errors; then the next call does what this one left undone."""
    began, last, number = client.query(
        "SELECT toUnixTimestamp(now()), toUnixTimestamp(argMax(reconciled_at, number)), max(number) FROM reconciliation_rows"
    ).result_rows[0]
    if began < last - CLOCKS_AGREE_SECONDS:
        log.warning("clickhouse_clock_set_back", seconds=last - began)
        last = 0
    last = min(last, began)
    since = max(0, last - OVERLAP_SECONDS)
    recent = client.query(_sql("recent"), {"since": since}).result_rows[0][0]
    shares = -(-recent // SHARE_ROWS)
    for share in range(shares):
        client.command(_sql("copies"), {"since": since, "share": share, "shares": shares})
    moments = {"since": since, "counted_since": max(0, last - RECOUNT_SECONDS)}
    weeks = [week for (week,) in client.query(_sql("weeks"), moments).result_rows]
    for week in weeks:
        client.command(_sql("usage"), {**moments, "week": week})
    if weeks:
        run = {"began": began, "number": number + 1}
        client.command("INSERT INTO reconciliation_rows VALUES ({began:UInt32}, {number:UInt64})", run)
    return Reconciled(since, tuple(weeks), recent)


def count_disagreeing(client: Client, run: Reconciled) -> int | None:
    """How many events of a run have copies that disagree in more than their times, a fault of their producer.

    None if the run covered too many rows to count them: an import, or the first run.
    """
    if run.recent > SHARE_ROWS:
        return None
    counts = (client.query(_sql("disagreeing"), {"since": run.since, "week": week}) for week in run.weeks)
    return sum(int(count.result_rows[0][0]) for count in counts)


def _sql(name: str) -> str:
    return files("schemas").joinpath("sql", "reconcile", f"{name}.sql").read_text("utf-8")


class Reconciler:
    """Reconciles again and again in its own thread, until `stop` is set. Nothing waits for it.

    The first run of a database covers all rows; later runs cover new rows.
    """

    def __init__(self, address: Address, stop: threading.Event) -> None:
        self._address = address
        self._stop = stop
        self.thread = threading.Thread(target=self._run, name="reconcile", daemon=True)

    def start(self) -> None:
        metrics.RECONCILED.set_to_current_time()
        self.thread.start()

    def _run(self) -> None:
        pause = SHORTEST_PAUSE_SECONDS
        while not self._stop.wait(pause):
            began = time.monotonic()
            try:
                with connected(self._address) as client:
                    run = reconcile(client)
                    disagreeing = count_disagreeing(client, run)
            except ClickHouseError as error:
                # ClickHouse is unavailable: writing logs that.
                log.debug("not_reconciled", error=str(error))
                continue
            seconds = time.monotonic() - began
            metrics.RECONCILE_SECONDS.observe(seconds)
            metrics.RECONCILED.set_to_current_time()
            if disagreeing is not None:
                metrics.DISAGREEING_COPIES.set(disagreeing)
            if run.weeks:
                log.info("reconciled", weeks=len(run.weeks), seconds=round(seconds, 3))
            pause = min(max(SHORTEST_PAUSE_SECONDS, PAUSE_FACTOR * seconds), LONGEST_PAUSE_SECONDS)
