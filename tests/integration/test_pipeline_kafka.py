"""The law on the running pipeline: real Kafka, Faust's own consumer groups and tables, workers that die."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from random import Random

import pytest

from schemas.config.definitions import Definitions, load
from streams.topology import UPDATES, Topic
from tests.benchmarks.recovery import signups
from tests.support.kafka_log import records
from tests.support.pipeline import Pipeline, running
from tests.support.reference import Record, compute, differences
from tests.support.scraped import until
from tests.support.tcp_line import Line
from tests.support.worlds import REJECTS, SECRETS, journey

pytestmark = pytest.mark.timeout(300)


def differing(pipeline: Pipeline, records: list[Record], definitions: Definitions) -> list[str]:
    """How what is on the row topics differs from the reference. Events are the sink's and not compared here."""
    expected, actual = compute(records, definitions, SECRETS), pipeline.rows().published()
    actual.events, actual.event_rows = expected.events, expected.event_rows
    return differences(expected, actual)


def once(records: list[Record]) -> list[Record]:
    return records


def backwards(records: list[Record]) -> list[Record]:
    return records[::-1]


def twice(records: list[Record]) -> list[Record]:
    return [*records, *records]


@pytest.mark.parametrize("delivered", [once, backwards, twice])
def test_a_journey_ends_as_one_developer_and_one_company(
    broker: str, unique: str, tmp_path: Path, delivered: object
) -> None:
    story = journey()
    assert callable(delivered)
    with running(broker, unique, tmp_path, load()) as pipeline:
        pipeline.feed(delivered(story.records))
        pipeline.await_idle()
        published = pipeline.rows().published()
        assert set(published.developers) == {story.developer}
        assert set(published.companies) == {story.company}
        developer, company = published.developers[story.developer], published.companies[story.company]
        assert developer["stages"] == story.developer_stages
        assert company["stages"] == story.company_stages
        assert developer["activations"] == story.developer_activations
        assert company["activations"] == story.company_activations
        assert (developer["first_touch_at"], developer["first_touch"]) == story.first_touch
        assert published.identities == story.identities
        for place, value in story.rolling.items():
            assert published.rolling_value(*place) == value, place
        assert differing(pipeline, story.records, load()) == []


def test_a_worker_killed_in_the_middle_loses_and_doubles_nothing(broker: str, unique: str, tmp_path: Path) -> None:
    story = journey()
    middle = len(story.records) // 2
    with running(broker, unique, tmp_path, load()) as pipeline:
        pipeline.feed(story.records[:middle])
        wait_for_progress(pipeline, 1)
        pipeline.kill("worker-1")
        pipeline.feed(story.records[middle:])
        pipeline.start("worker-1")
        pipeline.await_idle()
        assert differing(pipeline, story.records, load()) == []


def test_two_workers_one_killed_again_and_again_equal_the_reference(
    broker: str, unique: str, tmp_path: Path, simulated: list[Record]
) -> None:
    random = Random(7)
    delivered = [*simulated, *random.sample(simulated, len(simulated) // 10)]
    random.shuffle(delivered)
    with running(broker, unique, tmp_path, load(), workers=2) as pipeline:
        parts = 4
        for part in range(parts):
            pipeline.feed(delivered[part::parts])
            wait_for_progress(pipeline, pipeline.progress()[0] + 500)
            victim = f"worker-{1 + part % 2}"
            pipeline.kill(victim)
            pipeline.start(victim)
        pipeline.await_idle()
        assert differing(pipeline, simulated, load()) == []


def test_lost_local_state_is_rebuilt_from_the_changelogs(
    broker: str, unique: str, tmp_path: Path, simulated: list[Record]
) -> None:
    half = len(simulated) // 2
    with running(broker, unique, tmp_path, load()) as pipeline:
        pipeline.feed(simulated[:half])
        pipeline.await_idle()
        pipeline.kill("worker-1")
        pipeline.feed(simulated[half:])
        # Another name is another directory: nothing of the state is there.
        pipeline.start("worker-2")
        pipeline.await_idle()
        assert differing(pipeline, simulated, load()) == []


def test_only_the_thread_of_the_client_seeks(broker: str, unique: str, tmp_path: Path) -> None:
    """InMemoryStreams by another, in a rebalance, it may drop what a fetch is just about to take, and that ends the worker."""
    records = journey().records
    with running(broker, unique, tmp_path, load(), workers=0) as pipeline:
        pipeline.start("worker-1", "tests.support.workers.strict")
        pipeline.feed(records)
        pipeline.await_idle()
        pipeline.start("worker-2", "tests.support.workers.strict")
        pipeline.feed(records)
        pipeline.await_idle()
        assert differing(pipeline, records, load()) == []


def test_the_markers_of_transactions_are_done_when_what_is_before_them_is(
    broker: str, unique: str, tmp_path: Path
) -> None:
    """Erasures and replays wait for the ends of the logs; and markers that age deletes would look like lost events."""
    records = journey().records
    with running(broker, unique, tmp_path, load()) as pipeline:
        for part in range(2):
            pipeline.feed(records[part::2], transaction=unique)
            pipeline.await_idle()
        for topic in ("web-events", "api-events"):
            pipeline.delete(topic)
        pipeline.start("worker-2")
        pipeline.feed(records[:5], transaction=unique)
        pipeline.await_idle()
        assert differing(pipeline, records, load()) == []


def test_a_commit_that_is_refused_is_tried_again_when_no_event_follows(
    broker: str, unique: str, tmp_path: Path
) -> None:
    records = journey().records
    with running(broker, unique, tmp_path, load(), workers=0) as pipeline:
        pipeline.start("worker-1", "tests.support.workers.refused")
        pipeline.feed(records)
        pipeline.await_idle()
        assert differing(pipeline, records, load()) == []


def test_a_worker_that_is_asked_to_stop_ends_in_order(broker: str, unique: str, tmp_path: Path) -> None:
    with running(broker, unique, tmp_path, load()) as pipeline:
        pipeline.feed(journey().records)
        pipeline.await_idle()
        assert pipeline.kill("worker-1", signal.SIGTERM) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSTOP], ids=["while it was away", "while it was paused"])
