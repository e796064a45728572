"""From Kafka to ClickHouse, with real ones: nothing is lost, and nothing is committed that is not written."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from operator import add
from typing import Any

import orjson
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from structlog.testing import capture_logs

from schemas.config.definitions import build
from schemas.errors import DeploymentError
from schemas.event import Event, Rejected
from sinks.clickhouse import Address, connect
from sinks.definition_rows import recorded, write_definitions
from sinks.gaps import GapDetector
from sinks.main import run_sink
from sinks.message_rows import TABLE_BY_TOPIC
from streams import topology
from streams.normalise.normaliser import Normaliser
from tests.support.contract_reader import rows
from tests.support.kafka_log import ends
from tests.support.scraped import until
from tests.support.tables import empty_tables
from tests.support.tcp_line import Line
from tests.support.worlds import MONDAY, SECRETS, page_viewed, small_definitions

PARTITIONS = 2
PATIENCE_SECONDS = 60


class Pipe:
    """A deployment of its own: topics, a group, a database, and sinks that a test starts and stops."""

    def __init__(self, broker: str, address: Address, prefix: str) -> None:
        self.broker = broker
        self.address = address
        self.prefix = prefix
        self.url = f"http://{address.user}:{address.password}@{address.host}:{address.port}/{address.database}"
        self.client = connect(address)
        empty_tables(self.client)
        self._producer = Producer({"bootstrap.servers": broker, "linger.ms": 1})
        self.group = Consumer({"bootstrap.servers": broker, "group.id": f"{prefix}app-sink"})
        self._admin = AdminClient({"bootstrap.servers": broker})
        topics = [NewTopic(prefix + topic.name, PARTITIONS, 1) for topic in (*topology.INPUTS, *topology.ROWS)]
        for created in self._admin.create_topics(topics).values():
            created.result()

    def close(self) -> None:
        self.client.close()
        self.group.close()

    def delete(self, topic: str) -> None:
        """Delete all records, as age does."""
        sent = [TopicPartition(self.prefix + topic, partition, end) for partition, end in enumerate(self.sent(topic))]
        for deleted in self._admin.delete_records(sent).values():
            deleted.result()

    def recreate(self, topic: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Delete the topic, and create it."""
        for deleted in self._admin.delete_topics([self.prefix + topic]).values():
            deleted.result()
        until(lambda: self.prefix + topic not in self._admin.list_topics(timeout=PATIENCE_SECONDS).topics)
        meanwhile()
        for created in self._admin.create_topics([NewTopic(self.prefix + topic, PARTITIONS, 1)]).values():
            created.result()

    def send(self, topic: str, *values: bytes | None, partition: int = 0) -> None:
        for value in values:
            self._producer.produce(self.prefix + topic, value, partition=partition, timestamp=MONDAY)
        assert self._producer.flush(PATIENCE_SECONDS) == 0

    def options(self, **given: Any) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.broker,
            "clickhouse_url": self.url,
            "app_id": f"{self.prefix}app",
            "topic_name": partial(add, self.prefix),
            "batch_seconds": 0.05,
        } | given

    @contextmanager
    def sink(self, **given: Any) -> Iterator[threading.Thread]:
        """A sink in a thread; it has ended in order when the block is left."""
        stop = threading.Event()
        thread = threading.Thread(target=_run, args=(self.options(stop=stop, **given),), daemon=True)
        thread.start()
        try:
            yield thread
        finally:
            stop.set()
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()

    def count(self, table: str) -> int:
        return int(rows(self.client, f"SELECT count() FROM {table}")[0][0])

    def committed(self, topic: str) -> list[int]:
        """The committed offset of each partition; 0 where there is none."""
        places = [TopicPartition(self.prefix + topic, partition) for partition in range(PARTITIONS)]
        return [max(place.offset, 0) for place in self.group.committed(places, timeout=PATIENCE_SECONDS)]

    def sent(self, topic: str) -> list[int]:
        """The end of each partition."""
        return ends(self.group, self.prefix + topic, PARTITIONS)

    def await_commit(self, *topics: str) -> None:
        """Wait until all that was sent to the topics is committed."""
        until(lambda: all(self.committed(topic) == self.sent(topic) for topic in topics))


