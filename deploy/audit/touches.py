"""Touches: which events are one is found in Python, as it hangs on how addresses of pages are read (`reading.py`)."""

from __future__ import annotations

from typing import Final

from deploy.audit.reading import event_saying, read_back
from deploy.audit.workspace import Workspace
from streams.facts.touches import touch_of

#: Of the campaign, the name of each field in `context.campaign`; as a property it is `utm_<field>`.
_CAMPAIGN: Final = {"campaign": "name", "source": "source", "medium": "medium", "term": "term", "content": "content"}


def made_of(is_content: str) -> str:
    """SQL: what decides whether an event is a touch and what it says, as a tuple of texts.

    `is_content`: the condition of the touch selector.
    """
    url = _first(_text("properties", "url"), _text("context", "page", "url"))
    path = _first(_text("properties", "path"), _text("context", "page", "path"))
    referrer = _first(
        _text("properties", "referrer"), _text("context", "page", "referrer"), _text("context", "referrer")
    )
    campaign = [
        _first(_text("context", "campaign", name), _text("properties", f"utm_{field}"))
        for field, name in _CAMPAIGN.items()
    ]
    return f"({is_content}, toString(name), {', '.join([url, path, referrer, *campaign])})"


def may_be_touch(is_content: str) -> str:
    """SQL: what leaves out most events that are none."""
    return (
        f"type = 'event' AND NOT is_bot AND ({is_content} OR source = 'web'"
        " AND (position(properties, 'utm_') > 0 OR position(context, 'utm_') > 0 OR position(context, 'campaign') > 0"
        " OR position(properties, 'referrer') > 0 OR position(context, 'referrer') > 0))"
    )


def find_touches(workspace: Workspace, candidates: str) -> None:
    """Fill the working table of touches. `candidates`: the query for what may be one."""
    read_back(workspace, "touches", "touch", candidates, lambda parts: _touch(bool(parts[0]), *parts[1:]))


def _touch(is_content: bool, name: str, url: str, path: str, referrer: str, *campaign: str) -> dict[str, str] | None:
    """The touch that an event of these parts is; the streams' function takes them from a whole event."""
    given = {"url": url, "path": path, "referrer": referrer}
    utm = {f"utm_{field}": value for field, value in zip(_CAMPAIGN, campaign, strict=True)}
    event = event_saying(name, properties={field: value for field, value in (given | utm).items() if value})
    return touch_of(event, is_content)


def _text(*place: str) -> str:
    """SQL: the text at that place of a JSON column, empty if there is none or something else."""
    column, *keys = place
    at = ", ".join([column, *(f"'{key}'" for key in keys)])
    return f"if(JSONType({at}) = 'String', JSONExtractString({at}), '')"


def _first(*texts: str) -> str:
    """SQL: the first text that is not empty."""
    *others, last = texts
    for text in reversed(others):
        last = f"if({text} != '', {text}, {last})"
    return last
