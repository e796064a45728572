"""Detects the format of an event and reads it into one shape."""

from __future__ import annotations

from typing import Any, Final

import orjson

from schemas.config.definitions import NamedProperties
from schemas.event import Rejected
from streams.normalise.moesif import read_moesif, speaks_moesif
from streams.normalise.native import read_native
from streams.normalise.raw_event import Raw, is_empty, kind_of
from streams.normalise.segment import read_segment, speaks_segment

MAX_BATCH_EVENTS: Final = 10_000
#: What a batch shares is stored with each of its calls, so it must be small.
MAX_SHARED_BYTES: Final = 10_000

#: What a batch may share among its calls.
_SHARED: Final = ("sentAt", "receivedAt", "context", "source")


def read(body: dict[str, Any], named: NamedProperties) -> Raw | Rejected:
    """The event in one object of any format, or why it is none. `named`: properties that are identifiers."""
    if speaks_segment(body):
        return read_segment(body, named)
    if speaks_moesif(body):
        return read_moesif(body)
    return read_native(body)


def is_batch(body: dict[str, Any]) -> bool:
    """Whether the object holds several calls, as Segment's `batch` does."""
    return "batch" in body or body.get("type") == "batch"


def calls(body: dict[str, Any] | list[Any]) -> list[tuple[str, int, dict[str, Any] | Rejected]]:
    """Every call of a batch with its path and number, or why there is none (number -1). Never empty.

    A batch is an array, or an object with an array `batch`; its times of sending and receipt, its source and its context
    hold for every call without its own.
    """
    if isinstance(body, list):
        return _each(body, "", {})
    batch = body.get("batch")
    if not isinstance(batch, list):
        return [("batch", -1, Rejected("wrong_type", "", f"a list of calls is expected, not {kind_of(batch)}"))]
    shared = {field: body[field] for field in _SHARED if body.get(field) is not None}
    if is_empty(shared.get("context")):
        shared.pop("context", None)
    context = shared.get("context", {})
    if type(context) is not dict:
        return [("context", -1, Rejected("wrong_type", "", f"an object is expected, not {kind_of(context)}"))]
    try:
        size = len(orjson.dumps(shared))
    except TypeError:
        return [("context", -1, Rejected("too_deep", "", "more levels of nesting than can be written"))]
    if size > MAX_SHARED_BYTES:
        detail = f"{size} bytes for each call of a batch; at most {MAX_SHARED_BYTES} are accepted"
        return [("context", -1, Rejected("too_large", "", detail))]
    return _each(batch, "batch", shared)


def _each(batch: list[Any], where: str, shared: dict[str, Any]) -> list[tuple[str, int, dict[str, Any] | Rejected]]:
    if not batch:
        return [(where, -1, Rejected("empty", "", "there is no call in the batch"))]
    if len(batch) > MAX_BATCH_EVENTS:
        detail = f"{len(batch)} calls; at most {MAX_BATCH_EVENTS} are accepted"
        return [(where, -1, Rejected("too_large", "", detail))]
    return [(f"{where}[{i}]", i, _call(call, shared)) for i, call in enumerate(batch)]


def _call(call: Any, shared: dict[str, Any]) -> dict[str, Any] | Rejected:
    if type(call) is not dict:
        return Rejected("not_an_object", "", f"an object is expected, not {kind_of(call)}")
    if is_batch(call):
        return Rejected("wrong_type", "", "a batch in a batch is not accepted")
    if not shared:
        return call
    context = call.get("context")
    if type(context) is dict and "context" in shared:
        return shared | call | {"context": shared["context"] | context}
    if is_empty(context) and "context" in shared:
        return shared | call | {"context": shared["context"]}
    return shared | call
