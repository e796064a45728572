"""What no honest producer sends: each kind of message that must be refused, and stop nothing."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any, Final

from tests.support.worlds.builders import MONDAY, clock

DAY = 86_400_000
SIGNED_UP: Final = {"name": "Signed Up", "user_id": "u1"}


def _event(**fields: Any) -> bytes:
    return json.dumps(SIGNED_UP | fields).encode()


def _deep(levels: int, inside: bytes = b"1") -> bytes:
    return b'{"a":' * levels + inside + b"}" * levels


#: (what it is, the message, the reason of its refusal), each written on `MONDAY` or
#: the day after.
POISON: Final[list[tuple[str, bytes | None, str]]] = [
    ("a tombstone", None, "empty"),
    ("an empty value", b"", "empty"),
    ("bytes of no encoding", bytes(range(256)), "not_json"),
    ("another encoding", _event().decode().encode("utf-16"), "not_json"),
    ("text cut off", _event()[:-7], "not_json"),
    ("two events without a bracket", _event() + b"\n" + _event(), "not_json"),
    ("no number", b'{"name": "Signed Up", "user_id": "u1", "properties": {"n": NaN}}', "not_json"),
    (
        "a number without end",
        b'{"name": "Signed Up", "user_id": "u1", "properties": {"n": ' + b"9" * 500_000 + b"}}",
        "not_json",
    ),
    ("a number beyond all", b'{"name": "Signed Up", "user_id": "u1", "properties": {"n": 1e400}}', "not_json"),
    ("a gzipped body", gzip.compress(_event(), mtime=0), "not_json"),
    ("a compressed body cut off", zlib.compress(_event() * 100)[:-9], "not_json"),
    ("an event of 10 MB", _event(properties={"text": "x" * 10_000_000}), "too_large"),
    ("10 MB of brackets", b"[" * 10_000_000, "too_large"),
    ("a bottomless object", _deep(100_000), "too_deep"),
    ("a bottomless list", b"[" * 400_000 + b"]" * 400_000, "too_deep"),
    ("depth behind a name", b'{"name": "Signed Up", "user_id": "u1", "properties": ' + _deep(300) + b"}", "too_deep"),
    ("depth behind another", b'{"name": "Signed Up", "user_id": "u1", "context": ' + _deep(21) + b"}", "too_deep"),
    ("a text", b'"' + _event().replace(b'"', b'\\"') + b'"', "not_an_object"),
    ("a number", b"12", "not_an_object"),
    ("null", b"null", "not_an_object"),
    ("a batch of nothing", b'{"batch": []}', "empty"),
    ("a batch that is none", b'{"batch": {"0": 1}}', "wrong_type"),
    ("an id that is a list", _event(user_id=["u1"]), "wrong_type"),
    ("an id that is no whole number", b'{"name": "Signed Up", "user_id": 1e30}', "wrong_type"),
    ("properties that are a text", _event(properties="{}"), "wrong_type"),
    ("a name that is true", _event(name=True), "wrong_type"),
    ("only nulls", json.dumps(dict.fromkeys(["name", "user_id", "time", "properties"])).encode(), "missing"),
    ("an unknown call", _event(type="frobnicate"), "unknown_type"),
    ("a call of another case", json.dumps({"type": "TRACK", "event": "x", "userId": "u1"}).encode(), "unknown_type"),
    ("a name twice, the last one empty", b'{"name": "Signed Up", "name": "", "user_id": "u1"}', "missing"),
    ("tomorrow's tomorrow", _event(time=clock(MONDAY + 4 * DAY)), "future"),
    ("the last of all years", _event(time="9999-12-31T23:59:59.999Z"), "future"),
    ("a receipt to come", _event(received_at=clock(MONDAY + 30 * DAY)), "future"),
    ("the year 1970", _event(time="1970-01-01T00:00:00Z"), "ancient"),
    (
        "a clock gone mad",
        _event(time=clock(MONDAY), sent_at="9999-12-31T23:59:59Z", received_at=clock(MONDAY)),
        "ancient",
    ),
    ("no such day", _event(time="2026-02-30T00:00:00Z"), "wrong_time"),
    ("a time as a number", _event(time=42), "wrong_time"),
    ("a key as an id", _event(user_id="sk_live_abcd1234efgh"), "secret"),
    ("an id without end", _event(user_id="x" * 900_000), "too_long"),
]
