"""An event is acknowledged only when all that derives from it is durable.

For each topic that an event leads to, the brokers refuse all writes. Then no event may be acknowledged. This test fails
if `streams/runtime/commit_order.py` omits a wait for the brokers, or acknowledges before one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from deploy.services import groups, topics
from schemas.config.definitions import load
from streams.topology import MAX_MESSAGE_BYTES
from tests.support.pipeline import Pipeline, running
from tests.support.reference import Record, compute, differences
from tests.support.worlds import MONDAY, SECRETS, as_bytes, identify, record


def allowed(client: KafkaAdminClient, topic: str) -> int:
    """The size up to which the brokers take what is written to a topic."""
    found = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return int(found["topic"][topic]["max.message.bytes"]["value"])


@contextmanager
def refused(pipeline: Pipeline, topic: str) -> Iterator[None]:
    """Let the brokers refuse what is written to a topic."""

    def limit(size: int) -> None:
        with topics.administration(pipeline.settings) as client:
            client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(size)})])
            # The controller answers before the broker goes by it.
            while allowed(client, topic) != size:
                time.sleep(0.05)

    limit(1)
    try:
        yield
    finally:
        limit(MAX_MESSAGE_BYTES)


def acknowledged(pipeline: Pipeline, *names: str) -> int:
    """How much of topics the workers have acknowledged."""
    with topics.administration(pipeline.settings) as client:
        lags = groups.lags(client, {pipeline.settings.streams_id: [pipeline.settings.topic(name) for name in names]})
    return sum(lag.committed for lag in lags)


def newcomers(place: int, records: int) -> list[Record]:
    """Sign-ups of people on devices, neither seen before.

    Each of their messages changes an alias and links it. So every batch, even of one message, has a write to wait for.
    An event of a known device might change nothing.
    """
    return [
        as_bytes(record(identify(MONDAY, f"newcomer-{place}-{number}", anonymous_id=f"device-{place}-{number}")))
        for number in range(records)
    ]


def test_an_event_waits_for_all_that_derives_from_it(
    broker: str, unique: str, tmp_path: Path, simulated: list[Record]
) -> None:
    with running(broker, unique, tmp_path, load()) as pipeline:
        own = pipeline.settings.topic
        #: What is refused, and what of it must not be acknowledged meanwhile.
        cases = [
            (own("alias-updates"), ("web-events", "api-events")),
            (own("identities"), ("alias-updates",)),
            (f"{pipeline.settings.streams_id}-fold_aliases-changelog", ("alias-updates",)),
        ]
        fed = simulated[: len(simulated) // 20]
        pipeline.feed(fed)
        pipeline.await_idle()
        for place, (topic, sources) in enumerate(cases, start=1):
            before = acknowledged(pipeline, *sources)
            with refused(pipeline, topic):
                arriving = newcomers(place, 200)
                pipeline.feed(arriving)
                fed += arriving
                end = time.monotonic() + 60
                # The worker cannot go on, and ends.
                while pipeline.runs("worker-1"):
                    assert acknowledged(pipeline, *sources) == before, f"acknowledged though {topic} takes nothing"
                    assert time.monotonic() < end, "the worker goes on without the brokers"
                    time.sleep(0.2)
                assert acknowledged(pipeline, *sources) == before, f"acknowledged though {topic} takes nothing"
            assert "the brokers refused a message" in pipeline.log("worker-1")
            pipeline.start("worker-1")
            pipeline.await_idle()
        expected = compute(fed, load(), SECRETS)
        actual = pipeline.rows().published()
        actual.events, actual.event_rows = expected.events, expected.event_rows
        assert differences(expected, actual) == []
