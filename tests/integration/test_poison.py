"""Hostile input costs no more than its size, in every process that reads it: dead letters are few, work is counted, and the streams go on."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.config.definitions import load
from schemas.errors import StateError
from schemas.event import Event, Rejected, Source
from streams import processors, topology
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.local import LocalRunner
from streams.messages.dead_letters import DEAD_LETTERS_PER_MESSAGE
from streams.messages.updates import AliasUpdate, CompanyUpdate, DeveloperUpdate, Pointer, Update, encode
from streams.normalise import redaction
from streams.normalise.clock import NEWEST_MS
from streams.normalise.normaliser import Normaliser
from streams.processors import PROCESSORS
from streams.state.rows import MemoryStore
from tests.conftest import NOW_MS
from tests.support.published import RowTopics
from tests.support.reference import compute, differences
from tests.support.reference.events import read
from tests.support.reference.formats import Record
from tests.support.worlds import MONDAY, SECRETS, journey
from tests.support.worlds.poison import POISON
from tests.support.worlds.wire import SOUND_MESSAGES, mutations

DEFINITIONS = load()
NORMALISER = Normaliser(DEFINITIONS, SECRETS)
PLAN = CompiledDefinitions(DEFINITIONS)
SOURCES: tuple[Source, ...] = ("web", "api")
UPDATES = {topology.ALIAS_UPDATES: AliasUpdate, topology.DEVELOPER_UPDATES: DeveloperUpdate,
           topology.COMPANY_UPDATES: CompanyUpdate, topology.MERGES: Pointer}  # fmt: skip


def dead_letters_for(value: bytes | None, timestamp: int = MONDAY) -> list[dict[str, Any]]:
    """The dead letters of one message."""
    found = processors.normalise_events(PLAN, NORMALISER, "web-events", "web", [(1, 2, timestamp, value)])
    return [json.loads(message.value) for message in found if message.topic == topology.DEAD_LETTERS]


# Messages of the input topics


@pytest.mark.parametrize(("value", "reason"), [poison[1:] for poison in POISON], ids=[poison[0] for poison in POISON])
def test_poison_is_one_dead_letter_of_a_few_kilobytes(value, reason):
    (letter,) = dead_letters_for(value)
    assert (letter["topic"], letter["partition"], letter["offset"], letter["reason"]) == ("web-events", 1, 2, reason)
    assert letter["detail"]
    assert len(orjson.dumps(letter)) < 10_000
    assert bool(letter["payload"]) == bool(value)


def test_the_reference_refuses_the_same():
    records = [Record("web", value or b"", MONDAY) for _, value, _ in POISON]
    assert all(hasattr(one, "reason") for one in read(records, DEFINITIONS, SECRETS[0]))


def test_the_stream_goes_on_between_poison():
    rows = RowTopics()
    runner = LocalRunner(DEFINITIONS, SECRETS, rows.add)
    story = journey().records
    for i, one in enumerate(story):
        runner.feed("web-events", [(MONDAY, POISON[i % len(POISON)][1])])  # type: ignore[list-item]
        runner.feed(f"{one.topic}-events", [(one.timestamp_ms, orjson.dumps(one.value))])
    runner.run_until_idle()
    expected, actual = compute(story, DEFINITIONS, SECRETS), rows.published()
    actual.events, actual.event_rows = expected.events, expected.event_rows
    assert differences(expected, actual) == []


@pytest.mark.parametrize("timestamp", [-(2**62), -1, 0, NEWEST_MS, 2**62])
def test_any_timestamp_of_a_message_gives_a_time_that_tables_hold(timestamp):
    now = {"name": "Signed Up", "user_id": "u1"}
    for fields in ({}, {"time": "9999-01-01T00:00:00Z"}, {"time": "2098-01-01T00:00:00Z"}, {"name": ""}):
        message = orjson.dumps(now | fields)
        for one in NORMALISER(message, source="web", recorded_at=timestamp):
            assert isinstance(one, Rejected) or one.time <= NEWEST_MS + 2 * 86_400_000
        for letter in dead_letters_for(message, timestamp):
            assert re.fullmatch(r"(19[789]|20)\d+-\d\d-\d\d [\d:.]+|2100-.*", letter["recorded_at"]), letter


def test_of_thousands_of_wrong_calls_a_hundred_are_listed_and_the_rest_counted():
    letters = dead_letters_for(b"[" + b",".join([b"1"] * 9_999) + b",{}]")
    assert len(letters) == DEAD_LETTERS_PER_MESSAGE + 1
    assert letters[-1]["reason"] == "more"
    assert letters[-1]["detail"].endswith(
        "9,900 further calls of this message are refused: missing 1, not_an_object 9,899"
    )
    assert sum(len(orjson.dumps(letter)) for letter in letters) < 1_000_000
    assert len(dead_letters_for(b"[" + b",".join([b"1"] * DEAD_LETTERS_PER_MESSAGE) + b"]")) == DEAD_LETTERS_PER_MESSAGE


# Work, counted


class Counted:
    """A message that counts how many of its bytes are searched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.characters = 0
        text = redaction.Redactor.text

        def counting(redactor: redaction.Redactor, given: str, keys: tuple[str, ...]) -> str:
            self.characters += len(given) * (1 + len(keys))
            return text(redactor, given, keys)

        monkeypatch.setattr(redaction.Redactor, "text", counting)


