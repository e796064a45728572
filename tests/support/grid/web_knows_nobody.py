"""The first row of the grid: the reader on the web never gives a name."""

from __future__ import annotations

from tests.support.grid.story import (
    ADA_ALONE,
    ADA_OF_ACME,
    BY_KEY,
    KEY,
    LAPTOP,
    ON_LAPTOP,
    Owner,
    Story,
    cell,
    key_is,
    key_of,
    monday,
    subject,
    tuesday,
    works_at,
)
from tests.support.worlds import Message, ad_clicked, api_call, key_created, page_viewed

STRANGER: Owner = (ON_LAPTOP, "")
READER = subject(touch="spring", visit=monday("09:05"), docs=monday("09:05"))


def read_in_passing() -> list[tuple[Message, Owner]]:
    return [
        (ad_clicked(monday("09:00"), "spring", anonymous_id=LAPTOP), STRANGER),
        (page_viewed(monday("09:05"), "/docs/quickstart", anonymous_id=LAPTOP), STRANGER),
    ]


@cell(web="nobody", api="nobody")
def strangers_on_both_sides() -> Story:
    """Someone follows an ad, reads the docs and leaves. A key from before all this makes a call.

    It may be the same person. No event shows it: two visitors, and no company.
    """
    return Story(
        events=[
            *read_in_passing(),
            (api_call(tuesday("10:00"), api_key=KEY), (BY_KEY, "")),
        ],
        developers={ON_LAPTOP: READER, BY_KEY: subject(first_call=tuesday("10:00"))},
        companies={},
        links=set(),
    )


@cell(web="nobody", api="developer")
def a_key_made_on_the_command_line() -> Story:
    """Ada makes her key with the command-line tool and never signs in on the web. The laptop stays a stranger's."""
    return Story(
        events=[
            *read_in_passing(),
            (key_created(tuesday("09:50"), user_id="ada", api_key=KEY), ADA_ALONE),
            (api_call(tuesday("10:00"), api_key=KEY), ADA_ALONE),
        ],
        developers={ON_LAPTOP: READER, "ada": subject(key=tuesday("09:50"), first_call=tuesday("10:00"))},
        companies={},
        links={key_is("ada", tuesday("09:50"))},
    )


@cell(web="nobody", api="company")
def a_gateway_that_knows_the_account() -> Story:
    """The gateway knows which customer a key is billed to, and no person. The company counts; its developer is the key."""
    return Story(
        events=[
            *read_in_passing(),
            (api_call(tuesday("10:00"), status=401, api_key=KEY), (BY_KEY, "acme")),
            (api_call(tuesday("10:05"), api_key=KEY, company_id="acme"), (BY_KEY, "acme")),
        ],
        developers={ON_LAPTOP: READER, BY_KEY: subject(company="acme", first_call=tuesday("10:05"))},
        companies={"acme": subject(first_call=tuesday("10:05"))},
        links={key_of("acme", tuesday("10:05"))},
    )


@cell(web="nobody", api="both")
def a_gateway_that_knows_everything() -> Story:
    """The gateway knows who calls and for which customer. Who read the docs the day before, it cannot know."""
    return Story(
        events=[
            *read_in_passing(),
            (api_call(tuesday("10:00"), api_key=KEY, user_id="ada", company_id="acme"), ADA_OF_ACME),
            (api_call(tuesday("10:05"), api_key=KEY), ADA_OF_ACME),
        ],
        developers={ON_LAPTOP: READER, "ada": subject(company="acme", first_call=tuesday("10:00"))},
        companies={"acme": subject(first_call=tuesday("10:00"))},
        links={key_is("ada", tuesday("10:00")), key_of("acme", tuesday("10:00")), works_at("ada", "acme")},
    )
