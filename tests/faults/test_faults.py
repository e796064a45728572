"""Faults tried on real Kafka and ClickHouse with real processes: nothing is lost, nothing is doubled, every number is right.

`make faults` runs them and writes the table of FAULTS.md; `make faults FAULT=sink_killed EVENTS=60000 SEED=3` runs one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from deploy.local.clickhouse import LocalClickHouse
from deploy.local.kafka import broker as brokers
from deploy.local.kafka.broker import LocalBroker
from deploy.local.kafka.runtime import Missing, availability, jars_directory
from schemas.config.sources import TEST_PREFIX
from sinks.clickhouse import Address, connect
from sinks.migrations import Migration, load_migrations, migrate
from tests.conftest import JARS_HOME, free_port
from tests.faults.clock import faked_clock
from tests.faults.damage import flip
from tests.faults.late import write_late
from tests.faults.line import Line
from tests.faults.report import Row
from tests.faults.services import frozen, kill, process_of
from tests.faults.strikes import fill_disk, kill_worker, move_clock, restart_broker, terminate
from tests.faults.trial import SEED, SESSION_SECONDS, Trial, tried
from tests.support.contract_reader import rows

pytestmark = [pytest.mark.long, pytest.mark.timeout(7_200)]

EVENTS = int(os.environ.get(f"{TEST_PREFIX}EVENTS", "100000"))
AWAY_SECONDS = float(os.environ.get(f"{TEST_PREFIX}AWAY", "600"))

#: Makes a trial of the fault of that name.
Try = Callable[..., Trial]


@pytest.fixture
def kafka_behind_line(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[LocalBroker, Line]]:
    """The same behind a line: the broker advertises the line's address to its clients."""
    del broker
    if isinstance(availability(JARS_HOME), Missing):
        pytest.skip("no Kafka that the test may break")
    port = free_port()
    line = Line(port)
    plain = brokers.broker_properties
    advertised = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{line.port}"}
    monkeypatch.setattr(brokers, "broker_properties", lambda *where: {**plain(*where), **advertised})
    with LocalBroker(tmp_path / "kafka", port, jars=jars_directory(JARS_HOME)) as running:
        yield running, line
    line.cut()


@contextmanager
def line_to(port: int) -> Iterator[Line]:
    """A line that a test may cut."""
    line = Line(port)
    try:
        yield line
    finally:
        line.cut()


@pytest.fixture
def attempt(
    request: pytest.FixtureRequest, broker: str, clickhouse_service: LocalClickHouse, unique: str, tmp_path: Path
) -> Iterator[Try]:
    """A trial with its workers and its sink running; killed in the end. It is called as the test is."""
    with ExitStack() as opened:

        def begin(
            order: int,
            fault: str,
            *,
            workers: int = 1,
            kafka: str = broker,
            port: int = 0,
            clock: Mapping[str, str] | None = None,
        ) -> Trial:
            database = f"{clickhouse_service.url}/{unique}"
            migrate(Address.parse(database))
            if port:
                database = f"http://127.0.0.1:{port}/{unique}"
            name = request.node.name.removeprefix("test_")
            row = Row(name, order, fault, again=f"FAULT={name} EVENTS={EVENTS} SEED={SEED}")
            return opened.enter_context(
                tried(kafka, unique, tmp_path, database, EVENTS, row, workers=workers, environment=clock)
            )

        yield begin


def test_worker_killed(attempt: Try) -> None:
    """Up to fifty times, as long as there is something to do."""
    trial = attempt(1, "`kill -9` of the worker")
    trial.paced(lambda: kill_worker(trial, 50, at_work_seconds=4))
    trial.compare()


def test_sink_killed(attempt: Try, clickhouse_service: LocalClickHouse) -> None:
    """Twenty times, each while rows are on their way to ClickHouse."""
    with line_to(clickhouse_service.port) as line:
        trial = attempt(2, "`kill -9` of the sink in the middle of inserts", port=line.port)
        trial.load(per_second=EVENTS / 150)
        trial.working()
        for _ in range(20):
            sent = line.sent + trial.random.randint(50_000, 400_000)
            trial.until(lambda goal=sent: line.sent > goal or trial.is_idle(), 120, "the sink inserts")  # type: ignore[misc]
            with trial.strike("sink"):
                trial.kill_sink()
                trial.start_sink()
        trial.finish()