def test_a_batch_of_many_tokens_is_read_once(monkeypatch):
    """Were each call's tokens counted in the whole batch, all of it would be read 4,800 times."""
    calls = [
        {"name": "x", "user_id": "u", "properties": {"a": [{"token": f"abcd{i:04}{j}"} for j in range(8)]}}
        for i in range(600)
    ]
    counted = Counted(monkeypatch)
    message = orjson.dumps(calls)
    searched = 0

    def watch(_: object, kind: str, called: Any) -> None:
        nonlocal searched
        searched += kind == "c_call" and called.__name__ == "count" and isinstance(called.__self__, bytes)

    sys.setprofile(watch)
    events = NORMALISER(message, source="web", recorded_at=NOW_MS)
    sys.setprofile(None)
    assert all(isinstance(event, Event) and event.properties == {"a": [{}] * 8} for event in events)
    assert searched == 0
    assert counted.characters <= 3 * len(message)


def test_beginnings_of_a_key_are_not_read_again_and_again():
    """Each beginning is read for a while, not to the end of all: twice as many take twice as long, not four times."""
    redactor = redaction.Redactor(["myco_live_"])
    pattern = redactor._key.pattern
    assert "{0,200}" in pattern
    assert not re.search(r"\]\*\\d", pattern.split("earer")[0])
    assert redactor.text("myco_live_" * 20_000, ()) == "myco_live_" * 20_000
    assert redactor.text("x myco_live_abcdefgh1 y", ()) == "x [redacted] y"


def test_a_message_that_is_too_large_is_not_walked_through(monkeypatch):
    counted = Counted(monkeypatch)
    (letter,) = dead_letters_for(
        orjson.dumps({"name": "x", "user_id": "u", "properties": {"a": ["abc def"] * 1_000_000}})
    )
    assert letter["reason"] == "too_large"
    assert counted.characters < 10_000


# Fuzzing


def outcomes_are_values(message: bytes) -> None:
    for source in SOURCES:
        found = NORMALISER(message, source=source, recorded_at=NOW_MS)
        assert found
        for one in found:
            assert isinstance(one, Event) or (one.reason and one.detail)
            if isinstance(one, Event):
                # What is accepted can be written and counted.
                msgspec.json.encode(one)
                PLAN.observe(one)
        sent = processors.normalise_events(PLAN, NORMALISER, f"{source}-events", source, [(0, 0, NOW_MS, message)])
        letters = [orjson.loads(one.value) for one in sent if one.topic == topology.DEAD_LETTERS]
        refused = sum(isinstance(one, Rejected) for one in found)
        assert len(letters) == min(refused, DEAD_LETTERS_PER_MESSAGE) + (refused > DEAD_LETTERS_PER_MESSAGE)


@settings(max_examples=250)
@given(st.sampled_from(SOUND_MESSAGES).flatmap(mutations))
def test_a_mutated_message_is_an_event_or_is_refused(message):
    outcomes_are_values(message)