def _run(options: dict[str, Any]) -> None:
    run_sink(**{"normaliser": Normaliser(small_definitions(), SECRETS)} | options)


@pytest.fixture
def pipe(broker, address, unique):
    with closing(Pipe(broker, address, f"{unique}.")) as pipe:
        yield pipe


@pytest.fixture
def line(pipe):
    line = Line(pipe.address.host, pipe.address.port)
    yield line
    line.cut()


def through(pipe: Pipe, line: Line) -> str:
    return pipe.url.replace(f"@{pipe.address.host}:{pipe.address.port}/", f"@127.0.0.1:{line.port}/")


def events(count: int, first: int = 0) -> list[bytes]:
    return [orjson.dumps(page_viewed(MONDAY + i, anonymous_id=f"a{i}")) for i in range(first, first + count)]


def identities(count: int, first: int = 0) -> list[bytes]:
    row = {"alias_kind": "anonymous_id", "developer_ids": ["u"], "developer_from": ["2026-01-05 00:00:00.000"]}
    return [orjson.dumps(row | {"alias": f"a{i}", "version": 1}) for i in range(first, first + count)]


def test_every_topic_reaches_its_table_and_is_committed(pipe):
    row = {
        "identities": {"alias_kind": "anonymous_id", "alias": "a"},
        "profiles": {"level": "developer", "id": "u"},
        "activity": {"level": "developer", "id": "u", "day": "2026-01-05", "hours": 1},
        "rolling-counts": {
            "scope": "x/0",
            "metric": "signups",
            "level": "developer",
            "hour": "2026-01-05 00:00:00.000",
        },
        "dead-letters": {"topic": "web-events", "reason": "not_json"},
    }
    with pipe.sink():
        for topic, columns in row.items():
            pipe.send(topic, orjson.dumps(columns), None, partition=1)
        pipe.send("web-events", *events(3), b"no event", partition=0)
        pipe.send("api-events", *events(2, first=3), partition=1)
        pipe.await_commit(*row, "web-events", "api-events")
    assert {table: pipe.count(table) for table in TABLE_BY_TOPIC.values()} == dict.fromkeys(TABLE_BY_TOPIC.values(), 1)
    assert rows(pipe.client, "SELECT source, count() FROM events GROUP BY 1 ORDER BY 1") == [("api", 2), ("web", 3)]


def test_a_sink_that_starts_again_goes_on_where_it_stopped(pipe):
    for first in (0, 100):
        pipe.send("web-events", *events(100, first))
        with pipe.sink():
            pipe.await_commit("web-events")
        # Unlike `events`, it counts what was written twice, too.
        assert pipe.count("event_rows") == first + 100


def test_what_was_read_when_a_sink_is_to_stop_is_written_and_committed(pipe):
    pipe.send("web-events", *events(50))
    with pipe.sink(batch_seconds=300), capture_logs() as logged:
        until(lambda: any(line["event"] == "partitions_assigned" for line in logged))
        time.sleep(1)
    assert pipe.committed("web-events") == [50, 0]
    assert pipe.count("events") == 50


def test_a_small_batch_limit_splits_and_loses_nothing(pipe):
    pipe.send("web-events", *events(500))
    with pipe.sink(batch_rows=7), capture_logs() as logged:
        pipe.await_commit("web-events")
    written = [line["rows"] for line in logged if line["event"] == "rows_written"]
    assert sum(written) == 500
    assert max(written) <= 7 + 1


def test_while_clickhouse_is_away_rows_wait_and_are_written_when_it_is_back(pipe, line):
    """
    ClickHouse  away ──────── there ──── away ────────── there
    sent             100            100        100
    """
    pipe.send("web-events", *events(100))
    pipe.send("identities", *identities(100))
    with capture_logs() as logged, pipe.sink(clickhouse_url=through(pipe, line), batch_rows=30) as thread:
        until(lambda: any(line["event"] == "clickhouse_unavailable" for line in logged))
        # Long enough for several attempts.
        time.sleep(2)
        assert pipe.committed("web-events") == [0, 0]
        line.mend()
        pipe.await_commit("web-events", "identities")
        line.cut()
        pipe.send("web-events", *events(100, first=100), partition=1)
        until(lambda: sum(line["event"] == "clickhouse_unavailable" for line in logged) == 2)
        pipe.send("web-events", *events(100, first=200))
        time.sleep(1)
        assert pipe.committed("web-events") == [100, 0]
        line.mend()
        pipe.await_commit("web-events")
        assert thread.is_alive()
    assert (pipe.count("events"), pipe.count("identities")) == (300, 100)
    assert [line["event"] for line in logged if "clickhouse" in line["event"]] == [
        "clickhouse_unavailable",
        "clickhouse_available",
    ] * 2


