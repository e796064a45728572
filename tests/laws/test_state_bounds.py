"""State is bounded: what one alias, developer or company takes at most, and its heaviest message.

The bounds are those of `streams/README.md`. Each test does to one id what no honest producer would, holds its rows
against their bound, and everything written and sent on the way against what the topics take.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from random import Random

import pytest

from schemas.config.definitions import load
from schemas.event import Event
from streams.messages.outbox import ENTRIES_IN_A_MESSAGE
from tests.support.pipeline import running
from tests.support.reference import compute, differences
from tests.support.weighing import Weighed, happened
from tests.support.worlds import DAY, HOUR, MINUTE, MONDAY, SECOND, SECRETS, Message, identify, page_viewed, record

KB, MB = 1_000, 1_000_000
YEAR = 365 * DAY
KEY = "0123456789abcdef0123456789abcdef"
DEFINITIONS = load()
LIMITS = DEFINITIONS.limits
#: The longest id, and the longest text of a touch, in bytes; characters of one byte and of four.
LONG_ID, LONG_TEXT = 512, 200
PLAIN, WIDE = "x", "🐘"

#: One bit an hour; whole days at both ends.
YEAR_OF_HOURS = 365 * 3
#: A touch has eight texts; with their names, in characters of one byte.
TOUCH = 8 * (LONG_TEXT + 12)
#: A time per selector, a hundred and some moments, five touches; hours and ids come on top.
FACTS = 200 + 102 * 19 + 5 * TOUCH


every_writing = pytest.mark.parametrize("character", [PLAIN, WIDE])


def long_id(number: int, character: str) -> str:
    """One of the longest ids."""
    digits = f"{number:06}"
    return character * ((LONG_ID - len(digits)) // len(character.encode())) + digits


@pytest.fixture
def streams() -> Weighed:
    return Weighed()


def page(time: int, number: int, **fields: str) -> Event:
    return happened("Page Viewed", time, f"page-{number}", properties={"path": "/docs"}, **fields)


def touching(time: int, number: int, character: str = PLAIN, **fields: str) -> Event:
    """A page view whose touch is as heavy as it can be."""
    utm = {f"utm_{field}": character * 10 * LONG_TEXT for field in ("campaign", "source", "medium", "term", "content")}
    properties = utm | {
        "path": "/" + character * 10 * LONG_TEXT,
        "referrer": f"https://{'r' * 10 * LONG_TEXT}.example/",
    }
    return happened("Page Viewed", time, f"touch-{number}", properties=properties, **fields)


def call(time: int, number: int, name: str = "API Call", **fields: str) -> Event:
    return happened(name, time, f"call-{number}", source="api", properties={"status": 200}, **fields)


# API keys


@pytest.mark.long
def test_a_key_with_a_million_calls_stays_small(streams):
    """A million calls over ten years, each routed."""
    streams.feed_events(
        (call(MONDAY + i * 10 * YEAR // 1_000_000, i, api_key=KEY) for i in range(1_000_000)), batch=20_000
    )
    assert streams.rows["key by user and company"] <= FACTS + 10 * YEAR_OF_HOURS
    assert streams.rows["key"] <= FACTS + 2 * 10 * YEAR_OF_HOURS
    assert streams.messages["alias-updates"] <= 1 * KB
    assert streams.held("key") == streams.held("key by user and company") == 1


@pytest.mark.slow
def test_a_key_with_ten_million_calls_stays_small(streams):
    """Ten million calls: two thousand batches of five thousand, each batch within an hour, over ten years.

    Of a batch only the first hundred calls and the last can matter: routed whole, the first batch gives the same.
    """
    batches, size = 2_000, 5_000

    def hour(batch: int, numbers: chain[int] | range) -> list[Event]:
        begin = MONDAY + batch * 10 * YEAR // batches // HOUR * HOUR
        return [call(begin + i * 700, batch * size + i, "Message Sent", api_key=KEY) for i in numbers]

    assert streams.routed(hour(0, range(size))) == streams.routed(hour(0, chain(range(100), [size - 1])))
    for batch in Random(1).sample(range(batches), batches):
        streams.feed_events(hour(batch, chain(range(100), [size - 1])))
    assert streams.rows["key by user and company"] <= FACTS + 10 * YEAR_OF_HOURS
    assert streams.rows["key"] <= FACTS + 2 * 10 * YEAR_OF_HOURS
    assert streams.messages["alias-updates"] <= 3 * KB


def test_a_key_of_three_thousand_users_and_their_companies_has_a_row_for_each(streams):
    streams.feed_events(
        call(MONDAY + i * SECOND, i, api_key=KEY, user_id=f"u{i}", company_id=f"c{i}") for i in range(3_000)
    )
    assert streams.held("key by user and company") == 3_000
    assert streams.rows["key by user and company"] <= 200
    assert streams.rows["key"] <= 200


def test_a_key_without_a_developer_has_a_row_for_each_company_named_with_it(streams):
    companies = [long_id(i, WIDE) for i in range(3_000)]
    streams.feed_events(
        touching(MONDAY + i * SECOND, i, api_key=KEY, company_id=one) for i, one in enumerate(companies)
    )
    assert streams.held("key by user and company") == streams.held("facts by company") == 3_000
    assert streams.rows["facts by company"] <= FACTS + 2 * LONG_ID
    assert streams.rows["key"] <= FACTS


def test_a_key_of_three_thousand_internal_users_has_a_row_for_each_word(streams):
    users = [long_id(i, PLAIN) for i in range(3_000)]
    streams.feed_events(call(MONDAY + i * SECOND, i, api_key=KEY, user_id=user) for i, user in enumerate(users))
    streams.feed_events(
        happened("Page Viewed", MONDAY + i * SECOND, f"{i}", user_id=user, is_internal=True)
        for i, user in enumerate(users)
    )
    assert streams.held("internal flag") == 3_000
    assert streams.rows["internal flag"] <= 3 * LONG_ID
    assert streams.rows["key"] <= LONG_ID + 300


# Session tokens and anonymous ids


def test_an_anonymous_id_with_a_hundred_thousand_page_views_is_automated_and_drops_them(streams):
    a_day = LIMITS.web_alias_events_a_day
    streams.feed_events(
        (page(MONDAY + i * SECOND, i, anonymous_id="scraper") for i in range(100_000)), batch=a_day // 2
    )
    assert a_day * 40 <= streams.rows["events of a day"] <= a_day * 50
    assert streams.rows["web alias"] <= 200
    assert streams.held("events of a day") == 0
    streams.rows.clear()
    streams.feed_events([page(MONDAY, 0, anonymous_id="scraper", user_id="ada")])
    assert streams.rows["web alias"] <= 200


def test_two_years_of_forty_pages_a_day_are_no_automated_traffic(streams):
    """One more event rewrites one day and the facts of its owner, however long the history."""
    for day in range(2 * 365):
        streams.feed_events(page(MONDAY + day * DAY + i * MINUTE, day * 40 + i, anonymous_id="a1") for i in range(40))
    assert streams.held("events of a day") == 2 * 365
    assert streams.rows["events of a day"] <= 40 * 50
    assert streams.rows["web alias"] <= 8 * KB


@every_writing
def test_the_heaviest_web_alias_fits_into_a_message(streams, character):
    """Every event a touch with the longest texts and in the name of another company, the users at their limit."""
    events, users = LIMITS.web_alias_events_a_day, LIMITS.web_alias_users
    streams.feed_events(heaviest_web_alias(character), batch=1_000)
    assert streams.rows["events of a day"] <= events * (100 + TOUCH + LONG_ID)
    assert streams.rows["events of a day"] >= 0.9 * events * TOUCH
    assert streams.rows["share"] <= FACTS + 2 * LONG_ID + 6 * TOUCH
    assert streams.rows["web alias"] <= users * (LONG_ID + 30) + 6 * TOUCH + KB
    assert streams.messages["alias-updates"] <= ENTRIES_IN_A_MESSAGE * (100 + TOUCH + 2 * LONG_ID)


def heaviest_web_alias(character: str) -> Iterator[Event]:
    """As many events a day, users and companies as one web alias may have, their ids and texts as long as they may be."""
    events, users = LIMITS.web_alias_events_a_day, LIMITS.web_alias_users
    for i in range(events):
        company = long_id(i, character)
        yield touching(MONDAY + i * SECOND, i, character, anonymous_id="tagged", company_id=company)
    for i in range(users):
        user = long_id(i, character)
        yield happened(
            "Identify", MONDAY + i * SECOND, f"link-{i}", type="identify", anonymous_id="tagged", user_id=user
        )


def test_a_device_of_a_thousand_sessions_has_a_row_for_each(streams):
    sessions = [long_id(i, PLAIN) for i in range(1_000)]
    streams.feed_events(
        page(MONDAY + i * DAY, i, anonymous_id="a1", session_token=one) for i, one in enumerate(sessions)
    )
    streams.feed_events(page(MONDAY + i * DAY, -i, session_token=one, user_id="ada") for i, one in enumerate(sessions))
    assert streams.held("received links") == 1_000
    assert streams.rows["received links"] <= 3 * LONG_ID


def test_an_anonymous_id_of_twenty_thousand_users_leads_to_no_one(streams):
    users = (long_id(i, PLAIN) for i in range(20_000))
    streams.feed_events(
        (page(MONDAY + i * SECOND, i, anonymous_id="undefined", user_id=u) for i, u in enumerate(users)), 100
    )
    assert streams.rows["web alias"] <= LIMITS.web_alias_users * (LONG_ID + 30)
    streams.rows.clear()
    streams.feed_events([page(MONDAY, 0, anonymous_id="undefined", user_id="ada")])
    assert streams.rows["web alias"] == 0


@every_writing
def test_a_shared_computer_with_as_many_links_as_it_may_have_fits_into_a_message(streams, character):
    """Five hundred people, one after the other, on forty days."""
    users = [long_id(i, character) for i in range(LIMITS.web_alias_users)]
    days = LIMITS.web_alias_links // len(users)
    links = (
        page(MONDAY + day * DAY + i * MINUTE, day * len(users) + i, anonymous_id="kiosk", user_id=user)
        for day in range(days)
        for i, user in enumerate(users)
    )
    streams.feed_events(links, batch=5_000)
    assert streams.rows["web alias"] <= len(users) * (LONG_ID + 10) + LIMITS.web_alias_links * 15
    assert streams.messages["identities"] <= LIMITS.web_alias_links * (LONG_ID + 35) + KB


def test_a_session_linked_on_every_day_of_five_years(streams):
    streams.feed_events(page(MONDAY + i * DAY, i, session_token="long-lived", user_id="ada") for i in range(5 * 365))
    assert streams.rows["web alias"] <= 1 * KB + 5 * 365 * 15
    assert streams.messages["identities"] <= 1 * KB


# Developers and companies


def test_a_developer_of_five_thousand_devices_has_a_row_for_each(streams):
    devices = [long_id(i, PLAIN) for i in range(5_000)]
    streams.feed_events(page(MONDAY + i * SECOND, i, anonymous_id=one) for i, one in enumerate(devices))
    streams.feed_events(page(MONDAY + i * SECOND, -i, anonymous_id=one, user_id="ada") for i, one in enumerate(devices))
    assert streams.held("contribution") == 5_000
    assert streams.rows["contribution"] <= 2 * LONG_ID + 300
    assert streams.rows["developer"] <= 300


def test_a_developer_has_a_row_for_each_company_named_on_his_events(streams):
    """More companies than one message could hold, with five of the heaviest touches each."""
    companies = [long_id(i, PLAIN) for i in range(5_000)]
    streams.feed_events(
        touching(MONDAY + i * SECOND, i, user_id="agency", company_id=companies[i // 5]) for i in range(25_000)
    )
    assert streams.held("developer's own events") == streams.held("facts by company") == 5_000
    assert streams.rows["facts by company"] <= FACTS + 2 * LONG_ID
    assert streams.rows["developer"] <= FACTS


def test_a_developer_has_a_row_for_each_user_merged_into_him(streams):
    streams.feed_events(
        happened("Alias", MONDAY + i * SECOND, f"{i}", type="merge", previous_id=long_id(i, PLAIN), user_id="ada")
        for i in range(5_000)
    )
    assert streams.held("merged user") == 5_000
    assert streams.rows["merged user"] <= 3 * LONG_ID
    assert streams.rows["developer"] <= LONG_ID + 300


def test_a_company_of_twenty_thousand_developers_has_a_row_for_each(streams):
    developers = ({"user_id": f"user-{i}", "company_id": "acme"} for i in range(20_000))
    streams.feed_events(
        ((touching if i < 2_000 else page)(MONDAY + i * SECOND, i, **fields) for i, fields in enumerate(developers)),
        batch=2_000,
    )
    assert streams.held("contribution") == 20_000
    assert streams.rows["company"] <= FACTS
    assert streams.rows["contribution"] <= FACTS
    assert streams.messages["company-updates"] <= ENTRIES_IN_A_MESSAGE * FACTS


# On Kafka


@pytest.mark.long
def test_the_heaviest_row_passes_through_kafka_and_comes_back_from_the_changelog(broker, unique, tmp_path):
    records = [record(message) for message in heaviest_messages()]
    late = record(identify(MONDAY, "ada", anonymous_id="tagged"))
    with running(broker, unique, tmp_path, DEFINITIONS) as pipeline:
        pipeline.feed(records)
        pipeline.await_idle()
        pipeline.kill("worker-1")
        # Another name is another directory: nothing of the state is there.
        pipeline.start("worker-2")
        pipeline.feed([late])
        pipeline.await_idle()
        actual = pipeline.rows().published()
    expected = compute([*records, late], DEFINITIONS, SECRETS)
    actual.events, actual.event_rows = expected.events, expected.event_rows
    assert differences(expected, actual) == []


def heaviest_messages() -> Iterator[Message]:
    utm = {f"utm_{field}": PLAIN * LONG_TEXT for field in ("campaign", "source", "medium", "term", "content")}
    for i in range(LIMITS.web_alias_events_a_day):
        company = long_id(i, PLAIN)
        path = f"/{i}".ljust(LONG_TEXT, PLAIN)
        yield page_viewed(MONDAY + i * SECOND, path, dict(utm), anonymous_id="tagged", company_id=company)
