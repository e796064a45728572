"""The funnel and who is stuck in it, computed from the published profiles one subject at a time.

Each function gives the rows of the named query or view of the same name, in its order. Times are in ms. Shares and times are not rounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from schemas.config.definitions import Definitions, Level
from tests.support.reference.subjects import HOUR, MINUTE, Asked, Row, Subject, percent, quantile, stages_of


def stage_entries(found: list[Subject], definitions: Definitions) -> Iterator[Row]:
    """The rows of the view, without what is only carried along, in no order."""
    for subject in found:
        funnel_of = stages_of(definitions, subject.level)
        entered = [name for name in funnel_of if name in subject.stages]
        for nth, name in enumerate(entered):
            place, before = funnel_of.index(name), entered[nth - 1] if nth else ""
            later = [subject.stages[other] for other in entered[nth + 1 :]]
            yield {
                "level": subject.level,
                "subject_id": subject.id,
                "kind": subject.kind,
                "company_id": subject.company,
                "stage": name,
                "position": list(definitions.stages).index(name),
                "phase": definitions.stages[name].phase,
                "entered_at": subject.stages[name],
                "previous_stage": before,
                "previous_entered_at": subject.stages[before] if before else None,
                "seconds_since_previous": (subject.stages[name] - subject.stages[before]) / 1000 if before else None,
                "next_stage": funnel_of[place + 1] if place + 1 < len(funnel_of) else "",
                "further_at": min(later, default=None),
            }


def funnel(found: list[Subject], definitions: Definitions, asked: Asked, level: Level, starting: str = "") -> list[Row]:
    """The query `funnel`."""
    names = stages_of(definitions, level)
    wanted = []
    for subject in found:
        start = subject.stages.get(starting, math.inf) if starting else subject.first_seen
        if subject.level == level and asked.wants(subject) and asked.after < start <= asked.until and start < math.inf:
            wanted.append((subject, {name: at for name, at in subject.stages.items() if at <= asked.at}))
    rows = []
    in_funnel = [subject for subject, entered in wanted if entered.keys() & set(names)]
    for group in asked.groups(in_funnel):
        entries = [entered for subject, entered in wanted if asked.group(subject) == group]
        for place, name in enumerate(names):
            here = [entered for entered in entries if name in entered]
            before = [entered for entered in entries if place and names[place - 1] in entered]
            both = [entered[name] - entered[names[place - 1]] for entered in before if name in entered]
            minutes = [took / MINUTE for took in both if took >= 0]
            first = [entered for entered in entries if names[0] in entered]
            rows.append(
                {
                    "segment_value": group,
                    "stage": name,
                    "phase": definitions.stages[name].phase,
                    "entered": len(here),
                    "dropped": len(before) - len(both) if place else None,
                    "dropped_percent": percent(len(before) - len(both), len(before)),
                    "percent_of_previous": percent(len(both), len(before)),
                    "percent_of_first": percent(sum(name in entered for entered in first), len(first)),
                    "out_of_order": sum(took < 0 for took in both),
                    "median_minutes": quantile(minutes, 0.5),
                    "p90_minutes": quantile(minutes, 0.9),
                }
            )
    return rows


def _stage_at(subject: Subject, definitions: Definitions, at: int) -> str:
    """The furthest stage that the subject had entered, or ''."""
    entered = [name for name in stages_of(definitions, subject.level) if subject.stages.get(name, math.inf) <= at]
    return entered[-1] if entered else ""


def stuck(
    found: list[Subject], definitions: Definitions, asked: Asked, level: Level, hours: float = 0, limit: int = 50
) -> list[Row]:
    """The query `stuck`."""
    names = stages_of(definitions, level)
    rows: list[Row] = []
    for subject in found:
        if subject.level != level or not asked.wants(subject):
            continue
        stage = _stage_at(subject, definitions, asked.at)
        if stage in ("", names[-1]) or subject.stages[stage] > asked.at - hours * HOUR:
            continue
        rows.append(
            {
                "subject_id": subject.id,
                "company_id": subject.company,
                "kind": subject.kind,
                "segment_value": asked.group(subject),
                "stage": stage,
                "phase": definitions.stages[stage].phase,
                "since": subject.stages[stage],
                "waiting_hours": (asked.at - subject.stages[stage]) / HOUR,
                "next_stage": names[names.index(stage) + 1],
                "last_active": subject.last_active,
            }
        )
    rows.sort(key=lambda row: (-names.index(str(row["stage"])), -row["since"], row["subject_id"]))
    return rows[:limit]


def stuck_stages(found: list[Subject], definitions: Definitions, asked: Asked, level: Level) -> list[Row]:
    """The query `stuck-stages`."""
    names, rows = stages_of(definitions, level), []
    entries = [
        (subject, name, subject.stages[name])
        for subject in found
        if subject.level == level and asked.wants(subject)
        for name in names
        if asked.after < subject.stages.get(name, math.inf) <= min(asked.at, asked.until)
    ]
    for group in asked.groups(subject for subject, _, _ in entries):
        theirs = [entry for entry in entries if asked.group(entry[0]) == group]
        at_stage = {
            name: [at for who, stage, at in theirs if stage == name == _stage_at(who, definitions, asked.at)]
            for name in names
        }
        for place, name in enumerate(names):
            waiting = [(asked.at - at) / HOUR for at in at_stage[name]] if place + 1 < len(names) else []
            entered = sum(stage == name for _, stage, _ in theirs)
            rows.append(
                {
                    "segment_value": group,
                    "stage": name,
                    "phase": definitions.stages[name].phase,
                    "next_stage": names[place + 1] if place + 1 < len(names) else "",
                    "entered": entered,
                    "at_stage": len(at_stage[name]),
                    "percent_of_all": percent(len(at_stage[name]), sum(map(len, at_stage.values()))),
                    "percent_of_entered": percent(len(at_stage[name]), entered),
                    "median_waiting_hours": quantile(waiting, 0.5),
                    "p90_waiting_hours": quantile(waiting, 0.9),
                    "longest_waiting_hours": max(waiting, default=None),
                }
            )
    return rows
