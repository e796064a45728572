"""Sound messages of every format as they are on the wire, and what may become of them on the way."""

from __future__ import annotations

from typing import Any, Final

import orjson
from hypothesis import strategies as st

_TIME = "2026-01-05T10:00:00Z"
_URL = "https://docs.example/x?utm_source=ads&token=abc"
_BODIES: Final[list[Any]] = [
    {"name": "Page Viewed", "user_id": "u1", "anonymous_id": "a1", "time": _TIME, "properties": {"url": _URL}},
    {
        "name": "API Call",
        "api_key": "sk_live_12345678",
        "time": _TIME,
        "properties": {"status": 200, "latency_ms": 1.5},
    },
    {"type": "merge", "previous_id": "u0", "user_id": "u1", "time": _TIME},
    {"type": "track", "event": "API Call", "userId": 7, "timestamp": _TIME, "context": {"apiKey": "sk_test_12345"}},
    {"type": "page", "name": "Docs", "anonymousId": "a1", "timestamp": _TIME, "context": {"page": {"url": _URL}}},
    {
        "type": "group",
        "userId": "u1",
        "groupId": "acme",
        "originalTimestamp": _TIME,
        "sentAt": _TIME,
        "receivedAt": _TIME,
    },
    {"batch": [{"type": "track", "event": "x", "userId": "u1"}, {"type": "identify", "userId": "u2"}], "sentAt": _TIME},
    [{"name": "x", "user_id": "u1"}, {"name": "y", "session_token": "s1", "traits": {"email": "a@b.example"}}],
    {
        "request": {"time": _TIME[:-1], "uri": _URL, "verb": "GET", "headers": {"X-Api-Key": "k12345678"}},
        "response": {"status": 200},
    },
    {"request": {"headers": {"Authorization": "Basic YTpi"}}, "user_id": "u1", "direction": "Outgoing", "weight": 3},
    {"action_name": "Signed Up", "request": {"uri": _URL, "time": _TIME}, "session_token": "s1"},
    {"user_id": "u1", "company_id": "acme", "modified_time": _TIME[:-1], "metadata": {"email": "a@own.example"}},
]
SOUND_MESSAGES: Final = [orjson.dumps(body) for body in _BODIES]

_PIECES: Final = st.binary(max_size=4) | st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"\\",
        b"\\u",
        b"\\ud800",
        b"\xff",
        b"\x00",
        b"null",
        b"9" * 30,
        b"1e999",
        b"-",
        b",",
        b":",
        b'"":',
        b"%25",
        b"sk_live_",
    ]
)


@st.composite
def mutations(draw: st.DrawFn, message: bytes) -> bytes:
    """The message with some of its parts cut out, doubled, or replaced by others."""
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(message)))
        end = min(len(message), start + draw(st.sampled_from([0, 0, 1, 1, 2, 8, 64])))
        piece = draw(_PIECES)
        doubled = message[start:end] if draw(st.booleans()) else b""
        message = message[:start] + doubled + piece + message[end:]
    return message
