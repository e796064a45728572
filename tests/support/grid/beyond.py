"""Stories beside the grid: colleagues, a change of company, and keys in several hands."""

from __future__ import annotations

from tests.support.grid.story import (
    ADA_OF_ACME,
    BY_KEY,
    KEY,
    LAPTOP,
    Owner,
    Story,
    beyond,
    key_is,
    key_of,
    laptop_is,
    monday,
    subject,
    tuesday,
    works_at,
)
from tests.support.worlds import (
    ad_clicked,
    api_call,
    group,
    invitation_accepted,
    invitation_sent,
    key_created,
    message_sent,
    page_viewed,
    signed_up,
)

BOB_OF_ACME: Owner = ("bob", "acme")


@beyond
def an_invited_colleague_integrates() -> Story:
    """Ada follows the ad, signs up and invites Bob, who writes the code. The integration is Acme's, and Acme came by the ad."""
    phone = "bobs-phone"
    return Story(
        events=[
            (ad_clicked(monday("09:00"), "spring", anonymous_id=LAPTOP), ADA_OF_ACME),
            (signed_up(monday("09:30"), user_id="ada", anonymous_id=LAPTOP), ADA_OF_ACME),
            (group(monday("09:31"), "ada", "acme"), ADA_OF_ACME),
            (invitation_sent(monday("09:40"), user_id="ada"), ADA_OF_ACME),
            (invitation_accepted(monday("11:00"), anonymous_id=phone), BOB_OF_ACME),
            (signed_up(monday("11:05"), user_id="bob", anonymous_id=phone), BOB_OF_ACME),
            (group(monday("11:05"), "bob", "acme"), BOB_OF_ACME),
            (key_created(monday("11:10"), user_id="bob", api_key=KEY), BOB_OF_ACME),
            (api_call(tuesday("10:00"), api_key=KEY), BOB_OF_ACME),
        ],
        developers={
            "ada": subject(company="acme", touch="spring", signup=monday("09:30"), advocate=monday("09:40")),
            "bob": subject(
                company="acme",
                touch="Invitation Accepted",
                signup=monday("11:05"),
                key=monday("11:10"),
                first_call=tuesday("10:00"),
            ),
        },
        companies={
            "acme": subject(
                touch="spring",
                signup=monday("09:30"),
                advocate=monday("09:40"),
                key=monday("11:10"),
                first_call=tuesday("10:00"),
            ),
        },
        links={
            laptop_is("ada", monday("09:30")),
            ("anonymous_id", phone, "developer", "bob", monday("11:05")),
            key_is("bob", monday("11:10")),
            works_at("ada", "acme"),
            works_at("bob", "acme"),
        },
    )


@beyond
def a_developer_who_changes_company() -> Story:
    """Ada leaves Acme for Globex. Her history goes along, the ad and the sign-up included.

    What is stamped as Acme's stays: the page behind its single sign-on, and the key that it pays for.
    """
    ada_of_globex: Owner = ("ada", "globex")
    return Story(
        events=[
            (ad_clicked(monday("09:00"), "spring", anonymous_id=LAPTOP), ada_of_globex),
            (signed_up(monday("09:30"), user_id="ada", anonymous_id=LAPTOP), ada_of_globex),
            (group(monday("09:31"), "ada", "acme"), ADA_OF_ACME),
            (page_viewed(monday("09:40"), "/docs", anonymous_id=LAPTOP, company_id="acme"), ADA_OF_ACME),
            (key_created(monday("09:50"), user_id="ada", company_id="acme", api_key=KEY), ADA_OF_ACME),
            (group(tuesday("09:00"), "ada", "globex"), ada_of_globex),
            (api_call(tuesday("10:00"), api_key=KEY), ADA_OF_ACME),
            (page_viewed(tuesday("11:00"), "/docs/limits", anonymous_id=LAPTOP), ada_of_globex),
        ],
        developers={
            "ada": subject(
                company="globex",
                touch="spring",
                visit=monday("09:40"),
                docs=monday("09:40"),
                signup=monday("09:30"),
                key=monday("09:50"),
                first_call=tuesday("10:00"),
            ),
        },
        companies={
            "acme": subject(
                visit=monday("09:40"), docs=monday("09:40"), key=monday("09:50"), first_call=tuesday("10:00")
            ),
            "globex": subject(touch="spring", visit=tuesday("11:00"), docs=tuesday("11:00"), signup=monday("09:30")),
        },
        links={
            laptop_is("ada", monday("09:30")),
            key_is("ada", monday("09:50")),
            key_of("acme", monday("09:50")),
            works_at("ada", "globex"),
        },
    )


@beyond
def a_key_that_knows_only_its_company() -> Story:
    """Acme resells the API: a call that names Acme's customer is the customer's, all others are Acme's, earlier ones too."""
    return Story(
        events=[
            (message_sent(monday("08:00"), api_key=KEY), (BY_KEY, "acme")),
            (api_call(monday("09:00"), api_key=KEY, company_id="acme"), (BY_KEY, "acme")),
            (api_call(monday("10:00"), api_key=KEY, company_id="globex"), (BY_KEY, "globex")),
            (api_call(tuesday("10:00"), api_key=KEY), (BY_KEY, "acme")),
        ],
        developers={BY_KEY: subject(company="acme", first_call=monday("09:00"))},
        companies={"acme": subject(first_call=monday("09:00")), "globex": subject(first_call=monday("10:00"))},
        links={key_of("acme", monday("09:00"))},
    )


@beyond
def a_key_that_knows_only_its_developer() -> Story:
    """Ada's key is in Bob's hands for a while. A call that names him is his; the key stays hers, as she had it first."""
    return Story(
        events=[
            (key_created(monday("09:00"), user_id="ada", api_key=KEY), ADA_OF_ACME),
            (api_call(monday("10:00"), api_key=KEY, user_id="bob"), ("bob", "")),
            (api_call(monday("11:00"), api_key=KEY), ADA_OF_ACME),
            (group(tuesday("09:00"), "ada", "acme"), ADA_OF_ACME),
        ],
        developers={
            "ada": subject(company="acme", key=monday("09:00"), first_call=monday("11:00")),
            "bob": subject(first_call=monday("10:00")),
        },
        companies={"acme": subject(key=monday("09:00"), first_call=monday("11:00"))},
        links={key_is("ada", monday("09:00")), works_at("ada", "acme")},
    )


@beyond
def a_key_that_knows_both() -> Story:
    """Ada made the key for Acme. Bob works at Globex and helps out: his call is his own, and Acme's, whose key it is."""
    return Story(
        events=[
            (key_created(monday("09:00"), user_id="ada", company_id="acme", api_key=KEY), ADA_OF_ACME),
            (group(monday("09:30"), "bob", "globex"), ("bob", "globex")),
            (api_call(monday("10:00"), api_key=KEY, user_id="bob"), BOB_OF_ACME),
            (signed_up(monday("10:30"), user_id="bob"), ("bob", "globex")),
            (api_call(monday("11:00"), api_key=KEY), ADA_OF_ACME),
        ],
        developers={
            "ada": subject(company="acme", key=monday("09:00"), first_call=monday("11:00")),
            "bob": subject(company="globex", signup=monday("10:30"), first_call=monday("10:00")),
        },
        companies={
            "acme": subject(key=monday("09:00"), first_call=monday("10:00")),
            "globex": subject(signup=monday("10:30")),
        },
        links={
            key_is("ada", monday("09:00")),
            key_of("acme", monday("09:00")),
            works_at("ada", "acme"),
            works_at("bob", "globex"),
        },
    )
