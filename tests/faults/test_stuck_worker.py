"""A stuck worker finds its stalled partition, logs it, and ends; one that waits for a server does not."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

import faust
import pytest
from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest

from deploy.local.kafka.broker import LocalBroker
from deploy.local.kafka.runtime import jars_directory
from deploy.services import topics
from schemas.config.definitions import load
from streams.runtime.watchdog import EXIT_STUCK, STUCK_AFTER_SECONDS, UNREADY_AFTER_SECONDS
from tests.conftest import JARS_HOME
from tests.integration.test_pipeline_kafka import differing
from tests.support.pipeline import Pipeline, running
from tests.support.scraped import asked, metrics_of, until
from tests.support.workers.hanging import LOCK
from tests.support.worlds import journey

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]


def ready(pipeline: Pipeline, worker: str = "worker-1") -> bool:
    return asked(pipeline.url(worker), "/readyz")[0] == 200


def test_a_stage_that_hangs_is_found_within_a_minute_and_ends_the_worker(
    broker: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = journey()
    lock = tmp_path / "lock"
    lock.touch()
    monkeypatch.setenv(LOCK, str(lock))
    with running(broker, unique, tmp_path, load(), workers=0) as pipeline:
        pipeline.start("worker-1", "tests.support.workers.hanging")
        until(lambda: ready(pipeline), "the worker is not ready")
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            pipeline.feed(story.records)
            began = time.monotonic()
            until(lambda: not ready(pipeline), "still ready", UNREADY_AFTER_SECONDS + 20)
            status, body = asked(pipeline.url("worker-1"), "/readyz")
            assert status == 503
            assert any(reason.startswith("normalise_events has not gone on with ") for reason in body["reasons"])
            scraped = metrics_of(pipeline.url("worker-1"))
            assert scraped.sum("firstcall_ready") == 0
            assert scraped.sum("firstcall_stalled_seconds", processor="normalise_events") > UNREADY_AFTER_SECONDS
            assert scraped.sum("firstcall_lag_events", processor="normalise_events") == len(story.records)
            assert asked(pipeline.url("worker-1"), "/healthz")[0] == 200, "it may still go on"
            assert pipeline.ended("worker-1", 60) == EXIT_STUCK
            assert time.monotonic() - began < 60
        log = pipeline.log("worker-1")
        assert '"event": "stuck"' in log
        assert "hanging_worker.py" in log, "where each thread hangs"
        pipeline.start("worker-1")
        pipeline.await_idle()
        assert differing(pipeline, story.records, load()) == []


def test_a_process_that_hangs_on_its_disk_is_found_within_a_minute(broker: str, unique: str, tmp_path: Path) -> None:
    """RocksDB opens a file that never answers, as on a network disk that is away, and lets no other Python run meanwhile."""
    story = journey()
    with running(broker, unique, tmp_path, load()) as pipeline:
        pipeline.feed(story.records)
        pipeline.await_idle()
        pipeline.kill("worker-1", signal.SIGTERM)
        (current, *_) = sorted(pipeline.state("worker-1").rglob("*developers*/CURRENT"))
        kept = current.rename(current.with_name("kept"))
        os.mkfifo(current)
        pipeline.start("worker-1")
        assert pipeline.ended("worker-1", 90) == 1
        assert "Timeout (0:00:50)!" in pipeline.log("worker-1")
        assert "_open_for_partition" in pipeline.log("worker-1"), "where it hangs"
        current.unlink()
        kept.rename(current)
        pipeline.start("worker-1")
        pipeline.await_idle()
        assert differing(pipeline, story.records, load()) == []


def test_a_partition_from_which_nothing_comes_is_found_within_a_minute(unique: str, tmp_path: Path) -> None:
    """The broker gives no records to the worker, and the offsets to everyone."""
    story = journey()
    with (
        LocalBroker(tmp_path / "broker", jars=jars_directory(JARS_HOME)) as kafka,
        running(kafka.bootstrap, unique, tmp_path, load()) as pipeline,
    ):
        until(lambda: ready(pipeline), "the worker is not ready")
        allow(pipeline, bytes_a_second=1)
        pipeline.feed(story.records)
        assert pipeline.ended("worker-1", 75) == EXIT_STUCK
        assert "normalise_events has not gone on with" in pipeline.log("worker-1")
        allow(pipeline, bytes_a_second=None)
        pipeline.start("worker-1")
        pipeline.await_idle()
        assert differing(pipeline, story.records, load()) == []


def allow(pipeline: Pipeline, bytes_a_second: float | None) -> None:
    """Let Faust's consumers read only so much; None: as much as they like."""
    Entry = AlterClientQuotasRequest.EntryData  # noqa: N806 - a class
    name = faust.App("any").conf.broker_client_id
    limit = Entry.OpData(key="consumer_byte_rate", value=float(bytes_a_second or 0), remove=bytes_a_second is None)
    entry = Entry(entity=[Entry.EntityData(entity_type="client-id", entity_name=name)], ops=[limit])
    request = AlterClientQuotasRequest(entries=[entry], validate_only=False)
    with topics.administration(pipeline.settings) as client:
        answer = client._manager.run(client._send_request_to_controller, request)
    assert [each.error_code for each in answer.entries] == [0]


def test_a_worker_waits_for_a_paused_broker_and_goes_on(unique: str, tmp_path: Path) -> None:
    story = journey()
    middle = len(story.records) // 2
    with (
        LocalBroker(tmp_path / "broker", jars=jars_directory(JARS_HOME)) as kafka,
        running(kafka.bootstrap, unique, tmp_path, load()) as pipeline,
    ):
        pipeline.feed(story.records[:middle])
        until(lambda: ready(pipeline), "the worker is not ready")
        java = process_of(tmp_path / "broker")
        os.kill(java, signal.SIGSTOP)
        try:
            until(lambda: not ready(pipeline), "still ready", 60)
            status, body = asked(pipeline.url("worker-1"), "/readyz")
            assert (status, body["reasons"][0][:34]) == (503, "the brokers have not answered for ")
            time.sleep(STUCK_AFTER_SECONDS)
            assert asked(pipeline.url("worker-1"), "/healthz")[0] == 200, "it is not the worker that is stuck"
        finally:
            os.kill(java, signal.SIGCONT)
        until(lambda: ready(pipeline), pipeline.log("worker-1")[-2000:], 90)
        pipeline.feed(story.records[middle:])
        pipeline.await_idle()
        assert differing(pipeline, story.records, load()) == []


def process_of(data_dir: Path) -> int:
    """The broker's own process."""
    for process in Path("/proc").glob("[0-9]*"):
        command = (process / "cmdline").read_bytes().split(b"\0") if (process / "cmdline").exists() else []
        if b"kafka.Kafka" in command and str(data_dir).encode() in b" ".join(command) and b"java" in command[0]:
            return int(process.name)
    raise AssertionError(f"no broker runs for {data_dir}")
