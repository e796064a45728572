"""The watchdog finds a process that is behind, not ready or stuck, and no false stall."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.runtime.brokers import Brokers, FirstRecord, Offsets, Partition
from streams.runtime.heartbeats import Heartbeats
from streams.runtime.stall_detector import StallDetector
from streams.runtime.watchdog import (
    CLOSER_AFTER_SECONDS,
    EXIT_STUCK,
    JOINED_WITHIN_SECONDS,
    STUCK_AFTER_SECONDS,
    UNREADY_AFTER_SECONDS,
    Report,
    Watchdog,
    WorkProgress,
)
from tests.conftest import free_port
from tests.support.scraped import until

YESTERDAY_MS = int(time.time() - 86_400) * 1000


# StallDetector


def test_a_location_without_progress_is_stalled_since_it_was_first_seen_so():
    stall_detector: StallDetector[str] = StallDetector()
    assert stall_detector.observe(10, {"a": 1, "b": 1}) == {"a": 0, "b": 0}
    assert stall_detector.observe(15, {"a": 1, "b": 2}) == {"a": 5, "b": 0}
    assert stall_detector.observe(20, {"a": 1, "b": 2}) == {"a": 10, "b": 5}


def test_the_clock_of_a_location_without_work_is_reset():
    stall_detector: StallDetector[str] = StallDetector()
    stall_detector.observe(10, {"a": 1})
    stall_detector.observe(15, {})
    assert stall_detector.observe(20, {"a": 1}) == {"a": 0}
    stall_detector.reset()
    assert stall_detector.observe(25, {"a": 1}) == {"a": 0}


# Heartbeats


def test_a_loop_that_does_not_turn_and_a_thread_that_ended_are_missing():
    now = 0.0
    heartbeats = Heartbeats(lambda: now)
    heartbeats.expect("loop", 10)
    thread = threading.Thread(target=lambda: None, name="reconcile")
    thread.start()
    heartbeats.watch(thread)
    thread.join()
    assert heartbeats.missing() == ["the thread reconcile has ended"]
    now = 10.5
    assert heartbeats.missing() == ["loop has not turned for 10 s", "the thread reconcile has ended"]
    heartbeats.beat("loop")
    assert heartbeats.missing() == ["the thread reconcile has ended"]


# Watchdog, on a real broker and a clock of its own


class Group:
    """A consumer group of one partition, and the report of its process."""

    def __init__(self, broker: str, name: str) -> None:
        self.broker, self.name, self.partition = broker, name, (f"{name}-events", 0)
        client = AdminClient({"bootstrap.servers": broker})
        for created in client.create_topics([NewTopic(self.partition[0], 1, 1)]).values():
            created.result()
        self.consumer = Consumer({"bootstrap.servers": broker, "group.id": name, "enable.auto.commit": False})
        # A broker that has just started coordinates no group yet.
        self.consumer.committed([TopicPartition(*self.partition)], timeout=30)
        self.now, self.steps = 0.0, 0
        self.phase, self.waiting = "running", None
        self.ended: list[str] = []
        self.watchdog = Watchdog(
            Heartbeats(lambda: self.now),
            self.report,
            Brokers(name, {"bootstrap.servers": broker}, self.partition),
            end=self.ended.extend,
            clock=lambda: self.now,
        )

    def report(self) -> Report:
        return Report(self.phase, 0, {self.partition: WorkProgress("fold", self.steps, None)}, self.waiting)

    def send(self, number: int, **options: str) -> None:
        producer = Producer({"bootstrap.servers": self.broker, **options})
        if options:
            producer.init_transactions()
            producer.begin_transaction()
        for _ in range(number):
            producer.produce(self.partition[0], b"x", timestamp=YESTERDAY_MS)
        if options:
            producer.commit_transaction()
        assert producer.flush(30) == 0

    def commit(self, offset: int) -> None:
        self.consumer.commit(offsets=[TopicPartition(*self.partition, offset)], asynchronous=False)

    def check(self, now: float) -> Watchdog:
        self.now = now
        self.watchdog.check()
        return self.watchdog

    def samples(self) -> dict[str, float]:
        return {sample.name: sample.value for metric in self.watchdog.collect() for sample in metric.samples}


@pytest.fixture
def group(broker: str, unique: str) -> Iterator[Group]:
    group = Group(broker, unique)
    yield group
    group.consumer.close()


def test_brokers_return_the_offsets_of_a_group_and_of_a_log(group):
    brokers = Brokers(group.name, {"bootstrap.servers": group.broker}, group.partition)
    group.send(5)
    assert brokers.offsets([group.partition]) == {group.partition: Offsets(0, 5)}
    group.commit(3)
    assert brokers.offsets([group.partition]) == {group.partition: Offsets(3, 5)}
    assert brokers.offsets([("no-such-topic", 0)]) == {}
    assert brokers.first_record(group.partition, 3) == FirstRecord(3, YESTERDAY_MS)
    assert brokers.first_record(group.partition, 5) is None


def test_a_stalled_partition_is_reported_then_ends_the_process(group):
    group.send(5)
    assert group.check(0).unready() == []
    assert group.check(CLOSER_AFTER_SECONDS).unready() == []
    assert group.samples()["firstcall_lag_seconds"] >= 86_400, "the age of the first message to process"
    assert group.samples()["firstcall_lag_events"] == 5
    unready = group.check(UNREADY_AFTER_SECONDS + 1).unready()
    assert unready == [f"fold has not gone on with {group.partition[0]}/0 for 21 s, 5 messages behind"]
    assert group.watchdog.unhealthy() == []
    assert group.samples()["firstcall_ready"] == 0
    assert group.ended == []
    group.check(STUCK_AFTER_SECONDS + 1)
    assert group.ended == [f"fold has not gone on with {group.partition[0]}/0 for 46 s, 5 messages behind"]


@pytest.mark.parametrize("sign", ["commits", "steps"])
def test_a_partition_that_goes_on_slowly_is_not_stuck_however_far_behind(group, sign):
    group.send(5)
    for turn in range(4):
        group.check(turn * (STUCK_AFTER_SECONDS - 1))
        if sign == "commits":
            group.commit(turn + 1)
        else:
            group.steps += 1
    assert group.ended == []
    assert group.samples()["firstcall_stalled_seconds"] == 0


def test_transaction_markers_are_no_lag(group):
    group.send(5, **{"transactional.id": group.name})
    group.commit(5)
    until(lambda: group.check(0).status.lags[group.partition].events == 1, "the marker is written a little later")
    for now in (CLOSER_AFTER_SECONDS, UNREADY_AFTER_SECONDS + 1, STUCK_AFTER_SECONDS + 1):
        assert group.check(now).unready() == []
    assert group.samples()["firstcall_lag_events"] == 0
    assert group.ended == []


def test_a_process_that_waits_for_clickhouse_is_not_ready_and_not_stuck(group):
    group.send(5)
    group.check(0)
    group.waiting = ("ClickHouse", 0.0, "connection refused")
    assert group.check(STUCK_AFTER_SECONDS + 1).unready() == ["waits for ClickHouse since 46 s: connection refused"]
    group.waiting = None
    assert group.check(STUCK_AFTER_SECONDS + 2).unready() == []
    assert group.ended == []


def test_a_phase_that_goes_on_for_ever_ends_the_process(group):
    group.phase = "recovering"
    assert group.check(0).unready() == ["not running yet: recovering"]
    group.check(STUCK_AFTER_SECONDS + 1)
    assert group.ended == ["recovering has not gone on for 46 s"]
    group.ended.clear()
    group.phase = "joining"
    group.check(100)
    group.check(100 + STUCK_AFTER_SECONDS + 1)
    assert group.ended == [], "that takes as long as the other members do"
    group.check(100 + JOINED_WITHIN_SECONDS + 1)
    assert group.ended == ["joining has not gone on for 121 s"]


def test_brokers_that_do_not_answer_are_not_the_fault_of_the_process(unique, monkeypatch):
    monkeypatch.setattr("streams.runtime.brokers.ANSWER_SECONDS", 0.2)
    now = 0.0
    ended: list[str] = []
    partition: Partition = (f"{unique}-events", 0)
    watchdog = Watchdog(
        Heartbeats(lambda: now),
        lambda: Report("joining", 0, {partition: WorkProgress("fold", 0, None)}),
        Brokers(unique, {"bootstrap.servers": f"127.0.0.1:{free_port()}"}, partition),
        end=ended.extend,
        clock=lambda: now,
    )
    watchdog.check()
    now = JOINED_WITHIN_SECONDS + 10
    watchdog.check()
    assert watchdog.unready() == ["the brokers have not answered for 130 s", "not running yet: joining"]
    assert watchdog.unhealthy() == []
    assert ended == []


# The end


@contextmanager
def script(text: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        yield running


def test_a_process_that_is_stuck_ends_at_once_and_shows_where_it_hangs():
    text = """
import threading
from streams.runtime.heartbeats import Heartbeats
from streams.runtime.watchdog import Report, Watchdog

def hang_for_ever():
    threading.Event().wait()

threading.Thread(target=hang_for_ever).start()
heartbeats = Heartbeats()
heartbeats.expect("the loop", -1.0)
Watchdog(heartbeats, lambda: Report("running", 0, {}), None).check()
"""
    with script(text) as running:
        output, _ = running.communicate(timeout=30)
    assert running.returncode == EXIT_STUCK
    assert "the loop has not turned for 0 s" in output
    assert "hang_for_ever" in output


def test_a_process_in_which_no_python_runs_is_ended_all_the_same():
    text = """
import ctypes
from streams.runtime import watchdog
from streams.runtime.heartbeats import Heartbeats

watchdog.FROZEN_AFTER_SECONDS = 0.5
watchdog.Watchdog(Heartbeats(), lambda: watchdog.Report("running", 0, {}), None).start()
ctypes.PyDLL(None).sleep(60)
"""
    with script(text) as running:
        output, _ = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "Timeout (0:00:00.500000)!" in output
