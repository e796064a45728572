"""Reconciling: displaced copies and counted usage agree with the events, however often and by how many sinks it is done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from random import Random

import orjson
import pytest

from sinks.clickhouse import connect
from sinks.insert import RowInserter
from sinks.message_rows import RowCollector
from sinks.reconcile import SHARE_ROWS, count_disagreeing, reconcile
from streams.normalise.clock import text
from streams.normalise.normaliser import Normaliser
from tests.support.contract_reader import rows, usage_differences
from tests.support.tables import empty_tables
from tests.support.usage_contract import answer
from tests.support.worlds import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY,
    SECRETS,
    Message,
    api_call,
    key_alias,
    page_viewed,
    small_definitions,
)

WEEK = 7 * DAY
BY_DEVELOPER = "SELECT developer_id, sum(events) FROM usage_resolved GROUP BY 1 ORDER BY 1"
BY_DAY = "SELECT toString(day), sum(events) FROM usage GROUP BY 1 ORDER BY 1"


@pytest.fixture
def write(address):
    """Writes events as the sink does."""
    writer = RowInserter(address)
    sink = RowCollector(writer, Normaliser(small_definitions(), SECRETS))

    def run(*events):
        for event in events:
            sink.add("api-events" if "api_key" in event else "web-events", orjson.dumps(event), MONDAY + 99 * WEEK)
        sink.write()

    yield run
    writer.close()


@pytest.fixture
def link(address):
    """Writes the users behind an alias, and from when on."""
    writer = RowInserter(address)

    def run(kind, alias, *owners, company="", version=1):
        row = {"alias_kind": kind, "alias": alias, "version": version, "is_deleted": 0, "company_id": company}
        times = {"developer_ids": [user for user, _ in owners], "developer_from": [text(time) for _, time in owners]}
        assert writer.write("identity_rows", [orjson.dumps(row | times | {"company_from": text(0)})]) == []

    yield run
    writer.close()


def page(time, message, device="laptop"):
    return page_viewed(time, anonymous_id=device, message_id=message)


def came_an_hour_ago(client):
    """Date all rows of events back."""
    own = "database = currentDatabase() AND table = 'event_rows' AND default_kind = ''"
    columns = ", ".join(name for (name,) in rows(client, f"SELECT name FROM system.columns WHERE {own}"))
    client.command(
        f"INSERT INTO event_rows ({columns}, inserted_at) SELECT {columns}, now() - 3600 FROM event_rows"
        " SETTINGS insert_allow_materialized_columns = 1"
    )
    client.command("DELETE FROM event_rows WHERE inserted_at > now() - 600")


# Copies


def test_a_copy_of_any_other_week_gives_way_to_the_earliest_whenever_it_comes(client, write):
    """
    week   │ 1      │ 2     │ 3    │ 70
    copies │  c  c' │    c  │   c  │   c      one event, at the first c
    """
    times = [MONDAY, MONDAY + DAY, MONDAY + WEEK, MONDAY + 2 * WEEK, MONDAY + 69 * WEEK]
    for seed in range(4):
        for time in Random(seed).sample(times, len(times)):
            write(page(time, "m"), page(time, f"other-{time}"))
            reconcile(client)
        assert rows(client, "SELECT toUnixTimestamp64Milli(time) FROM events WHERE message_id = 'm'") == [(MONDAY,)]
        assert rows(client, "SELECT count() FROM events") == [(1 + len(times),)]
        assert usage_differences(client) == []
        empty_tables(client)


def test_a_displaced_copy_stays_away_from_a_period_that_does_not_have_the_earliest(client, write):
    write(page(MONDAY, "m"))
    write(page(MONDAY + 5 * WEEK, "m"))
    reconcile(client)
    write(page(MONDAY + 5 * WEEK, "m"))
    assert rows(client, "SELECT * FROM events WHERE time > '2026-01-20'") == []
    # The mark in its place carries what it is to be found by when its person is erased.
    found = rows(
        client, "SELECT DISTINCT anonymous_id, alias_kind, alias, is_deleted FROM event_rows ORDER BY is_deleted"
    )
    assert found == [("laptop", "anonymous_id", "laptop", 0), ("laptop", "anonymous_id", "laptop", 1)]


def test_copies_that_disagree_are_counted_and_others_are_not(client, write):
    known: Message = {"anonymous_id": "laptop", "message_id": "b"}
    write(page(MONDAY, "a"), page(MONDAY + HOUR, "a"), page(MONDAY + 9 * DAY, "a"), page_viewed(MONDAY, **known))
    assert count_disagreeing(client, reconcile(client)) == 0
    came_an_hour_ago(client)
    write(page_viewed(MONDAY + MINUTE, path="/other", **known), page(MONDAY, "c"), page(MONDAY, "b", device="phone"))
    run = reconcile(client)
    assert count_disagreeing(client, run) == 1
    assert count_disagreeing(client, run._replace(recent=SHARE_ROWS + 1)) is None
    came_an_hour_ago(client)
    assert count_disagreeing(client, reconcile(client)) == 0
    (copies,) = answer(client, "disagreeing-copies", **{"from": "2026-01-01", "to": "2026-12-31"})
    assert copies["differ_in"] == ["properties"]
    assert (copies["alias"], copies["message_id"], copies["copies"]) == ("laptop", "b", 2)
    assert text(MONDAY).startswith(str(copies["time"].replace(tzinfo=None)))


def test_an_earlier_copy_moves_the_count_to_its_day(client, write):
    write(page(MONDAY + 2 * DAY, "m"))
    reconcile(client)
    assert rows(client, BY_DAY) == [("2026-01-07", 1)]
    write(page(MONDAY, "m"))
    reconcile(client)
    assert rows(client, BY_DAY) == [("2026-01-05", 1)]


# Reconciler


def test_writing_all_again_changes_nothing_and_writes_no_count(client, write):
    events = [page(MONDAY + i * 5 * HOUR, f"m{i}") for i in range(60)]
    write(*events)
    reconcile(client)
    before = (
        rows(client, "SELECT * FROM usage ORDER BY ALL"),
        rows(client, "SELECT count(), max(version) FROM usage_rows"),
    )
    for _ in range(2):
        write(*events)
        reconcile(client)
    assert rows(client, "SELECT count(), max(version) FROM usage_rows") == before[1]
    assert rows(client, "SELECT * FROM usage ORDER BY ALL") == before[0]


def test_a_run_that_was_stopped_anywhere_is_completed_by_the_next(client, address, write, monkeypatch):
    class Stopped(Exception):
        pass

    write(*(page(MONDAY + i * WEEK // 2, f"m{i}") for i in range(6)), page(MONDAY + 9 * WEEK, "m0"))
    for statements in range(6):
        with connect(address) as stopping:
            ask, left = stopping.command, [statements]

            def command(*arguments, ask=ask, left=left):
                if not left[0]:
                    raise Stopped
                left[0] -= 1
                return ask(*arguments)

            monkeypatch.setattr(stopping, "command", command)
            with pytest.raises(Stopped):
                reconcile(stopping)
    assert rows(client, "SELECT count() FROM reconciliation_rows") == [(0,)]
    reconcile(client)
    assert usage_differences(client) == []
    assert rows(client, "SELECT count() FROM events") == [(6,)]


def test_several_may_reconcile_at_once(client, address, write):
    write(*(page(MONDAY + i * 11 * HOUR, f"m{i}") for i in range(40)), page(MONDAY + 9 * WEEK, "m0"))

    def run(_):
        with connect(address) as own:
            reconcile(own)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(run, range(3)))
    assert usage_differences(client) == []
    assert rows(client, "SELECT sum(events) FROM usage") == [(40,)]


def test_what_is_deleted_is_counted_no_more_and_the_others_stay(client, write):
    write(page(MONDAY, "m1"), page(MONDAY, "m2", "phone"))
    reconcile(client)
    client.command("DELETE FROM event_rows WHERE alias = 'laptop'")
    reconcile(client)
    assert rows(client, "SELECT alias, events FROM usage") == [("phone", 1)]
    assert usage_differences(client) == []


@pytest.mark.parametrize("ahead", [MINUTE, 5 * MINUTE, 3 * HOUR, 400 * DAY])
def test_nothing_is_left_out_or_counted_wrong_after_clickhouses_clock_was_ahead(client, write, ahead):
    """
    reconciled        by the clock that was ahead ▽
    m1 ══▽═════════════════════════════════════════
    m2, m3 of two weeks     set back ═╩══▽══        and then as always
    """
    write(page(MONDAY, "m1"))
    reconcile(client)
    assert rows(client, BY_DAY) == [("2026-01-05", 1)]
    later = {"seconds": ahead // 1000}
    client.command(
        "INSERT INTO reconciliation_rows SELECT now() + {seconds:UInt32}, max(number) + 1 FROM reconciliation_rows",
        later,
    )
    client.command(
        "INSERT INTO usage_rows SELECT * REPLACE (version + 1000 * {seconds:UInt32} AS version, 7 AS events) FROM usage_rows",
        later,
    )
    write(page(MONDAY + HOUR, "m2"), page(MONDAY + WEEK, "m3"), page(MONDAY + 2 * WEEK, "m3"))
    if ahead > 2 * MINUTE:
        came_an_hour_ago(client)
    for _ in range(2):
        reconcile(client)
        assert usage_differences(client) == []
        assert rows(client, BY_DAY) == [("2026-01-05", 2), ("2026-01-12", 1)]
        assert rows(client, "SELECT count() FROM events") == [(3,)]
    assert reconcile(client).since > 0, "it goes on from the last run"


# Who they belong to


def test_a_late_link_moves_counts_without_counting_again(client, write, link):
    write(api_call(MONDAY, api_key="sk_live_1", message_id="c1"), page(MONDAY, "p"))
    reconcile(client)
    assert [owner for owner, _ in rows(client, BY_DEVELOPER)] == [
        "anonymous_id:laptop",
        f"api_key:{key_alias('sk_live_1')}",
    ]
    link("api_key", key_alias("sk_live_1"), ("old", 0))
    link("anonymous_id", "laptop", ("new", MONDAY + DAY))
    link("user_id", "old", ("new", 0))
    link("user_id", "new", company="acme")
    assert rows(client, "SELECT developer_id, company_id, sum(events) FROM usage_resolved GROUP BY 1, 2") == [
        ("new", "acme", 2)
    ]
    assert usage_differences(client) == []


def test_a_shared_device_is_split_within_a_day_at_the_millisecond(client, write, link):
    """
    laptop   ──p0──┬──p1──p2──┬──p3──▶
                   u1         u2, within the same day; before u1: u1's, who was known first
    """
    noon = MONDAY + 12 * HOUR
    write(*(page(noon + moment, f"p{i}") for i, moment in enumerate((-MINUTE, 0, HOUR - 1, HOUR))))
    reconcile(client)
    link("anonymous_id", "laptop", ("u1", noon), ("u2", noon + HOUR))
    assert rows(client, BY_DEVELOPER) == [("u1", 3), ("u2", 1)]
    link("anonymous_id", "laptop", ("u2", noon + HOUR), version=2)
    assert rows(client, BY_DEVELOPER) == [("u2", 4)]


def test_the_company_of_a_call_is_the_stamped_one_else_the_keys_else_the_developers(client, write, link):
    write(
        api_call(MONDAY, api_key="sk_live_1", company_id="stamped", message_id="1"),
        api_call(MONDAY, api_key="sk_live_1", user_id="u", message_id="2"),
        api_call(MONDAY, api_key="sk_live_2", user_id="u", message_id="3"),
        api_call(MONDAY, api_key="sk_live_1", message_id="4"),
    )
    reconcile(client)
    link("api_key", key_alias("sk_live_1"), company="keys")
    link("user_id", "u", company="developers")
    found = rows(client, "SELECT company_id, sum(events) FROM usage_resolved GROUP BY 1 ORDER BY 1")
    assert found == [("developers", 1), ("keys", 2), ("stamped", 1)]
    assert usage_differences(client) == []


def test_counts_include_errors_latency_and_library(client, write):
    for i, (status, latency) in enumerate(((200, 10.5), (429, 20.25), (503, None))):
        properties = {"status": status} | ({"latency_ms": latency} if latency else {})
        call = api_call(MONDAY, api_key="sk_live_1", message_id=str(i))
        write(call | {"properties": properties, "context": {"sdk": "go"}})
    reconcile(client)
    totals = "sdk, sum(successes), sum(client_errors), sum(server_errors), sum(latency_events), sum(latency_ms)"
    assert rows(client, f"SELECT {totals} FROM usage_resolved GROUP BY sdk") == [("go", 1, 1, 1, 2, 30.75)]


# What it costs


def test_a_condition_on_time_reads_its_weeks_only(client):
    client.command(
        "INSERT INTO event_rows (message_id, time, source, type, name, anonymous_id)"
        f" SELECT toString(number), {MONDAY} + number * {10 * WEEK // 400_000}, 'web', 'event', 'x', toString(number % 999)"
        " FROM numbers(400000)"
    )
    client.command("OPTIMIZE TABLE event_rows FINAL")
    # A part of a few late events, of all weeks: its one granule lies between any two others.
    client.command(
        "INSERT INTO event_rows (message_id, time, source, type, name, anonymous_id)"
        f" SELECT concat('late', toString(number)), {MONDAY} + number * {WEEK}, 'web', 'event', 'x', 'late' FROM numbers(10)"
    )
    for view in ("events", "events_resolved"):
        found = client.query(f"SELECT count() FROM {view} WHERE time >= '2026-03-10'")
        assert found.result_rows[0][0] == 6 * 40_000 // 7
        assert int(found.summary["read_rows"]) < 120_000
