"""Touches: which events are one is found in Python, as it hangs on how addresses of pages are read.

ClickHouse reduces all events to the different things that a touch can be made of; only these come here, one by one, and
what they are goes back. This is reading, not folding, so it is the streams' own function: whether that reads as it
should, their tests say.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from deploy.audit.workspace import Workspace
from schemas.event import Event
from streams.touches import touch_of

#: Of the campaign, the name of each field in `context.campaign`; as a property it is `utm_<field>`.
_CAMPAIGN: Final = {"campaign": "name", "source": "source", "medium": "medium", "term": "term", "content": "content"}
_INSERTED_AT_ONCE: Final = 50_000


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
    found = _touches(workspace, candidates)
    while rows := list(islice(found, _INSERTED_AT_ONCE)):
        workspace.client.insert(
            workspace.tables["touches"],
            rows,
            column_names=["made_of", "touch"],
            column_type_names=["UInt64", "Map(String, String)"],
        )


def _touches(workspace: Workspace, candidates: str) -> Iterator[tuple[int, dict[str, str]]]:
    with workspace.client.query_row_block_stream(
        candidates, parameters=workspace.parameters, settings=workspace.settings
    ) as blocks:
        for block in blocks:
            for made, is_content, *texts in block:
                touch = _touch(bool(is_content), *texts)
                if touch is not None:
                    yield made, touch


def _touch(is_content: bool, name: str, url: str, path: str, referrer: str, *campaign: str) -> dict[str, str] | None:
    """The touch that an event of these parts is; the streams' function takes them from a whole event."""
    given = {"url": url, "path": path, "referrer": referrer}
    utm = {f"utm_{field}": value for field, value in zip(_CAMPAIGN, campaign, strict=True)}
    event = Event(
        message_id="",
        time=0,
        received_at=0,
        source="web",
        type="event",
        name=name,
        anonymous_id="",
        session_token="",
        api_key="",
        user_id="",
        company_id="",
        previous_id="",
        environment="production",
        properties={field: value for field, value in (given | utm).items() if value},
        context={},
        traits={},
        is_internal=False,
        is_bot=False,
    )
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
