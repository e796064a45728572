"""Concentration, churn risks, power users, growth and use by day, in a plain way from what is published."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from schemas.config.definitions import ChurnRisk, Definitions, Level, PowerUse
from tests.support.reference.calls import Call
from tests.support.reference.published import WINDOWS, Published

HOUR = 3_600_000
DAY = 24 * HOUR


class Concentration(NamedTuple):
    """Calls of a window by company or token: how many, of how many, whose are the most, and the sum of squared shares."""

    calls: int
    subjects: int
    largest: str
    largest_calls: int
    herfindahl: float


class Risk(NamedTuple):
    """A subject that may be lost: since when (ms), when it entered the stage, and START of the hour of its last use, or None."""

    level: str
    definition: str
    subject: str
    company: str
    since: int
    entered: int | None
    last_use: int | None
    days_silent: int


class Power(NamedTuple):
    """A subject that uses the API on so many of the last days; `last_day` counted since 1970."""

    level: str
    definition: str
    subject: str
    company: str
    active_days: int
    of_days: int
    last_day: int


def latest(published: Published) -> int:
    """The latest event of a developer, ms; 0 without any."""
    return max((profile["last_active"] or 0 for profile in published.developers.values()), default=0)


def hour_at(published: Published, at: int | None) -> int:
    """The first full hour at or after a time, else after the latest event, ms."""
    return -(-(latest(published) if at is None else at) // HOUR) * HOUR


# Concentration


def production_calls(published: Published) -> list[Call]:
    """The calls that concentration is of."""
    return [call for call in published.calls if call.is_use and call.environment == "production"]


def concentration(calls: Iterable[Call], hour: int) -> dict[tuple[str, int], Concentration]:
    """By level and window, of the windows that end at an hour (ms)."""
    found = {}
    for window in WINDOWS:
        inside = [call for call in calls if hour - window * HOUR < call.time <= hour]
        for level, counts in _by_level(inside).items():
            if counts:
                found[level, window] = _concentration(counts)
    return found


def concentration_by_midnight(published: Published) -> dict[tuple[int, str, int], Concentration]:
    """The same at each UTC midnight up to the first one at or after the latest event, as (ms, level, window)."""
    by_day: dict[int, list[Call]] = defaultdict(list)
    for call in production_calls(published):
        by_day[-(-call.time // DAY)].append(call)
    found = {}
    if by_day:
        for window in WINDOWS:
            counts = {"company": Counter[str](), "token": Counter[str]()}
            for day in range(min(by_day), -(-latest(published) // DAY) + 1):
                coming, going = _by_level(by_day.get(day, [])), _by_level(by_day.get(day - window // 24, []))
                for level, inside in counts.items():
                    inside.update(coming[level])
                    for subject, count in going[level].items():
                        inside[subject] -= count
                    if +inside:
                        found[day * DAY, level, window] = _concentration(+inside)
    return found


def _by_level(calls: Iterable[Call]) -> dict[str, Counter[str]]:
    counts = {"company": Counter[str](), "token": Counter[str]()}
    for call in calls:
        counts["token"][call.token] += 1
        if call.company:
            counts["company"][call.company] += 1
    return counts


def _concentration(counts: Counter[str]) -> Concentration:
    total = sum(counts.values())
    largest = max(counts, key=lambda subject: (counts[subject], subject))
    squares = sum(count * count for count in counts.values())
    return Concentration(total, len(counts), largest, counts[largest], squares / total**2)


# Growth


def growth(published: Published) -> Iterator[tuple[tuple[str, str, str, str], dict[int, tuple[int, int]]]]:
    """Each series of a week, as (segment, value, metric, level): its values and those a week before, by hour (ms)."""
    deltas: dict[tuple[str, str, str, str], dict[int, int]] = defaultdict(dict)
    for (metric, level, window, hour), change in published.rolling.items():
        if window == 168:
            deltas["", "", metric, level][hour] = change
    for (segment, value, metric, level, window, hour), change in published.rolling_by_segment.items():
        if window == 168:
            deltas[segment, value, metric, level][hour] = change
    for series, changes in deltas.items():
        values: dict[int, int] = {}
        total = 0
        for hour in range(min(changes), max(changes) + HOUR, HOUR):
            total += changes.get(hour, 0)
            values[hour] = total
        yield series, {hour: (now, values.get(hour - 168 * HOUR, 0)) for hour, now in values.items()}


# Churn risks and power users


def churn_risks(published: Published, definitions: Definitions, at: int | None = None) -> set[Risk]:
    """Who may be lost as of a time (ms), by default the latest event."""
    now = hour_at(published, at)
    last_uses: dict[tuple[str, str], int] = {}
    for level, subject, environment, start in published.activity:
        if environment == "production" and start + HOUR <= now:
            last_uses[level, subject] = max(start, last_uses.get((level, subject), start))
    return {
        risk
        for name, definition in definitions.churn_risks.items()
        for level in definition.levels
        for subject, company, stages in _subjects(published, level)
        for risk in _risk(name, definition, level, subject, company, stages, last_uses.get((level, subject)), now)
    }


def _risk(
    name: str,
    definition: ChurnRisk,
    level: Level,
    subject: str,
    company: str,
    stages: dict[str, int],
    last_use: int | None,
    now: int,
) -> Iterator[Risk]:
    if definition.stage is not None:
        entered = stages.get(definition.stage)
        if entered is None:
            return
        since = entered + (definition.no_use_within_hours or 0) * HOUR
        # The hour in which it entered the stage ends at or after that.
        if since <= now and (last_use is None or last_use + HOUR < entered):
            yield Risk(level, name, subject, company, since, entered, last_use, (now - entered) // DAY)
    elif last_use is not None:
        since = last_use + HOUR + (definition.no_use_for_days or 0) * DAY
        if since <= now:
            yield Risk(level, name, subject, company, since, None, last_use, (now - last_use - HOUR) // DAY)


def power_users(published: Published, definitions: Definitions, at: int | None = None) -> set[Power]:
    """Who uses the API all the time as of a time (ms), by default the latest event."""
    now = hour_at(published, at)
    days: dict[tuple[str, str], set[int]] = defaultdict(set)
    for level, subject, environment, start in published.activity:
        if environment == "production" and start + HOUR <= now:
            days[level, subject].add(start // DAY)
    today = (now - HOUR) // DAY
    return {
        power
        for name, definition in definitions.power_users.items()
        for level in definition.levels
        for subject, company, _ in _subjects(published, level)
        for power in _power(name, definition, level, subject, company, days[level, subject], today)
    }


def _power(
    name: str, definition: PowerUse, level: Level, subject: str, company: str, days: set[int], today: int
) -> Iterator[Power]:
    recent = {day for day in days if today - definition.of_days < day <= today}
    if len(recent) >= definition.active_days:
        yield Power(level, name, subject, company, len(recent), definition.of_days, max(recent))


def _subjects(published: Published, level: Level) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Identified subjects that count: id, company, stages."""
    profiles = published.developers if level == "developer" else published.companies
    for subject, profile in profiles.items():
        if not profile["is_internal"] and not profile["is_bot"] and profile["kind"] != "visitor":
            yield subject, subject if level == "company" else profile["company_id"], profile["stages"]


# Use by day


def use_by_day(
    published: Published, company: str = "", developer: str = "", environment: str = "production"
) -> dict[int, tuple[int, int, int, int, int, int, tuple[str, ...]]]:
    """By day since 1970: calls, client errors, server errors, sum of latencies in microseconds, developers, tokens, libraries."""
    by_day: dict[int, list[Call]] = defaultdict(list)
    for call in published.calls:
        is_asked = (not company or call.company == company) and (not developer or call.developer == developer)
        if call.environment == environment and is_asked:
            by_day[call.time // DAY].append(call)
    return {
        day: (
            len(calls),
            sum(call.outcome.status_class == 4 for call in calls),
            sum(call.outcome.status_class == 5 for call in calls),
            sum(call.outcome.latency_us or 0 for call in calls),
            len({call.developer for call in calls if not call.developer.startswith("api_key:")}),
            len({call.token for call in calls}),
            tuple(sorted({call.outcome.sdk for call in calls if call.outcome.sdk})),
        )
        for day, calls in by_day.items()
    }
