"""The HMAC secret is rotated: what becomes of a key before, while and after two secrets are valid.

    secrets   OLDEST │ OLDEST, NEWER │ NEWER
alias of key       h1 │            h1 │ h2
known of it           │       h2 = h1 │
"""

from __future__ import annotations

from itertools import permutations
from random import Random
from typing import Any

import pytest

from streams.identity import key_hashes
from streams.identity.key_hashes import ALONE, Hashes
from streams.local import LocalRunner
from streams.messages.outbox import Message as Outgoing
from streams.messages.updates import AliasUpdate, FirstHash, encode
from streams.topology import ALIAS_UPDATES
from tests.laws.test_law_core import assert_equal
from tests.support.published import RowTopics
from tests.support.reference import Published, Record
from tests.support.rotation import (
    DEFINITIONS,
    NEWER,
    NEWEST,
    OLDEST,
    Reading,
    Secrets,
    expected,
    hashed,
    publish,
    read_under,
)
from tests.support.worlds import (
    DAY,
    HOUR,
    MONDAY,
    Message,
    api_call,
    identify,
    key_created,
    message_sent,
    record,
    signed_up,
)

KEY = "sk_live_1"
BEFORE: Secrets = (OLDEST,)
DURING: Secrets = (OLDEST, NEWER)
AFTER: Secrets = (NEWER,)
H1, H2, H3 = (hashed(KEY, secret) for secret in (OLDEST, NEWER, NEWEST))


def story(*readings: tuple[Secrets, Message], later: tuple[bytes, ...] = (NEWER,)) -> Published:
    """What the streams publish of a story, which is what the reference computes, in whatever order it is read."""
    records = [(record(message), secrets) for secrets, message in readings]
    orders = list(permutations(records)) if len(records) < 5 else [_shuffled(records, seed) for seed in range(20)]
    wanted = expected([one for one, _ in records], [KEY], later)
    for seed, delivered in enumerate([records, records[::-1], *orders]):
        assert_equal(wanted, publish(delivered, batch=1 + seed % 3, partitions=1 + seed % 2, seed=seed))
    return publish(records)


def _shuffled(readings: list[Reading], seed: int) -> list[Reading]:
    return Random(seed).sample(readings, len(readings))


def call(day: int, **fields: Any) -> Message:
    return api_call(MONDAY + day * DAY, api_key=KEY, **fields)


def tokens(published: Published) -> set[str]:
    return {subject for level, subject, *_ in published.activity if level == "token"}


# Before, while, after


def test_while_both_secrets_are_valid_nothing_changes():
    before = publish([(record(call(0, user_id="ada")), BEFORE), (record(call(1)), BEFORE)])
    during = publish([(record(call(0, user_id="ada")), BEFORE), (record(call(1)), DURING)])
    before.identities.add(("api_key", H2, "developer", "ada", MONDAY))
    assert_equal(before, during)


def test_calls_after_retirement_go_on_as_the_same_token_of_the_same_developer():
    published = story(
        (BEFORE, key_created(MONDAY, api_key=KEY, user_id="ada", company_id="acme")),
        (BEFORE, call(1)),
        (DURING, call(2)),
        (AFTER, call(3)),
    )
    assert tokens(published) == {H1}
    assert set(published.developers) == {"ada"}
    assert published.developers["ada"]["last_active"] == MONDAY + 3 * DAY
    assert published.companies["acme"]["last_active"] == MONDAY + 3 * DAY


def test_a_key_that_was_silent_while_both_were_valid_is_a_new_one_afterwards():
    published = publish([(record(call(0, user_id="ada")), BEFORE), (record(call(3)), AFTER)])
    assert tokens(published) == {H1, H2}
    assert set(published.developers) == {"ada", f"api_key:{H2}"}


def test_an_owner_learned_after_retirement_owns_the_history_before():
    published = story((BEFORE, call(0)), (DURING, call(1)), (AFTER, call(2, user_id="ada")))
    assert published.developers["ada"]["first_seen"] == MONDAY
    assert set(published.developers) == {"ada"}