def test_a_sink_stopped_while_clickhouse_is_away_commits_nothing_and_ends(pipe, line):
    pipe.send("web-events", *events(100))
    with capture_logs() as logged, pipe.sink(clickhouse_url=through(pipe, line), batch_rows=30):
        until(lambda: any(line["event"] == "clickhouse_unavailable" for line in logged))
    assert pipe.committed("web-events") == [0, 0]
    with pipe.sink():
        pipe.await_commit("web-events")
    assert pipe.count("events") == 100


def test_while_clickhouse_is_away_messages_without_rows_wait_in_kafka_too(pipe, line):
    pipe.send("web-events", *events(30), *[b"no event"] * 500)
    reader = Counting(small_definitions(), SECRETS)
    with pipe.sink(clickhouse_url=through(pipe, line), batch_rows=30, normaliser=reader):
        until(lambda: reader.messages >= 60)
        # Long enough for the rest, if it were read.
        time.sleep(1)
        assert reader.messages == 60, "a batch that is written, and one that waits"
        line.mend()
        pipe.await_commit("web-events")
    assert pipe.count("events") == 30


class Counting(Normaliser):
    """Counts what it is given."""

    messages = 0

    def __call__(self, *message: Any, **options: Any) -> list[Event | Rejected]:
        self.messages += 1
        return super().__call__(*message, **options)


def test_a_sink_waits_for_its_tables(pipe):
    pipe.client.command("RENAME TABLE event_rows TO elsewhere")
    pipe.send("web-events", *events(10))
    with capture_logs() as logged, pipe.sink():
        until(lambda: any(line["event"] == "clickhouse_unavailable" for line in logged))
        (complaint,) = [line["error"] for line in logged if "error" in line]
        assert "firstcall migrate" in complaint
        pipe.client.command("RENAME TABLE elsewhere TO event_rows")
        pipe.await_commit("web-events")
    assert pipe.count("events") == 10


def test_the_views_find_the_configuration_before_any_row_and_without_any(pipe):
    pipe.client.command("RENAME TABLE definition_rows TO elsewhere")
    pipe.send("web-events", *events(10))
    with capture_logs() as logged, pipe.sink():
        until(lambda: any(line["event"] == "clickhouse_unavailable" for line in logged))
        assert (pipe.committed("web-events"), pipe.count("event_rows")) == ([0, 0], 0)
        pipe.client.command("RENAME TABLE elsewhere TO definition_rows")
        pipe.await_commit("web-events")
        assert recorded(pipe.client) is not None
    pipe.client.command("TRUNCATE TABLE definition_rows")
    with pipe.sink():
        until(lambda: recorded(pipe.client) is not None)


def test_a_poisoned_row_becomes_a_dead_letter_with_its_reference(pipe):
    pipe.send("identities", *identities(10), partition=1)
    pipe.send("identities", b"poison", *identities(10, first=10), partition=1)
    with pipe.sink():
        pipe.await_commit("identities")
    assert pipe.count("identities") == 20
    assert rows(pipe.client, "SELECT topic, partition, offset, reason, payload FROM dead_letters") == [
        (f"{pipe.prefix}identities", 1, 10, "row_refused", "poison")
    ]


def test_a_batch_stays_within_its_bytes_whatever_the_messages_hold(pipe):
    """Each message of 20 kB has a context for two hundred events, whose rows take 2 MB."""
    calls = [{"type": "track", "event": "x", "userId": f"u{i}"} for i in range(200)]
    messages = [orjson.dumps({"batch": calls, "context": {"n": n, "text": "x" * 9_500}}) for n in range(30)]
    pipe.send("web-events", *messages)
    with capture_logs() as logs, pipe.sink(batch_bytes=3_000_000, batch_seconds=1.0):
        pipe.await_commit("web-events")
    assert pipe.count("events") == 6_000
    written = [line["bytes"] for line in logs if line["event"] == "rows_written"]
    assert sum(written) > 50_000_000
    assert max(written) < 3_000_000 + 2_100_000