def test_both_killed(attempt: Try) -> None:
    trial = attempt(3, "`kill -9` of worker and sink together")
    trial.load(per_second=EVENTS / 100)
    trial.working()
    for number in range(8):
        trial.pause(trial.random.uniform(0, 2))
        with trial.strike("workers" if number % 2 else "sink"):
            trial.kill("worker-1")
            trial.kill_sink()
            trial.start("worker-1")
            trial.start_sink()
    trial.finish()


def test_rebalanced(attempt: Try) -> None:
    """
    worker-1  ═══════════╗     ╔═══     each comes while the one before works,
    worker-2      ═══════╩══╗  ║        and one in two goes by SIGTERM, the others by kill -9
    worker-3            ════╩══╩═══
    """
    trial = attempt(4, "worker added and removed under load")
    trial.load(per_second=EVENTS / 100)
    trial.working()
    for number in range(6):
        old, new = f"worker-{1 + number % 3}", f"worker-{1 + (number + 1) % 3}"
        with trial.strike():
            trial.start(new)
        with trial.strike():
            code = trial.kill(old, signal.SIGTERM if number % 2 else signal.SIGKILL)
            assert code == (0 if number % 2 else -signal.SIGKILL), trial.log(old)[-3000:]
    trial.finish()


def test_terminated(attempt: Try) -> None:
    """SIGTERM of each of two workers and of the sink in turn, all at work: each shuts down in order, with exit code 0."""
    trial = attempt(5, "SIGTERM under load", workers=2)
    trial.load(per_second=EVENTS / 120)
    trial.working()
    terminate(trial, ("worker-1", "worker-2", "sink") * 3)
    trial.finish()


def test_worker_suspended(attempt: Try) -> None:
    """
    worker-1  ═════╗ SIGSTOP ········ SIGCONT     its partitions go to the other; what it still had in hand comes late.
    worker-2  ═════╩═════════════════             In the end all local state is thrown away, so that it comes from the changelogs.
    """
    trial = attempt(6, "worker suspended (SIGSTOP) for longer than its session, then resumed", workers=2)
    trial.load(per_second=EVENTS / 150)
    trial.working()
    for number in range(6):
        trial.pause(trial.random.uniform(0, 2))
        with trial.strike(), frozen(trial.worker_process(f"worker-{1 + number % 2}").pid):
            trial.pause(SESSION_SECONDS + trial.random.uniform(2, 6))
    trial.start_without_state("worker-1", "worker-2")
    trial.finish()


def test_late_writes(attempt: Try) -> None:
    """The oldest records of all changelogs come once more, behind the newest: the worst that a worker given up could do."""
    trial = attempt(7, "records of a worker that was given up reach the changelogs late")
    trial.load(per_second=EVENTS / 60)
    trial.working()
    for _ in range(4):
        trial.pause(trial.random.uniform(1, 4))
        with trial.strike():
            assert write_late(trial.settings, 200)
    assert "another worker has written" in trial.log("worker-1")
    assert "records_too_late" in trial.log("worker-1")
    trial.start_without_state("worker-1")
    trial.finish()


def test_broker_restarted(attempt: Try, kafka_service: LocalBroker) -> None:
    trial = attempt(8, "broker stopped or killed, and restarted", kafka=kafka_service.bootstrap, workers=2)
    trial.load(per_second=EVENTS / 120)
    trial.working()
    restart_broker(trial, kafka_service, 6)
    trial.finish()


def test_broker_suspended(attempt: Try, kafka_service: LocalBroker) -> None:
    trial = attempt(9, "broker suspended (SIGSTOP) for 60 s", kafka=kafka_service.bootstrap, workers=2)
    trial.load(per_second=EVENTS / 100)
    trial.working()
    for _ in range(2):
        with trial.strike(), frozen(process_of(kafka_service)):
            trial.pause(60)
    trial.finish()


def test_broker_connections_reset(attempt: Try, kafka_behind_line: tuple[LocalBroker, Line]) -> None:
    """The connections of workers, sink and producers, each in the middle of a request, and all at once."""
    _, line = kafka_behind_line
    kafka = f"127.0.0.1:{line.port}"
    trial = attempt(10, "connections to the broker reset in the middle of requests", kafka=kafka, workers=2)
    trial.load(per_second=EVENTS / 60)
    trial.working()
    for number in range(40):
        trial.pause(trial.random.uniform(0, 1))
        with trial.strike(goes_on=number % 10 == 9):
            if number % 10 == 9:
                line.cut()
                line.mend()
            else:
                line.reset_after(trial.random.randint(1, 200_000))
    trial.finish()