def test_an_earlier_owner_learned_late_takes_over_from_one_learned_under_the_newer_secret():
    story(
        (AFTER, call(3, user_id="bob")),
        (DURING, call(2)),
        (AFTER, call(4, company_id="globex")),
        (BEFORE, call(0, user_id="ada", company_id="acme")),
    )


def test_a_key_of_a_company_alone_stays_a_visitor_of_that_company():
    published = story((BEFORE, call(0, company_id="acme")), (DURING, call(1)), (AFTER, call(2)))
    assert set(published.developers) == {f"api_key:{H1}"}
    assert published.companies["acme"]["last_active"] == MONDAY + 2 * DAY


def test_a_key_that_nobody_is_known_behind_is_one_visitor_to_whom_both_hashes_lead():
    published = story((DURING, call(0)), (AFTER, call(1)))
    assert set(published.developers) == {f"api_key:{H1}"}
    assert published.identities == {("api_key", H2, "developer", f"api_key:{H1}", 0)}


def test_an_internal_developer_is_so_under_both_hashes():
    published = story(
        (BEFORE, call(0, user_id="ada")),
        (DURING, call(1)),
        (AFTER, call(2)),
        (AFTER, identify(MONDAY + 3 * DAY, "ada", traits={"email": "ada@own.example"})),
    )
    assert not published.activity
    assert not published.rolling


def test_explicit_users_and_companies_keep_their_events_under_both_hashes():
    story(
        (BEFORE, key_created(MONDAY, api_key=KEY, user_id="ada", company_id="acme")),
        (DURING, call(1, user_id="bob")),
        (AFTER, call(2, user_id="bob")),
        (AFTER, call(3, company_id="globex")),
    )


# Facts before evidence


def test_what_a_newer_hash_counted_by_itself_is_handed_over_when_it_turns_out_to_be_the_same_key():
    rows = RowTopics()
    runner = LocalRunner(DEFINITIONS, [OLDEST], rows.add)

    def published_after(secrets: Secrets, *messages: Message) -> Published:
        for message in messages:
            read_under(runner, secrets, record(message))
        runner.run_until_idle()
        return rows.published()

    alone = published_after(AFTER, call(1), call(2))
    assert tokens(alone) == {H2}
    assert set(alone.developers) == {f"api_key:{H2}"}
    assert alone.rolling_value("active_tokens", "developer", 7 * 24, MONDAY + 2 * DAY) == 1

    both = published_after(BEFORE, call(0, user_id="ada"))
    assert tokens(both) == {H1, H2}
    assert both.rolling_value("active_tokens", "developer", 7 * 24, MONDAY + 2 * DAY) == 2

    linked = published_after(DURING, message_sent(MONDAY + HOUR, api_key=KEY))
    assert tokens(linked) == {H1}
    assert set(linked.developers) == {"ada"}
    assert linked.rolling_value("active_tokens", "developer", 7 * 24, MONDAY + 2 * DAY) == 1
    assert linked.developers["ada"]["last_active"] == MONDAY + 2 * DAY
    messages = [call(0, user_id="ada"), call(1), call(2), message_sent(MONDAY + HOUR, api_key=KEY)]
    assert_equal(expected([record(message) for message in messages], [KEY], (NEWER,)), linked)


def test_a_hash_that_handed_over_keeps_no_facts():
    runner = LocalRunner(DEFINITIONS, [OLDEST], lambda _: None)
    for day in range(400):
        read_under(runner, AFTER, record(call(day, user_id=f"u{day % 3}")))
    runner.run_until_idle()
    read_under(runner, DURING, record(call(401)))
    for day in range(402, 800):
        read_under(runner, AFTER, record(call(day, company_id="acme")))
    runner.run_until_idle()
    ((_, store),) = [(place, store) for place, store in runner._stores.items() if place[0] == "alias-updates"]
    kept = {tag: dict(store.scan(tag + len(H2).to_bytes(2, "big") + H2.encode())) for tag in (b"b", b"k")}
    assert kept[b"b"] == {}
    assert len(kept[b"k"]) == 1
    assert sum(map(len, kept[b"k"].values())) < 300


# Chains


