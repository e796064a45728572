"""Who is counted, and what a question about them may ask for; the measures that all answers share.

Times are in ms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from schemas.config.definitions import Definitions, Level
from tests.support.reference.published import Published

MINUTE, HOUR, DAY, WEEK = 60_000, 3_600_000, 86_400_000, 604_800_000
#: A Monday, at its begin.
MONDAY = 4 * DAY
LEVELS: tuple[Level, Level] = ("developer", "company")

Row = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """A developer, visitor or company that counts. `used`: ends (ms) of the hours in which it used the API in production."""

    level: Level
    id: str
    kind: str
    company: str
    first_seen: int
    last_active: int
    stages: dict[str, int]
    activations: dict[str, int]
    touched_at: int | None
    segments: dict[str, str]
    used: frozenset[int]

    @cached_property
    def weeks(self) -> frozenset[int]:
        """Mondays of the weeks in which it used the API in production."""
        return frozenset(week_of(hour) for hour in self.used)


@dataclass(frozen=True)
class Asked:
    """What a query is asked: as of `at`, of the period (after, until], of a company, by a segment, of one of its values."""

    at: int
    after: float = -math.inf
    until: float = math.inf
    company: str = ""
    segment: str = ""
    value: str = ""

    def group(self, subject: Subject) -> str:
        """The value of the segment asked for."""
        return subject.segments.get(self.segment, "") if self.segment else ""

    def wants(self, subject: Subject) -> bool:
        """Whether the subject is asked for, its times aside."""
        return self.company in ("", subject.company) and self.value in ("", self.group(subject))

    def groups(self, subjects: Iterable[Subject]) -> list[str]:
        """All values that any of these has."""
        return sorted({self.group(subject) for subject in subjects} | ({""} if not self.segment else set()))


def subjects(published: Published) -> list[Subject]:
    """All subjects but the own organisation and automated traffic."""
    used: dict[tuple[str, str], set[int]] = {}
    for level, subject, environment, hour in published.activity:
        if environment == "production":
            used.setdefault((level, subject), set()).add(hour + HOUR)
    found = []
    for name, profiles in (("developer", published.developers), ("company", published.companies)):
        for subject, profile in profiles.items():
            if profile["is_internal"] or profile["is_bot"]:
                continue
            assert profile["first_seen"] is not None
            assert profile["last_active"] is not None
            company = subject if name == "company" else profile["company_id"]
            found.append(
                Subject(
                    level="developer" if name == "developer" else "company",
                    id=subject,
                    kind=profile["kind"],
                    company=company,
                    first_seen=profile["first_seen"],
                    last_active=profile["last_active"],
                    stages=profile["stages"],
                    activations={definition: at for definition, (_, at) in profile["activations"].items()},
                    touched_at=profile["first_touch_at"],
                    segments={
                        **profile["first_touch"],
                        **({"company": company} if company else {}),
                        **profile["segments"],
                    },
                    used=frozenset(used.get((name, subject), ())),
                )
            )
    return found


def latest(published: Published) -> int | None:
    """The latest event of any developer, internal ones included: what `at` is by default."""
    times = [profile["last_active"] for profile in published.developers.values()]
    return max((time for time in times if time is not None), default=None)


def stages_of(definitions: Definitions, level: Level) -> list[str]:
    """The funnel of a level."""
    return [name for name, stage in definitions.stages.items() if stage.selector or level in (stage.activation or {})]


def percent(part: float, whole: float) -> float | None:
    """Of a hundred; None of nothing."""
    return 100 * part / whole if whole else None


def quantile(values: list[float], share: float) -> float | None:
    """The value below which this share lies, between two values in proportion; None of nothing."""
    if not values:
        return None
    place = (len(values) - 1) * share
    low, ordered = math.floor(place), sorted(values)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(values) - 1)] - ordered[low])


def week_of(time: int) -> int:
    """The Monday with which the week of a time begins. A week includes its end and not its start."""
    return (time - 1 - MONDAY) // WEEK * WEEK + MONDAY
