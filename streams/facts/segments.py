"""Segments: properties by which subjects are compared, as technology, channel or plan.

A subject's value is that of its first event with one, or of its last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from schemas.config.definitions import Definitions, Segment
from schemas.event import Event

#: How much of a value is kept, in UTF-8, so that the state of a subject is bounded.
MAX_VALUE_BYTES: Final = 64
#: Beyond it, one JSON reader's whole number is another one's fraction.
LARGEST_NUMBER: Final = 2**53
#: What values are counted as that are not named.
OTHER: Final = "other"

_WORD: Final = re.compile(r"[^\W_]+")
_MAPPING_BY_NAME: Final[dict[str, Callable[[Event], dict[str, Any]]]] = {
    "properties": lambda event: event.properties,
    "traits": lambda event: event.traits,
    "context": lambda event: event.context,
}


class SegmentReader:
    """Reads from events the values of the segments that are made of fields. Those are numbered by name."""

    def __init__(self, definitions: Definitions) -> None:
        self.names = sorted(name for name, segment in definitions.segments.items() if segment.fields)
        segments = [definitions.segments[name] for name in self.names]
        #: The numbers of those whose last value counts.
        self.latest = frozenset(i for i, segment in enumerate(segments) if segment.take == "last")
        self._readers = [(i, [_path(field) for field in segment.fields], segment) for i, segment in enumerate(segments)]

    def __call__(self, event: Event) -> dict[int, str] | None:
        """The values that the event has, by number of the segment; None if it has none."""
        found: dict[int, str] | None = None
        for i, paths, segment in self._readers:
            for mapping, keys in paths:
                value: Any = mapping(event)
                for key in keys:
                    value = value.get(key) if isinstance(value, dict) else None
                if value is None:
                    continue
                text = _text(value, segment)
                if text:
                    if found is None:
                        found = {}
                    found[i] = text
                    break
        return found


def segments_of(definitions: Definitions, values: Mapping[str, str], first_touch: Mapping[str, str]) -> dict[str, str]:
    """The values of a subject by name of the segment, from those of its events and its first touch."""
    found = {}
    for name, segment in definitions.segments.items():
        value = first_touch.get(segment.first_touch, "") if segment.first_touch else values.get(name, "")
        if value:
            found[name] = value
    return found


def counted_segments(definitions: Definitions, values: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """Which (segment, value) rolling counts count a subject with these values in, beside all subjects."""
    return frozenset(
        (name, value if value in definitions.segments[name].values else OTHER)
        for name, value in values.items()
        if definitions.segments[name].values
    )


def _path(field: str) -> tuple[Callable[[Event], dict[str, Any]], list[str]]:
    first, *keys = field.split(".")
    return _MAPPING_BY_NAME[first], keys


def _text(value: Any, segment: Segment) -> str:
    """The value as a text, '' if it is none. With `words`, the first of the named values that is a word of it, if any is."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        return ""
    text = str(value).strip()
    if segment.words:
        words = frozenset(_WORD.findall(text.lower()[:1_000]))
        for name in segment.values:
            if name in words:
                return name
    return text if len(text) <= MAX_VALUE_BYTES // 4 else text.encode()[:MAX_VALUE_BYTES].decode(errors="ignore")
