"""The last row of the grid: Ada signs up on the web and joins Acme's team there."""

from __future__ import annotations

from typing import Any

from tests.support.grid.story import (
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
from tests.support.worlds import Message, ad_clicked, api_call, group, key_created, message_sent, page_viewed, signed_up


def signs_up_for_work() -> list[tuple[Message, Owner]]:
    return [
        (ad_clicked(monday("09:00"), "spring", anonymous_id=LAPTOP), ADA_OF_ACME),
        (page_viewed(monday("09:05"), "/docs/quickstart", anonymous_id=LAPTOP), ADA_OF_ACME),
        (signed_up(monday("09:30"), user_id="ada", anonymous_id=LAPTOP), ADA_OF_ACME),
        (group(monday("09:31"), "ada", "acme"), ADA_OF_ACME),
    ]


ON_THE_WEB: dict[str, Any] = {"visit": monday("09:05"), "docs": monday("09:05"), "signup": monday("09:30")}
KNOWN_BY_THE_WEB = {laptop_is("ada", monday("09:30")), works_at("ada", "acme")}


@cell(web="both", api="nobody")
def a_team_that_does_not_call_yet() -> Story:
    """Ada and Acme are waiting for their first call. The one that comes is of a key that no one has claimed."""
    return Story(
        events=[
            *signs_up_for_work(),
            (api_call(tuesday("10:00"), api_key=KEY), (BY_KEY, "")),
        ],
        developers={
            "ada": subject(company="acme", touch="spring", **ON_THE_WEB),
            BY_KEY: subject(first_call=tuesday("10:00")),
        },
        companies={"acme": subject(touch="spring", **ON_THE_WEB)},
        links=KNOWN_BY_THE_WEB,
    )


@cell(web="both", api="developer")
def her_key_works_for_her_company() -> Story:
    """The API knows only Ada behind the key. The web knows that she is Acme's, so her calls are too."""
    return Story(
        events=[
            *signs_up_for_work(),
            (key_created(monday("09:40"), user_id="ada", api_key=KEY), ADA_OF_ACME),
            (api_call(tuesday("10:00"), api_key=KEY), ADA_OF_ACME),
        ],
        developers={
            "ada": subject(
                company="acme", touch="spring", **ON_THE_WEB, key=monday("09:40"), first_call=tuesday("10:00")
            ),
        },
        companies={"acme": subject(touch="spring", **ON_THE_WEB, key=monday("09:40"), first_call=tuesday("10:00"))},
        links={*KNOWN_BY_THE_WEB, key_is("ada", monday("09:40"))},
    )


@cell(web="both", api="company")
def her_company_calls_and_not_she() -> Story:
    """The gateway knows only Acme. The company's journey is whole; no event shows that Ada called."""
    return Story(
        events=[
            *signs_up_for_work(),
            (api_call(tuesday("10:00"), api_key=KEY, company_id="acme"), (BY_KEY, "acme")),
        ],
        developers={
            "ada": subject(company="acme", touch="spring", **ON_THE_WEB),
            BY_KEY: subject(company="acme", first_call=tuesday("10:00")),
        },
        companies={"acme": subject(touch="spring", **ON_THE_WEB, first_call=tuesday("10:00"))},
        links={*KNOWN_BY_THE_WEB, key_of("acme", tuesday("10:00"))},
    )


@cell(web="both", api="both")
def everyone_knows_everyone() -> Story:
    """Both sides know Ada and Acme: what comes by the key alone is hers and Acme's too, and counts once at each level."""
    return Story(
        events=[
            *signs_up_for_work(),
            (key_created(monday("09:40"), user_id="ada", company_id="acme", api_key=KEY), ADA_OF_ACME),
            (api_call(tuesday("10:00"), api_key=KEY, user_id="ada", company_id="acme"), ADA_OF_ACME),
            (message_sent(tuesday("10:05"), api_key=KEY), ADA_OF_ACME),
        ],
        developers={
            "ada": subject(
                company="acme", touch="spring", **ON_THE_WEB, key=monday("09:40"), first_call=tuesday("10:00")
            ),
        },
        companies={"acme": subject(touch="spring", **ON_THE_WEB, key=monday("09:40"), first_call=tuesday("10:00"))},
        links={*KNOWN_BY_THE_WEB, key_is("ada", monday("09:40")), key_of("acme", monday("09:40"))},
    )
