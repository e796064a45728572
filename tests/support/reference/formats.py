"""The accepted JSON formats, brought to the field names of the native one."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tests.support.reference.fields import Message, RefusedError, first, mapping
from tests.support.reference.moesif import from_moesif, speaks_moesif

Topic = Literal["web", "api"]

SEGMENT_FIELDS = frozenset(
    {"messageId", "anonymousId", "userId", "groupId", "previousId", "sentAt", "originalTimestamp", "receivedAt"}
    | {"event", "timestamp"}
)
SEGMENT_TYPES = frozenset({"track", "page", "screen", "alias"})
SEGMENT_CALLS = {
    "track": ("event", None),
    "page": ("event", "Page Viewed"),
    "screen": ("event", "Screen Viewed"),
    "identify": ("identify", "Identify"),
    "group": ("group", "Group"),
    "alias": ("merge", "Alias"),
}


@dataclass(frozen=True)
class Record:
    """One message of a topic: JSON text or the object itself, and the broker's timestamp (ms)."""

    topic: Topic
    value: bytes | Message
    timestamp_ms: int


@dataclass(frozen=True, order=True)
class Rejection:
    """Input that is no event: why, and the native name of the field it lies in."""

    topic: Topic
    reason: str
    field: str


def native_messages(record: Record) -> Iterator[Message | Rejection]:
    """The messages of one record in native form: one, or those of a Segment batch, each accepted or refused by itself."""
    try:
        parts = _parts(_decoded(record.value))
    except RefusedError as error:
        yield Rejection(record.topic, error.reason, error.field)
        return
    for part in parts:
        try:
            yield _native(part)
        except RefusedError as error:
            yield Rejection(record.topic, error.reason, error.field)


def _double(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(text)
    return number


def _whole(text: str) -> int | float:
    """Beyond 64 bits a number is a double, as in most JSON readers."""
    _double(text)
    number = int(text)
    return number if -(2**63) <= number < 2**64 else float(text)


def _decoded(value: bytes | Message) -> Message | list[Any]:
    if isinstance(value, dict):
        return value
    if not value:
        raise RefusedError("empty")
    if len(value) > 1_000_000:
        raise RefusedError("too_large")
    try:
        decoded = json.loads(_text(value), parse_constant=_no_number, parse_float=_double, parse_int=_whole)
    except (ValueError, RecursionError):
        raise RefusedError("not_json") from None
    if not isinstance(decoded, dict | list):
        raise RefusedError("not_an_object")
    whole: Message | list[Any] = _whole_characters(decoded)
    return whole


def _text(value: bytes) -> str:
    """The text, with U+FFFD for what is none."""
    if value[:1] == b"\x00" or value[:2] in (b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b"):
        raise ValueError("no text in UTF-8")
    return value.decode("utf-8-sig", "replace")


def _whole_characters(value: Any) -> Any:
    """The value with U+FFFD for each half of a surrogate pair."""
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in value)
    if isinstance(value, list):
        return [_whole_characters(one) for one in value]
    if isinstance(value, dict):
        return {_whole_characters(name): _whole_characters(one) for name, one in value.items()}
    return value


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _is_batch(message: Message) -> bool:
    return message.get("type") == "batch" or "batch" in message


def _parts(message: Message | list[Any]) -> list[Any]:
    """The calls of a message: itself, those of a batch, or those of an array."""
    shared: Message = {}
    context: Message = {}
    if isinstance(message, list):
        calls = message
    elif not _is_batch(message):
        return [message]
    else:
        if not isinstance(message.get("batch"), list):
            raise RefusedError("wrong_type", "batch")
        calls = message["batch"]
        context = mapping(message, "context")
        shared = {name: message[name] for name in ("sentAt", "receivedAt", "source") if message.get(name) is not None}
        if len(json.dumps(shared | {"context": context}, ensure_ascii=False, separators=(",", ":")).encode()) > 10_000:
            raise RefusedError("too_large", "context")
    if not calls:
        raise RefusedError("empty")
    if len(calls) > 10_000:
        raise RefusedError("too_large")
    return [_with_shared(call, shared, context) for call in calls]


def _with_shared(part: Any, shared: Message, context: Message) -> Any:
    """A call of a batch; what the batch shares holds for every call without its own."""
    if not isinstance(part, dict) or _is_batch(part):
        return part
    own = part.get("context") or None
    if not context or not isinstance(own, dict | None):
        return shared | part
    return shared | part | {"context": context | (own or {})}


def _native(message: Any) -> Message:
    if not isinstance(message, dict):
        raise RefusedError("not_an_object")
    if not isinstance(message.get("type"), str | None):
        raise RefusedError("unknown_type", "type")
    if _is_batch(message):
        raise RefusedError("wrong_type", "batch")  # no list, or a batch inside a batch
    if message.get("type") in SEGMENT_TYPES or not SEGMENT_FIELDS.isdisjoint(message):
        return _from_segment(message)
    if speaks_moesif(message):
        return from_moesif(message)
    return message


def _from_segment(message: Message) -> Message:
    call = message.get("type") or ("track" if "event" in message else None)
    if call not in SEGMENT_CALLS:
        raise RefusedError("unknown_type", "type")
    kind, name = SEGMENT_CALLS[call]
    context, properties = mapping(message, "context"), mapping(message, "properties")
    if "request_ip" in message and "ip" not in context:
        context = context | {"ip": message["request_ip"]}
    page, traits, named = context.get("page"), _traits_beside(context), properties
    if call in ("page", "screen"):
        named = {field: message[field] for field in ("name", "category") if isinstance(message.get(field), str)}
        # Segment's libraries give the page's address twice; another producer may give it only here.
        where = page if isinstance(page, dict) else {}
        properties = named | {f: where[f] for f in ("path", "url", "referrer", "title") if f in where} | properties
    return {
        "message_id": message.get("messageId"),
        "time": message.get("timestamp"),
        "original_timestamp": message.get("originalTimestamp"),
        "sent_at": message.get("sentAt"),
        "received_at": message.get("receivedAt"),
        "type": kind,
        "source": message.get("source"),
        "name": name or message.get("event"),
        "anonymous_id": first(message.get("anonymousId"), _any(traits, "anonymousId", "anonymous_id")),
        "session_token": _any(context, "sessionToken", "session_token"),
        "api_key": first(_any(context, "apiKey", "api_key"), _any(named, "api_key", "apiKey")),
        "user_id": first(message.get("userId"), _any(traits, "userId", "user_id", "id")),
        "company_id": first(
            message.get("groupId"), _any(context, "groupId", "group_id"), _any(traits, "groupId", "group_id")
        ),
        "previous_id": message.get("previousId"),
        "environment": context.get("environment"),
        "properties": properties,
        "context": context,
        "traits": mapping(message, "traits") or (traits if not message.get("traits") else {}),
    }


def _any(holder: Message, *names: str) -> Any:
    """The first field of these names with a value."""
    return first(*(holder.get(name) for name in names))


def _traits_beside(context: Message) -> Message:
    traits = context.get("traits")
    return traits if isinstance(traits, dict) else {}
