"""The two accepted JSON formats, brought to the field names of the native one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Topic = Literal["web", "api"]
Message = dict[str, Any]

SEGMENT_FIELDS = frozenset(
    {"messageId", "anonymousId", "userId", "groupId", "previousId", "sentAt", "originalTimestamp", "receivedAt"}
    | {"event", "batch"}
)
SEGMENT_TYPES = frozenset({"track", "page", "screen", "alias", "batch"})
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


class RefusedError(Exception):
    """A message that is no event. Never leaves the reading of one message."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason, field)
        self.reason = reason
        self.field = field


def native_messages(record: Record) -> Iterator[Message | Rejection]:
    """The messages of one record in native form: one, or those of a Segment batch, each judged by itself."""
    try:
        message = _decoded(record.value)
    except RefusedError as error:
        yield Rejection(record.topic, error.reason, error.field)
        return
    for part in _parts(message):
        try:
            yield _native(part)
        except RefusedError as error:
            yield Rejection(record.topic, error.reason, error.field)


def first(*values: Any) -> Any:
    """The first value that is given; null and the empty string are not."""
    return next((value for value in values if value is not None and value != ""), None)


def mapping(message: Message, field: str) -> Message:
    """A field that must be an object; absent or null it is empty."""
    value = message.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RefusedError("wrong_type", field)
    return value


def _decoded(value: bytes | Message) -> Message:
    if isinstance(value, dict):
        return value
    if not value:
        raise RefusedError("empty")
    try:
        decoded = json.loads(value.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise RefusedError("not_json") from None
    if not isinstance(decoded, dict):
        raise RefusedError("not_an_object")
    return decoded


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _is_batch(message: Message) -> bool:
    return message.get("type") == "batch" or "batch" in message


def _parts(message: Message) -> list[Any]:
    if not _is_batch(message) or not isinstance(message.get("batch"), list):
        return [message]
    shared: Message = {field: message[field] for field in ("sentAt", "receivedAt") if field in message}
    context = message.get("context") or {}
    return [_with_shared(part, shared, context) for part in message["batch"]]


def _with_shared(part: Any, shared: Message, context: Any) -> Any:
    """A call of a batch; what the batch says once holds for every call that does not say it itself."""
    if not isinstance(part, dict) or not isinstance(context, dict):
        return part
    own = part.get("context") or {}
    return shared | part | ({"context": context | own} if isinstance(own, dict) else {})


def _native(message: Any) -> Message:
    if not isinstance(message, dict):
        raise RefusedError("not_an_object")
    if not isinstance(message.get("type"), str | None):
        raise RefusedError("unknown_type", "type")
    if _is_batch(message):
        raise RefusedError("wrong_type", "batch")  # no list, or a batch inside a batch
    if SEGMENT_FIELDS.isdisjoint(message) and message.get("type") not in SEGMENT_TYPES:
        return message
    return _from_segment(message)


def _from_segment(message: Message) -> Message:
    call = message.get("type") or ("track" if "event" in message else None)
    if call not in SEGMENT_CALLS:
        raise RefusedError("unknown_type", "type")
    kind, name = SEGMENT_CALLS[call]
    context, properties = mapping(message, "context"), mapping(message, "properties")
    page = context.get("page")
    if call in ("page", "screen") and isinstance(page, dict):
        # Segment's libraries say where the page is twice; a producer of one's own may say it only here.
        properties = {
            field: page[field] for field in ("path", "url", "referrer", "title") if field in page
        } | properties
    return {
        "message_id": message.get("messageId"),
        "time": message.get("timestamp"),
        "original_timestamp": message.get("originalTimestamp"),
        "sent_at": message.get("sentAt"),
        "received_at": message.get("receivedAt"),
        "type": kind,
        "source": message.get("source"),
        "name": name or message.get("event"),
        "anonymous_id": message.get("anonymousId"),
        "session_token": first(context.get("sessionToken"), context.get("session_token")),
        "api_key": first(context.get("apiKey"), context.get("api_key"), properties.get("api_key")),
        "user_id": message.get("userId"),
        "company_id": first(
            message.get("groupId"), context.get("groupId"), context.get("group_id"), properties.get("company_id")
        ),
        "previous_id": message.get("previousId"),
        "environment": first(context.get("environment"), properties.get("environment")),
        "properties": properties,
        "context": context,
        "traits": mapping(message, "traits"),
    }
