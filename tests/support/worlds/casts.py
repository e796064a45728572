"""Who and what the events of a nasty world are drawn from, and the definitions it is made for."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import strategies as st

from schemas.config.definitions import Definitions, build
from tests.support.worlds.builders import DAY, HOUR, MINUTE, MONDAY, Message


def small_definitions() -> Definitions:
    """The shipped selectors with thresholds that a few events reach, and an own organisation to leave out."""
    return build(
        {
            "activations": {
                "first_call": {
                    "levels": ["developer", "company"],
                    "anchor": "signup",
                    "span_days": 28,
                    "all": [{"count": "successful_call", "at_least": 1}],
                },
                "messages": {
                    "levels": ["company", "developer"],
                    "anchor": "signup",
                    "span_days": 28,
                    "all": [{"count": "message", "at_least": 3}, {"count": "held_connection", "at_least": 1}],
                },
                "three_days": {
                    "levels": ["developer"],
                    "anchor": "signup",
                    "span_days": 14,
                    "all": [{"distinct_days": "production_call", "at_least": 2}],
                },
                "whenever": {
                    "levels": ["company", "developer"],
                    "anchor": "key",
                    "all": [{"count": "call", "at_least": 2}, {"distinct_days": "call", "at_least": 2}],
                },
            },
            "internal": {
                "email_domains": ["own.example"],
                "user_ids": ["employee"],
                "company_ids": ["own"],
                "ip_networks": ["10.0.0.0/8"],
            },
            "limits": {
                "web_alias_events_a_day": 3,
                "web_alias_events": 5,
                "web_alias_users": 3,
                "web_alias_links": 6,
                "future_hours": 24,
            },
        }
    )


#: Times on, just before and just after the edges of hours, days, windows and spans (14 and 28 days) from one another;
#: so few that many are equal.
TIMES = [
    MONDAY + edge + beside
    for edge in (
        0,
        0,
        0,
        HOUR,
        23 * HOUR,
        DAY,
        DAY,
        2 * DAY,
        7 * DAY,
        14 * DAY,
        14 * DAY,
        28 * DAY,
        28 * DAY,
        400 * DAY,
    )
    for beside in (-1, 0, 0, 1, 10 * MINUTE)
]
LONG = "łu" * 170 + "ł"
#: The same strings serve as different kinds of ids; 42 and "42" are one id; blanks around one are no part of it.
USERS = ["u1", "u2", "u3", 42, "42", "用户 🐘", LONG, " u1", "employee"]
KEYS = ["sk_live_1", "sk_live_2", "sk_test_1", "sk_dev_1", "u1", "ключ"]
SESSIONS = ["s1", "s2", "u1"]
DEVICES = ["a1", "a2", "u1", LONG]
COMPANIES = ["acme", "globex", "u1", 42, "Ünïcode & Söhne", "own"]

#: name, type, properties
KINDS: list[tuple[str, str, Message]] = [
    ("Page Viewed", "event", {"path": "/"}),
    ("Page Viewed", "event", {"path": "/docs/start"}),
    ("Page Viewed", "event", {"path": "/docs", "url": "https://x.example/docs?utm_campaign=may", "utm_source": "mail"}),
    ("Page Viewed", "event", {"path": "/", "url": "https://x.example/", "referrer": "https://news.example/1"}),
    ("Page Viewed", "event", {"path": "/", "url": "https://x.example/", "referrer": "https://x.example/docs"}),
    ("Ad Clicked", "event", {}),
    ("Talk Given", "event", {}),
    ("Signed Up", "event", {}),
    ("API Key Created", "event", {}),
    ("API Call", "event", {"status": 200}),
    ("API Call", "event", {"status": 500}),
    ("API Call", "event", {}),
    ("Outgoing API Call", "event", {"status": "500"}),
    ("Message Sent", "event", {}),
    ("Connection Held", "event", {}),
    ("Subscription Started", "event", {}),
    ("Invitation Sent", "event", {}),
    ("Invitation Accepted", "event", {}),
    ("Unheard Of", "event", {"nested": {"list": [1, None, {"ü": 1.5}]}}),
    ("Identify", "identify", {}),
    ("Group", "group", {}),
    ("Alias", "merge", {}),
]
#: Names that a world must have for a story of its kind to happen: none, an activation, merges, a shared device.
PLOTS = [
    [],
    ["Signed Up", "API Call", "Message Sent", "Connection Held"],
    ["Signed Up", "API Key Created", "API Call"],
    ["Alias", "Alias", "Alias", "Group", "Signed Up"],
    ["Identify", "Page Viewed", "API Key Created"],
]
#: What makes an event internal or a bot's.
EXCLUDED: list[Message] = [
    {"traits": {"email": "ada@lab.OWN.example"}},
    {"properties": {"email": "ada@own.example"}},
    {"context": {"ip": "10.1.2.3"}},
    {"context": {"userAgent": "Mozilla/5.0 (compatible; GoogleBot/2.1)"}},
]
COUNTED: list[Message] = [
    {"traits": {"email": "ada@notown.example"}},
    {"context": {"ip": "11.1.2.3", "userAgent": "firstcall-python/1.0"}},
]
#: Fields that the segments of the shipped definitions read, many of them odd.
SEGMENT_FIELDS: list[Message] = [
    {"properties": {"technology": "python"}},
    {"properties": {"technology": "  "}, "context": {"sdk": "acme-Go/2.1 python"}},
    {"context": {"sdk": LONG}},
    {"traits": {"technology": "Ruby on Rails", "plan": "free", "country": "DE"}},
    {"traits": {"plan": "business"}, "properties": {"plan": "startup"}},
    {"properties": {"plan": 42}, "traits": {"country": True}, "context": {"country": "FR"}},
    {"traits": {"plan": ["free"], "country": {"code": "DE"}}},
]
#: `skewed` and `segment` are Segment calls; `timeless` is native, its time that of the record.
FORMATS = ("native", "segment", "skewed", "timeless")


class Cast(NamedTuple):
    """The few people, things, kinds and times of one world: so few that they get in each other's way."""

    kinds: list[tuple[str, str, Message]]
    times: list[int]
    users: list[Any]
    keys: list[str]
    sessions: list[str]
    devices: list[str]
    companies: list[Any]
    exclusions: list[Message]


