"""Stories of one developer, with what must come out written by hand."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.config.definitions import Definitions
from tests.support.reference import Published, Record, compute
from tests.support.worlds.builders import (
    SECOND,
    SECRETS,
    Message,
    ad_clicked,
    api_call,
    at,
    connection_held,
    group,
    invitation_sent,
    key_alias,
    key_created,
    message_sent,
    page_viewed,
    record,
    signed_up,
    subscription_started,
)
from tests.support.worlds.casts import small_definitions


@dataclass(frozen=True)
class Journey:
    """The records of a story and its outcome under the shipped definitions and the secrets of the tests. Times in ms.

    `rolling` maps (metric, level, window_hours, hour_end) to the value in that window.
    """

    records: list[Record]
    developer: str
    company: str
    key_alias: str
    developer_stages: dict[str, int]
    company_stages: dict[str, int]
    developer_activations: dict[str, tuple[int, int]]
    company_activations: dict[str, tuple[int, int]]
    first_seen: int
    last_active: int
    first_touch: tuple[int, dict[str, str]]
    identities: set[tuple[str, str, str, str, int]]
    rolling: dict[tuple[str, str, int, int], int]


def outcome(*messages: Message, definitions: Definitions | None = None) -> Published:
    """The reference's result for a story, by default under `small_definitions`."""
    return compute([record(message) for message in messages], definitions or small_definitions(), SECRETS)


def journey() -> Journey:
    """From an ad to an invitation: anonymous on the web, then by key only on the API, the company known last."""
    device: Message = {"anonymous_id": "laptop"}
    key: Message = {"api_key": "sk_live_ada_1"}
    alias = key_alias("sk_live_ada_1")
    messages = [
        ad_clicked(at("2026-01-05 09:00"), campaign="spring", **device),
        page_viewed(at("2026-01-05 09:02"), "/docs/quickstart", **device),
        signed_up(at("2026-01-05 09:30"), user_id="ada", **device),
        key_created(at("2026-01-05 09:32"), user_id="ada", **key),
        api_call(at("2026-01-05 09:35"), status=401, **key),
        api_call(at("2026-01-05 09:36"), status=200, **key),
        group(at("2026-01-05 10:00"), "ada", "acme"),
        connection_held(at("2026-01-05 10:05"), **key),
        *(message_sent(at("2026-01-05 10:10") + i * SECOND, **key) for i in range(100)),
        api_call(at("2026-01-06 00:00"), **key),
        page_viewed(
            at("2026-01-06 20:00"),
            "/docs/limits",
            {"url": "https://api.example/docs/limits", "referrer": "https://News.example/item?id=1"},
            **device,
        ),
        api_call(at("2026-01-07 12:00"), **key),
        subscription_started(at("2026-01-08 08:00"), user_id="ada"),
        invitation_sent(at("2026-01-09 08:00"), user_id="ada"),
    ]
    stages = {
        "visit": at("2026-01-05 09:02"),
        "docs": at("2026-01-05 09:02"),
        "signup": at("2026-01-05 09:30"),
        "key": at("2026-01-05 09:32"),
        "first_call": at("2026-01-05 09:36"),
        "paying": at("2026-01-08 08:00"),
        "advocate": at("2026-01-09 08:00"),
    }
    signup = at("2026-01-05 09:30")
    return Journey(
        records=[record(message) for message in messages],
        developer="ada",
        company="acme",
        key_alias=alias,
        # The third day with a production call; the company's 100th message, after its connection.
        developer_stages=stages | {"activated": at("2026-01-07 12:00")},
        company_stages=stages | {"activated": at("2026-01-05 10:11:39")},
        developer_activations={
            "first_call": (signup, at("2026-01-05 09:36")),
            "three_days": (signup, at("2026-01-07 12:00")),
        },
        company_activations={
            "first_call": (signup, at("2026-01-05 09:36")),
            "messages": (signup, at("2026-01-05 10:11:39")),
        },
        first_seen=at("2026-01-05 09:00"),
        last_active=at("2026-01-09 08:00"),
        first_touch=(
            at("2026-01-05 09:00"),
            {"campaign": "spring", "source": "search", "name": "Ad Clicked"},
        ),
        identities={
            ("anonymous_id", "laptop", "developer", "ada", signup),
            ("api_key", alias, "developer", "ada", at("2026-01-05 09:32")),
            ("user_id", "ada", "company", "acme", 0),
        },
        rolling={
            ("active_tokens", "developer", 24, at("2026-01-05 09:00")): 0,
            ("active_tokens", "developer", 24, at("2026-01-05 10:00")): 1,
            ("active_developers", "developer", 24, at("2026-01-05 10:00")): 1,
            ("active_companies", "company", 24, at("2026-01-05 10:00")): 1,
            # The last call is at noon on the 7th: the window of 24 hours that ends a day later is open at its start.
            ("active_tokens", "developer", 24, at("2026-01-08 11:00")): 1,
            ("active_tokens", "developer", 24, at("2026-01-08 12:00")): 0,
            ("active_tokens", "developer", 168, at("2026-01-14 11:00")): 1,
            ("active_tokens", "developer", 168, at("2026-01-14 12:00")): 0,
            ("active_developers", "developer", 672, at("2026-02-04 11:00")): 1,
            ("active_developers", "developer", 672, at("2026-02-04 12:00")): 0,
            ("signups", "developer", 24, at("2026-01-05 10:00")): 1,
            ("signups", "company", 24, at("2026-01-06 09:00")): 1,
            ("signups", "developer", 24, at("2026-01-06 10:00")): 0,
            ("activated:first_call", "developer", 24, at("2026-01-05 10:00")): 1,
            ("activated:messages", "company", 24, at("2026-01-05 10:00")): 0,
            ("activated:messages", "company", 24, at("2026-01-05 11:00")): 1,
            ("activated:three_days", "developer", 168, at("2026-01-07 11:00")): 0,
            ("activated:three_days", "developer", 168, at("2026-01-07 12:00")): 1,
            ("activated:three_days", "developer", 168, at("2026-01-14 12:00")): 0,
        },
    )
