"""The third row of the grid: the docs are behind Acme's single sign-on, which names the company and hides the person."""

from __future__ import annotations

from typing import Any

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

SOMEONE_AT_ACME: Owner = (ON_LAPTOP, "acme")
ON_THE_WEB: dict[str, Any] = {"visit": monday("09:05"), "docs": monday("09:05")}
#: An anonymous id never leads to a company by itself, so the visitor has none: only these events are Acme's.
READER = subject(touch="spring", **ON_THE_WEB)


def reads_at_work() -> list[tuple[Message, Owner]]:
    return [
        (ad_clicked(monday("09:00"), "spring", anonymous_id=LAPTOP, company_id="acme"), SOMEONE_AT_ACME),
        (page_viewed(monday("09:05"), "/docs/quickstart", anonymous_id=LAPTOP, company_id="acme"), SOMEONE_AT_ACME),
    ]


@cell(web="company", api="nobody")
def a_company_that_reads() -> Story:
    """Acme reads the docs; what it reads outside of the single sign-on is not Acme's. The key that calls names nobody."""
    return Story(
        events=[
            *reads_at_work(),
            (page_viewed(monday("21:00"), "/docs/limits", anonymous_id=LAPTOP), (ON_LAPTOP, "")),
            (api_call(tuesday("10:00"), api_key=KEY), (BY_KEY, "")),
        ],
        developers={ON_LAPTOP: READER, BY_KEY: subject(first_call=tuesday("10:00"))},
        companies={"acme": subject(touch="spring", **ON_THE_WEB)},
        links=set(),
    )


@cell(web="company", api="developer")
def a_developer_who_might_work_there() -> Story:
    """Acme reads, Ada calls. She may well be the one who read; her company is not known, so her call is not Acme's."""
    return Story(
        events=[
            *reads_at_work(),
            (key_created(tuesday("09:50"), user_id="ada", api_key=KEY), ADA_ALONE),
            (api_call(tuesday("10:00"), api_key=KEY), ADA_ALONE),
        ],
        developers={ON_LAPTOP: READER, "ada": subject(key=tuesday("09:50"), first_call=tuesday("10:00"))},
        companies={"acme": subject(touch="spring", **ON_THE_WEB)},
        links={key_is("ada", tuesday("09:50"))},
    )


@cell(web="company", api="company")
def a_company_without_people() -> Story:
    """No person is known on either side, and Acme's way from the ad to the first call is whole."""
    return Story(
        events=[
            *reads_at_work(),
            (api_call(tuesday("10:00"), api_key=KEY, company_id="acme"), (BY_KEY, "acme")),
        ],
        developers={ON_LAPTOP: READER, BY_KEY: subject(company="acme", first_call=tuesday("10:00"))},
        companies={"acme": subject(touch="spring", **ON_THE_WEB, first_call=tuesday("10:00"))},
        links={key_of("acme", tuesday("10:00"))},
    )


@cell(web="company", api="both")
def one_of_its_people_becomes_known() -> Story:
    """The API knows Ada of Acme. The company has both sides; she has only her calls: who read at work is still unknown."""
    return Story(
        events=[
            *reads_at_work(),
            (key_created(tuesday("09:50"), user_id="ada", company_id="acme", api_key=KEY), ADA_OF_ACME),
            (api_call(tuesday("10:00"), api_key=KEY), ADA_OF_ACME),
        ],
        developers={
            ON_LAPTOP: READER,
            "ada": subject(company="acme", key=tuesday("09:50"), first_call=tuesday("10:00")),
        },
        companies={
            "acme": subject(touch="spring", **ON_THE_WEB, key=tuesday("09:50"), first_call=tuesday("10:00")),
        },
        links={key_is("ada", tuesday("09:50")), key_of("acme", tuesday("09:50")), works_at("ada", "acme")},
    )
