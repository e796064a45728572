"""Finds names in a configuration that do not exist. It reads plain data, which may be wrong in other ways too."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from schemas.config.problems import Problem, meant

#: Stages that tables, queries and alerts know by name, and what is counted by them.
REQUIRED_STAGES: Final = {"signup": "sign-ups are counted", "first_call": "the time to first call is counted"}


def unresolved(sections: Mapping[str, Any], given_segments: Collection[str]) -> Iterator[Problem]:
    """Contradictions between the sections of definitions. `given_segments`: names that segments may not take."""
    stages, selectors = _entries(sections, "stages"), sections.get("selectors")
    activations = _entries(sections, "activations")
    if isinstance(sections.get("stages"), Mapping):
        yield from _without_required(stages)
        # A missing one is reported once; references to it are right.
        stages = {name: {} for name in REQUIRED_STAGES} | stages
    for name, stage in stages.items():
        yield from _stage(name, stage, selectors, activations)
    for name, definition in activations.items():
        way = ("activations", name)
        yield from _known(definition.get("anchor"), stages, (*way, "anchor"), "stage")
        anchor = _entry(stages, definition.get("anchor"))
        if anchor is not None and anchor.get("selector") is None and anchor.get("activation") is not None:
            yield Problem((*way, "anchor"), f"the stage {definition['anchor']!r} has no selector", names="stages")
        for position, condition in enumerate(_list(definition.get("all"))):
            for kind in ("count", "distinct_days"):
                named = condition.get(kind) if isinstance(condition, Mapping) else None
                yield from _known(named, selectors, (*way, "all", str(position), kind), "selector")
    for section in ("usage", "touch"):
        yield from _known(sections.get(section), selectors, (section,), "selector")
    for name in _entries(sections, "segments"):
        if name in given_segments:
            yield Problem(("segments", name), "this segment is given without configuration; choose another name")
    for name, risk in _entries(sections, "churn_risks").items():
        yield from _known(risk.get("stage"), stages, ("churn_risks", name, "stage"), "stage")


def unresolved_monitors(
    section: Any, definitions: Mapping[str, Any], given_segments: Collection[str]
) -> Iterator[Problem]:
    """Names in the section `monitors` that the sections of definitions do not have."""
    stages, activations = _entries(definitions, "stages"), _entries(definitions, "activations")
    segments = [*given_segments, *_entries(definitions, "segments")]
    for name, monitor in _entries(section if isinstance(section, Mapping) else {}, "watch").items():
        way = ("monitors", "watch", name)
        level = monitor.get("level", "developer")
        if monitor.get("kind") == "activations":
            wanted = monitor.get("definition")
            yield from _known(wanted, activations, (*way, "definition"), "activation")
            yield from _at_level(wanted, level, activations, (*way, "level"))
        if monitor.get("kind") in ("conversion", "time_to_first_call"):
            for field in ("from", "to"):
                yield from _known(monitor.get(field), stages, (*way, field), "stage")
            yield from _forwards(monitor, list(stages), way)
        for position, segment in enumerate(_list(monitor.get("segments"))):
            inner = (*way, "segments", str(position))
            yield from _known(segment, segments, inner, "segment")
            if segment == "company" and level == "company":
                yield Problem(inner, "companies cannot be compared by company")


def _forwards(monitor: Mapping[str, Any], stages: list[str], way: tuple[str, ...]) -> Iterator[Problem]:
    """A problem if the way from one stage to another leads back, or nowhere."""
    # A conversion names both.
    usual = {"from": "signup", "to": "first_call"} if monitor.get("kind") == "time_to_first_call" else {}
    start, end = (monitor.get(field, usual.get(field)) for field in ("from", "to"))
    if start in stages and end in stages and stages.index(end) <= stages.index(start):
        later = ", ".join(stages[stages.index(start) + 1 :]) or "none"
        order = f"{end!r} does not come after {start!r} in the order of stages"
        yield Problem((*way, "to"), f"{order}; after it there are {later}")


def _without_required(stages: Mapping[str, Any]) -> Iterator[Problem]:
    """The stages that every configuration has, and this one does not."""
    for name, counted in REQUIRED_STAGES.items():
        if name not in stages:
            advice = f"give the one by which {counted} this name{meant(name, stages)}"
            yield Problem(("stages",), f"there is no stage named {name!r}: {advice}")


def _stage(name: str, stage: Mapping[str, Any], selectors: Any, activations: Mapping[str, Any]) -> Iterator[Problem]:
    way = ("stages", name)
    yield from _known(stage.get("selector"), selectors, (*way, "selector"), "selector")
    if name == "signup" and stage.get("selector") is None and stage.get("activation") is not None:
        yield Problem(way, "give a `selector`, by which sign-ups are counted")
    reached = stage.get("activation")
    for level, activation in reached.items() if isinstance(reached, Mapping) else ():
        yield from _known(activation, activations, (*way, "activation", str(level)), "activation")
        yield from _at_level(activation, level, activations, (*way, "activation", str(level)))


def _at_level(activation: Any, level: Any, activations: Mapping[str, Any], way: tuple[str, ...]) -> Iterator[Problem]:
    found = _entry(activations, activation)
    if found is not None and level in ("developer", "company") and level not in _list(found.get("levels")):
        yield Problem(way, f"{activation!r} is not defined at level {level}", names="activations")


def _known(name: Any, names: Any, way: tuple[str, ...], kind: str) -> Iterator[Problem]:
    """A problem if a name is not among names. Values of another type are left to the models."""
    if isinstance(name, str) and isinstance(names, Mapping | list) and name not in names:
        yield Problem(way, f"no {kind} named {name!r}{meant(name, map(str, names))}", names=f"{kind}s")


def _entries(sections: Mapping[str, Any], section: str) -> dict[str, Mapping[str, Any]]:
    """The entries of a section by name; one that is no mapping is empty."""
    found = sections.get(section)
    if not isinstance(found, Mapping):
        return {}
    return {str(name): entry if isinstance(entry, Mapping) else {} for name, entry in found.items()}


def _entry(entries: Mapping[str, Any], name: Any) -> Mapping[str, Any] | None:
    return entries.get(name) if isinstance(name, str) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
