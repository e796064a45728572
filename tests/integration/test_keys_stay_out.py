"""A key given in any field of any format reaches no topic, table, dead letter or log line."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from urllib.parse import unquote

import msgspec
import pytest
import structlog
from hypothesis import HealthCheck, given, settings

from schemas.config.definitions import Environment, build
from schemas.event import Event
from sinks.batch import SourceMessage, _dead_letter, _Refused
from sinks.message_rows import RowCollector
from streams import processors
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.normalise.normaliser import Normaliser
from tests.conftest import NOW_MS
from tests.support.worlds import SECRETS
from tests.support.worlds.leaks import leaking_messages

PREFIXES: dict[str, Environment] = {"sk_test_": "test", "acme.": "production"}
DEFINITIONS = build({"key_prefixes": PREFIXES})
NORMALISER = Normaliser(DEFINITIONS, SECRETS)
PLAN = CompiledDefinitions(DEFINITIONS)


def written(message: bytes) -> list[str]:
    """The rows of a message as they are sent to ClickHouse, and the dead letters they become if it refuses them."""
    sink = RowCollector(None, NORMALISER)  # type: ignore[arg-type]
    sink.add("api-events", message, timestamp=NOW_MS, partition=0, offset=1)
    rows = [row for rows, _ in sink.take()._tables.values() for row in rows]
    refused = [_dead_letter(_Refused(SourceMessage("api-events", 0, 1, NOW_MS), row, "refused")) for row in rows]
    return [row.decode() for row in [*rows, *refused]]


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    with structlog.testing.capture_logs() as entries:
        yield lines
        lines += map(str, entries)
    logging.getLogger().removeHandler(handler)


def places(key: str, texts: list[str]) -> list[str]:
    """The texts that hold the key, in whatever spelling."""
    spelled = [text for text in texts if key in text or key in unquote(text) or key in text.replace("\\/", "/")]
    return [text[:500] for text in spelled]


@settings(max_examples=1500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(leaking_messages())
def test_a_key_stays_out(logged, leak):
    key, message = leak
    outcomes = NORMALISER(message, source="api", recorded_at=NOW_MS)
    assert outcomes
    events = [msgspec.json.encode(one).decode() for one in outcomes if isinstance(one, Event)]
    refusals = [repr(one) for one in outcomes if not isinstance(one, Event)]
    sent = [
        (part or b"").decode("utf-8", "replace")
        for one in processors.normalise_events(PLAN, NORMALISER, "api-events", "api", [(0, 1, NOW_MS, message)])
        for part in (one.key, one.value)
    ]
    texts = [*events, *refusals, *sent, *written(message), *logged]
    assert places(key, texts) == []


def test_the_search_finds_a_key():
    assert places("a/b+c", [json.dumps({"x": "a%2Fb%2Bc"}), "a/b+c", "ab"]) == ['{"x": "a%2Fb%2Bc"}', "a/b+c"]
