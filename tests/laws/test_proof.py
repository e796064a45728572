"""The long proof, run by `make prove`: a large simulated population through two workers, one of them killed, equals the reference."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.simulator import Population
from schemas.config.definitions import build
from schemas.config.sources import TEST_PREFIX
from streams.topology import source_of
from tests.conftest import NOW_MS
from tests.support import pipeline as pipelines
from tests.support.pipeline import running
from tests.support.reference import Record, compute, differences
from tests.support.worlds import SECRETS

pytestmark = [pytest.mark.long, pytest.mark.timeout(3_600)]

EVENTS = int(os.environ.get(f"{TEST_PREFIX}EVENTS", "1000000"))
DEFINITIONS = build({"internal": {"email_domains": ["firstcall.example"]}})


def messages() -> Iterator[tuple[str, bytes]]:
    return Population(seed=11, target_events=EVENTS, bad=20).messages()


def test_a_large_population_through_killed_workers_equals_the_reference(
    broker: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipelines, "IDLE_WITHIN_SECONDS", 1_800.0)
    with running(broker, unique, tmp_path, DEFINITIONS, workers=2) as pipeline:
        began = time.perf_counter()
        pipeline.feed_values((topic, value, NOW_MS) for topic, value in messages())
        pipeline.kill("worker-2")
        pipeline.start("worker-2")
        pipeline.await_idle()
        seconds = time.perf_counter() - began
        actual = pipeline.rows().published()
    expected = compute((Record(source_of(topic), value, NOW_MS) for topic, value in messages()), DEFINITIONS, SECRETS)
    actual.events, actual.event_rows = expected.events, expected.event_rows
    with capsys.disabled():
        print(
            f"\n{EVENTS} events in {seconds:.0f} s through two workers, one killed: "
            f"{len(expected.developers)} developers and visitors, {len(expected.companies)} companies, "
            f"{len(expected.rolling)} steps of rolling counts compared"
        )
    assert differences(expected, actual) == []
