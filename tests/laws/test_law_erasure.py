"""The law with erasures anywhere: what is left is what the remaining events give, and nothing names who is gone."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.config.definitions import Level
from schemas.errors import StateError
from schemas.event import AliasKind, Event, Rejected, Source
from streams.erasure.orders import drop_orders, prune_orders, refeed_messages
from streams.erasure.plan import Request, plan_erasure
from streams.local import LocalRunner
from streams.messages.updates import Alias, DeveloperUpdate, encode
from streams.normalise.normaliser import Normaliser
from streams.normalise.suppression_list import Suppression, SuppressionList, digest_of, name_of
from streams.processors import split_at_orders
from tests.laws.test_law_core import DEFINITIONS, assert_equal
from tests.laws.test_law_crashes import CrashingRunner
from tests.support.published import RowTopics
from tests.support.reference import Erasure, Published, Record, compute
from tests.support.worlds import (
    DAY,
    HOUR,
    MONDAY,
    SECRETS,
    api_call,
    as_bytes,
    deliveries,
    identify,
    merge,
    page_viewed,
    record,
    signed_up,
    worlds,
)


class Arrived:
    """The events that have arrived, as `streams.erasure.plan.EventLog`."""

    def __init__(self, suppressed: SuppressionList) -> None:
        self._normaliser = Normaliser(DEFINITIONS, SECRETS, suppressed)
        self._erased = suppressed
        self._events: list[Event] = []
        #: Of every hash of a key that has several, the first one.
        self.first_hashes: dict[str, str] = {}

    def add(self, each: Record) -> None:
        value = as_bytes(each).value
        assert isinstance(value, bytes)
        source: Source = "api" if each.topic == "api" else "web"
        outcomes = self._normaliser(value, source=source, recorded_at=each.timestamp_ms)
        self._events += [outcome for outcome in outcomes if not isinstance(outcome, Rejected)]

    def drop_suppressed(self) -> None:
        self._events = [event for event in self._events if not self._erased.suppresses(event)]

    def ids(self, level: Level) -> list[str]:
        """Whom one could ask to erase."""
        fields = ("user_id", "merged_id") if level == "developer" else ("company_id",)
        return sorted({getattr(event, field) for event in self._events for field in fields} - {""})

    def pointers(self) -> Iterator[tuple[str, int, str]]:
        return ((event.merged_id, event.time, event.user_id) for event in self._events if event.merged_id)

    def aliases_of_users(self, users: set[str]) -> Iterator[Alias]:
        return (alias for event in self._events if event.user_id in users for alias in others(event))

    def users_of_aliases(self, aliases: set[Alias]) -> Iterator[tuple[Alias, int, str]]:
        for event in self._events:
            for alias in others(event):
                if event.user_id and alias in aliases:
                    yield alias, event.time, event.user_id

    def seen_with(self, aliases: set[Alias]) -> Iterator[tuple[Alias, Alias]]:
        for event in self._events:
            carried = others(event)
            yield from ((one, other) for one in carried for other in carried if one in aliases and other != one)

    def devices_of(self, sessions: set[str]) -> Iterator[tuple[str, int, str]]:
        for event in self._events:
            if event.session_token in sessions and event.anonymous_id:
                yield event.session_token, event.time, event.anonymous_id

    def same_keys(self, hashes: set[str]) -> Iterator[tuple[str, str]]:
        return ((key, first) for key, first in self.first_hashes.items() if {key, first} & hashes)

    def keys_named_with(self, company: str) -> Iterator[str]:
        return (event.api_key for event in self._events if event.api_key and event.company_id == company)

    def companies_of_keys(self, keys: set[str]) -> Iterator[tuple[str, int, str]]:
        for event in self._events:
            if event.company_id and event.api_key in keys:
                yield event.api_key, event.time, event.company_id

    def named_with_company(self, company: str, keys: set[str]) -> Iterator[tuple[str, list[Alias]]]:
        for event in self._events:
            if event.company_id == company or (not event.company_id and event.api_key in keys):
                yield event.user_id, others(event)

    def companies_named(self, users: set[str], aliases: set[Alias]) -> Iterator[str]:
        return (event.company_id for event in self.carrying(users, aliases) if event.company_id)

    def carrying(self, users: set[str], aliases: set[Alias], company: str = "") -> Iterator[Event]:
        for event in self._events:
            named = {event.user_id, event.merged_id} & users
            if named or not aliases.isdisjoint(others(event)) or (company and event.company_id == company):
                yield event


def others(event: Event) -> list[Alias]:
    kinds: tuple[AliasKind, ...] = ("api_key", "session_token", "anonymous_id")
    found: list[Alias] = [(kind, getattr(event, kind)) for kind in kinds if getattr(event, kind)]
    return [*found, ("anonymous_id", event.merged_id)] if event.merged_id else found


class Deployment:
    """Streams that can be asked to erase."""

    def __init__(self, seed: int, *, crashing: bool = False) -> None:
        self.rows = RowTopics()
        self.suppressed = SuppressionList(SECRETS)
        self.arrived = Arrived(self.suppressed)
        self.received: list[Record] = []
        self.erasures: list[Erasure] = []
        if crashing:
            self.runner: LocalRunner = CrashingRunner(seed, self.rows, self.suppressed)
        else:
            choose = Random(seed).choice
            self.runner = LocalRunner(
                DEFINITIONS, SECRETS, self.rows.add, partitions=2, batch_size=3, choose=choose, erased=self.suppressed
            )

    def receive(self, records: list[Record]) -> None:
        for each in records:
            value = as_bytes(each).value
            assert isinstance(value, bytes)
            self.runner.feed(f"{each.topic}-events", [(each.timestamp_ms, value)])
            self.arrived.add(each)
        self.received += records

    def erase(self, level: Level, identifier: str, at: int) -> None:
        self.erasures.append(Erasure(level, identifier, at, list(self.received)))
        self.runner.run_until_idle()
        request = Request(level, identifier, at)
        erasure = plan_erasure(request, self.arrived, SECRETS[0], DEFINITIONS.limits)
        for suppression in erasure.suppressions:
            self.suppressed.add(suppression)
        self.runner.enqueue(drop_orders(erasure))
        self.arrived.drop_suppressed()
        remaining = self.arrived.carrying(erasure.users, erasure.aliases)
        self.runner.enqueue(refeed_messages(self.runner.compiled, remaining))
        self.runner.run_until_idle()
        self.runner.enqueue(prune_orders(erasure))

    def published(self) -> Published:
        self.runner.run_until_idle()
        return self.rows.published()

    def expected(self) -> Published:
        return compute(self.received, DEFINITIONS, SECRETS, self.erasures)


@settings(max_examples=max(200, settings().max_examples), suppress_health_check=list(HealthCheck))
@given(data=st.data(), crashing=st.booleans())
def test_what_is_left_is_what_the_remaining_events_give(data: Any, crashing: bool) -> None:
    delivered = data.draw(deliveries(data.draw(worlds())))
    deployment = Deployment(data.draw(st.integers(0, 1000)), crashing=crashing)
    while delivered:
        some = data.draw(st.integers(1, len(delivered)))
        deployment.receive(delivered[:some])
        delivered = delivered[some:]
        level: Level = data.draw(st.sampled_from(["developer", "developer", "company"]))
        known = deployment.arrived.ids(level)
        if known:
            at = data.draw(st.sampled_from([MONDAY, MONDAY + DAY, MONDAY + 30 * DAY]))
            deployment.erase(level, data.draw(st.sampled_from(known)), at)
    assert_equal(deployment.expected(), deployment.published())


def test_nothing_of_a_person_is_left_in_the_state() -> None:
    deployment = Deployment(1)
    deployment.receive(
        [
            record(page_viewed(MONDAY, anonymous_id="laptop-of-ann")),
            record(signed_up(MONDAY + HOUR, user_id="ann", anonymous_id="laptop-of-ann", company_id="acme")),
            record(api_call(MONDAY + DAY, api_key="sk_live_ann", user_id="ann")),
            record(api_call(MONDAY + 2 * DAY, api_key="sk_live_ann")),
            record(merge(MONDAY + DAY, "ann-of-old", "ann")),
            record(signed_up(MONDAY, user_id="ann-of-old")),
            record(identify(MONDAY + 3 * DAY, "bob", anonymous_id="laptop-of-ann")),
            record(signed_up(MONDAY + 3 * DAY, user_id="bob", company_id="acme")),
        ]
    )
    deployment.erase("developer", "ann", MONDAY + 4 * DAY)
    published = deployment.published()
    assert_equal(deployment.expected(), published)
    assert set(published.developers) == {"bob"}
    assert published.companies["acme"]["stages"]["signup"] == MONDAY + 3 * DAY
    assert b"ann" not in deployment.runner.state().replace(b"laptop-of-ann", b"")


def test_a_replay_does_not_bring_back_who_was_erased_and_a_new_life_begins_after_it() -> None:
    deployment = Deployment(1)
    before = [
        record(signed_up(MONDAY, user_id="ann", company_id="acme")),
        record(api_call(MONDAY + HOUR, api_key="sk_live_1", user_id="ann")),
        record(api_call(MONDAY + HOUR, api_key="sk_live_1")),
    ]
    deployment.receive(before)
    deployment.erase("developer", "ann", MONDAY + DAY)
    deployment.receive(before)
    assert deployment.published().developers == {}
    deployment.receive([record(signed_up(MONDAY + 2 * DAY, user_id="ann"))])
    published = deployment.published()
    assert_equal(deployment.expected(), published)
    assert published.developers["ann"]["stages"]["signup"] == MONDAY + 2 * DAY
    assert published.companies == {}


def test_erasing_a_company_leaves_its_people() -> None:
    deployment = Deployment(1)
    deployment.receive(
        [
            record(page_viewed(MONDAY, user_id="ann")),
            record(signed_up(MONDAY + HOUR, user_id="ann", company_id="acme")),
            record(api_call(MONDAY + DAY, api_key="sk_live_1", company_id="acme")),
            record(api_call(MONDAY + 2 * DAY, api_key="sk_live_1")),
            record(signed_up(MONDAY, user_id="bob", company_id="globex")),
        ]
    )
    deployment.erase("company", "acme", MONDAY + 4 * DAY)
    published = deployment.published()
    assert_equal(deployment.expected(), published)
    assert set(published.companies) == {"globex"}
    assert published.developers["ann"]["company_id"] == ""
    assert "signup" not in published.developers["ann"]["stages"]
    assert not published.activity
    assert b"acme" not in deployment.runner.state()


@pytest.mark.parametrize("kind", ["user_id", "anonymous_id", "api_key"])
def test_a_suppression_names_no_one(kind: Any) -> None:
    suppression = Suppression(kind, digest_of(SECRETS[0], kind, "ann@acme.example"), [(0, 1)], name_of(SECRETS[0]))
    assert b"ann" not in msgspec.json.encode(suppression)
    assert suppression.digest != digest_of(b"another secret, 16", kind, "ann@acme.example")


def test_a_suppressed_event_leaves_nothing_with_others() -> None:
    # ann was first taken for zoe: the event names both, so that the tablet is zoe's only by an event that goes.
    deployment = Deployment(1)
    deployment.receive(
        [
            record(page_viewed(MONDAY, anonymous_id="tablet")),
            record(merge(MONDAY + HOUR, "ann-of-old", "zoe", anonymous_id="tablet", company_id="acme")),
            record(merge(MONDAY + 2 * HOUR, "ann-of-old", "ann")),
            record(signed_up(MONDAY, user_id="zoe")),
        ]
    )
    deployment.erase("developer", "ann", MONDAY + DAY)
    published = deployment.published()
    assert_equal(deployment.expected(), published)
    assert set(published.developers) == {"zoe", "anonymous_id:tablet"}


def test_erasing_a_company_reaches_those_merged_into_its_people() -> None:
    deployment = Deployment(1)
    deployment.receive(
        [
            record(page_viewed(MONDAY, user_id="ann-of-old", anonymous_id="tablet")),
            record(page_viewed(MONDAY, anonymous_id="tablet")),
            record(merge(MONDAY + HOUR, "ann-of-old", "ann")),
            record(signed_up(MONDAY + HOUR, user_id="ann", company_id="acme")),
        ]
    )
    deployment.erase("company", "acme", MONDAY + DAY)
    published = deployment.published()
    assert_equal(deployment.expected(), published)
    assert published.developers["ann"]["first_seen"] == MONDAY


def test_suppressions_under_a_secret_that_is_gone_are_refused() -> None:
    suppression = Suppression("user_id", digest_of(b"gone", "user_id", "ann"), [(0, 1)], name_of(b"gone"))
    with pytest.raises(StateError, match="FIRSTCALL_RETIRED_SECRETS"):
        SuppressionList(SECRETS, [suppression])
    assert SuppressionList([*SECRETS, b"gone"], [suppression]).entries_of("user_id", "ann") == [suppression]


@pytest.mark.parametrize("level", ["developer", "company"])
def test_all_hashes_of_a_key_go_with_its_owner(level: Level) -> None:
    newer = b"the second secret of the tests"
    first, later = (Normaliser(DEFINITIONS, [secret], None) for secret in (SECRETS[0], newer))
    both = Normaliser(DEFINITIONS, [SECRETS[0], newer], None)
    readings = [
        (both, record(api_call(MONDAY, api_key="sk_live_1", user_id="ann", company_id="acme"))),
        (first, record(api_call(MONDAY + HOUR, api_key="sk_live_1"))),
        (later, record(api_call(MONDAY + DAY, api_key="sk_live_1"))),
        (later, record(api_call(MONDAY + DAY, api_key="sk_live_1", user_id="bob", company_id="globex"))),
    ]
    deployment = Deployment(1)
    hashes = []
    for normaliser, each in readings:
        value = as_bytes(each).value
        assert isinstance(value, bytes)
        deployment.runner._normaliser = normaliser
        deployment.runner.feed("api-events", [(each.timestamp_ms, value)])
        deployment.arrived._normaliser = normaliser
        deployment.arrived.add(each)
        hashes += [
            event.api_key
            for event in normaliser(value, source="api", recorded_at=each.timestamp_ms)
            if isinstance(event, Event)
        ]
    deployment.arrived.first_hashes = {hashes[2]: hashes[0]}
    deployment.erase(level, "ann" if level == "developer" else "acme", MONDAY + 2 * DAY)
    published = deployment.published()
    assert set(published.developers) == {"bob"}
    assert set(published.companies) == {"globex"}
    assert {(row[0], row[1]) for row in published.activity} == {
        ("token", hashes[0]),
        ("developer", "bob"),
        ("company", "globex"),
    }


def test_a_batch_is_cut_where_orders_begin_and_end() -> None:
    update, drop, prune = (encode(DeveloperUpdate("ann", order=order)) for order in ("", "drop", "prune"))
    batch = [(offset, value) for offset, value in enumerate([update, update, drop, prune, update])]
    assert split_at_orders(batch) == [batch[:2], batch[2:4], batch[4:]]
    assert split_at_orders(batch[:2]) == [batch[:2]]