def test_partitions_that_move_to_a_second_sink_are_all_delivered(pipe):
    """
    sink 1  ═══════════════╗      both read one partition of each topic
    sink 2      ═══════════╩══▶   then the second one reads all
    """
    total = 0
    with pipe.sink(batch_rows=50):
        pipe.send("web-events", *events(500))
        with pipe.sink(batch_rows=50):
            for total in range(500, 1500, 100):
                pipe.send("web-events", *events(50, first=total), partition=0)
                pipe.send("web-events", *events(50, first=total + 50), partition=1)
            pipe.await_commit("web-events")
    assert pipe.count("events") == total + 100


def test_a_commit_that_a_rebalance_refuses_is_tried_again_when_no_event_follows(pipe, monkeypatch):
    refused: list[object] = []

    class InRebalance(Consumer):
        """A member that has not received the group's next generation yet."""

        def commit(self, *given: Any, **named: Any) -> Any:
            if not refused:
                refused.append(named["offsets"])
                raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))
            return super().commit(*given, **named)

    monkeypatch.setattr("sinks.main.Consumer", InRebalance)
    pipe.send("web-events", *events(50))
    with pipe.sink():
        pipe.await_commit("web-events")
    assert refused


@contextmanager
def process(pipe: Pipe, **given: Any) -> Iterator[multiprocessing.process.BaseProcess]:
    """A sink in a process of its own."""
    sink = multiprocessing.get_context("spawn").Process(target=_run, args=(pipe.options(**given),))
    sink.start()
    try:
        yield sink
    finally:
        sink.kill()
        sink.join()


def test_sigterm_ends_a_sink_in_order(pipe):
    pipe.send("web-events", *events(200))
    with process(pipe, batch_rows=20) as sink:
        until(lambda: pipe.count("events") > 0)
        assert sink.pid is not None
        os.kill(sink.pid, signal.SIGTERM)
        sink.join(PATIENCE_SECONDS)
        assert sink.exitcode == 0
    assert pipe.count("event_rows") == pipe.committed("web-events")[0] > 0


def test_sigterm_ends_a_sink_whose_clickhouse_hangs(pipe):
    """What ClickHouse did not take is read again: nothing was committed."""
    pipe.send("web-events", *events(50))
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        nowhere = pipe.url.replace(f":{pipe.address.port}/", f":{hanging.getsockname()[1]}/")
        with process(pipe, clickhouse_url=nowhere) as sink:
            hanging.settimeout(PATIENCE_SECONDS)
            hanging.accept()
            assert sink.pid is not None
            os.kill(sink.pid, signal.SIGTERM)
            sink.join(PATIENCE_SECONDS)
            assert sink.exitcode == 1
    assert pipe.committed("web-events") == [0, 0]
    with pipe.sink():
        pipe.await_commit("web-events")
    assert pipe.count("events") == 50


def test_what_kafka_deletes_before_it_is_written_ends_the_sink(pipe):
    pipe.send("web-events", *events(50))
    with pipe.sink():
        pipe.await_commit("web-events")
    pipe.send("web-events", *events(50, first=50))
    pipe.delete("web-events")
    with process(pipe) as sink:
        sink.join(PATIENCE_SECONDS)
        assert sink.exitcode == 1
    assert pipe.committed("web-events") == [50, 0]


@pytest.mark.parametrize("reads", [[], [20]], ids=["of which nothing was read", "that was read to its end"])
def test_what_kafka_deletes_of_a_partition_before_its_next_record_comes_is_missed(pipe, reads):
    """The batch was full meanwhile: the sink did not see the end of the log again."""
    place = (f"{pipe.prefix}web-events", 0)
    pipe.send("web-events", *events(20))
    with pipe.sink():
        pipe.await_commit("web-events")
    gaps = GapDetector(pipe.group, "the-sink", [place[0]])
    for end in reads:
        gaps.end(place, end)
    assert gaps.is_complete()
    pipe.send("web-events", *events(20, first=20))
    pipe.delete("web-events")
    gaps.read(place, 40)
    with pytest.raises(DeploymentError, match="records 20 to 39"):
        gaps.is_complete()