@pytest.mark.long
@settings(max_examples=50_000)
@given(st.sampled_from(SOUND_MESSAGES).flatmap(mutations))
def test_fifty_thousand_mutated_messages_are_events_or_are_refused(message):
    outcomes_are_values(message)


NUMBERS = st.sampled_from(
    ["1e308", "-1e309", "1e-400", "9" * 400, "18446744073709551616", "-9223372036854775809", "-0", "1E5", "0.1"]
)
TOKENS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        '"',
        '"user_id"',
        '"properties"',
        '"batch"',
        '"a"',
        "null",
        "true",
        "\\u0000",
        "\\ud83d",
    ]
)


@settings(max_examples=200)
@given(st.lists(TOKENS | NUMBERS, max_size=30).map("".join))
@example('{"user_id":' + "9" * 400 + "}")
@example('{"name":"x","user_id":1e5}')
@example('{"name":"x","user_id":-0,"properties":{"status":18446744073709551616}}')
@example('{"batch":[[[[]]],{"batch":[]},null,{"user_id":1,"name":"x"}]}')
def test_what_looks_like_json_is_an_event_or_is_refused(text):
    outcomes_are_values(text.encode())


@settings(max_examples=60)
@given(
    st.sampled_from(["properties", "context", "traits", "batch", "request", "user_id", "time"]),
    st.integers(1, 1_500),
    st.booleans(),
)
def test_any_depth_anywhere_is_an_event_or_is_refused(field, levels, lists):
    inner = b"[" * levels + b"]" * levels if lists else b'{"a":' * levels + b"1" + b"}" * levels
    outcomes_are_values(b'{"name":"x","user_id":"u","' + field.encode() + b'":' + inner + b"}")


# Internal topics


def fold(topic: str, *values: bytes | None) -> processors.Outcome:
    return PROCESSORS[topic](PLAN, MemoryStore(), f"{topic}/3", list(enumerate(values)))


def foreign(outcome: processors.Outcome) -> list[dict[str, Any]]:
    return [json.loads(one.value) for one in outcome.messages if one.topic == topology.DEAD_LETTERS]


@pytest.mark.parametrize("topic", list(UPDATES))
@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{}",
        orjson.dumps({"name": "Signed Up", "api_key": "sk_live_abcdefgh1"}),
        b"\x91" * 50_000,
        b"\xc1",
        b"\x90",
    ],
)
def test_what_is_no_update_is_a_dead_letter_and_stops_nothing(topic, value):
    sound: dict[str, Update] = {
        topology.ALIAS_UPDATES: AliasUpdate("anonymous_id", "a1", users=[(MONDAY, "u1")]),
        topology.DEVELOPER_UPDATES: DeveloperUpdate("u1", companies=[(MONDAY, "c1")]),
        topology.COMPANY_UPDATES: CompanyUpdate("c1"),
        topology.MERGES: Pointer("u0", MONDAY, "u1"),
    }
    update = encode(sound[topic])
    outcome = fold(topic, value, update, value)
    assert len(outcome.changes) == len(fold(topic, update).changes)
    assert [(one["topic"], one["partition"], one["offset"], one["reason"]) for one in foreign(outcome)] == [
        (topic, 3, 0, "not_an_update"), (topic, 3, 2, "not_an_update")]  # fmt: skip
    assert all(one["detail"] and "abcdefgh1" not in one["payload"] for one in foreign(outcome))
    assert len(processors.split_at_orders([(0, value), (1, update)])) <= 2


@pytest.mark.parametrize("topic", list(UPDATES))
def test_an_update_of_another_version_stops_the_worker_with_its_reference(topic):
    with pytest.raises(StateError, match=rf"{topic}/3/1 is an update of another version"):
        fold(topic, None, msgspec.msgpack.encode(["api_key", {"of": "tomorrow"}, 3]))


@settings(max_examples=100)
@given(st.sampled_from(list(UPDATES)), st.binary(max_size=40) | st.sampled_from(SOUND_MESSAGES))
def test_any_bytes_on_an_internal_topic_are_a_dead_letter_or_stop_clearly(topic, value):
    try:
        outcome = fold(topic, value)
    except StateError:
        return
    assert len(foreign(outcome)) <= 1