class Draft(NamedTuple):
    """What is drawn for one event: places in the lists of the cast (modulo their lengths), None for nothing."""

    kind: int
    time: int
    user: int | None
    key: int | None
    session: int | None
    device: int | None
    company: int | None
    previous: int
    environment: str | None
    exclusion: int | None
    segments: int | None
    id_style: str
    format: str


def _few(values: list[Any], most: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique_by=repr)


def _kinds() -> st.SearchStrategy[list[Any]]:
    plots = [[kind for name in plot for kind in KINDS if kind[0] == name] for plot in PLOTS]
    return st.tuples(st.sampled_from(plots), _few(KINDS, 5)).map(lambda chosen: chosen[0] + chosen[1])


CASTS = st.builds(
    Cast,
    kinds=_kinds(),
    times=_few(TIMES, 8),
    users=_few(USERS, 4),
    keys=_few(KEYS, 3),
    sessions=_few(SESSIONS, 2),
    devices=_few(DEVICES, 3),
    companies=_few(COMPANIES, 3),
    # Most worlds have no one to leave out: in a small world one such event leaves little to count.
    exclusions=st.sampled_from([COUNTED, COUNTED, COUNTED + EXCLUDED]),
)
DRAFTS = st.builds(
    Draft,
    kind=st.integers(0, 11),
    time=st.integers(0, 7),
    user=st.sampled_from([None, None, None, None, None, None, 0, 1, 2, 3]),
    key=st.sampled_from([None, None, None, 0, 1, 2]),
    session=st.sampled_from([None, None, None, 0, 1]),
    device=st.sampled_from([None, 0, 1, 2]),
    company=st.sampled_from([None, None, None, None, None, 0, 1, 2]),
    previous=st.integers(0, 5),
    environment=st.sampled_from([None, None, None, None, "production", "test"]),
    exclusion=st.sampled_from([None, None, None, None, None, None, 0, 1, 2, 3, 4, 5]),
    segments=st.sampled_from([None, None, None, 0, 1, 2, 3, 4, 5, 6]),
    id_style=st.sampled_from(["own", "own", "own", "absent", "shared"]),
    format=st.sampled_from(FORMATS),
)
