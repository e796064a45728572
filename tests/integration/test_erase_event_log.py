"""The events in ClickHouse and those in memory give the same erasure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deploy.erasure.event_log import ArrivedEvents
from deploy.erasure.statements import Statements, parcels
from deploy.erasure.suppressed_events import delete_events, named_suppressions
from schemas.event import Event
from sinks.clickhouse import Address, connect
from sinks.insert import RowInserter
from sinks.message_rows import RowCollector
from streams.erasure.plan import Request, plan_erasure
from streams.messages.updates import Alias
from streams.normalise.normaliser import Normaliser
from streams.normalise.suppression_list import SuppressionList
from tests.laws.test_law_core import DEFINITIONS
from tests.laws.test_law_erasure import Arrived, others
from tests.support.contract_reader import wire
from tests.support.event_content import content_of
from tests.support.reference import Record
from tests.support.tables import empty_tables
from tests.support.worlds import DAY, MONDAY, SECRETS, deliveries, worlds

WEEK = 7 * DAY


def write(address: Address, records: list[Record]) -> None:
    with connect(address) as client:
        empty_tables(client)
    sink = RowCollector(RowInserter(address), Normaliser(DEFINITIONS, SECRETS))
    for each in records:
        sink.add(f"{each.topic}-events", wire(each), each.timestamp_ms)
    sink.write()
    sink.close()


class Kept(Arrived):
    """The events in memory, of copies in one week the earliest, as ClickHouse keeps them."""

    def keep_earliest(self) -> None:
        kept: dict[tuple[int, str, bytes], Event] = {}
        for event in sorted(self._events, key=lambda event: (-event.time, -event.received_at)):
            kept[event.time // WEEK, event.message_id, content_of(event)] = event
        self._events = list(kept.values())

    def everything(self) -> tuple[set[str], set[Alias]]:
        """All users and aliases."""
        return {event.user_id for event in self._events} - {""}, {
            alias for event in self._events for alias in others(event)
        }

    def everyone(self) -> tuple[set[str], set[Alias]]:
        users = {user for event in self._events for user in (event.user_id, event.merged_id) if user}
        return users, set(self.aliases_of_users(users))


@settings(max_examples=10, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(delivered=worlds().flatmap(deliveries), seed=st.integers(0, 1000))
def test_clickhouse_and_memory_give_the_same(address: Address, delivered: list[Record], seed: int) -> None:
    write(address, delivered)
    suppressions = SuppressionList(SECRETS)
    memory = Kept(suppressions)
    for each in delivered:
        memory.add(each)
    memory.keep_earliest()
    users, aliases = memory.everyone()
    everything = memory.everything()
    some_users = set(Random(seed).sample(sorted(users), min(2, len(users))))
    some_aliases = set(Random(seed).sample(sorted(aliases), min(2, len(aliases))))
    statements = Statements(address)
    log = ArrivedEvents(statements)
    try:
        assert set(log.pointers()) == set(memory.pointers())
        assert set(log.aliases_of_users(some_users)) == set(memory.aliases_of_users(some_users))
        assert set(log.users_of_aliases(some_aliases)) == earliest_of_day(memory, some_aliases)
        assert set(log.companies_named(some_users, some_aliases)) >= set(
            memory.companies_named(some_users, some_aliases)
        )
        assert encoded(log.carrying(some_users, some_aliases)) == encoded(memory.carrying(some_users, some_aliases))
        assert set(log.seen_with(some_aliases)) == set(memory.seen_with(some_aliases))
        for company in memory.ids("company"):
            keys = set(memory.keys_named_with(company))
            assert set(log.keys_named_with(company)) == keys
            assert earliest(log.companies_of_keys(keys)) == earliest(memory.companies_of_keys(keys))
            assert people(log, company, keys) == people(memory, company, keys)
            assert encoded(log.carrying(set(), set(), company)) == encoded(memory.carrying(set(), set(), company))
        requests = [Request("company", company, MONDAY) for company in memory.ids("company")]
        requests += [Request("developer", user, MONDAY + DAY) for user in some_users]
        for request in Random(seed).sample(requests, len(requests)):
            plan = plan_erasure(request, memory, SECRETS[0], DEFINITIONS.limits)
            assert planned(request, log) == planned(request, memory)
            for suppression in plan.suppressions:
                suppressions.add(suppression)
            delete_events(statements, request.level, named_suppressions(request, plan, suppressions, log))
            memory.drop_suppressed()
            assert encoded(log.carrying(*everything)) == encoded(memory.carrying(*everything))
    finally:
        statements.close()


def earliest_of_day(memory: Kept, aliases: set[Alias]) -> set[tuple[Alias, int, str]]:
    found: dict[tuple[Alias, str, int], int] = {}
    for alias, time, user in memory.users_of_aliases(aliases):
        place = (alias, user, time // DAY)
        found[place] = min(time, found.get(place, time))
    return {(alias, time, user) for (alias, user, _), time in found.items()}


def earliest(evidence: Iterable[tuple[str, int, str]]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for key, time, company in evidence:
        found[key, company] = min(time, found.get((key, company), time))
    return found


def encoded(events: Iterator[Event]) -> set[bytes]:
    return {msgspec.json.encode(event, order="deterministic") for event in events}


def people(log: ArrivedEvents | Arrived, company: str, keys: set[str]) -> set[tuple[str, frozenset[object]]]:
    return {(user, frozenset(others)) for user, others in log.named_with_company(company, keys)}


def planned(request: Request, log: ArrivedEvents | Arrived) -> object:
    plan = plan_erasure(request, log, SECRETS[0], DEFINITIONS.limits)
    marks = sorted((mark.kind, mark.digest, mark.periods, mark.exempt) for mark in plan.suppressions)
    return marks, plan.users, plan.aliases


def test_parcels_hold_everything_in_order_and_are_small() -> None:
    items = [f"ü{number}" * 50 for number in range(1_000)]
    some = list(parcels(items, 5_000))
    assert [item for parcel in some for item in parcel] == items
    assert all(len(parcel) == 10 or parcel is some[-1] or len(parcel) > 1 for parcel in some)
    assert list(parcels(["x" * 100], 10)) == [["x" * 100]]
    assert list(parcels([], 10)) == []
