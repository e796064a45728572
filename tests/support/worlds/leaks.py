"""Hypothesis strategies for messages with API keys where no key belongs."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from tests.support.worlds.builders import Message

#: Keys that are known by their form, wherever they stand.
RECOGNISABLE = st.builds(
    "{}{}{}".format,
    st.sampled_from(["sk_live_", "pk_live_", "rk_live_", "sk_test_", "pk_dev_", "acme."]),
    st.text(string.ascii_letters + string.digits, min_size=10, max_size=24),
    st.integers(0, 9),
)
#: Keys that are only known to be keys because an event gives them as such.
PLAIN = st.builds(
    # No word of a message's frame has this in it.
    "{}Zq7{}".format,
    st.text(string.ascii_letters + string.digits, min_size=4, max_size=10),
    st.from_regex(r"[A-Za-z0-9+/=_~-]{4,20}[A-Za-z0-9]", fullmatch=True),
)

#: What a key may be wrapped in; each as it stands in a text.
WRAPPINGS: list[Callable[[str], str]] = [
    lambda key: key,
    lambda key: f"called with {key}, twice",
    lambda key: f"https://api.acme.example/v1/x?page=1&api_key={quote(key, safe='')}&z=2",
    lambda key: f"/v1/x?access_token={quote(key, safe='')}",
    lambda key: (
        f"https://x.example/login?next=https%3A%2F%2Fy.example%2F%3Fclient_secret%3D{quote(key, safe='')}%26a%3D1"
    ),
    lambda key: f"https://{quote(key, safe='')}:x@api.acme.example/",
    lambda key: f"/v1/keys/{quote(key, safe='')}/usage",
]

#: The shapes of an event in which a key, wrapped or not, stands somewhere.
PLACES: list[Callable[[str], Message]] = [
    lambda text: {"name": text},
    lambda text: {"message_id": f"m-{text}"},
    lambda text: {"user_id": text},
    lambda text: {"anonymous_id": f"a-{text}"},
    lambda text: {"session_token": text},
    lambda text: {"company_id": text},
    lambda text: {"previous_id": text, "user_id": "u1", "type": "merge"},
    lambda text: {"environment": text},
    lambda text: {"source": text},
    lambda text: {"time": text},
    lambda text: {"type": text},
    lambda text: {"properties": text},
    lambda text: {"properties": {"url": text, "path": text, "referrer": text}},
    lambda text: {"properties": {text: 1, "nested": {"deeper": [{text: text}]}}},
    lambda text: {"context": {"page": {"url": text, "title": text}, "userAgent": text, "campaign": {"name": text}}},
    lambda text: {"context": {"headers": {"X-API-Key": text, "Authorization": text}}},
    lambda text: {"traits": {"api_key": text, "note": text}},
    lambda text: {text: text},
]


def _segment(message: Message) -> Message:
    names = {"message_id": "messageId", "user_id": "userId", "anonymous_id": "anonymousId", "company_id": "groupId"}
    names |= {"previous_id": "previousId", "time": "timestamp", "name": "event"}
    call = {names.get(field, field): value for field, value in message.items()}
    key = call.pop("api_key", None)
    if key is not None and isinstance(call.setdefault("context", {}), dict):
        call["context"] = call["context"] | {"apiKey": key}
    return {"type": "alias" if message.get("type") == "merge" else "track"} | call


def _moesif(message: Message) -> Message:
    key = message.get("api_key")
    properties = message.get("properties")
    given = properties if isinstance(properties, dict) else {}
    user = base64.b64encode(f"{key}:".encode()).decode()
    return {
        "request": {
            "time": message.get("time"),
            "uri": given.get("url", "https://api.acme.example/x"),
            "verb": "GET",
            "headers": {"Authorization": f"Basic {user}", "User-Agent": "x/1", "Origin": given.get("path", "")}
            if key
            else {},
            "body": properties,
        },
        "response": {"status": 200, "headers": {}},
        "metadata": properties,
        **{field: message[field] for field in ("user_id", "company_id", "session_token") if field in message},
        "transaction_id": message.get("message_id"),
    }


def _escaped(value: Message) -> bytes:
    """The same with every letter of its texts as an escape, which JSON reads alike."""
    return "".join(f"\\u{ord(c):04x}" if c in string.ascii_letters else c for c in json.dumps(value)).encode()


#: One message of each format, of batches of them, and of what is left of it when it is damaged.
FORMATS: list[Callable[[Message], bytes]] = [
    lambda message: json.dumps(message).encode(),
    lambda message: json.dumps(_segment(message)).encode(),
    lambda message: json.dumps(_moesif(message)).encode(),
    lambda message: json.dumps([message, _moesif(message), _segment(message)]).encode(),
    lambda message: json.dumps({"batch": [_segment(message)], "writeKey": message.get("api_key")}).encode(),
    lambda message: json.dumps({"batch": _segment(message), "context": message.get("context")}).encode(),
    lambda message: json.dumps(message).encode()[:-2],
    lambda message: json.dumps(_moesif(message)).encode()[:-3],
    lambda message: json.dumps(message | {"properties": _deep(message.get("properties"))}).encode(),
    lambda message: json.dumps(json.dumps(message)).encode(),
]


def _deep(value: Any) -> Any:
    for _ in range(30):
        value = {"deep": [value]}
    return value


@st.composite
def leaking_messages(draw: st.DrawFn) -> tuple[str, bytes]:
    """(key, message): a message in which the key stands as the API key, in one or two other places, or both."""
    recognisable = draw(st.booleans())
    key = draw(RECOGNISABLE if recognisable else PLAIN)
    message: Message = {"name": "API Call", "time": "2026-01-05T10:00:00Z", "anonymous_id": "a1"}
    for _ in range(draw(st.integers(1, 2))):
        message |= draw(st.sampled_from(PLACES))(draw(st.sampled_from(WRAPPINGS))(key))
    if not recognisable or draw(st.booleans()):
        message["api_key"] = key
    return key, draw(st.sampled_from(FORMATS))(message)
