"""The excerpt of a refused message that its dead letter shows, without anything that is or looks like a key."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from streams.normalise.redaction import MASK, MAX_WALKED_BYTES, TOO_DEEP, Redactor, keys_in, spellings
from streams.normalise.repair import is_repairable, repaired

#: How much of a refused message is shown.
SHOWN_CHARACTERS: Final = 2_000
_HOLDS_HEADERS: Final = frozenset(["headers", "body"])
#: Whatever has the form of a key, in texts that only people read.
_KEY_LIKE = re.compile(r"\b(?:[a-z]{2}_[a-z]+_[A-Za-z0-9_]{4,}|[Bb]earer\s+\S+|[Bb]asic\s+\S+)")
#: The parts of a text that is no JSON: quoted, or a run of other characters.
_PIECE = re.compile(r"\"(?:[^\"\\]|\\.)*\"?|[^\s\[\]{},:\"]{8,}")
#: Names that are shown of a message that is no JSON; any other quoted text may be a key.
_SHOWN_NAMES: Final = frozenset(
    [
        *("message_id", "time", "source", "name", "type", "anonymous_id", "session_token", "api_key", "user_id"),
        *("company_id", "previous_id", "environment", "properties", "context", "traits", "batch", "event"),
        *("messageId", "timestamp", "anonymousId", "userId", "groupId", "previousId", "request", "response", "uri"),
    ]
)

_USUAL: Final = Redactor()


def excerpt_of(message: bytes | None, redactor: Redactor = _USUAL) -> str:
    """The start of a message. `redactor`: by default knows the usual forms of keys only.

    Headers and bodies of requests are left out. Of a message that is no JSON, nested too deeply or too large to be walked
    through, only the frame is shown.
    """
    if not message:
        return ""
    if len(message) > MAX_WALKED_BYTES:
        return _frame(message)
    try:
        body = orjson.loads(message)
    except ValueError:
        try:
            body = orjson.loads(repaired(message) if is_repairable(message) else message)
        except ValueError:
            return _frame(message)
    if type(body) is str:
        # A message wrapped up once too often, in which nothing has a name.
        return '"..."'
    clean = redactor.scrub(_without_content(body), spellings(keys_in(body)), looks=True)
    if clean is TOO_DEEP:
        return _frame(message)
    return without_keys(orjson.dumps(clean).decode())[:SHOWN_CHARACTERS]


def without_keys(text: str) -> str:
    """`text` with everything replaced that has the form of a key or a token."""
    return _KEY_LIKE.sub(MASK, text)


def _without_content(value: Any, depth: int = 0) -> Any:
    """A message without the headers and bodies of Moesif's requests, as far down as a batch of them reaches."""
    if type(value) is list and depth < 3:
        return [_without_content(item, depth + 1) for item in value]
    if type(value) is dict and depth < 4:
        return {
            name: "..." if name in _HOLDS_HEADERS else _without_content(inner, depth + 1)
            for name, inner in value.items()
        }
    return value


def _frame(message: bytes) -> str:
    text = message[: SHOWN_CHARACTERS * 4].decode("utf-8", "replace")
    return _PIECE.sub(_frame_piece, text)[:SHOWN_CHARACTERS]


def _frame_piece(match: re.Match[str]) -> str:
    piece = match[0]
    if not piece.startswith('"'):
        return "..."
    return piece if piece[1:-1] in _SHOWN_NAMES else '"..."'
