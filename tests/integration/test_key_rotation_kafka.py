"""The HMAC secret is rotated on a running worker, as in the guide, while events flow."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import orjson
import pytest

from schemas.config.definitions import load
from tests.support.contract_reader import wire
from tests.support.pipeline import Pipeline, running
from tests.support.reference import Record, differences
from tests.support.rotation import NEWER, OLDEST, Secrets, expected, seen_alone
from tests.support.worlds import record

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

NAMED_KEY = re.compile(rb'"api_?key": ?"([^"]+)"', re.IGNORECASE)


def restart_under(pipeline: Pipeline, secrets: Secrets) -> None:
    """Stop the worker as a service manager does, and start it with these secrets."""
    assert pipeline.kill("worker-1", signal.SIGTERM) == 0
    pipeline._options["secrets"] = ",".join(secret.decode() for secret in secrets)
    pipeline.start("worker-1")


def without_copies(records: list[Record]) -> list[Record]:
    """The first record of each message id: a copy that comes after retirement is another event."""
    first: dict[object, Record] = {}
    for one in records:
        try:
            message = orjson.loads(wire(one))
        except ValueError:
            continue
        if isinstance(message, dict):
            first.setdefault(message.get("message_id") or message.get("messageId") or wire(one), one)
    return list(first.values())


def test_a_worker_whose_secret_is_rotated_publishes_the_numbers_of_one_secret(
    broker: str, unique: str, tmp_path: Path, simulated: list[Record]
) -> None:
    records = without_copies(simulated)
    keys = sorted({key.decode() for one in records for key in NAMED_KEY.findall(wire(one))})
    assert len(keys) > 20
    linking = [record(seen_alone(key, f"seen-{place}")) for place, key in enumerate(keys)]
    third = len(records) // 3
    with running(broker, unique, tmp_path, load()) as pipeline:
        pipeline.feed(records[:third])
        pipeline.advance(300)
        restart_under(pipeline, (OLDEST, NEWER))
        pipeline.feed([*linking, *records[third : 2 * third]])
        pipeline.await_idle()
        pipeline.feed(records[2 * third :])
        pipeline.advance(300)
        restart_under(pipeline, (NEWER,))
        pipeline.await_idle()
        actual = pipeline.rows().published()
    wanted = expected([*records, *linking], keys, (NEWER,), load())
    actual.events, actual.event_rows = wanted.events, wanted.event_rows
    assert differences(wanted, actual) == []
