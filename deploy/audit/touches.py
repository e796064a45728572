"""Touches: Python decides which events are touches (`evaluation.py`)."""

from __future__ import annotations

from typing import Final

from deploy.audit.evaluation import evaluate_distinct, partial_event
from deploy.audit.workspace import Workspace
from streams.facts.touches import touch_of

#: The fields of a campaign, in the order of `touch_parts.sql`.
_CAMPAIGN: Final = ("campaign", "source", "medium", "term", "content")


def find_touches(workspace: Workspace, candidates: str) -> None:
    """Fill the working table of touches. `candidates`: the query for events that may be touches."""
    evaluate_distinct(workspace, "touches", "touch", candidates, lambda parts: _touch(bool(parts[0]), *parts[1:]))


def _touch(is_content: bool, name: str, url: str, path: str, referrer: str, *campaign: str) -> dict[str, str] | None:
    """The touch that an event of these parts is; the streams' function takes them from a whole event."""
    properties = {"url": url, "path": path, "referrer": referrer}
    properties |= {f"utm_{field}": value for field, value in zip(_CAMPAIGN, campaign, strict=True)}
    event = partial_event(name, {field: value for field, value in properties.items() if value})
    return touch_of(event, is_content)
