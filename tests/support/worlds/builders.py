"""A builder for each kind of event.

Builders return messages in the native format; `segment` turns one into a Segment call. Times are ms UTC. Without a
`message_id` of its own a message gets one from its content, so that the same call twice makes two copies of one event.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

from tests.support.reference import Record

Message = dict[str, Any]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
#: Monday 2026-01-05 00:00:00 UTC.
MONDAY = 1_767_571_200_000
SECRETS = [b"a secret of the tests"]

API_NAMES = ("API Call", "Message Sent", "Connection Held")
SEGMENT_CALLS = {"event": "track", "identify": "identify", "group": "group", "merge": "alias"}


# Times


def at(text: str) -> int:
    """Milliseconds of a UTC time written '2026-01-05 10:00' or '2026-01-05 10:00:00.123'."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000


def clock(time: int) -> str:
    """The RFC 3339 form of a time."""
    moment = datetime.fromtimestamp(time // 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{time % 1000:03d}Z"


# One builder per kind of event


def event(name: str, time: int, **fields: Any) -> Message:
    """Any event. Fields that are None are left out; `message_id=""` leaves the id to be derived."""
    message = {"name": name, "time": clock(time)} | {k: v for k, v in fields.items() if v is not None}
    if "message_id" not in message:
        digest = hashlib.blake2b(json.dumps(message, sort_keys=True).encode(), digest_size=6)
        message["message_id"] = f"m-{digest.hexdigest()}"
    return message


def page_viewed(time: int, path: str = "/", properties: Message | None = None, **fields: Any) -> Message:
    return event("Page Viewed", time, properties={"path": path} | (properties or {}), **fields)


def ad_clicked(time: int, campaign: str = "spring", **fields: Any) -> Message:
    return event("Ad Clicked", time, context={"campaign": {"name": campaign, "source": "search"}}, **fields)


def talk_given(time: int, technology: str = "python", user_id: str = "employee", **fields: Any) -> Message:
    return event("Talk Given", time, user_id=user_id, properties={"technology": technology}, **fields)


def signed_up(time: int, **fields: Any) -> Message:
    return event("Signed Up", time, **fields)


def key_created(time: int, **fields: Any) -> Message:
    return event("API Key Created", time, **fields)


def api_call(time: int, status: int = 200, **fields: Any) -> Message:
    return event("API Call", time, properties={"status": status, "path": "/v1/messages", "method": "POST"}, **fields)


def message_sent(time: int, **fields: Any) -> Message:
    return event("Message Sent", time, **fields)


def connection_held(time: int, **fields: Any) -> Message:
    return event("Connection Held", time, **fields)


def subscription_started(time: int, **fields: Any) -> Message:
    return event("Subscription Started", time, **fields)


def invitation_sent(time: int, **fields: Any) -> Message:
    return event("Invitation Sent", time, **fields)


def invitation_accepted(time: int, **fields: Any) -> Message:
    return event("Invitation Accepted", time, **fields)


def identify(time: int, user_id: str, **fields: Any) -> Message:
    return event("Identify", time, type="identify", user_id=user_id, **fields)


def group(time: int, user_id: str, company_id: str, **fields: Any) -> Message:
    return event("Group", time, type="group", user_id=user_id, company_id=company_id, **fields)


def merge(time: int, previous_id: str, user_id: str, **fields: Any) -> Message:
    return event("Alias", time, type="merge", previous_id=previous_id, user_id=user_id, **fields)


# The same in other clothes


def segment(message: Message, skew: int | None = None, delay: int = SECOND) -> Message:
    """The Segment call with the same content. With a `skew` the client's clock is wrong by so many ms, which the times
    of sending and receipt make good."""
    context = dict(message.get("context", {}))
    for field, name in (("session_token", "sessionToken"), ("api_key", "apiKey"), ("environment", "environment")):
        if field in message:
            context[name] = message[field]
    kind = SEGMENT_CALLS[message.get("type", "event")]
    named = {"Page Viewed": "page", "Screen Viewed": "screen"}
    call: Message = {"type": named.get(message["name"], kind) if kind == "track" else kind}
    if call["type"] == "track":
        call["event"] = message["name"]
    for field, name in (
        ("message_id", "messageId"),
        ("anonymous_id", "anonymousId"),
        ("user_id", "userId"),
        ("company_id", "groupId"),
        ("previous_id", "previousId"),
        ("properties", "properties"),
        ("traits", "traits"),
    ):
        if field in message:
            call[name] = message[field]
    if context:
        call["context"] = context
    if skew is None:
        return call | {"timestamp": message["time"]}
    time = at(message["time"].rstrip("Z"))
    times = {"originalTimestamp": time + skew, "sentAt": time + skew + delay, "receivedAt": time + delay}
    return call | {name: clock(value) for name, value in times.items()}


def batch(*calls: Any) -> Message:
    """Segment calls sent as one message."""
    return {"type": "batch", "batch": list(calls)}


def record(message: Message, timestamp_ms: int | None = None) -> Record:
    """The record of a message, on the topic where its kind belongs, written a second after its time."""
    name = message.get("name") or message.get("event")
    if timestamp_ms is None:
        shown = message.get("time") or message.get("timestamp") or message.get("receivedAt")
        timestamp_ms = (at(shown.rstrip("Z")) if shown else MONDAY) + SECOND
    return Record("api" if name in API_NAMES else "web", message, timestamp_ms)


def key_alias(api_key: str) -> str:
    """The keyed hash that stands for an API key under the secrets of the tests."""
    return hmac.digest(SECRETS[0], api_key.encode(), hashlib.sha256)[:16].hex()


def as_bytes(one: Record) -> Record:
    """The record as it is on the wire."""
    value = one.value if isinstance(one.value, bytes) else json.dumps(one.value).encode()
    return Record(one.topic, value, one.timestamp_ms)
