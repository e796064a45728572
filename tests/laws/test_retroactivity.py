"""Identity has no time limit: a link that comes after 400 days moves them all, in the streams and in the views.

Among bystanders, whom none of it touches, someone reads the docs every morning on one laptop and calls every noon with one
key. Who that is, is learned on the last day, and then learned better.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.simulator import Population
from schemas.config.definitions import load
from sinks.clickhouse import connect
from streams.topology import source_of
from tests.conftest import NOW_MS
from tests.support.reference import Published, Record, compute, differences
from tests.support.streams_in_memory import InMemoryStreams
from tests.support.tables import empty_tables, fresh_database
from tests.support.worlds import (
    DAY,
    HOUR,
    MONDAY,
    SECRETS,
    Message,
    ad_clicked,
    api_call,
    group,
    identify,
    key_alias,
    key_created,
    merge,
    page_viewed,
    record,
    signed_up,
)

pytestmark = pytest.mark.slow

DEFINITIONS = load()
DAYS = 400
FIRST_DAY = MONDAY - DAYS * DAY
KEY = "sk_live_ada_1"
ON_LAPTOP, BY_KEY = "anonymous_id:adas-laptop", f"api_key:{key_alias(KEY)}"
OURS = {"ada", "ada-before", "bob", "adas-company", "keys-company", ON_LAPTOP, BY_KEY}

MORNING, NOON = 9 * HOUR, 12 * HOUR


def reads(**who: Any) -> list[Message]:
    """An ad and 400 mornings with the docs: 401 events."""
    pages = [page_viewed(FIRST_DAY + day * DAY + MORNING, "/docs", **who) for day in range(DAYS)]
    return [ad_clicked(FIRST_DAY + MORNING - HOUR, "spring", **who), *pages]


def calls(**who: Any) -> list[Message]:
    """A call at each of 400 noons."""
    return [api_call(FIRST_DAY + day * DAY + NOON, **who) for day in range(DAYS)]


@pytest.fixture(scope="module")
def bystanders() -> list[Record]:
    population = Population(seed=5, target_events=1_000, days=DAYS, until=datetime(2026, 1, 5, tzinfo=UTC))
    return [Record(source_of(topic), value, NOW_MS) for topic, value in population.messages()]


@pytest.fixture(scope="module")
def tables(clickhouse):
    with fresh_database(clickhouse) as address:
        yield address


@pytest.fixture
def world(tables, bystanders):
    with connect(tables) as client:
        empty_tables(client)
    world = World(InMemoryStreams(DEFINITIONS, partitions=3, tables=tables), bystanders)
    yield world
    world.streams.close()


class World:
    """Streams and views that were fed the bystanders, and then our messages."""

    def __init__(self, streams: InMemoryStreams, bystanders: list[Record]) -> None:
        self.streams = streams
        self._bystanders = bystanders
        self._fed: list[Record] = []
        streams.feed(bystanders)

    def learn(self, *messages: Message) -> Published:
        """Feed more, and return what the views hold then.

        Fails unless streams and views agree with the reference, and what they held of the bystanders is unchanged.
        """
        records = [record(message) for message in messages]
        self.streams.feed(records)
        self._fed += records
        expected = compute([*self._bystanders, *self._fed], DEFINITIONS, SECRETS)
        views, streams = self.streams.in_views(), self.streams.published()
        assert differences(expected, views) == []
        streams.events, streams.event_rows = expected.events, expected.event_rows
        assert differences(expected, streams) == []
        alone = compute(self._bystanders, DEFINITIONS, SECRETS)
        assert {name: profile for name, profile in views.developers.items() if name not in OURS} == alone.developers
        assert {name: profile for name, profile in views.companies.items() if name not in OURS} == alone.companies
        return views

    def owners(self, views: Published) -> Counter[tuple[str, str]]:
        """How many of our events belong to each (developer, company)."""
        ours = {record.value["message_id"] for record in self._fed if isinstance(record.value, dict)}
        found = ((event[0], owner) for event, owner in views.events.items())
        return Counter((owner.developer_id, owner.company_id) for event, owner in found if event in ours)


def active_hours(views: Published) -> Counter[tuple[str, str]]:
    """How many hours each of our subjects used the API in, by (level, id)."""
    ours = OURS | {key_alias(KEY)}
    return Counter((level, name) for level, name, _, _ in views.activity if name in ours)


def stage(views: Published, name: str, level: str = "developer") -> dict[str, int]:
    """The stages of a subject; none if it is not there."""
    profiles = views.developers if level == "developer" else views.companies
    return profiles[name]["stages"] if name in profiles else {}


def active(views: Published, metric: str, level: str, time: int) -> int:
    """A rolling count over 28 days."""
    return views.rolling_value(metric, level, 672, time)


def test_a_visitor_identified_after_400_days_takes_them_all_along(world):
    before = world.learn(*reads(anonymous_id="adas-laptop"))
    assert world.owners(before) == {(ON_LAPTOP, ""): 401}
    assert stage(before, ON_LAPTOP) == {"visit": FIRST_DAY + MORNING, "docs": FIRST_DAY + MORNING}
    assert "ada" not in before.developers

    after = world.learn(identify(MONDAY, "ada", anonymous_id="adas-laptop"), signed_up(MONDAY + HOUR, user_id="ada"))
    assert world.owners(after) == {("ada", ""): 403}
    assert ON_LAPTOP not in after.developers
    assert stage(after, "ada") == {
        "visit": FIRST_DAY + MORNING,
        "docs": FIRST_DAY + MORNING,
        "signup": MONDAY + HOUR,
    }
    assert after.developers["ada"]["first_touch_at"] == FIRST_DAY + MORNING - HOUR
    assert after.developers["ada"]["first_touch"]["campaign"] == "spring"


@pytest.mark.long
def test_a_keys_owner_learned_late_and_an_earlier_one_learned_later(world):
    before = world.learn(*calls(api_key=KEY))
    assert world.owners(before) == {(BY_KEY, ""): 400}
    assert active_hours(before) == {("token", key_alias(KEY)): 400}
    developers = active(before, "active_developers", "developer", MONDAY)

    ada = world.learn(key_created(MONDAY, user_id="ada", api_key=KEY))
    assert world.owners(ada) == {("ada", ""): 401}
    assert active_hours(ada) == {("token", key_alias(KEY)): 400, ("developer", "ada"): 400}
    assert stage(ada, "ada") == {"key": MONDAY, "first_call": FIRST_DAY + NOON}
    assert active(ada, "active_developers", "developer", MONDAY) == developers + 1
    assert active(ada, "active_tokens", "developer", MONDAY) == active(before, "active_tokens", "developer", MONDAY)

    # What names Ada stays hers: that she made a key, by her own event.
    bob = world.learn(key_created(FIRST_DAY - DAY, user_id="bob", api_key=KEY))
    assert world.owners(bob) == {("bob", ""): 401, ("ada", ""): 1}
    assert active_hours(bob) == {("token", key_alias(KEY)): 400, ("developer", "bob"): 400}
    assert stage(bob, "ada") == {"key": MONDAY}
    assert stage(bob, "bob") == {"key": FIRST_DAY - DAY, "first_call": FIRST_DAY + NOON}
    assert active(bob, "active_developers", "developer", MONDAY) == developers + 1


@pytest.mark.long
def test_a_merge_after_400_days_joins_them_and_its_un_merge_sends_them_home(world):
    before = world.learn(
        *reads(user_id="ada-before"),
        key_created(FIRST_DAY, user_id="ada-before", api_key=KEY),
        *calls(api_key=KEY),
        signed_up(MONDAY, user_id="ada"),
        api_call(MONDAY + HOUR, user_id="ada", api_key="sk_live_ada_2"),
    )
    assert world.owners(before) == {("ada-before", ""): 802, ("ada", ""): 2}
    assert active_hours(before)["developer", "ada-before"] == 400
    assert active_hours(before)["developer", "ada"] == 1
    developers = active(before, "active_developers", "developer", MONDAY + HOUR)

    merged = world.learn(merge(MONDAY + 2 * HOUR, "ada-before", "ada"))
    assert world.owners(merged) == {("ada", ""): 805}
    assert "ada-before" not in merged.developers
    assert active_hours(merged)["developer", "ada"] == 401
    # Three days of calls held long before: she is activated the moment she signs up, and not any more once un-merged.
    assert stage(merged, "ada") == {
        "visit": FIRST_DAY + MORNING,
        "docs": FIRST_DAY + MORNING,
        "signup": MONDAY,
        "key": FIRST_DAY,
        "first_call": FIRST_DAY + NOON,
        "activated": MONDAY,
    }
    assert active(merged, "active_developers", "developer", MONDAY + HOUR) == developers - 1

    # The two merges are events themselves; all else is as if they had never been.
    home = world.learn(merge(MONDAY + 3 * HOUR, "ada-before", "ada-before"))
    assert world.owners(home) == {("ada-before", ""): 803, ("ada", ""): 3}
    for numbers in ("developers", "companies", "activity", "rolling", "identities"):
        assert getattr(home, numbers) == getattr(before, numbers), numbers


@pytest.mark.long
def test_a_company_learned_late_and_the_keys_company_learned_later(world):
    before = world.learn(*reads(user_id="ada"), key_created(FIRST_DAY, user_id="ada", api_key=KEY), *calls(api_key=KEY))
    assert world.owners(before) == {("ada", ""): 802}
    assert not OURS & before.companies.keys()
    companies = active(before, "active_companies", "company", MONDAY)

    joined = world.learn(group(MONDAY, "ada", "adas-company"))
    assert world.owners(joined) == {("ada", "adas-company"): 803}
    assert stage(joined, "adas-company", "company") == {
        "visit": FIRST_DAY + MORNING,
        "docs": FIRST_DAY + MORNING,
        "key": FIRST_DAY,
        "first_call": FIRST_DAY + NOON,
    }
    assert joined.companies["adas-company"]["first_touch"]["campaign"] == "spring"
    assert active_hours(joined)["company", "adas-company"] == 400
    assert active(joined, "active_companies", "company", MONDAY) == companies + 1

    # A key's company outranks its developer's: who pays for the key has its calls. What Ada read stays where she is.
    keyed = world.learn(api_call(MONDAY + HOUR, api_key=KEY, company_id="keys-company"))
    assert world.owners(keyed) == {("ada", "adas-company"): 402, ("ada", "keys-company"): 402}
    assert stage(keyed, "adas-company", "company") == {"visit": FIRST_DAY + MORNING, "docs": FIRST_DAY + MORNING}
    assert stage(keyed, "keys-company", "company") == {"key": FIRST_DAY, "first_call": FIRST_DAY + NOON}
    assert active_hours(keyed)["company", "keys-company"] == 401
    assert ("company", "adas-company") not in active_hours(keyed)
    assert active(keyed, "active_companies", "company", MONDAY) == companies + 1


@pytest.mark.long
def test_a_laptop_that_was_shared_all_the_time_is_split_when_its_users_are_learned(world):
    before = world.learn(*reads(anonymous_id="adas-laptop"))
    assert world.owners(before) == {(ON_LAPTOP, ""): 401}

    # Bob had it until the hundredth day; the links come in the wrong order, a year late.
    hundredth = FIRST_DAY + 100 * DAY
    after = world.learn(
        identify(hundredth, "ada", anonymous_id="adas-laptop"), identify(FIRST_DAY, "bob", anonymous_id="adas-laptop")
    )
    assert world.owners(after) == {("bob", ""): 1 + 100 + 1, ("ada", ""): 300 + 1}
    assert stage(after, "bob") == {"visit": FIRST_DAY + MORNING, "docs": FIRST_DAY + MORNING}
    assert stage(after, "ada") == {"visit": hundredth + MORNING, "docs": hundredth + MORNING}
    assert after.developers["ada"]["first_touch_at"] is None
