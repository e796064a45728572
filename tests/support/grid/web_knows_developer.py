"""The second row of the grid: Ada signs up on the web, and names no company."""

from __future__ import annotations

from typing import Any

from tests.support.grid.story import (
    ADA_ALONE,
    ADA_OF_ACME,
    BY_KEY,
    KEY,
    LAPTOP,
    Owner,
    Story,
    cell,
    key_is,
    key_of,
    laptop_is,
    monday,
    subject,
    tuesday,
    works_at,
)
from tests.support.worlds import Message, ad_clicked, api_call, key_created, page_viewed, signed_up


def signs_up(owner: Owner) -> list[tuple[Message, Owner]]:
    return [
        (ad_clicked(monday("09:00"), "spring", anonymous_id=LAPTOP), owner),
        (page_viewed(monday("09:05"), "/docs/quickstart", anonymous_id=LAPTOP), owner),
        (signed_up(monday("09:30"), user_id="ada", anonymous_id=LAPTOP), owner),
    ]


ON_THE_WEB: dict[str, Any] = {"visit": monday("09:05"), "docs": monday("09:05"), "signup": monday("09:30")}
ADA_SIGNED_UP = laptop_is("ada", monday("09:30"))


@cell(web="developer", api="nobody")
def a_key_of_unknown_owner() -> Story:
    """Ada signs up. A key calls the next day, and no event names its owner: she has a touch but no call, it has a call
    but no touch."""
    return Story(
        events=[
            *signs_up(ADA_ALONE),
            (api_call(tuesday("10:00"), api_key=KEY), (BY_KEY, "")),
        ],
        developers={"ada": subject(touch="spring", **ON_THE_WEB), BY_KEY: subject(first_call=tuesday("10:00"))},
        companies={},
        links={ADA_SIGNED_UP},
    )


@cell(web="developer", api="developer")
def from_the_ad_to_the_first_call() -> Story:
    """The journey that everyone draws: ad, docs, sign-up, key in the dashboard, calls by key. It ends as one developer."""
    return Story(
        events=[
            *signs_up(ADA_ALONE),
            (key_created(monday("09:40"), user_id="ada", api_key=KEY), ADA_ALONE),
            (api_call(tuesday("10:00"), api_key=KEY), ADA_ALONE),
        ],
        developers={
            "ada": subject(touch="spring", **ON_THE_WEB, key=monday("09:40"), first_call=tuesday("10:00")),
        },
        companies={},
        links={ADA_SIGNED_UP, key_is("ada", monday("09:40"))},
    )


@cell(web="developer", api="company")
def two_halves_that_do_not_meet() -> Story:
    """The web knows Ada, the gateway knows Acme, and no event shows that she works there.

    Firstcall does not guess: Acme has calls that no ad led to, Ada an ad that led to no call.
    """
    return Story(
        events=[
            *signs_up(ADA_ALONE),
            (api_call(tuesday("10:00"), api_key=KEY, company_id="acme"), (BY_KEY, "acme")),
        ],
        developers={
            "ada": subject(touch="spring", **ON_THE_WEB),
            BY_KEY: subject(company="acme", first_call=tuesday("10:00")),
        },
        companies={"acme": subject(first_call=tuesday("10:00"))},
        links={ADA_SIGNED_UP, key_of("acme", tuesday("10:00"))},
    )


@cell(web="developer", api="both")
def the_api_names_where_she_works() -> Story:
    """Ada signs up alone; her first call names Acme. Her whole journey becomes Acme's, the ad included."""
    return Story(
        events=[
            *signs_up(ADA_OF_ACME),
            (api_call(tuesday("10:00"), api_key=KEY, user_id="ada", company_id="acme"), ADA_OF_ACME),
        ],
        developers={"ada": subject(company="acme", touch="spring", **ON_THE_WEB, first_call=tuesday("10:00"))},
        companies={"acme": subject(touch="spring", **ON_THE_WEB, first_call=tuesday("10:00"))},
        links={
            ADA_SIGNED_UP,
            key_is("ada", tuesday("10:00")),
            key_of("acme", tuesday("10:00")),
            works_at("ada", "acme"),
        },
    )
