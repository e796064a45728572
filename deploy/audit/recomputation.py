"""Recomputes all published numbers from the event rows in ClickHouse, step by step into the working tables.

Nothing comes from what the streams published, and none of their code folds a fact. What an event matches, whom it belongs to
and what follows from that are defined here a second time, in SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from deploy.audit import segments, touches
from deploy.audit.expressions import Parameters, condition, segment_fields, selectors_in_use
from deploy.audit.merges import resolve_merges
from deploy.audit.workspace import Workspace, statement
from schemas.config.definitions import Definitions, Level

LEVELS: tuple[Level, ...] = ("developer", "company")

#: What a level is called where there are several.
PLURAL = {"token": "tokens", "developer": "developers", "company": "companies"}

_DAY_MS = 86_400_000


class AuditStep(NamedTuple):
    """A step of an audit: its title, for a person, and how to run it."""

    title: str
    run: Callable[[], None]


def steps(workspace: Workspace, definitions: Definitions) -> Iterator[AuditStep]:
    """The steps in order, up to the hours of activity; rolling counts follow after those were compared."""
    numbers = {name: number for number, name in enumerate(selectors_in_use(definitions))}
    given = Parameters()
    texts = {
        "content": condition(definitions.selectors[definitions.touch], given),
        "outreach": condition(definitions.outreach, given) if definitions.outreach else "false",
        "conditions": ", ".join(condition(definitions.selectors[name], given) for name in numbers),
        "segment_fields": segment_fields(segments.fields_of(definitions), given),
    }
    limits = definitions.limits
    workspace.parameters |= given.values | segments.parameters_of(definitions)
    workspace.parameters |= {
        "numbers": list(numbers.values()),
        "usage": numbers[definitions.usage],
        "signup": numbers[definitions.signup_selector],
        "own_companies": definitions.internal.company_ids,
        "most_events_a_day": limits.web_alias_events_a_day,
        "most_events": limits.web_alias_events,
        "most_users": limits.web_alias_users,
        "most_links": limits.web_alias_links,
    }
    texts |= {name: statement(name, **texts) for name in ("touch_parts", "may_be_touch")}
    candidates = statement("touch_candidates", **texts)
    yield AuditStep("Finding touches", partial(touches.find_touches, workspace, candidates))
    sources = statement("segment_candidates", **texts)
    yield AuditStep("Finding segments", partial(segments.find_segments, workspace, definitions, sources))
    read = partial(workspace.run, "marked", None, renamed=statement("renamed"), **texts)
    yield AuditStep("Reading events", read)
    yield AuditStep("Linking visitors", partial(workspace.run, "links"))
    yield AuditStep("Linking sessions", partial(workspace.run, "sessions"))
    yield AuditStep("Linking API keys", partial(workspace.run, "keys"))
    yield AuditStep("Merging users", partial(resolve_merges, workspace))
    yield AuditStep("Linking users", partial(workspace.run, "members"))
    yield AuditStep("Finding automated traffic", partial(workspace.run, "automated"))
    yield AuditStep("Resolving events", partial(workspace.run, "facts"))
    yield AuditStep("Finding internal developers", partial(workspace.run, "own"))
    yield AuditStep("Finding events of tokens", partial(workspace.run, "token_events"))
    yield AuditStep("Computing developers", partial(workspace.run, "developers"))
    yield AuditStep("Computing companies", partial(workspace.run, "companies"))
    yield AuditStep("Computing first touches", partial(workspace.run, "first_touches"))
    yield AuditStep("Computing segments", partial(workspace.run, "segments_of_events"))
    yield AuditStep("Computing segments of first touches", partial(workspace.run, "segments_touched"))
    for level in LEVELS:
        yield AuditStep(
            f"Computing activations of {PLURAL[level]}", partial(_reach, workspace, definitions, numbers, level)
        )
    yield AuditStep("Computing activity", partial(workspace.run, "active"))


def rolling_steps(workspace: Workspace) -> Iterator[AuditStep]:
    """The last steps, after activity was compared."""
    yield AuditStep("Finding what is counted by segments", partial(workspace.run, "counted"))
    yield AuditStep("Computing rolling counts of activity", partial(workspace.run, "steps_active"))
    yield AuditStep("Computing rolling counts of sign-ups and activations", partial(workspace.run, "steps_moments"))


def stage_parameters(definitions: Definitions, level: Level) -> dict[str, Any]:
    """Which stages a level has: by a selector's number, or by an activation."""
    numbers = {name: number for number, name in enumerate(selectors_in_use(definitions))}
    selected = {name: stage.selector for name, stage in definitions.stages.items() if stage.selector}
    derived = {
        name: stage.activation[level]
        for name, stage in definitions.stages.items()
        if stage.activation is not None and level in stage.activation
    }
    return {
        "level": level,
        "stages": list(selected),
        "stage_selectors": [numbers[selector] for selector in selected.values()],
        "derived_stages": list(derived),
        "derived_from": list(derived.values()),
    }


def _reach(workspace: Workspace, definitions: Definitions, numbers: dict[str, int], level: Level) -> None:
    """Compute who reached each activation of a level. Equal conditions are computed once."""
    known: dict[tuple[str, bool, int], int] = {}
    for name, definition in definitions.activations.items():
        if level not in definition.levels:
            continue
        wanted = []
        for each in definition.all:
            selector = each.count or each.distinct_days or ""
            # The first event and the first day begin at the same moment.
            by_day = each.distinct_days is not None and each.at_least > 1
            key = (selector, by_day, each.at_least)
            if key not in known:
                known[key] = len(known)
                condition_of = {
                    "level": level,
                    "condition": known[key],
                    "selector": numbers[selector],
                    "before": each.at_least - 1,
                    "by_day": int(by_day),
                }
                workspace.run("moments_first" if each.at_least == 1 else "moments_count", condition_of)
            wanted.append(known[key])
        anchor = definitions.stages[definition.anchor].selector
        assert anchor is not None, "definitions with another kind of anchor are refused when they are loaded"
        activation = {
            "level": level,
            "definition": name,
            "conditions": sorted(set(wanted)),
            "anchor": numbers[anchor],
            "span_ms": (definition.span_days or 0) * _DAY_MS,
        }
        workspace.run("reached", activation)
        if definition.span_days is not None:
            workspace.run("matured", activation)
