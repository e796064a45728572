"""Stages and activations: where a subject stands, from its facts alone."""

from __future__ import annotations

import msgspec

from schemas.config.definitions import Activation, Level
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.facts.facts import Facts
from streams.facts.hours import DAY_MS


class Activated(msgspec.Struct, frozen=True, gc=False):
    """An activation that was reached: the time of its anchor and its own, in ms."""

    anchor_at: int
    activated_at: int


def activations_of(compiled: CompiledDefinitions, level: Level, facts: Facts) -> dict[str, Activated]:
    """The activations that a subject of this level has reached, by name of the definition.

    Conditions count from the subject's first event on; the moment at which all hold, or the anchor if that is later,
    counts if it lies within the span after the anchor.
    """
    reached: dict[str, Activated] = {}
    if not facts.firsts:
        return reached
    for name, definition in compiled.definitions.activations.items():
        if level not in definition.levels:
            continue
        anchor, moment = _anchor_of(compiled, definition, facts), _all_hold_at(compiled, definition, facts)
        if anchor is None or moment is None:
            continue
        at = max(moment, anchor)
        if definition.span_days is None or at - anchor <= definition.span_days * DAY_MS:
            reached[name] = Activated(anchor, at)
    return reached


def matured_of(compiled: CompiledDefinitions, level: Level, facts: Facts) -> dict[str, int]:
    """When the span of each activation of this level was over for the subject, in ms: from then on it counts as matured.

    A definition without a span never matures.
    """
    matured: dict[str, int] = {}
    for name, definition in compiled.definitions.activations.items():
        if level in definition.levels and definition.span_days is not None:
            anchor = _anchor_of(compiled, definition, facts)
            if anchor is not None:
                matured[name] = anchor + definition.span_days * DAY_MS
    return matured


def stages_of(
    compiled: CompiledDefinitions, level: Level, facts: Facts, reached: dict[str, Activated]
) -> dict[str, int]:
    """When the subject entered each stage that it has entered, in ms."""
    stages: dict[str, int] = {}
    for name, stage in compiled.definitions.stages.items():
        if stage.selector is not None:
            time = facts.firsts.get(compiled.number[stage.selector])
            if time is not None:
                stages[name] = time
        elif stage.activation is not None:
            activated = reached.get(stage.activation.get(level, ""))
            if activated is not None:
                stages[name] = activated.activated_at
    return stages


def _anchor_of(compiled: CompiledDefinitions, definition: Activation, facts: Facts) -> int | None:
    selector = compiled.definitions.stages[definition.anchor].selector
    assert selector is not None, "definitions with another kind of anchor are refused when they are loaded"
    return facts.firsts.get(compiled.number[selector])


def _all_hold_at(compiled: CompiledDefinitions, definition: Activation, facts: Facts) -> int | None:
    """The earliest moment at which all conditions hold, or None."""
    latest = 0
    for condition in definition.all:
        n = condition.at_least
        if condition.count is not None:
            moments = facts.counted.get(compiled.number[condition.count], [])
            if len(moments) < n:
                return None
            latest = max(latest, moments[n - 1][0])
        elif condition.distinct_days is not None:
            times = facts.days.get(compiled.number[condition.distinct_days], {})
            if len(times) < n:
                return None
            latest = max(latest, times[sorted(times)[n - 1]])
    return latest
