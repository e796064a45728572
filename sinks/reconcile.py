"""Settles what was written: displaces copies of events that came into several weeks, and counts usage by day and alias.

    event_rows ──copies──▶ event_rows ──usage──▶ usage_rows

Both are functions of the rows that are there, and writing them twice changes nothing: it may run at any time, be stopped
anywhere, and run in several sinks at once. Which rows are new is told by ClickHouse's clock, which may be set forward and back.
Its SQL is `schemas/sql/settle`.
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

#: A row may become visible so long after the moment that it is stamped with; a sink writes it again after ANSWER_SECONDS
#: without an answer. What was written in this time before the last settlement is looked at once more.
OVERLAP_SECONDS: Final = 2 * ANSWER_SECONDS
#: The clocks of ClickHouse's servers may differ by so much. Where the last settlement is still further to come, the clock was set
#: back, and nothing tells which rows were written since.
CLOCKS_AGREE_SECONDS: Final = ANSWER_SECONDS
#: A count is looked at by the settlement after it too, and by those of other sinks that began so long before.
RECOUNT_SECONDS: Final = 60
#: Between two settlements: so many times as long as the last one took, within these bounds.
PAUSE_FACTOR: Final = 9
SHORTEST_PAUSE_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 60.0
#: Rows whose copies are looked for at once: about 500 MB of ClickHouse's memory.
SHARE_ROWS: Final = 4_000_000

log = structlog.get_logger("firstcall.sink")


class Reconciled(NamedTuple):
    """What was looked at: the weeks, by their Mondays, that had rows that were written since `since`, in seconds since 1970.

    `recent`: how many such rows of events there were.
    """

    since: int
    weeks: tuple[date, ...]
    recent: int


def reconcile(client: Client) -> Reconciled:
    """Settle all rows written so far. Raises the driver's errors; then the next call does what this one did not."""
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
        mark = {"began": began, "number": number + 1}
        client.command("INSERT INTO reconciliation_rows VALUES ({began:UInt32}, {number:UInt64})", mark)
    return Reconciled(since, tuple(weeks), recent)


def count_disagreeing(client: Client, settled: Reconciled) -> int | None:
    """How many events were written lately of which copies disagree in more than their times, a fault of their producer.

    None if so many came that it is not worth the reading: a replay, or the first settlement.
    """
    if settled.recent > SHARE_ROWS:
        return None
    counts = (client.query(_sql("disagreeing"), {"since": settled.since, "week": week}) for week in settled.weeks)
    return sum(int(count.result_rows[0][0]) for count in counts)


def _sql(name: str) -> str:
    return files("schemas").joinpath("sql", "reconcile", f"{name}.sql").read_text("utf-8")


class Reconciler:
    """Settles again and again in a thread of its own, until `stop` is set, and is never waited for.

    The first settlement of a database that was written without it looks at all rows; later ones at what is new.
    """

    def __init__(self, address: Address, stop: threading.Event) -> None:
        self._address = address
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name="settle", daemon=True)

    @property
    def thread(self) -> threading.Thread:
        """Where it settles."""
        return self._thread

    def start(self) -> None:
        """Begin."""
        metrics.RECONCILED.set_to_current_time()
        self._thread.start()

    def _run(self) -> None:
        pause = SHORTEST_PAUSE_SECONDS
        while not self._stop.wait(pause):
            began = time.monotonic()
            try:
                with connected(self._address) as client:
                    settled = reconcile(client)
                    disagreeing = count_disagreeing(client, settled)
            except ClickHouseError as error:
                # It waits until ClickHouse is there again, as writing does, which tells of it.
                log.debug("not_reconciled", error=str(error))
                continue
            seconds = time.monotonic() - began
            metrics.RECONCILE_SECONDS.observe(seconds)
            metrics.RECONCILED.set_to_current_time()
            if disagreeing is not None:
                metrics.DISAGREEING_COPIES.set(disagreeing)
            if settled.weeks:
                log.info("reconciled", weeks=len(settled.weeks), seconds=round(seconds, 3))
            pause = min(max(SHORTEST_PAUSE_SECONDS, PAUSE_FACTOR * seconds), LONGEST_PAUSE_SECONDS)
