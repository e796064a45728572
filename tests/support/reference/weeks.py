"""Weekly cohorts, active and paying subjects and the figures of each phase, computed from the published profiles and hours.

Each function gives the rows of the named query of the same name, in its order. Times are in ms. Shares are not rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from schemas.config.definitions import Definitions, Level
from tests.support.reference.published import Published
from tests.support.reference.subjects import DAY, HOUR, LEVELS, WEEK, Asked, Row, Subject, percent, week_of


def weekly_use(found: list[Subject]) -> list[Row]:
    """The rows of the view, without what is only carried along, in no order."""
    rows = []
    for subject in found:
        cohort = week_of(subject.stages["signup"]) if "signup" in subject.stages else None
        by_week: dict[int, list[int]] = {}
        for hour in subject.used:
            by_week.setdefault(week_of(hour), []).append(hour)
        for week, hours in by_week.items():
            rows.append(
                {
                    "level": subject.level,
                    "subject_id": subject.id,
                    "company_id": subject.company,
                    "week": week,
                    "active_days": len({(hour - HOUR) // DAY for hour in hours}),
                    "active_hours": len(hours),
                    "signup_week": cohort,
                    "weeks_since_signup": None if cohort is None else (week - cohort) // WEEK,
                }
            )
    return rows


def _cohorts(found: list[Subject], asked: Asked, level: Level) -> list[tuple[str, int, list[Subject]]]:
    """Value of the segment, week and members of each cohort."""
    members: dict[tuple[str, int], list[Subject]] = {}
    for subject in found:
        if subject.level == level and asked.wants(subject) and subject.stages.get("signup", math.inf) <= asked.at:
            members.setdefault((asked.group(subject), week_of(subject.stages["signup"])), []).append(subject)
    return [
        (group, week, theirs)
        for (group, week), theirs in sorted(members.items(), key=lambda cohort: cohort[0])
        if asked.after <= week and week + WEEK <= asked.until
    ]


def cohorts(found: list[Subject], asked: Asked, level: Level, weeks: int = 12) -> list[Row]:
    """The query `cohorts`. A period takes the weeks that begin and end in it."""
    rows = []
    for group, cohort, members in _cohorts(found, asked, level):
        for number in range(weeks + 1):
            week = cohort + number * WEEK
            if week >= asked.at:
                continue
            active = sum(week in member.weeks for member in members)
            over = week + WEEK <= asked.at
            rows.append(
                {
                    "segment_value": group,
                    "signup_week": cohort,
                    "signups_complete": cohort + WEEK <= asked.at,
                    "size": len(members),
                    "week_number": number,
                    "active": active if over else None,
                    "active_percent": percent(active, len(members)) if over else None,
                }
            )
    return rows


def cohort_activation(
    found: list[Subject], definitions: Definitions, asked: Asked, level: Level, definition: str = "", weeks: int = 4
) -> list[Row]:
    """The query `cohort-activation`."""
    rows = []
    for group, cohort, members in _cohorts(found, asked, level):
        for name, one in definitions.activations.items():
            if level not in one.levels or definition not in ("", name):
                continue
            for number in range(weeks + 1):
                end = cohort + (number + 1) * WEEK
                reached = sum(member.activations.get(name, math.inf) <= end for member in members)
                if end - WEEK < asked.at:
                    rows.append(
                        {
                            "segment_value": group,
                            "definition": name,
                            "signup_week": cohort,
                            "signups_complete": cohort + WEEK <= asked.at,
                            "size": len(members),
                            "week_number": number,
                            "week_end": end,
                            "activated": reached if end <= asked.at else None,
                            "activated_percent": percent(reached, len(members)) if end <= asked.at else None,
                        }
                    )
    return sorted(
        rows, key=lambda row: (row["segment_value"], row["definition"], row["signup_week"], row["week_number"])
    )


def _week_ends(published: Published, at: int, weeks: int) -> list[int]:
    """Ends of the weeks back from the hour that ends at this time or next, the oldest first, none before the first event."""
    first = min(one["first_seen"] for one in published.developers.values() if one["first_seen"] is not None)
    end = -(-at // HOUR) * HOUR
    return [end - back * WEEK for back in reversed(range(weeks)) if end - back * WEEK > first]


def active(published: Published, asked: Asked, weeks: int = 8) -> list[Row]:
    """The query `active`, from the hours of use; by a segment, from the rolling counts."""
    ends = _week_ends(published, asked.at, weeks + 1)
    if not ends:
        return []
    named = {"token": "active_tokens", "developer": "active_developers", "company": "active_companies"}
    counts: dict[tuple[str, str, int], int] = {}
    if asked.segment:
        for (segment, value, metric, _, window, hour), change in published.rolling_by_segment.items():
            if segment == asked.segment and asked.value in ("", value) and window == 168:
                for end in ends:
                    counts[value, metric, end] = counts.get((value, metric, end), 0) + (change if hour <= end else 0)
    else:
        used: dict[tuple[str, str, int], set[str]] = {}
        for level, subject, environment, hour in published.activity:
            end = ends[-1] - (ends[-1] - hour - HOUR) // WEEK * WEEK
            if environment == "production" and end in ends:
                used.setdefault(("", named[level], end), set()).add(subject)
        counts = {place: len(who) for place, who in used.items()}
    rows = []
    groups = {group for (group, metric, _), count in counts.items() if metric in named.values() and count}
    for group in sorted(groups | (set() if asked.segment else {""})):
        for place, end in enumerate(ends):
            row: Row = {"segment_value": group, "week_end": end}
            row |= {metric: counts.get((group, metric, end), 0) for metric in named.values()}
            for metric in named.values():
                before = counts.get((group, metric, ends[place - 1]), 0) if place else 0
                growth = 100 * (row[metric] / before - 1) if before else None
                row[f"{metric.removeprefix('active_')}_growth_percent"] = growth
            rows.append(row)
    return [row for row in rows if row["week_end"] > ends[-1] - weeks * WEEK]


def paying(
    published: Published, found: list[Subject], asked: Asked, level: str = "", stage: str = "paying", weeks: int = 8
) -> list[Row]:
    """The query `paying`."""
    customers = [
        subject
        for subject in found
        if subject.kind != "visitor"
        and stage in subject.stages
        and asked.wants(subject)
        and level in ("", subject.level)
    ]
    rows = []
    for its_level in LEVELS:
        theirs = [one for one in customers if one.level == its_level]
        groups = asked.groups(theirs) if level in ("", its_level) else []
        for group in groups:
            for end in _week_ends(published, asked.at, weeks):
                pay = [one for one in theirs if asked.group(one) == group and one.stages[stage] <= end]
                days = {
                    span: sum(any(end - span * DAY < hour <= end for hour in one.used) for one in pay)
                    for span in (7, 28)
                }
                rows.append(
                    {
                        "level": its_level,
                        "segment_value": group,
                        "week_end": end,
                        "paying": len(pay),
                        "active_7_days": days[7],
                        "active_7_days_percent": percent(days[7], len(pay)),
                        "active_28_days": days[28],
                        "active_28_days_percent": percent(days[28], len(pay)),
                    }
                )
    return rows


def kpis(found: list[Subject], definitions: Definitions, asked: Asked, level: Level, within_days: int = 7) -> list[Row]:
    """The query `kpis`."""
    theirs = [subject for subject in found if subject.level == level and asked.wants(subject)]
    rows: list[Row] = []
    if not found:
        return rows
    first, last = week_of(min(subject.first_seen for subject in found)), week_of(asked.at)
    for group in asked.groups(theirs):
        members = [subject for subject in theirs if asked.group(subject) == group]
        figures = _figures(members, definitions, level, within_days)
        for week in range(first, last + 1, WEEK):
            if not (asked.after <= week and week + WEEK <= asked.until):
                continue
            for phase, name, days_more, of_week in figures:
                over = week + WEEK + days_more * DAY <= asked.at
                made = of_week(week)
                shares = name.endswith("_percent")
                value = percent(sum(made), len(made)) if shares else sum(made)
                rows.append(
                    {
                        "segment_value": group,
                        "week": week,
                        "phase": phase,
                        "kpi": name,
                        "value": value if over else None,
                        "numerator": sum(made) if over else None,
                        "denominator": len(made) if over and shares else None,
                        "is_over": over,
                    }
                )
    return rows


_Figure = tuple[str, str, int, Callable[[int], list[bool]]]


def _figures(members: list[Subject], definitions: Definitions, level: Level, within_days: int) -> list[_Figure]:
    """Phase, name, days to wait beyond the week, and what is counted: of a week, one truth for each who could."""

    def entry(subject: Subject, phase: str) -> float:
        names = [name for name, stage in definitions.stages.items() if stage.phase == phase]
        return min((subject.stages[name] for name in names if name in subject.stages), default=math.inf)

    def weekly(phase: str, holds: Callable[[Subject], bool] = bool) -> Callable[[int], list[bool]]:
        entered: dict[int, list[bool]] = {}
        for one in members:
            if (at := entry(one, phase)) < math.inf:
                entered.setdefault(week_of(int(at)), []).append(holds(one))
        return lambda week: entered.get(week, [])

    def by_touch(one: Subject) -> bool:
        came_by = one.segments.get("campaign") or one.segments.get("referrer")
        return bool(came_by) and one.touched_at is not None and one.touched_at <= entry(one, "awareness")

    def in_time(at: float, one: Subject) -> bool:
        return at <= entry(one, "awareness") + within_days * DAY

    by_activation = [stage.activation or {} for stage in definitions.stages.values() if stage.phase == "adoption"]
    chosen = next((each[level] for each in by_activation if level in each), None)

    def matured(week: int) -> list[bool]:
        if chosen is None or (span := definitions.activations[chosen].span_days) is None:
            return []
        anchor = definitions.activations[chosen].anchor
        theirs = [one for one in members if anchor in one.stages and week_of(one.stages[anchor] + span * DAY) == week]
        return [chosen in one.activations for one in theirs]

    def users(week: int) -> list[Subject]:
        return [one for one in members if week in one.weeks]

    return [
        ("awareness", "newcomers", 0, weekly("awareness")),
        ("awareness", "newcomers_by_touch_percent", 0, weekly("awareness", by_touch)),
        (
            "consideration",
            "newcomers_considering_percent",
            within_days,
            weekly("awareness", lambda one: in_time(entry(one, "consideration"), one)),
        ),
        (
            "consideration",
            "newcomers_signed_up_percent",
            within_days,
            weekly("awareness", lambda one: in_time(one.stages.get("signup", math.inf), one)),
        ),
        ("adoption", "activated_of_matured_percent", 0, matured),
        ("adoption", "weekly_active", 0, lambda week: [True for _ in users(week)]),
        ("advocacy", "new_advocates", 0, weekly("advocacy")),
        (
            "advocacy",
            "advocates_of_active_percent",
            0,
            lambda week: [entry(one, "advocacy") <= week + WEEK for one in users(week)],
        ),
    ]
