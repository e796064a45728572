"""The rows for ClickHouse. Each is an upsert: the greater version replaces the smaller one."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.config.definitions import Level
from schemas.event import AliasKind
from streams.facts.activation import Activated, stages_of
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.facts.facts import Facts
from streams.facts.hours import HOUR_MS, Hours, changed_days
from streams.facts.segments import segments_of
from streams.messages.outbox import PublishedRow
from streams.messages.updates import Link
from streams.normalise import clock
from streams.topology import ACTIVITY, IDENTITIES, PROFILES, ROLLING_COUNTS

#: The time of a link that holds for an alias's whole history.
ALWAYS = 0


def identity_row(
    kind: AliasKind,
    alias: str,
    developers: list[Link],
    company: Link | None,
    version: int,
    first_hash: str = "",
    *,
    device: Link | None = None,
    is_bot: bool = False,
    is_bot_with_key: bool = False,
) -> PublishedRow:
    """The owners of an alias: (from time, user id), ascending, and a company. A row that holds nothing is deleted.

    `first_hash`: of an API key's later hash, the first hash, which the token is counted under. `device`: the anonymous id of a
    session, whose events without one go by it. `is_bot`, `is_bot_with_key`: the events that the alias holds, without and with
    an API key, count for nothing.
    """
    return PublishedRow(
        IDENTITIES,
        f"{kind}:{alias}",
        {
            "alias_kind": kind,
            "alias": alias,
            "developer_ids": [user for _, user in developers],
            "developer_from": [clock.text(time) for time, _ in developers],
            "company_id": company[1] if company else "",
            "company_from": clock.text(company[0] if company else ALWAYS),
            "first_hash": first_hash,
            "device_id": device[1] if device else "",
            "device_from": clock.text(device[0] if device else ALWAYS),
            "is_bot": int(is_bot),
            "is_bot_with_key": int(is_bot_with_key),
            "version": version,
            "is_deleted": 0 if developers or company or device or is_bot or is_bot_with_key else 1,
        },
    )


class Subject(msgspec.Struct, frozen=True, gc=False):
    """A subject as published. `kind`: user, visitor or company. `company_id`: a developer's company."""

    level: Level
    id: str
    kind: str
    facts: Facts
    company_id: str = ""
    is_internal: bool = False
    is_bot: bool = False

    @property
    def exists(self) -> bool:
        """Whether there is anything to publish. Internal developers are published too, though their events do not count."""
        return self.facts.first_seen is not None or self.is_bot or (self.is_internal and self.level == "developer")


def profile_row(
    compiled: CompiledDefinitions,
    subject: Subject,
    reached: dict[str, Activated],
    segments: dict[str, str],
    version: int,
) -> PublishedRow:
    """The profile of a subject."""
    facts, level = subject.facts, subject.level
    columns: dict[str, Any] = {
        "level": level,
        "id": subject.id,
        "kind": subject.kind,
        "company_id": subject.company_id,
        "first_seen": None if facts.first_seen is None else clock.text(facts.first_seen),
        "last_active": None if facts.last_active is None else clock.text(facts.last_active),
        "stages": {name: clock.text(time) for name, time in stages_of(compiled, level, facts, reached).items()},
        "activation_anchors": {name: clock.text(activated.anchor_at) for name, activated in reached.items()},
        "activations": {name: clock.text(activated.activated_at) for name, activated in reached.items()},
        "first_touch_at": clock.text(facts.touches[0][0]) if facts.touches else None,
        "first_touch": facts.touches[0][2] if facts.touches else {},
        "segments": segments,
        "is_internal": int(subject.is_internal),
        "is_bot": int(subject.is_bot),
        "version": version,
        "is_deleted": 0,
    }
    return PublishedRow(PROFILES, f"{level}:{subject.id}", columns)


def segment_values(compiled: CompiledDefinitions, facts: Facts) -> dict[str, str]:
    """The subject's values of segments, by name of the segment."""
    values = {compiled.segments.names[i]: value for i, (_, value) in facts.segments.items()}
    return segments_of(compiled.definitions, values, facts.touches[0][2] if facts.touches else {})


def deleted_profile_row(level: Level, subject_id: str, version: int) -> PublishedRow:
    """The deletion of a subject that ceased to exist: its alias was linked to a developer, or its user merged away."""
    columns = {"level": level, "id": subject_id, "version": version, "is_deleted": 1}
    return PublishedRow(PROFILES, f"{level}:{subject_id}", columns)


def activity_rows(
    level: str, subject_id: str, before: dict[str, Hours], after: dict[str, Hours], version: int
) -> list[PublishedRow]:
    """The days of a subject whose active hours changed. `hours`: bit i is the hour that begins at i o'clock UTC."""
    rows = []
    for environment in before.keys() | after.keys():
        for day, hours in changed_days(before.get(environment), after.get(environment)).items():
            date = clock.text(day * 24 * HOUR_MS)[:10]
            rows.append(
                PublishedRow(
                    ACTIVITY,
                    f"{level}:{environment}:{date}:{subject_id}",
                    {
                        "level": level,
                        "id": subject_id,
                        "environment": environment,
                        "day": date,
                        "hours": hours,
                        "version": version,
                    },
                )
            )
    return rows


def rolling_row(
    scope: str,
    metric: str,
    level: Level,
    segment: tuple[str, str],
    *,
    window_hours: int,
    hour: int,
    delta: int,
    version: int,
) -> PublishedRow:
    """By how much a metric changes at an hour, as counted by one partition (the scope). `segment`: (segment, value), or two ''."""
    at = clock.text(hour * HOUR_MS)
    name, value = segment
    return PublishedRow(
        ROLLING_COUNTS,
        f"{scope}:{metric}:{level}:{window_hours}:{at}:{name}:{value}",
        {
            "scope": scope,
            "metric": metric,
            "level": level,
            "segment": name,
            "segment_value": value,
            "window_hours": window_hours,
            "hour": at,
            "delta": delta,
            "version": version,
        },
    )
