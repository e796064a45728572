"""The events that an erasure suppresses, by the identities at the time of the request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from schemas.config.definitions import Definitions, Level
from tests.support.reference.events import Event, Record, Rejection, read, without_copies
from tests.support.reference.identity import Identities

Test = Callable[[Event], bool]


class Erasure(NamedTuple):
    """A request to erase a developer or a company, at a time (ms), when `received` had arrived."""

    level: Level
    id: str
    at: int
    received: list[Record]


def suppressed_events(erasures: Iterable[Erasure], definitions: Definitions, secret: bytes) -> Test:
    """Whether an event is suppressed by any of the erasures, which are given in their order."""
    tests: list[Test] = []

    def is_suppressed(event: Event) -> bool:
        return any(test(event) for test in tests)

    for erasure in erasures:
        outcomes = read(erasure.received, definitions, secret, is_suppressed)
        rows = [outcome for outcome in outcomes if not isinstance(outcome, Rejection)]
        events = without_copies(rows, by=lambda event: event.meaning)
        identities = Identities(events, definitions.limits)
        concerns = (_of_person if erasure.level == "developer" else _of_company)(erasure.id, identities)
        until = max([erasure.at, *(row.time for row in rows if concerns(row))])
        tests.append(lambda event, concerns=concerns, until=until: event.time <= until and concerns(event))  # type: ignore[misc]
    return is_suppressed


def _of_person(user: str, identities: Identities) -> Test:
    person = identities.canonical(user)

    def concerns(event: Event) -> bool:
        named = [name for name in (event.user_id, event.merged_id) if name]
        if any(identities.canonical(name) == person for name in named):
            return True
        return not event.user_id and identities.developer(event) == person

    return concerns


def _of_company(company: str, identities: Identities) -> Test:
    def concerns(event: Event) -> bool:
        if event.company_id:
            return event.company_id == company
        return identities.key_company.get(event.api_key, (0, ""))[1] == company

    return concerns