def test_worker_cut_off(attempt: Try, kafka_behind_line: tuple[LocalBroker, Line]) -> None:
    """The network of everything loses all packets for longer than the session, and then delivers them after all."""
    _, line = kafka_behind_line
    kafka = f"127.0.0.1:{line.port}"
    trial = attempt(11, "network that loses every packet for 20 s, then delivers them", kafka=kafka, workers=2)
    trial.load(per_second=EVENTS / 60)
    trial.working()
    for _ in range(4):
        trial.pause(trial.random.uniform(0, 2))
        with trial.strike():
            line.hold()
            trial.pause(20)
            line.mend()
    trial.start_without_state("worker-1", "worker-2")
    trial.finish()


def test_clickhouse_killed(attempt: Try, clickhouse_service: LocalClickHouse) -> None:
    """Each time while rows are on their way to it, so that it fails half way through a batch."""
    with line_to(clickhouse_service.port) as line:
        trial = attempt(12, "`kill -9` of ClickHouse half way through a batch", port=line.port)
        trial.load(per_second=EVENTS / 100)
        trial.working()
        for _ in range(10):
            sent = line.sent + trial.random.randint(50_000, 400_000)
            trial.until(lambda goal=sent: line.sent > goal or trial.is_idle(), 120, "the sink inserts")  # type: ignore[misc]
            with trial.strike("sink"):
                kill(clickhouse_service)
                clickhouse_service.start()
        trial.finish()


def test_clickhouse_away(attempt: Try, clickhouse_service: LocalClickHouse) -> None:
    trial = attempt(13, f"ClickHouse gone for {AWAY_SECONDS:.0f} s")
    trial.row.again += f" AWAY={AWAY_SECONDS:.0f}"
    trial.load(per_second=EVENTS / AWAY_SECONDS)
    trial.working()
    with trial.strike("sink"):
        clickhouse_service.stop()
        before = trial.acknowledgements()
        trial.pause(AWAY_SECONDS)
        after = trial.acknowledgements()
        assert before is not None and after is not None
        trial.row.unacknowledged = after[2]
        assert after[0] > before[0], "the streams go on without ClickHouse"
        clickhouse_service.start()
    trial.finish()


def test_clickhouse_slow(attempt: Try, clickhouse_service: LocalClickHouse) -> None:
    trial = attempt(14, "ClickHouse slow: suspended for 4 s of 5, and once for 20 s")
    trial.load(per_second=EVENTS / 60)
    trial.working()
    for number in range(12):
        with trial.strike(goes_on=False), frozen(process_of(clickhouse_service)):
            trial.pause(20 if number == 6 else 4)
        trial.pause(1)
    trial.finish()


def test_clickhouse_refusing(attempt: Try) -> None:
    """Too many parts, as when inserts come faster than they are merged; and an insert that runs into a limit of memory."""
    trial = attempt(15, "ClickHouse refusing inserts: too many parts")
    trial.load(per_second=EVENTS / 60)
    trial.working()
    with connect(trial.address) as client:
        for table in ("event_rows", "profile_rows", "activity_rows") * 2:
            with trial.strike("sink"):
                limits = "parts_to_delay_insert = 1, parts_to_throw_insert = 1, max_delay_to_insert = 1"
                client.command(f"ALTER TABLE {table} MODIFY SETTING {limits}")
                trial.until(lambda: "TOO_MANY_PARTS" in trial.log("sink") or trial.is_idle(), 60, "inserts are refused")
                trial.pause(3)
                for name in ("parts_to_delay_insert", "parts_to_throw_insert", "max_delay_to_insert"):
                    client.command(f"ALTER TABLE {table} RESET SETTING {name}")
    assert "oo many parts" in trial.log("sink")
    trial.finish()


def test_clickhouse_disk_full(attempt: Try, disk: Path) -> None:
    trial = attempt(16, "ClickHouse's disk full")
    trial.load(per_second=EVENTS / 60)
    trial.working()
    fill_disk(trial, disk, 4, seconds=8)
    trial.finish()