def test_partitions_that_went_while_clickhouse_was_away_are_read_when_they_come_back(pipe, line):
    """Their messages, which make no rows, fill the batch behind the one that ClickHouse does not take."""
    line.mend()
    with pipe.sink(clickhouse_url=through(pipe, line), batch_rows=20), capture_logs() as logs:
        pipe.send("web-events", *events(20))
        pipe.await_commit("web-events")
        line.cut()
        pipe.send("web-events", *events(20, first=20))
        pipe.send("web-events", *([b"no event"] * 40))
        until(lambda: any(entry["event"] == "clickhouse_unavailable" for entry in logs))
        gone = partial(until, lambda: any(entry["event"] == "partitions_revoked" for entry in logs))
        pipe.recreate("web-events", gone)
        line.mend()
        # Fewer than were committed of the old one: so it begins at the beginning.
        pipe.send("web-events", *events(10, first=40))
        until(lambda: pipe.count("events") == 50)


def test_what_kafka_deletes_while_clickhouse_is_away_ends_the_sink(pipe, line):
    """More waits than a sink fetches ahead, and it is deleted: the record after it shows it."""
    line.mend()
    with process(pipe, clickhouse_url=through(pipe, line), batch_rows=20) as sink:
        pipe.send("web-events", *events(20))
        until(lambda: pipe.count("events") == 20)
        line.cut()
        pipe.send("web-events", *events(20, first=20))
        for _ in range(12):
            pipe.send("web-events", *([os.urandom(900_000)] * 10))
        pipe.delete("web-events")
        pipe.send("web-events", *events(20, first=40))
        line.mend()
        sink.join(PATIENCE_SECONDS)
        assert sink.exitcode == 1


def test_the_markers_of_transactions_are_no_hole_and_done_with_what_is_before_them(pipe):
    producer = Producer({"bootstrap.servers": pipe.broker, "transactional.id": pipe.prefix})
    producer.init_transactions(PATIENCE_SECONDS)
    for first in range(0, 30, 10):
        producer.begin_transaction()
        for value in events(10, first):
            producer.produce(f"{pipe.prefix}web-events", value, partition=0, timestamp=MONDAY)
        producer.commit_transaction(PATIENCE_SECONDS)
    with pipe.sink():
        until(lambda: pipe.count("events") == 30)
        pipe.await_commit("web-events")
    assert pipe.committed("web-events") == [33, 0]


def test_a_log_that_was_recreated_is_read_from_its_beginning(pipe):
    pipe.send("web-events", *events(50))
    with pipe.sink():
        pipe.await_commit("web-events")
        pipe.recreate("web-events")
    pipe.send("web-events", *events(20, first=50))
    with pipe.sink():
        pipe.await_commit("web-events")
    assert pipe.count("events") == 70


def test_a_killed_sink_loses_nothing(pipe):
    """
    sink 1  ══✕ kill -9
    sink 2      ════════▶
    """
    # A name that both have spares waiting until the group gives the first one up.
    same = {"kafka_options": {"group.instance.id": "same"}}
    pipe.send("web-events", *events(2_000))
    with process(pipe, batch_rows=100, **same):
        until(lambda: pipe.count("events") > 0)
    assert pipe.committed("web-events")[0] <= pipe.count("events") < 2_000
    with pipe.sink(**same):
        pipe.await_commit("web-events")
    assert pipe.count("events") == 2_000


def test_a_sink_that_finds_rows_of_other_definitions_once_clickhouse_is_back_writes_none(pipe):
    """At its start the definitions behind the rows were unknown."""
    write_definitions(pipe.client, build({"usage": "production_call"}))
    pipe.send("web-events", *events(20))
    with pytest.raises(DeploymentError, match="made under other definitions"):
        _run(pipe.options(stop=threading.Event()))
    assert pipe.count("event_rows") == 0
    assert pipe.committed("web-events") == [0, 0]
