"""What a story of the grid is made of: what was sent, whose each event is, and who the subjects are in the end.

All of it is written by hand. The stories happen on one Monday (the web) and the Tuesday after it (the API), to one person,
Ada, on one laptop, with one API key, at one company, Acme; others are named where they come in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from tests.support.reference import Published, Record
from tests.support.worlds import Message, at, key_alias, record

KEY: Final = "sk_live_ada_1"
LAPTOP: Final = "laptop"

#: What a side can know of who is behind an event, in the order of the grid's rows and columns.
KNOWN: Final = ("nobody", "developer", "company", "both")

#: Whose an event is: (developer, company), '' for no company.
Owner = tuple[str, str]
ON_LAPTOP: Final = f"anonymous_id:{LAPTOP}"
BY_KEY: Final = f"api_key:{key_alias(KEY)}"
ADA_OF_ACME: Final[Owner] = ("ada", "acme")
ADA_ALONE: Final[Owner] = ("ada", "")


class Subject(NamedTuple):
    """A developer, visitor or company. `touch`: campaign, else event, of its first touch. `stages`: times in ms."""

    company: str
    touch: str
    stages: dict[str, int]


#: (kind of alias, alias, level, parent, since when in ms; 0: for ever)
Link = tuple[str, str, str, str, int]


@dataclass(frozen=True)
class Story:
    """`events`: each event with whose it is in the end. `links`: what is known of identities in the end."""

    events: list[tuple[Message, Owner]]
    developers: dict[str, Subject]
    companies: dict[str, Subject]
    links: set[Link]

    @property
    def records(self) -> list[Record]:
        """What was sent, in the order of the story."""
        return [record(message) for message, _ in self.events]

    @property
    def owners(self) -> dict[str, Owner]:
        """Whose the event of a message id is."""
        return {message["message_id"]: owner for message, owner in self.events}


#: The stories by (what the web knows, what the API knows).
GRID: dict[tuple[str, str], Callable[[], Story]] = {}
#: More stories of the two levels, by what happens in them.
BEYOND: dict[str, Callable[[], Story]] = {}


def cell(*, web: str, api: str) -> Callable[[Callable[[], Story]], Callable[[], Story]]:
    """Put a story into the grid."""

    def put(story: Callable[[], Story]) -> Callable[[], Story]:
        assert (web, api) not in GRID
        GRID[web, api] = story
        return story

    return put


def beyond(story: Callable[[], Story]) -> Callable[[], Story]:
    """Put a story beside the grid."""
    BEYOND[story.__name__] = story
    return story


def monday(clock: str) -> int:
    """A time of the Monday, in ms."""
    return at(f"2026-01-05 {clock}")


def tuesday(clock: str) -> int:
    """A time of the Tuesday, in ms."""
    return at(f"2026-01-06 {clock}")


def subject(*, company: str = "", touch: str = "", **stages: int) -> Subject:
    """A subject that entered these stages and no other."""
    return Subject(company, touch, stages)


def laptop_is(user: str, since: int) -> Link:
    """The laptop is known to be a user's."""
    return ("anonymous_id", LAPTOP, "developer", user, since)


def key_is(user: str, since: int, key: str = KEY) -> Link:
    """The key is known to be a user's."""
    return ("api_key", key_alias(key), "developer", user, since)


def key_of(company: str, since: int, key: str = KEY) -> Link:
    """The key is known to be a company's."""
    return ("api_key", key_alias(key), "company", company, since)


def works_at(user: str, company: str) -> Link:
    """The user's company."""
    return ("user_id", user, "company", company, 0)


def shown(published: Published) -> tuple[dict[str, Subject], dict[str, Subject], set[Link]]:
    """Developers, companies and links of what was published, in the form of a story."""
    developers, companies = (
        {
            name: Subject(profile["company_id"], _touch(profile["first_touch"]), profile["stages"])
            for name, profile in profiles.items()
        }
        for profiles in (published.developers, published.companies)
    )
    return developers, companies, published.identities


def _touch(fields: dict[str, str]) -> str:
    return fields.get("campaign") or fields.get("name", "")
