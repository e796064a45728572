"""Segments: what events say of them is read in Python, as it hangs on what a letter is and where a word or a text ends.

ClickHouse reduces all events to the different things that they can say; only these come here, one by one, and the values
of segments go back. This is reading, not folding, so it is the streams' own function, as with touches.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import orjson

from deploy.audit.selectors import Parameters
from deploy.audit.workspace import Workspace
from schemas.definitions import Definitions
from schemas.event import Event
from streams.segments import OTHER, SegmentReader

_INSERTED_AT_ONCE: Final = 50_000


def fields_of(definitions: Definitions) -> list[str]:
    """The fields of events that segments are read from, each once, in the order of `said`."""
    return sorted({field for segment in definitions.segments.values() for field in segment.fields})


def said(fields: list[str], parameters: Parameters) -> str:
    """SQL: what an event says in these fields, an array of JSON texts; empty where there is nothing that could be a value."""
    return f"CAST([{', '.join(_said_in(field, parameters) for field in fields)}], 'Array(String)')"


def parameters_of(definitions: Definitions) -> dict[str, Any]:
    """Which segments there are, by what they are made of, and which values of them are counted."""
    segments = definitions.segments
    return {
        "latest_segments": [name for name, segment in segments.items() if segment.take == "last"],
        "touch_segments": [name for name, segment in segments.items() if segment.first_touch],
        "touch_fields": [segment.first_touch for segment in segments.values() if segment.first_touch],
        "counted_segments": [name for name, segment in segments.items() if segment.values],
        "named_values": [(name, value) for name, segment in segments.items() for value in segment.values],
        "other": OTHER,
    }


def find_sayings(workspace: Workspace, definitions: Definitions, candidates: str) -> None:
    """Fill the working table of sayings. `candidates`: the query for all that events say."""
    fields = fields_of(definitions)
    if not fields:
        return
    found = _sayings(workspace, SegmentReader(definitions), fields, candidates)
    while rows := list(islice(found, _INSERTED_AT_ONCE)):
        workspace.client.insert(
            workspace.tables["sayings"],
            rows,
            column_names=["made_of", "said"],
            column_type_names=["UInt64", "Map(String, String)"],
        )


def _sayings(
    workspace: Workspace, reader: SegmentReader, fields: list[str], candidates: str
) -> Iterator[tuple[int, dict[str, str]]]:
    with workspace.client.query_row_block_stream(
        candidates, parameters=workspace.parameters, settings=workspace.settings
    ) as blocks:
        for block in blocks:
            for made, texts in block:
                values = reader(_event(dict(zip(fields, texts, strict=True))))
                if values:
                    yield made, {reader.names[number]: value for number, value in values.items()}


def _event(texts: dict[str, str]) -> Event:
    """An event that says no more than this, by field."""
    mappings: dict[str, Any] = {"properties": {}, "traits": {}, "context": {}}
    for field, text in texts.items():
        if text:
            *way, last = field.split(".")
            holder = mappings
            for key in way:
                holder = holder.setdefault(key, {})
            holder[last] = orjson.loads(text)
    return Event(
        message_id="",
        time=0,
        received_at=0,
        source="web",
        type="event",
        name="",
        anonymous_id="",
        session_token="",
        api_key="",
        user_id="",
        company_id="",
        previous_id="",
        environment="production",
        properties=mappings["properties"],
        context=mappings["context"],
        traits=mappings["traits"],
        is_internal=False,
        is_bot=False,
    )


def _said_in(field: str, parameters: Parameters) -> str:
    """Only a text or a whole number can be a value; 1.0 is neither, but looks like one once it is written again."""
    column, *keys = field.split(".")
    place = ", ".join([column, *(parameters.bind(key, "String") for key in keys)])
    text = f"JSONExtractRaw({place})"
    is_value = f"startsWith({text}, '\"') OR JSONType({place}) IN ('Int64', 'UInt64')"
    value = f"multiIf({text} = '', '', {is_value}, {text}, '')"
    # Most events do not have the key at all, which is seen much faster.
    key = parameters.bind(orjson.dumps(keys[-1]).decode(), "String")
    return f"if(position({column}, {key}) > 0, {value}, '')"