@pytest.mark.parametrize("second", [(NEWER, NEWEST), (OLDEST, NEWER, NEWEST)], ids=["one by one", "three at once"])
def test_a_second_rotation_leads_to_the_first_hash_still(second):
    published = story(
        (BEFORE, signed_up(MONDAY, user_id="ada", api_key=KEY)),
        (DURING, call(1)),
        (AFTER, call(2)),
        (second, call(3)),
        ((NEWEST,), call(4)),
        ((NEWEST,), call(5, company_id="acme")),
        later=(NEWER, NEWEST),
    )
    assert tokens(published) == {H1}
    assert {alias for kind, alias, *_ in published.identities if kind == "api_key"} == {H1, H2, H3}


def test_secrets_listed_in_both_orders_make_one_key_of_the_smaller_hash():
    """Nobody should, but the streams must come to an end, and to the same one."""
    readings: list[Reading] = [
        (record(call(0, user_id="ada")), (OLDEST, NEWER)),
        (record(call(1)), (NEWER, OLDEST)),
        (record(call(2)), BEFORE),
        (record(call(3)), AFTER),
    ]
    outcomes = [publish(order, batch=1, seed=seed) for seed, order in enumerate(permutations(readings))]
    assert tokens(outcomes[0]) == {min(H1, H2)}
    for outcome in outcomes[1:]:
        assert_equal(outcomes[0], outcome)


def test_evidence_is_joined_and_leads_to_one_first_hash_in_any_order():
    evidence = [("c", "b"), ("b", "a"), ("d", "b"), ("d", "c")]
    for order in permutations(evidence):
        state = ALONE
        for pair in order:
            state = key_hashes.receive(state, [AliasUpdate("api_key", "c", same_key=[pair])])
        assert state == Hashes(sorted(evidence))
        assert [state.first(alias) for alias in "abcd"] == ["a"] * 4
        assert key_hashes.receive(state, [AliasUpdate("api_key", "c", same_key=evidence)]) is state


def test_an_older_value_of_the_first_hash_is_stale():
    new, old = FirstHash("a", (1, "ada"), None, 8), FirstHash("a", (2, "bob"), None, 7)
    for values in ([new, old], [old, new]):
        state = ALONE
        for value in values:
            state = key_hashes.receive(state, [AliasUpdate("api_key", "b", first_hashes=[value])])
        assert state.received == {"a": ((1, "ada"), None, 8)}


def test_a_hash_that_was_dropped_still_leads_to_the_first_one():
    rows = RowTopics()
    runner = LocalRunner(DEFINITIONS, [OLDEST], rows.add)
    remaining = [(record(call(1)), DURING), (record(call(2)), AFTER)]
    for one, secrets in [(record(call(0, user_id="ada")), BEFORE), *remaining]:
        read_under(runner, secrets, one)
    runner.run_until_idle()
    for alias in (H1, H2):
        order = AliasUpdate("api_key", alias, order="drop")
        runner.enqueue([Outgoing(ALIAS_UPDATES, f"api_key:{alias}".encode(), encode(order))])
    # As an erasure feeds what remains: from the events as they were read, without any secret.
    read_under(runner, BEFORE, remaining[0][0])
    read_under(runner, AFTER, remaining[1][0])
    runner.run_until_idle()
    assert_equal(expected([one for one, _ in remaining], [KEY], (NEWER,)), rows.published())


# Copies


def test_copies_across_retirement_count_once_where_the_event_names_a_user():
    """The identity of an event without a user holds the hash, so that a copy after retirement is another event."""

    def readings(**fields: str) -> list[Reading]:
        message = message_sent(MONDAY, api_key=KEY, message_id="m1", **fields)
        others: list[Record] = [record(signed_up(MONDAY, user_id="ada", api_key=KEY)), record(call(0, user_id="ada"))]
        held = record(message | {"name": "Connection Held", "message_id": "m2"})
        again = record(message_sent(MONDAY + HOUR, api_key=KEY, message_id="m3", user_id="ada"))
        return [
            (record(message), BEFORE),
            (record(message), AFTER),
            *((one, DURING) for one in (*others, held, again)),
        ]

    def is_activated(published: Published) -> bool:
        return "messages" in published.developers["ada"]["activations"]

    assert not is_activated(publish(readings(user_id="ada")))
    assert is_activated(publish(readings()))
