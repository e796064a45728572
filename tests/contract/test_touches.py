"""The rows of touches: a function of the set of events, whatever comes twice, late, or again after a crash."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.audit import audit
from deploy.erasure.statements import Statements
from deploy.erasure.suppressed_events import NamedSuppression, count_touches, delete_touches
from schemas.config.definitions import build
from sinks.insert import RowInserter
from sinks.message_rows import RowCollector
from streams.normalise.normaliser import Normaliser
from tests.support.audited import differences, load
from tests.support.contract_reader import rows, wire
from tests.support.tables import empty_tables
from tests.support.worlds import (
    DAY,
    HOUR,
    MONDAY,
    SECRETS,
    ad_clicked,
    api_call,
    event,
    identify,
    page_viewed,
    record,
    signed_up,
    small_definitions,
    talk_given,
)

DEFINITIONS = small_definitions()


@pytest.fixture
def sink(address):
    sink = RowCollector(RowInserter(address), Normaliser(DEFINITIONS, SECRETS))
    yield sink
    sink.close()


def add(sink: RowCollector, *messages) -> None:
    for message in messages:
        one = record(message)
        sink.add(f"{one.topic}-events", wire(one), one.timestamp_ms)


def kept(client) -> list[tuple[Any, ...]]:
    return rows(client, "SELECT alias, message_id, time FROM touch_rows FINAL ORDER BY ALL")


def test_only_touches_and_outreach_have_a_row_beside_their_event(client, sink):
    add(
        sink,
        ad_clicked(MONDAY, user_id="u"),
        talk_given(MONDAY),
        page_viewed(MONDAY, user_id="u"),
        api_call(MONDAY, api_key="sk_live_1"),
        identify(MONDAY, "u", context={"campaign": {"name": "spring"}}),
        event("Ad Clicked", MONDAY, user_id="robot", context={"userAgent": "a bot"}),
    )
    assert sink.write() == {"event_rows": 6, "touch_rows": 2}
    found = rows(
        client, "SELECT alias, name, campaign, is_touch, is_content, is_outreach FROM touch_rows ORDER BY alias"
    )
    assert found == [
        ("employee", "Talk Given", "", False, False, True),
        ("u", "Ad Clicked", "spring", True, True, False),
    ]


def test_copies_leave_the_earliest_whatever_the_order_and_the_weeks(client, sink):
    """
    copies   ──1──────────3───2──▶   written in the order 2, 1, 3, and all once more
    week       │    │     │
    """
    copies = [ad_clicked(MONDAY + days * DAY, user_id="u", message_id="m") for days in (15, 0, 8)]
    for _ in range(2):
        for copy in copies:
            add(sink, copy)
            sink.write()
    assert kept(client) == [("u", "m", MONDAY)]


def test_a_batch_that_failed_between_its_tables_is_written_again_without_a_trace(client, address):
    """event_rows ok, touch_rows lost: the sink has committed nothing, reads the messages again, and writes both."""

    class Dying(RowInserter):
        def write(self, table, rows):
            if table == "touch_rows":
                raise ConnectionError(table)
            return super().write(table, rows)

    crashed = RowCollector(Dying(address), Normaliser(DEFINITIONS, SECRETS))
    add(crashed, ad_clicked(MONDAY, user_id="u", message_id="m"))
    with pytest.raises(ConnectionError):
        crashed.write()
    assert rows(client, "SELECT count() FROM event_rows") == [(1,)]
    assert kept(client) == []
    again = RowCollector(RowInserter(address), Normaliser(DEFINITIONS, SECRETS))
    add(again, ad_clicked(MONDAY, user_id="u", message_id="m"))
    again.write()
    assert rows(client, "SELECT count() FROM event_rows FINAL") == [(1,)]
    assert kept(client) == [("u", "m", MONDAY)]


def test_touches_of_a_shared_device_follow_each_of_its_users(client, address):
    """
    device   ──t1──┬──t2──────┬──t3──▶
                   u1         u2          before u1: u1's, who was known first
    """
    load(
        address,
        [
            record(ad_clicked(MONDAY, anonymous_id="a", message_id="t1")),
            record(identify(MONDAY + HOUR, "u1", anonymous_id="a")),
            record(ad_clicked(MONDAY + 2 * HOUR, anonymous_id="a", message_id="t2")),
            record(identify(MONDAY + DAY, "u2", anonymous_id="a")),
            record(ad_clicked(MONDAY + DAY, anonymous_id="a", message_id="t3")),
        ],
        DEFINITIONS,
    )
    assert dict(rows(client, "SELECT message_id, subject_id FROM touches")) == {"t1": "u1", "t2": "u1", "t3": "u2"}


def test_copies_that_disagree_count_once_with_the_earliest(client, address):
    load(
        address,
        [
            record(ad_clicked(MONDAY + 1, campaign="late", user_id="u", company_id="acme", message_id="m")),
            record(ad_clicked(MONDAY, campaign="zulu", user_id="u", message_id="m")),
            record(ad_clicked(MONDAY, campaign="alpha", user_id="u", company_id="acme", message_id="m")),
        ],
        DEFINITIONS,
    )
    found = rows(client, "SELECT level, subject_id, campaign FROM touches ORDER BY level")
    assert found == [("company", "acme", "alpha"), ("developer", "u", "alpha")]


def test_ids_that_hold_the_character_between_them_name_different_events(client, address):
    """Separated by a NUL, a NUL b and c would be a and b NUL c."""
    clicks = [("a\0b", "c", "one"), ("a", "b\0c", "two")]
    load(
        address,
        [record(ad_clicked(MONDAY, user_id=user, message_id=id_, campaign=name)) for user, id_, name in clicks],
        DEFINITIONS,
    )
    found = rows(client, "SELECT subject_id, campaign FROM touches ORDER BY campaign")
    assert found == [("a\0b", "one"), ("a", "two")]
    assert rows(client, "SELECT uniqExact(event_hash) FROM touch_rows") == [(2,)]


def test_outreach_is_the_same_before_and_after_copies_are_merged(client, address):
    """Of two copies the later one alone is outreach; both are touches, and differ in nothing else that counts."""
    definitions = build(
        DEFINITIONS.model_dump() | {"outreach": {"name": ["Talk Given"], "properties": {"kind": "public"}}}
    )
    spring = {"campaign": {"name": "spring"}}
    copies = [
        talk_given(MONDAY + days * DAY, message_id="m", context=spring) | {"properties": {"kind": kind}}
        for days, kind in ((1, "public"), (0, "private"))
    ]
    load(address, list(map(record, copies)), definitions)
    held = "SELECT toString(held_at) FROM outreach"
    before = rows(client, held)
    client.command("OPTIMIZE TABLE touch_rows FINAL")
    assert rows(client, held) == before == [("2026-01-06 00:00:00.000",)]
    assert differences(audit(address, definitions)) == {}


def test_a_large_part_of_the_touches_may_wait_to_be_merged(client):
    """After a sink has read its topics again. Searched one by one, so many copies took minutes; a second is usual."""
    client.command("SYSTEM STOP MERGES touch_rows")
    for _ in range(2):
        client.command(
            "INSERT INTO touch_rows (alias_kind, alias, event_hash, content_hash, message_id, time, name, texts, is_touch)"
            f" SELECT 'user_id', toString(number % 5000), cityHash64(number), 1, toString(number), {MONDAY} + number, 'Ad Clicked', 't', true"
            " FROM numbers(200000)"
        )
    found = rows(client, "SELECT count(), uniqExact(event_hash) FROM touches_of(level = 'developer')")
    client.command("SYSTEM START MERGES touch_rows")
    assert found == [(200_000, 200_000)]


def test_a_level_that_there_is_not_has_no_touches(client, address):
    load(address, [record(ad_clicked(MONDAY, user_id="u", company_id="acme"))], DEFINITIONS)
    count = "SELECT count() FROM touches_of(level = {level:String})"
    found = {level: rows(client, count, {"level": level})[0][0] for level in ("developer", "company", "", "compnay")}
    assert found == {"developer": 1, "company": 1, "": 2, "compnay": 0}


def test_automated_traffic_that_belongs_to_a_user_is_no_touch_of_hers(client, address):
    """The limit of the tests is three events of a device on a day."""
    clicks = [record(ad_clicked(MONDAY + place, anonymous_id="kiosk", message_id=f"m{place}")) for place in range(4)]
    mine = record(ad_clicked(MONDAY + DAY, user_id="u", campaign="mine"))
    linked = record(signed_up(MONDAY + HOUR, user_id="u", anonymous_id="kiosk"))
    load(address, [*clicks[:3], linked, mine], DEFINITIONS)
    assert rows(client, "SELECT count() FROM touches") == [(4,)]
    empty_tables(client)
    load(address, [*clicks, linked, mine], DEFINITIONS)
    assert rows(client, "SELECT campaign FROM touches") == [("mine",)]
    assert rows(client, "SELECT first_touch_campaign FROM developers WHERE id = 'u'") == [("mine",)]


def test_nothing_of_suppressed_events_stays_and_everything_of_others_does(client, address, sink):
    """
    u      ──t1──│──t2──▶      erased up to there
    acme   the touches that name it, and those of its key that name no company
    b      a device, but in the session of another
    s      a session, but on no device
    """
    add(
        sink,
        ad_clicked(MONDAY, user_id="u", message_id="t1"),
        ad_clicked(MONDAY + DAY, user_id="u", message_id="t2"),
        ad_clicked(MONDAY, anonymous_id="a", message_id="t3", company_id="acme"),
        ad_clicked(MONDAY, api_key="sk_live_1", message_id="t4"),
        ad_clicked(MONDAY, api_key="sk_live_1", message_id="t5", company_id="globex"),
        ad_clicked(MONDAY, anonymous_id="u", message_id="t6"),
        ad_clicked(MONDAY, anonymous_id="b", session_token="s", message_id="t7"),
        ad_clicked(MONDAY, anonymous_id="b", session_token="of-another", message_id="t8"),
        ad_clicked(MONDAY, anonymous_id="c", session_token="s", message_id="t9"),
        ad_clicked(MONDAY, session_token="s", message_id="t10"),
    )
    sink.write()
    key = rows(client, "SELECT DISTINCT alias FROM touch_rows WHERE alias_kind = 'api_key'")[0][0]
    statements = Statements(address)
    until = [(0, MONDAY + HOUR)]
    suppressions = [
        NamedSuppression("user_id", "u", until, []),
        NamedSuppression("company_id", "acme", until, []),
        NamedSuppression("company_key", key, until, []),
        NamedSuppression("anonymous_id", "b", until, [("session_token", "of-another")]),
        NamedSuppression("lone_session", "s", until, []),
    ]
    assert count_touches(statements, suppressions) == 5
    delete_touches(statements, suppressions)
    statements.run("purge", {"table": "touch_rows"})
    assert count_touches(statements, suppressions) == 0
    assert {message_id for _, message_id, _ in kept(client)} == {"t5", "t2", "t6", "t8", "t9"}
    statements.close()