def test_what_kafka_deletes_before_it_was_worked_on_ends_the_worker(
    broker: str, unique: str, tmp_path: Path, number: signal.Signals
) -> None:
    """
    worker   ══════════╗        ╔═x     it would go on after the hole, and the numbers would lack what was in it
    records  ▒▒▒▒▒   ▒▒▒▒▒▒▒▒
                     └deleted┘ ▒▒▒
    """
    with running(broker, unique, tmp_path, load()) as pipeline:
        pipeline.feed(signups(100))
        pipeline.await_idle()
        if number == signal.SIGTERM:
            assert pipeline.kill("worker-1", number) == 0
        else:
            pipeline.send("worker-1", number)
        pipeline.feed(signups(20_000))
        pipeline.delete("web-events")
        pipeline.feed(signups(100))
        if number == signal.SIGTERM:
            pipeline.start("worker-1")
        else:
            pipeline.send("worker-1", signal.SIGCONT)
        assert pipeline.ended("worker-1", 60) not in (0, -signal.SIGKILL)
        assert "were deleted by age or size before they were processed" in pipeline.log("worker-1")


def test_a_worker_waits_for_brokers_that_are_away(broker: str, unique: str, tmp_path: Path) -> None:
    host, port = broker.split(":")
    line, story = Line(host, int(port)), journey()
    with running(broker, unique, tmp_path, load(), workers=0) as pipeline:
        pipeline.start("a", environment={"FIRSTCALL_KAFKA": f"{host}:{line.port}"})
        until(lambda: pipeline.log("a").count('"waits_for_brokers"') == 2)
        assert pipeline.runs("a")
        pipeline.feed(story.records)
        line.mend()
        try:
            pipeline.await_idle()
            assert differing(pipeline, story.records, load()) == []
        finally:
            line.cut()


def test_bad_input_becomes_dead_letters_and_the_stream_goes_on(broker: str, unique: str, tmp_path: Path) -> None:
    story = journey()
    rejects = [record for record, _, _ in REJECTS]
    with running(broker, unique, tmp_path, load()) as pipeline:
        pipeline.feed([*rejects, *story.records])
        pipeline.await_idle()
        letters = pipeline.rows().rows("dead-letters")
        assert len(letters) == len(rejects)
        for letter in letters:
            assert letter["topic"] in (f"{unique}.web-events", f"{unique}.api-events")
            assert letter["partition"] in range(3) and letter["offset"] >= 0
            assert letter["reason"] and letter["detail"]
        assert differing(pipeline, story.records, load()) == []


def test_changed_definitions_are_refused_instead_of_mixed(broker: str, unique: str, tmp_path: Path) -> None:
    changed = load().model_copy(update={"usage": "production_call"})
    with running(broker, unique, tmp_path, load()) as pipeline:
        pipeline.feed(journey().records)
        pipeline.await_idle()
        pipeline.kill("worker-1")
    before = {topic.name: updates(broker, pipeline, topic) for topic in UPDATES}
    other = Pipeline(broker, unique, tmp_path, changed, 3)
    try:
        other.start("worker-1")
        other.feed(journey().records)
        end = time.monotonic() + 60
        while "made under other metric definitions" not in other.log("worker-1"):
            assert time.monotonic() < end, other.log("worker-1")[-2000:]
            time.sleep(0.5)
    finally:
        other.stop()
    # Nor is anything made of what came: it would be joined once the change is undone.
    assert {topic.name: updates(broker, pipeline, topic) for topic in UPDATES} == before


def updates(broker: str, pipeline: Pipeline, topic: Topic) -> int:
    """How many there are."""
    return len(list(records(broker, pipeline.settings.topic(topic.name))))


def wait_for_progress(pipeline: Pipeline, done: int) -> None:
    """Wait until so many records are acknowledged, or nothing is left to do."""
    end = time.monotonic() + 60
    while True:
        acknowledged, left = pipeline.progress()
        if acknowledged >= done or (acknowledged and not left):
            return
        assert time.monotonic() < end, "the workers do not get on"
        time.sleep(0.2)
