"""What must not be stored: API keys and the like, in events and in what is shown of refused messages."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

MAX_DEPTH: Final = 20
#: How much of a refused message is shown.
SHOWN_CHARACTERS: Final = 2_000

#: Names of fields that hold secrets, in lower case without hyphens and underscores.
_SECRET_NAMES: Final = frozenset(
    [
        "apikey",
        "xapikey",
        "authorization",
        "proxyauthorization",
        "accesstoken",
        "refreshtoken",
        "token",
        "secret",
        "clientsecret",
        "password",
        "cookie",
        "setcookie",
    ]
)
_KEY_LIKE = re.compile(r"\b(?:[a-z]{2}_[a-z]+_[A-Za-z0-9_]{4,}|Bearer\s+\S+|Basic\s+\S+)")
#: In what cannot be parsed: every quoted text after a colon, and every other run of characters as long as a key.
_VALUE_LIKE = re.compile(r'(:\s*)"[^"]*"?|[A-Za-z0-9_\-+/=.]{12,}')
_NAMES_REMEMBERED: Final = 10_000
_remembered: dict[str, bool] = {}

#: Stands for what is nested in more than `MAX_DEPTH` levels.
TOO_DEEP: Final[Any] = object()


def needs_scrubbing(part: dict[str, Any]) -> bool:
    """Whether a secret field stands in an object, or objects are nested so that it takes a walk to know."""
    for name, inner in part.items():
        if _is_secret(name):
            return True
        if type(inner) is dict:
            for inner_name, value in inner.items():
                if _is_secret(inner_name) or type(value) is dict or type(value) is list:
                    return True
        elif type(inner) is list:
            return True
    return False


def scrub(value: Any, key: str, depth: int) -> Any:
    """`value` without secret fields and without `key` in any text; TOO_DEEP if it is nested too deeply."""
    if depth > MAX_DEPTH:
        return TOO_DEEP
    if isinstance(value, str):
        return value.replace(key, "[redacted]") if key and key in value else value
    if isinstance(value, dict):
        clean: dict[str, Any] = {}
        for name, inner in value.items():
            if _is_secret(name):
                continue
            scrubbed = scrub(inner, key, depth + 1)
            if scrubbed is TOO_DEEP:
                return TOO_DEEP
            clean[name.replace(key, "[redacted]") if key else name] = scrubbed
        return clean
    if isinstance(value, list):
        items = [scrub(inner, key, depth + 1) for inner in value]
        return TOO_DEEP if any(item is TOO_DEEP for item in items) else items
    return value


def redacted(value: bytes | None) -> str:
    """The start of a refused message for a dead letter, without anything that is or looks like a key.

    Of a message that cannot be parsed, or is nested too deeply to be walked through, only the frame is shown.
    """
    if not value:
        return ""
    try:
        body = scrub(orjson.loads(value), "", 0)
    except ValueError:
        body = TOO_DEEP
    if body is TOO_DEEP:
        text = value[: SHOWN_CHARACTERS * 4].decode("utf-8", "replace")
        return _VALUE_LIKE.sub(lambda found: f'{found[1]}"..."' if found[1] else "...", text)[:SHOWN_CHARACTERS]
    return without_keys(orjson.dumps(body).decode())[:SHOWN_CHARACTERS]


def without_keys(text: str) -> str:
    """`text` with everything that looks like a key or a token replaced."""
    return _KEY_LIKE.sub("[redacted]", text)


def _is_secret(name: str) -> bool:
    known = _remembered.get(name)
    if known is None:
        if len(_remembered) >= _NAMES_REMEMBERED:
            _remembered.clear()
        known = _remembered[name[:100]] = name[:100].lower().replace("-", "").replace("_", "") in _SECRET_NAMES
    return known
