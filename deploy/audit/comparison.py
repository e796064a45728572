"""Compares what was published with what was recomputed: one finding for each published thing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from deploy.audit.recomputation import LEVELS, PLURAL, AuditStep, rolling_steps, stage_parameters
from deploy.audit.workspace import Workspace, statement
from schemas.config.definitions import Definitions, Level

#: How many differences of each kind are shown.
EXAMPLES: Final = 5

USAGE: Final = "usage by day"

#: Attributes of subjects that both sides have.
ATTRIBUTES: Final = ("kind", "company", "first seen", "last active", "stages", "first touch", "segments", "internal")

_ATTRIBUTES_TYPE: Final = (
    "'Tuple(kind String, company String, is_internal Bool, is_bot Bool, first_seen Int64, last_active Int64,"
    " stages Array(Tuple(String, Int64)), touched Int64, fields Array(Tuple(String, String)),"
    " segments Array(Tuple(String, String)), possible Array(Tuple(String, String)))'"
)
_PROFILES: Final = {
    "developer": ("developers", "id, toString(kind) AS kind, company_id AS company, is_internal, is_bot"),
    "company": ("companies", "id, 'company' AS kind, '' AS company, is_internal, false AS is_bot"),
}


class Difference(NamedTuple):
    """One published thing that differs. Empty texts: it is not expected, or not found."""

    id: str
    verdict: str
    expected: str
    found: str


@dataclass
class Finding:
    """How many of a published thing were compared, and with which result.

    `missing`: computed, not published. `surplus`: published, not computed. `unproven`: only a later copy of an event, of which
    no row is left, would explain it; or its events were written after the sink's last reconciliation. `differences` and
    `unproven_examples`: the first ones by id.
    """

    published: str
    agree: int = 0
    differ: int = 0
    missing: int = 0
    surplus: int = 0
    unproven: int = 0
    differences: list[Difference] = field(default_factory=list)
    unproven_examples: list[Difference] = field(default_factory=list)

    @property
    def compared(self) -> int:
        return self.agree + self.unproven + self.wrong

    @property
    def wrong(self) -> int:
        """The number of differences."""
        return self.differ + self.missing + self.surplus

    def add(self, verdict: str, number: int, examples: list[tuple[str, str, str]]) -> None:
        """Count so many of a verdict, some of them shown."""
        setattr(self, verdict, getattr(self, verdict) + number)
        if verdict == "agree":
            return
        shown = [Difference(subject, verdict, expected, found) for subject, expected, found in examples]
        if verdict == "unproven":
            self.unproven_examples += shown
        else:
            self.differences = sorted([*self.differences, *shown])[:EXAMPLES]


def comparisons(
    workspace: Workspace, definitions: Definitions, copies_ms: int, findings: list[Finding]
) -> Iterator[AuditStep]:
    """The comparisons in order; each step appends to `findings`.

    `copies_ms`: how much later than the earliest a copy of an event may be.
    """
    workspace.parameters |= {"examples": EXAMPLES, "copies_ms": copies_ms}

    def comparing(name: str, title: str, more: dict[str, Any] | None = None, **texts: str) -> AuditStep:
        return AuditStep(f"Comparing {title}", partial(_compare, workspace, findings, name, title, more, texts))

    yield comparing("identities", "identities")
    yield comparing("automated", "automated traffic")
    for name in ("touches", "outreach"):
        yield comparing(name, name, renamed=statement("renamed"))
    yield comparing("usage", USAGE)
    for level in LEVELS:
        more = stage_parameters(definitions, level)
        yield AuditStep(f"Comparing {PLURAL[level]}", partial(_compare_profiles, workspace, findings, level, more))
        if copies_ms:
            note = partial(workspace.run, "segments_unproven", {"level": level}, profiles=_PROFILES[level][0])
            yield AuditStep(f"Noting unproven segments of {PLURAL[level]}", note)
    for level in LEVELS:
        yield comparing("activations", f"activations of {PLURAL[level]}", {"level": level})
    days = statement("activity_sides")
    for subject in ("token", "developer", "company"):
        title = f"activity of {PLURAL[subject]}"
        yield comparing("activity", title, {"level": subject}, days=days)
        if copies_ms:
            note = partial(workspace.run, "active_unproven", {"level": subject}, days=days)
            yield AuditStep(f"Noting unproven {title}", note)
    yield from rolling_steps(workspace)
    yield comparing("rolling", "rolling counts")


def _compare(
    workspace: Workspace,
    findings: list[Finding],
    name: str,
    title: str,
    more: dict[str, Any] | None,
    texts: dict[str, str],
) -> None:
    finding = Finding(title)
    for verdict, number, examples in workspace.rows(f"compare_{name}", more, outcome=statement("outcome"), **texts):
        finding.add(verdict, number, examples)
    findings.append(finding)


def _compare_profiles(workspace: Workspace, findings: list[Finding], level: Level, more: dict[str, Any]) -> None:
    view, profile = _PROFILES[level]
    rows = workspace.rows("compare_profiles", more, profiles=view, profile=profile, attributes=_ATTRIBUTES_TYPE)
    subjects = Finding(PLURAL[level])
    attributes = {name: Finding(f"{PLURAL[level]}: {name}") for name in ATTRIBUTES}
    for attribute, verdict, number, examples in rows:
        (attributes[attribute] if attribute else subjects).add(verdict, number, examples)
    for finding in attributes.values():
        finding.agree = subjects.agree - finding.differ - finding.unproven
    if level == "company":
        del attributes["kind"], attributes["company"]
    findings += [subjects, *attributes.values()]