def test_clickhouse_connections_reset(attempt: Try, clickhouse_service: LocalClickHouse) -> None:
    with line_to(clickhouse_service.port) as line:
        trial = attempt(17, "connections to ClickHouse reset in the middle of requests", port=line.port)
        trial.load(per_second=EVENTS / 60)
        trial.working()
        for _ in range(60):
            before = line.resets
            with trial.strike("sink", goes_on=False):
                line.reset_after(trial.random.randint(1, 300_000))
                trial.until(lambda before=before: line.resets > before or trial.is_idle(), 60, "a request is reset")  # type: ignore[misc]
        trial.finish()


def test_state_deleted(attempt: Try) -> None:
    trial = attempt(18, "local state deleted")
    trial.load(per_second=EVENTS / 80)
    trial.working()
    for _ in range(4):
        trial.pause(trial.random.uniform(0, 4))
        with trial.strike():
            trial.start_without_state("worker-1")
    trial.finish()


def test_state_corrupted(attempt: Try) -> None:
    """Bytes flipped in all files of a kind, rows, indexes or manifests: found, logged, and recovered from the changelog."""
    trial = attempt(19, "local state corrupted: bytes flipped in every file of a kind")
    trial.load(per_second=EVENTS / 80)
    trial.working()
    for what in ("rows", "index", "manifest", "rows", "index", "manifest"):
        trial.pause(trial.random.uniform(1, 4))
        with trial.strike():
            # In order, so that what is in memory is written to files first; unless it has just ended itself of the last damage.
            trial.kill("worker-1", signal.SIGTERM)
            assert flip(trial.state_of("worker-1"), what, trial.random)
            trial.start("worker-1")
    trial.finish()
    assert trial.log("worker-1").count("state_damaged") >= 4


def test_clock_jumps(attempt: Try, tmp_path: Path) -> None:
    """By hours and weeks, forward and back, while they work. ClickHouse's own clock stays: its engine asks the kernel, and no library."""
    clock = tmp_path / "clock"
    fault = "wall clock of worker and sink jumps, from 30 days back to 30 days ahead"
    trial = attempt(20, fault, clock=faked_clock(clock))
    trial.load(per_second=EVENTS / 80)
    trial.working()
    move_clock(trial, clock, ("+3h", "-3h", "+30d", "-30d", "+59", "-1d", "+0"), seconds=4)
    trial.finish()


def test_deployed_with_another_schema(attempt: Try, tmp_path: Path) -> None:
    """
    migrate   ──✱──────✱───     a column more, then a view that has it; events flow
    sink      ════╳═══════╳══   each restarted after it
    worker    ═════╳═══════╳═
    """
    trial = attempt(21, "deploy with a changed schema while events flow")
    trial.load(per_second=EVENTS / 60)
    trial.working()
    changes = [
        "ALTER TABLE event_rows ADD COLUMN release LowCardinality(String) DEFAULT 'none' COMMENT 'Added under load.'",
        "ALTER TABLE profile_rows ADD COLUMN tier UInt8 DEFAULT 0 COMMENT 'Added under load.'",
        "CREATE OR REPLACE VIEW releases AS SELECT release, count() AS events FROM event_rows GROUP BY release",
    ]
    migrations = load_migrations()
    for place, sql in enumerate(changes, start=len(migrations) + 1):
        migrations.append(Migration(place, f"change_{place}", sql, f"{place:064x}"))
        with trial.strike("sink"):
            migrate(trial.address, migrations=migrations)
            assert trial.kill_sink(signal.SIGTERM) == 0
            trial.start_sink()
        with trial.strike():
            assert trial.kill("worker-1", signal.SIGTERM) == 0
            trial.start("worker-1")
    trial.drain()
    with connect(trial.address) as client:
        [(release, events)] = rows(client, "SELECT release, events FROM releases")
        assert release == "none" and events
        # To the audit these would be tables of a version to come.
        client.command(
            f"ALTER TABLE migrations DELETE WHERE number > {len(load_migrations())} SETTINGS mutations_sync = 1"
        )
    trial.compare()


def test_three_workers_one_killed_every_twenty_seconds(attempt: Try) -> None:
    """For five minutes, or as long as there is something to do. In the last eight of twenty seconds all three are at work."""
    trial = attempt(22, "three workers on three partitions, one killed every 20 s", workers=3)

    def strike_in_turn() -> None:
        for number in range(15):
            with trial.strike(goes_on=False):
                trial.kill(f"worker-{1 + number % 3}")
                trial.start(f"worker-{1 + number % 3}")
            trial.pause(12)
            if trial.is_through():
                return
            with trial.pacing(trial.between):
                trial.pause(8)

    trial.paced(strike_in_turn)
    trial.compare()
