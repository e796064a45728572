"""Time to first call and activation, computed from the published profiles one subject at a time.

Each function gives the rows of the named query or view of the same name, in its order. Times are in ms. Shares are not rounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

from schemas.config.definitions import Definitions, Level
from tests.support.reference.subjects import DAY, LEVELS, Asked, Row, Subject, percent, quantile, week_of


def signups(found: list[Subject]) -> Iterator[Row]:
    """The rows of the view, without what is only carried along, in no order."""
    for subject in found:
        if "signup" in subject.stages:
            signup, called = subject.stages["signup"], subject.stages.get("first_call")
            yield {
                "level": subject.level,
                "subject_id": subject.id,
                "kind": subject.kind,
                "company_id": subject.company,
                "signup_at": signup,
                "signup_week": week_of(signup),
                "first_call_at": called,
                "time_to_first_call_seconds": None if called is None else (called - signup) / 1000,
                "segments": subject.segments,
            }


def activation_candidates(found: list[Subject], definitions: Definitions) -> Iterator[Row]:
    """The rows of the view, in no order."""
    for subject in found:
        for name, one in definitions.activations.items():
            if subject.level in one.levels and one.anchor in subject.stages:
                anchor = subject.stages[one.anchor]
                yield {
                    "level": subject.level,
                    "definition": name,
                    "subject_id": subject.id,
                    "kind": subject.kind,
                    "company_id": subject.company,
                    "anchor": one.anchor,
                    "anchor_at": anchor,
                    "matures_at": None if one.span_days is None else anchor + one.span_days * DAY,
                    "activated_at": subject.activations.get(name),
                    "segments": subject.segments,
                }


def ttfc(found: list[Subject], asked: Asked, level: str = "", by: Literal["all", "week"] = "all") -> list[Row]:
    """The query `ttfc`."""
    groups: dict[tuple[Level, str, int | None], list[float | None]] = {}
    for subject in found:
        signup = subject.stages.get("signup", math.inf)
        if level not in ("", subject.level) or not asked.wants(subject):
            continue
        if asked.after < signup <= min(asked.until, asked.at):
            called = subject.stages.get("first_call", math.inf)
            week = week_of(int(signup)) if by == "week" else None
            seconds = (called - signup) / 1000 if called <= asked.at else None
            groups.setdefault((subject.level, asked.group(subject), week), []).append(seconds)
    rows = []
    for (its_level, group, week), seconds_of_all in sorted(groups.items(), key=_levels_first):
        seconds_of = [seconds for seconds in seconds_of_all if seconds is not None]
        within = sum(seconds <= 300 for seconds in seconds_of)
        rows.append(
            {
                "level": its_level,
                "segment_value": group,
                "signup_week": week,
                "signed_up": len(seconds_of_all),
                "called": len(seconds_of),
                "called_percent": percent(len(seconds_of), len(seconds_of_all)),
                "called_before_signup": sum(seconds < 0 for seconds in seconds_of),
                "median_minutes": _minutes(quantile(seconds_of, 0.5)),
                "p90_minutes": _minutes(quantile(seconds_of, 0.9)),
                "called_within_5_minutes": within,
                "percent_within_5_minutes": percent(within, len(seconds_of)),
            }
        )
    return rows


def _minutes(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 60


def _levels_first(group: tuple[tuple[Level, str, int | None], Any]) -> tuple[int, str, int]:
    level, value, week = group[0]
    return LEVELS.index(level), value, week or 0


def activation(
    found: list[Subject], definitions: Definitions, asked: Asked, level: str = "", definition: str = ""
) -> list[Row]:
    """The query `activation`."""
    candidates = [
        (subject, name)
        for subject in found
        if asked.wants(subject) and level in ("", subject.level)
        for name, one in definitions.activations.items()
        if subject.level in one.levels
        and definition in ("", name)
        and asked.after < subject.stages.get(one.anchor, math.inf) <= min(asked.until, asked.at)
    ]
    rows = []
    for its_level in LEVELS:
        for group in asked.groups(subject for subject, _ in candidates):
            for name in sorted(definitions.activations):
                one = definitions.activations[name]
                if its_level not in one.levels or level not in ("", its_level) or definition not in ("", name):
                    continue
                theirs = [
                    who
                    for who, what in candidates
                    if what == name and who.level == its_level and asked.group(who) == group
                ]
                span = math.inf if one.span_days is None else one.span_days * DAY
                matured = [who for who in theirs if who.stages[one.anchor] + span <= asked.at]
                rows.append(
                    {
                        "level": its_level,
                        "segment_value": group,
                        "definition": name,
                        "anchored": len(theirs),
                        "activated": sum(_reached(who, name, asked.at) for who in theirs),
                        "matured": len(matured),
                        "activated_of_matured": sum(_reached(who, name, asked.at) for who in matured),
                        "percent_so_far": percent(sum(_reached(who, name, asked.at) for who in theirs), len(theirs)),
                        "percent_of_matured": percent(
                            sum(_reached(who, name, asked.at) for who in matured), len(matured)
                        ),
                    }
                )
    return rows


def _reached(subject: Subject, definition: str, at: int) -> bool:
    return subject.activations.get(definition, math.inf) <= at
