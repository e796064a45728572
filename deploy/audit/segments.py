"""Segments: what events say of them is read in Python, as it hangs on what a letter is and where a word or a text ends (`reading.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from deploy.audit.reading import event_saying, read_back
from deploy.audit.selectors import Parameters
from deploy.audit.workspace import Workspace
from schemas.config.definitions import Definitions
from schemas.event import Event
from streams.facts.segments import OTHER, SegmentReader


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
    reader = SegmentReader(definitions)

    def read(parts: Sequence[Any]) -> dict[str, str]:
        values = reader(_event(dict(zip(fields, parts[0], strict=True))))
        return {reader.names[number]: value for number, value in (values or {}).items()}

    read_back(workspace, "sayings", "said", candidates, read)


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
    return event_saying(properties=mappings["properties"], context=mappings["context"], traits=mappings["traits"])


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
