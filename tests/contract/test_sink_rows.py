"""What the sink writes: the columns of the tables, copies of events, and rows that ClickHouse refuses."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import orjson
import pytest

from schemas.event import ALIAS_KINDS, Event
from sinks.clickhouse import StatementError
from sinks.insert import RowInserter
from sinks.message_rows import TABLE_BY_TOPIC, RowCollector
from sinks.reconcile import reconcile
from streams import topology
from streams.local import LocalRunner
from streams.normalise.normaliser import Normaliser
from tests.support.contract_reader import ms, rows, wire
from tests.support.event_content import content_of
from tests.support.worlds import (
    SECRETS,
    api_call,
    at,
    clock,
    journey,
    key_created,
    page_viewed,
    small_definitions,
)

DEFINITIONS = small_definitions()
NOON = at("2026-01-05 12:00")
NO_EVENT = b"no event"


@pytest.fixture
def writer(address):
    writer = RowInserter(address)
    yield writer
    writer.close()


@pytest.fixture
def sink(writer):
    return RowCollector(writer, Normaliser(DEFINITIONS, SECRETS))


def identity(alias: str, version: Any = 1, user: str = "u1", **fields: Any) -> bytes:
    row = {
        "alias_kind": "anonymous_id",
        "alias": alias,
        "developer_ids": [user],
        "developer_from": ["2026-01-05 12:00:00.000"],
        "company_id": "",
        "company_from": "1970-01-01 00:00:00.000",
        "version": version,
        "is_deleted": 0,
    }
    return orjson.dumps(row | fields)


def aliases(client):
    return [alias for (alias,) in rows(client, "SELECT alias FROM identities ORDER BY alias")]


# The columns


def live_columns(client, table):
    """Columns that an insert fills. ClickHouse computes the others."""
    return {
        name
        for (name,) in rows(
            client,
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"
            " AND default_kind NOT IN ('MATERIALIZED', 'ALIAS')",
            {"table": table},
        )
    }


def test_the_tables_have_just_the_columns_that_the_streams_publish(client):
    published = {topic: set[str]() for topic in TABLE_BY_TOPIC}

    def learn(messages):
        for message in messages:
            published[message.topic] |= orjson.loads(message.value).keys()

    runner = LocalRunner(DEFINITIONS, SECRETS, learn)
    for one in journey().records:
        runner.feed(f"{one.topic}-events", [(one.timestamp_ms, wire(one))])
    runner.feed("web-events", [(NOON, NO_EVENT)])
    runner.run_until_idle()
    assert published == {topic: live_columns(client, table) for topic, table in TABLE_BY_TOPIC.items()}


def test_the_table_of_events_has_just_the_fields_of_an_event(client):
    assert live_columns(client, "event_rows") == {field.name for field in msgspec.structs.fields(Event)}


def test_every_row_topic_has_a_table():
    assert set(TABLE_BY_TOPIC) == {topic.name for topic in topology.ROWS}


# Events


def test_an_event_is_stored_field_by_field(sink, client):
    message = api_call(
        NOON,
        api_key="sk_test_1",
        company_id="acme",
        message_id="m1",
        context={"userAgent": "a Bot", "text": 'é "\\\n\t\u2028\0'},
        traits={"email": "ada@own.example"},
    )
    sink.add("api-events", orjson.dumps(message), NOON + 5)
    assert sink.write() == {"event_rows": 1}
    (event,) = Normaliser(DEFINITIONS, SECRETS)(orjson.dumps(message), source="api", recorded_at=NOON + 5)
    stored = client.query("SELECT * FROM events").first_item
    assert isinstance(event, Event)
    for field in msgspec.structs.fields(Event):
        value = getattr(event, field.name)
        if field.name in ("time", "received_at"):
            assert ms(stored[field.name]) == value
        elif isinstance(value, dict):
            assert orjson.loads(stored[field.name]) == value
        else:
            assert stored[field.name] == value, field.name
    assert (stored["path"], stored["status"]) == ("/v1/messages", 200)
    assert (stored["is_bot"], stored["is_internal"]) == (True, True)


@pytest.mark.parametrize("given", range(1, 16))
def test_the_alias_is_the_one_that_the_streams_take(writer, client, given):
    ids = {kind: f"an {kind}" if given >> place & 1 else "" for place, kind in enumerate(ALIAS_KINDS)}
    event = Event("m", NOON, NOON, "web", "event", "x", **ids, company_id="", previous_id="", environment="test",
                  properties={}, context={}, traits={}, is_internal=False, is_bot=False, is_use=False)  # fmt: skip
    writer.write("event_rows", [msgspec.json.encode(event)])
    assert rows(client, "SELECT alias_kind, alias FROM events") == [(event.alias_kind, event.alias)]


def test_copies_are_one_event_at_the_earliest_time_in_any_order(sink, client):
    times = [NOON + 3, NOON, NOON + 90_000_000, NOON - 40_000_000_000]
    copies = [orjson.dumps(page_viewed(time, anonymous_id="a1", message_id="m1")) for time in times]
    for seed in range(5):
        for copy in Random(seed).sample(copies, len(copies)):
            sink.add("web-events", copy, NOON)
            sink.write()
        reconcile(client)
        assert rows(client, "SELECT message_id, time FROM events") == [
            ("m1", client.query(f"SELECT fromUnixTimestamp64Milli({min(times)}, 'UTC')").result_rows[0][0])
        ]
        client.command("TRUNCATE TABLE event_rows")


def test_copies_of_one_time_are_distinguished_by_when_they_were_received(sink, client):
    received = [NOON + delay for delay in (9_000, 1_000, 5_000)]
    for seed in range(3):
        for receipt in Random(seed).sample(received, len(received)):
            message = page_viewed(NOON, anonymous_id="a1", message_id="m1", received_at=clock(receipt))
            sink.add("web-events", orjson.dumps(message), NOON)
            sink.write()
        assert len(set(rows(client, "SELECT received_at FROM events"))) == 1
    assert len(rows(client, "SELECT received_at FROM events")) == 1


def test_the_order_of_fields_makes_no_other_event(sink, client):
    sink.add(
        "web-events", b'{"name":"x","anonymous_id":"a","message_id":"m","properties":{"a":1,"b":{"c":2,"d":3}}}', NOON
    )
    sink.add(
        "web-events", b'{"properties":{"b":{"d":3,"c":2},"a":1},"message_id":"m","anonymous_id":"a","name":"x"}', NOON
    )
    sink.write()
    assert len(rows(client, "SELECT * FROM events")) == 1


@pytest.mark.parametrize("change", [{"user_id": ""}, {"company_id": "c"}, {"name": "y"}, {"properties": {"a": 2}},
                                    {"context": {"a": 1}}, {"traits": {"a": 1}}, {"environment": "test"}])  # fmt: skip
def test_copies_that_disagree_in_content_stay_apart(sink, client, change):
    one = {"name": "x", "anonymous_id": "a", "message_id": "m", "time": clock(NOON), "properties": {"a": 1}}
    sink.add("web-events", orjson.dumps(one), NOON)
    sink.add("web-events", orjson.dumps(one | change), NOON)
    sink.write()
    (first,) = Normaliser(DEFINITIONS, SECRETS)(orjson.dumps(one), source="web", recorded_at=NOON)
    (second,) = Normaliser(DEFINITIONS, SECRETS)(orjson.dumps(one | change), source="web", recorded_at=NOON)
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert len(rows(client, "SELECT * FROM events")) == len({content_of(first), content_of(second)})


def test_a_key_is_stored_as_its_hash_only(sink, client):
    secret = "sk_live_mustnotleak"
    sink.add("api-events", orjson.dumps(key_created(NOON, user_id="u1", api_key=secret, message_id="m")), NOON)
    sink.add("identities", f'{{"alias":"{secret}"'.encode(), NOON)
    sink.write()
    for table in ("event_rows", "identity_rows", "dead_letter_rows"):
        assert secret not in client.raw_query(f"SELECT * FROM {table} FORMAT JSONEachRow").decode(), table


def test_what_is_no_event_is_left_to_the_streams(sink, client):
    sink.add("web-events", NO_EVENT, NOON)
    sink.add("web-events", None, NOON)
    sink.add("web-events", b'{"batch":[{"event":"x","type":"track","anonymousId":"a"},{"type":"?"}]}', NOON)
    assert sink.write() == {"event_rows": 1}
    assert rows(client, "SELECT * FROM dead_letters") == []


# Rows


def test_the_row_with_the_highest_version_stays_in_any_order(sink, client):
    versions = [identity("a1", version, f"u{version}") for version in (1, 2, 3)]
    for seed in range(4):
        for row in Random(seed).sample(versions, 3):
            sink.add("identities", row, NOON)
            if seed % 2:
                sink.write()
        sink.write()
        assert rows(client, "SELECT alias, parent FROM identities") == [("a1", "u3")]


def test_a_row_that_is_deleted_is_gone_and_comes_back_with_a_higher_version(sink, client):
    sink.add("identities", identity("a1", 1), NOON)
    sink.add("identities", identity("a1", 2, is_deleted=1), NOON)
    sink.write()
    assert aliases(client) == []
    sink.add("identities", identity("a1", 3), NOON)
    sink.write()
    assert aliases(client) == ["a1"]


def test_a_row_without_a_value_only_concerns_kafka(sink, client):
    sink.add("identities", None, NOON)
    assert sink.write() == {}


def test_a_column_that_is_not_there_yet_does_not_stop_the_row(sink, client):
    sink.add("identities", identity("a1", column_of_the_next_version=[1]), NOON)
    assert sink.write() == {"identity_rows": 1}
    assert aliases(client) == ["a1"]


def test_rows_that_can_never_be_written_become_dead_letters_and_stop_no_other(sink, client):
    poison = [
        b"garbage",
        b'{"alias":"unfinished',
        b'{"alias":"unfinished","developer_from":[',
        identity("bad", developer_from=["soon"]),
        identity("bad", version=-1),
        identity("bad", version="three"),
        identity("bad", developer_ids={"a": 1}),
        b"\xff\xfe",
        b'["alias"]',
        b"3",
    ]
    good = [identity(f"a{i:02d}") for i in range(len(poison))]
    for offset, row in enumerate(row for pair in zip(good, poison, strict=True) for row in pair):
        sink.add("identities", row, NOON, 2, offset)
    assert sink.write()["dead_letter_rows"] == len(poison)
    assert aliases(client) == [f"a{i:02d}" for i in range(len(poison))]
    letters = rows(
        client,
        "SELECT topic, partition, offset, reason, recorded_at, payload, detail FROM dead_letters ORDER BY offset",
    )
    assert [letter[:4] for letter in letters] == [
        ("identities", 2, 2 * i + 1, "row_refused") for i in range(len(poison))
    ]
    assert {ms(letter[4]) for letter in letters} == {NOON}
    assert all(payload and detail for *_, payload, detail in letters)
    assert sink.write() == {}


def test_a_refused_row_that_is_read_again_is_one_dead_letter(sink, client):
    for _ in range(3):
        sink.add("identities", b"garbage", NOON, 0, 7)
        sink.write()
    assert len(rows(client, "SELECT * FROM dead_letters")) == 1


def test_what_is_not_the_fault_of_a_row_is_an_error_and_the_rows_stay(sink, client, writer):
    sink.add("identities", identity("a1"), NOON)
    client.command("RENAME TABLE identity_rows TO elsewhere")
    with pytest.raises(StatementError) as caught:
        sink.write()
    assert caught.value.name == "UNKNOWN_TABLE"
    assert sink.batch.rows == 1
    client.command("RENAME TABLE elsewhere TO identity_rows")
    assert sink.write() == {"identity_rows": 1}
    assert sink.batch.rows == 0
    assert aliases(client) == ["a1"]


def test_a_message_of_another_topic_is_a_mistake(sink):
    with pytest.raises(KeyError):
        sink.add("alias-updates", b"{}", NOON)


def test_topics_carry_the_names_of_the_deployment(writer):
    sink = RowCollector(writer, Normaliser(DEFINITIONS, SECRETS), topic_name=lambda name: f"staging.{name}")
    assert set(sink.topics) == {f"staging.{topic.name}" for topic in (*topology.INPUTS, *topology.ROWS)}
