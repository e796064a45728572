"""What the pipeline publishes, as plain data in the shape of the read contract."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypedDict

from tests.support.reference.calls import Call
from tests.support.reference.events import Event, Rejection
from tests.support.reference.identity import IdentityRow

#: Hours of the trailing windows.
WINDOWS = (24, 7 * 24, 28 * 24)

Touch = dict[str, str]


class Resolved(NamedTuple):
    """Who an event belongs to, and its time in ms. `company_id` is '' where there is none."""

    developer_id: str
    company_id: str
    time: int


class Profile(TypedDict):
    """One developer, visitor or company. Times in ms; None and empty where there is nothing.

    `activations` maps a definition to (anchor, activated_at) and holds only the reached ones.
    """

    kind: str
    company_id: str
    first_seen: int | None
    last_active: int | None
    stages: dict[str, int]
    activations: dict[str, tuple[int, int]]
    first_touch_at: int | None
    first_touch: Touch
    segments: dict[str, str]
    is_internal: bool
    is_bot: bool


@dataclass
class Published:
    """Every published number of a set of events.

    `rolling` holds differences: the value of (metric, level, window_hours) at an hour is the sum of its entries up to
    that hour (ms, the END of the window); zero differences are left out, so that equal values are equal dicts.
    `rolling_by_segment` holds the same for (segment, value, metric, level, window_hours, hour) of those subjects.
    `activity` is (level, id, environment, START of the hour in ms).
    `events` has the earliest of the copies of an event; `event_rows` every copy that differs in content.
    `touches`: per level and id, in the order of time, of those of one moment the smaller content first; `touch_events`: the
    events that they are, with copies that disagree. `outreach`: (time, segments) by event, of the earliest copy. `copies`: by event, the earliest time, and
    how many different ones there are.
    """

    identities: set[IdentityRow] = field(default_factory=set)
    developers: dict[str, Profile] = field(default_factory=dict)
    companies: dict[str, Profile] = field(default_factory=dict)
    activity: set[tuple[str, str, str, int]] = field(default_factory=set)
    rolling: dict[tuple[str, str, int, int], int] = field(default_factory=dict)
    rolling_by_segment: dict[tuple[str, str, str, str, int, int], int] = field(default_factory=dict)
    events: dict[tuple[str, str, str], Resolved] = field(default_factory=dict)
    event_rows: set[tuple[str, str, str, str, str, int]] = field(default_factory=set)
    rejected: list[Rejection] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    touches: dict[tuple[str, str], list[tuple[int, Touch]]] = field(default_factory=dict)
    touch_events: dict[tuple[str, str], list[Event]] = field(default_factory=dict)
    outreach: dict[tuple[str, str, str], tuple[int, dict[str, str]]] = field(default_factory=dict)
    copies: dict[tuple[str, str, str], tuple[int, int]] = field(default_factory=dict)

    def rolling_value(self, metric: str, level: str, window_hours: int, hour_end_ms: int) -> int:
        """The value of a metric for the window (hour_end - window, hour_end]."""
        series = (metric, level, window_hours)
        return sum(delta for (*key, hour), delta in self.rolling.items() if (*key,) == series and hour <= hour_end_ms)

    def rolling_series(self, metric: str, level: str, window_hours: int) -> list[tuple[int, int]]:
        """The hours (ms) at which the metric changes, ascending, each with its value from there on."""
        series, value = [], 0
        for (*key, hour), delta in sorted(self.rolling.items()):
            if (*key,) == (metric, level, window_hours):
                value += delta
                series.append((hour, value))
        return series


def differences(expected: Published, actual: Published) -> list[str]:
    """One line for each fact that is not equal, sorted; empty when the two agree.

    `rejected` and `touches` are not compared, nor are events whose id was derived from their content.
    """
    lines = []
    for name in ("identities", "activity", "event_rows"):
        wanted, found = set(getattr(expected, name)), set(getattr(actual, name))
        lines += [f"{name}: missing {row!r}" for row in wanted - found if not _is_derived(row)]
        lines += [f"{name}: unexpected {row!r}" for row in found - wanted if not _is_derived(row)]
    lines += _differing_values("rolling", dict(expected.rolling), dict(actual.rolling))
    lines += _differing_values("rolling_by_segment", dict(expected.rolling_by_segment), dict(actual.rolling_by_segment))
    lines += _differing_values("events", dict(expected.events), dict(actual.events))
    lines += _differing_profiles("developer", expected.developers, actual.developers)
    lines += _differing_profiles("company", expected.companies, actual.companies)
    return sorted(lines)


def _is_derived(row: tuple[Any, ...]) -> bool:
    return str(row[0]).startswith("derived:")


def _differing_values(name: str, wanted: dict[Any, Any], found: dict[Any, Any]) -> Iterator[str]:
    for key in wanted.keys() | found.keys():
        if wanted.get(key) != found.get(key) and not _is_derived(key):
            yield f"{name}{key!r}: expected {wanted.get(key)!r}, not {found.get(key)!r}"


def _differing_profiles(level: str, wanted: dict[str, Profile], found: dict[str, Profile]) -> Iterator[str]:
    for subject in wanted.keys() | found.keys():
        if subject not in found or subject not in wanted:
            yield f"{level} {subject!r}: {'missing' if subject in wanted else 'unexpected'}"
            continue
        other: dict[str, Any] = dict(found[subject])
        for name, value in wanted[subject].items():
            if value != other.get(name):
                yield f"{level} {subject!r}: {name}: expected {value!r}, not {other.get(name)!r}"
