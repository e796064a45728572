"""Touches, credit and outreach, counted from plain lists."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction
from math import sqrt
from typing import NamedTuple

from schemas.config.definitions import Definitions
from tests.support.reference.events import DAY
from tests.support.reference.published import Published, Touch
from tests.support.reference.subjects import week_of

MODELS = ("first", "last", "linear", "position")

Fields = tuple[tuple[str, str], ...]


class Touched(NamedTuple):
    """A touch of a subject. Of touches of one time the one with the smaller fields is the earlier."""

    time: int
    fields: Fields
    is_content: bool
    segments: Fields


class Conversion(NamedTuple):
    level: str
    subject: str
    name: str
    time: int


class Credit(NamedTuple):
    """`time`, `fields`: of the touch; None and () if there was none."""

    conversion: Conversion
    model: str
    time: int | None
    fields: Fields


def touches_of(published: Published) -> dict[tuple[str, str], list[Touched]]:
    """The touches of every developer and company that counts, in the order of time; each event once, at its earliest."""
    found = {}
    for (level, subject), events in published.touch_events.items():
        profile = (published.developers if level == "developer" else published.companies)[subject]
        if profile["is_internal"] or profile["is_bot"]:
            continue
        earliest: dict[tuple[str, str, str], Touched] = {}
        for event in events:
            assert event.touch is not None
            touched = Touched(event.time, _fields(event.touch), event.is_content, _fields(event.segments))
            earliest[event.identity] = min(touched, earliest.get(event.identity, touched))
        found[level, subject] = sorted(earliest.values())
    return found


def _fields(texts: Touch) -> Fields:
    return tuple(sorted(texts.items()))


def conversions(published: Published) -> list[Conversion]:
    """Sign-ups and activations of subjects that count."""
    found = []
    for level, profiles in (("developer", published.developers), ("company", published.companies)):
        for subject, profile in profiles.items():
            if profile["is_internal"] or profile["is_bot"]:
                continue
            if "signup" in profile["stages"]:
                found.append(Conversion(level, subject, "signup", profile["stages"]["signup"]))
            for name, (_, time) in profile["activations"].items():
                found.append(Conversion(level, subject, f"activated:{name}", time))
    return found


def credit_of_touches(
    touches: dict[tuple[str, str], list[Touched]], converted: list[Conversion], lookback_days: int = 0
) -> dict[Credit, Fraction]:
    """What part each touch has in each conversion, by model."""
    found: dict[Credit, Fraction] = defaultdict(Fraction)
    for conversion in converted:
        since = conversion.time - lookback_days * DAY if lookback_days else 0
        path = [
            one
            for one in touches.get((conversion.level, conversion.subject), [])
            if since <= one.time <= conversion.time
        ]
        for model in MODELS:
            if not path:
                found[Credit(conversion, model, None, ())] += 1
            for touched, part in zip(path, _parts(model, len(path)), strict=True):
                if part:
                    found[Credit(conversion, model, touched.time, touched.fields)] += part
    return found


def _parts(model: str, touches: int) -> list[Fraction]:
    if model == "first":
        return [Fraction(place == 0) for place in range(touches)]
    if model == "last":
        return [Fraction(place == touches - 1) for place in range(touches)]
    if model == "linear" or touches < 3:
        return [Fraction(1, touches) for _ in range(touches)]
    between = [Fraction(1, 5) / (touches - 2) for _ in range(touches - 2)]
    return [Fraction(2, 5), *between, Fraction(2, 5)]


def before_signup(
    touches: dict[tuple[str, str], list[Touched]], converted: list[Conversion]
) -> dict[tuple[str, int], tuple[int, int, int]]:
    """By level and week (its Monday, ms): sign-ups, those touched before, those touched by content before."""
    found: dict[tuple[str, int], tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    for level, subject, name, time in converted:
        if name == "signup":
            earlier = [one for one in touches.get((level, subject), []) if one.time < time]
            signups, touched, content = found[level, week_of(time)]
            found[level, week_of(time)] = (
                signups + 1,
                touched + bool(earlier),
                content + any(one.is_content for one in earlier),
            )
    return dict(found)


def outreach_weeks(
    published: Published, definitions: Definitions, level: str, segment: str
) -> dict[tuple[int, str], tuple[int, int, int]]:
    """By week and value of the segment: outreach, touches by content, sign-ups; zeros between the first and the last week."""
    named = definitions.segments[segment].values
    moments: list[tuple[int, str, int]] = []
    moments += [(time, values.get(segment, ""), 0) for time, values in published.outreach.values()]
    for (other, _), touches in touches_of(published).items():
        if other == level:
            moments += [(one.time, dict(one.segments).get(segment, ""), 1) for one in touches if one.is_content]
    profiles = published.developers if level == "developer" else published.companies
    for profile in profiles.values():
        if not profile["is_internal"] and not profile["is_bot"] and "signup" in profile["stages"]:
            moments.append((profile["stages"]["signup"], profile["segments"].get(segment, ""), 2))
    counts = Counter(
        (week_of(time), "other" if named and value and value not in named else value, what)
        for time, value, what in moments
    )
    weeks = sorted({week for week, _, _ in counts})
    values = {value for _, value, _ in counts}
    return (
        {
            (week, value): (counts[week, value, 0], counts[week, value, 1], counts[week, value, 2])
            for week in range(weeks[0], weeks[-1] + 1, 7 * DAY)
            for value in values
        }
        if weeks
        else {}
    )


def lag_correlations(
    weeks: dict[tuple[int, str], tuple[int, int, int]], last_time: int, lags: int = 8, least: int = 5
) -> Iterator[tuple[str, int, int, float | None]]:
    """(value, lag in weeks, pairs, Pearson's r) of outreach with sign-ups, of weeks whose last day has begun."""
    whole = {key: counts for key, counts in weeks.items() if key[0] + 6 * DAY <= last_time}
    series: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
    for (week, value), (held, _, signups) in whole.items():
        series[value or "(none)"][week] = (held, signups)
        x, y = series["(all)"].get(week, (0, 0))
        series["(all)"][week] = (x + held, y + signups)
    for value, points in series.items():
        ordered = [point for _, point in sorted(points.items())]
        for lag in range(lags + 1):
            pairs = [(x, y) for (x, _), (_, y) in zip(ordered, ordered[lag:], strict=False)]
            yield value, lag, len(pairs), _pearson(pairs) if len(pairs) >= least else None


def _pearson(pairs: list[tuple[int, int]]) -> float | None:
    mean_x = Fraction(sum(x for x, _ in pairs), len(pairs))
    mean_y = Fraction(sum(y for _, y in pairs), len(pairs))
    of_x = sum((x - mean_x) ** 2 for x, _ in pairs)
    of_y = sum((y - mean_y) ** 2 for _, y in pairs)
    if not of_x or not of_y:
        return None
    together = sum((x - mean_x) * (y - mean_y) for x, y in pairs)
    return float(together) / (sqrt(of_x) * sqrt(of_y))
