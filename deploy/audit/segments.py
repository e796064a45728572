"""Segments: Python reads the values of events (`evaluation.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from deploy.audit.evaluation import evaluate_distinct, partial_event
from deploy.audit.workspace import Workspace
from schemas.config.definitions import Definitions
from schemas.event import Event
from streams.facts.segments import OTHER, SegmentReader


def fields_of(definitions: Definitions) -> list[str]:
    """The fields of events that segments are read from, each once, in the order of their texts."""
    return sorted({field for segment in definitions.segments.values() for field in segment.fields})


def parameters_of(definitions: Definitions) -> dict[str, Any]:
    """The segments by where they are read from, and the values of them that are counted."""
    segments = definitions.segments
    return {
        "latest_segments": [name for name, segment in segments.items() if segment.take == "last"],
        "touch_segments": [name for name, segment in segments.items() if segment.first_touch],
        "touch_fields": [segment.first_touch for segment in segments.values() if segment.first_touch],
        "counted_segments": [name for name, segment in segments.items() if segment.values],
        "named_values": [(name, value) for name, segment in segments.items() for value in segment.values],
        "other": OTHER,
    }


def find_segments(workspace: Workspace, definitions: Definitions, candidates: str) -> None:
    """Fill the working table of the segments of events. `candidates`: the query for all texts of their fields."""
    fields = fields_of(definitions)
    if not fields:
        return
    reader = SegmentReader(definitions)

    def evaluate(parts: Sequence[Any]) -> dict[str, str]:
        values = reader(_event(dict(zip(fields, parts[0], strict=True))))
        return {reader.names[number]: value for number, value in (values or {}).items()}

    evaluate_distinct(workspace, "event_segments", "segments", candidates, evaluate)


def _event(texts: dict[str, str]) -> Event:
    """An event with only these fields."""
    mappings: dict[str, Any] = {"properties": {}, "traits": {}, "context": {}}
    for field, text in texts.items():
        if text:
            *way, last = field.split(".")
            holder = mappings
            for key in way:
                holder = holder.setdefault(key, {})
            holder[last] = orjson.loads(text)
    return partial_event(properties=mappings["properties"], context=mappings["context"], traits=mappings["traits"])
