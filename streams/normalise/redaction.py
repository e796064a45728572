"""Removes secrets from events: API keys and the like.

A key is known by where it stands (a field, header or URL parameter with a secret name), by its text (the prefixes of
the definitions, the usual `sk_live_...`, `Bearer ...`, the user and password of an address), or because the same
message gives it as a key elsewhere. A text that no name marks as a key and that does not look like one is not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from streams.normalise.authorization import credential, user_and_password

MAX_DEPTH: Final = 20
#: To walk through a larger message would take seconds.
MAX_WALKED_BYTES: Final = 1_000_000
#: A key at least so long is worth looking for in other texts; shorter ones are no secrets but placeholders.
SECRET_CHARACTERS: Final = 8

#: Names of fields that hold secrets, in lower case without hyphens and underscores.
_SECRET_NAMES: Final = frozenset(
    [
        *("apikey", "xapikey", "authorization", "proxyauthorization", "token", "refreshtoken", "idtoken", "authtoken"),
        *("xauthtoken", "secret", "secretkey", "privatekey", "accesskey", "writekey", "subscriptionkey", "passwd"),
        *("ocpapimsubscriptionkey", "xfunctionskey", "bearer", "cookie", "setcookie"),
    ]
)
_SECRET_ENDINGS: Final = ("apikey", "accesstoken", "clientsecret", "password")
#: Names that hold secrets in an address only.
_SECRET_PARAMETERS: Final = frozenset(["key", "auth", "pwd", "sig", "signature"])
_NAMES_REMEMBERED: Final = 10_000
_harmless: set[str] = set()

_ENDS: Final = ("key", "ken", "ret", "ord", "swd", "ion", "uth", "pwd", "sig", "ure")
#: So far into a text that begins like an own key, a digit makes it one. Without a bound, a text of nothing but beginnings
#: would be read to its end from each of them.
_DIGIT_WITHIN: Final = 200
_USUAL_KEY = r"[sprw]k_(?:live|test|prod|dev)_[A-Za-z0-9_\-]{4,}"
_BEARER = r"[Bb]earer\s+(?=[^\s\"]*\d)[A-Za-z0-9._~+/=\-]{8,}"
_BASIC = re.compile(r"\b([Bb]asic)\s+([A-Za-z0-9+/]{8,}={0,2})")
_USER = re.compile(r"(://)[^/?#\s@]{1,300}@")
_PARAMETER = re.compile(
    r"(?i)((?:^|[?&;#\s/\"'(,{]|%(?:25)*(?:3f|26|23|2f))"
    r"(?:[a-z0-9_.\-]{0,40}(?:api(?:[_\-]|%5f|%2d)?key|token|secret|password|passwd)|(?:proxy-)?authorization|key|auth|pwd|sig|signature)"
    r"(?:=|%(?:25)*3d))"
    r"(?:(?!%(?:25)*(?:26|23))[^&;#\s\"'])+"
)
_PLAIN = re.compile(r"[A-Za-z0-9_\-.~]*")
#: Without any of these, `Bearer` or `Basic`, no text of a message has a key in it. The last one is the equals sign after
#: the last letters of what names a secret in an address.
_USUAL_MARKS: Final = (
    *("_live_", "_test_", "_prod_", "_dev_", r"\\", "%", "@"),
    "=(?<=" + "|".join("".join(f"[{c}{c.upper()}]" for c in end) + "=" for end in _ENDS) + ")",
)
#: Keys of one message that are looked for in its other texts; more of them are still removed where they stand.
_MAX_KEYS: Final = 20
MASK: Final = "[redacted]"

#: Stands for what is nested in more than `MAX_DEPTH` levels.
TOO_DEEP: Final[Any] = object()


class Redactor:
    """Finds and removes keys. `prefixes`: how the deployment's keys begin."""

    def __init__(self, prefixes: Iterable[str] = ()) -> None:
        own = [prefix for prefix in sorted(prefixes, key=len, reverse=True) if len(prefix) > 2]
        rare = [prefix for prefix in own if not re.search("|".join(_USUAL_MARKS), prefix)]
        # A short prefix begins many a word: only with a digit further on is it a key.
        shapes = [
            _USUAL_KEY,
            *(rf"{re.escape(prefix)}(?=[A-Za-z_\-]{{0,{_DIGIT_WITHIN}}}\d)[A-Za-z0-9_\-]{{8,}}" for prefix in own),
        ]
        self._key = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(shapes)})|\b{_BEARER}")
        # Every alternative begins with a plain character: only then is the search fast.
        marks = [*_USUAL_MARKS, *map(re.escape, rare)]
        self._mark = re.compile("|".join(marks).encode())

    def suspects(self, message: bytes, key: str) -> bool:
        """Whether a message may hold a key anywhere but once in `key`'s own place or under a secret name.

        Costs about a microsecond, so that only what is suspect need be walked through.
        """
        rest = 0
        if key:
            given = key.encode()
            at = message.find(given)
            rest = at + len(given)
            if at < 0 or message.find(given, rest) >= 0 or self._mark.search(message, 0, at) is not None:
                return True
        return self._mark.search(message, rest) is not None or b"earer " in message or b"asic " in message

    def text(self, text: str, keys: tuple[str, ...]) -> str:
        for key in keys:
            if key in text:
                text = text.replace(key, MASK)
        text = self._key.sub(MASK, text)
        if "=" in text or "%" in text:
            text = _PARAMETER.sub(rf"\1{MASK}", text)
        if "asic" in text:
            text = _BASIC.sub(_without_credentials, text)
        if "@" in text:
            text = _USER.sub(rf"\1{MASK}@", text)
        return text

    def scrub(self, value: Any, keys: tuple[str, ...], *, looks: bool, depth: int = 0) -> Any:
        """`value` without secret fields and, if `looks`, without keys in any text; TOO_DEEP if nested too deeply."""
        if depth > MAX_DEPTH:
            return TOO_DEEP
        if type(value) is str:
            return self.text(value, keys) if looks else value
        if type(value) is dict:
            clean: dict[str, Any] = {}
            for name, inner in value.items():
                if is_secret(name):
                    continue
                if not looks and type(inner) is str:
                    clean[name] = inner
                    continue
                scrubbed = self.scrub(inner, keys, looks=looks, depth=depth + 1)
                if scrubbed is TOO_DEEP:
                    return TOO_DEEP
                clean[self.text(name, keys) if looks else name] = scrubbed
            return clean
        if type(value) is list:
            items = [self.scrub(item, keys, looks=looks, depth=depth + 1) for item in value]
            return TOO_DEEP if any(item is TOO_DEEP for item in items) else items
        if keys and type(value) is not bool and value is not None and any(key in str(value) for key in keys):
            return MASK
        return value


def needs_scrubbing(part: dict[str, Any]) -> bool:
    """Whether a secret field stands in an object, or objects are nested so that it takes a walk to know."""
    if not part.keys() <= _harmless and any(map(is_secret, part)):
        return True
    for inner in part.values():
        if type(inner) is dict:
            if not inner.keys() <= _harmless and any(map(is_secret, inner)):
                return True
            for value in inner.values():
                if type(value) is dict or type(value) is list:
                    return True
        elif type(inner) is list:
            return True
    return False


def keys_in(value: Any) -> dict[str, None]:
    """The texts that stand under secret names anywhere in a value, in their order; at most 20."""
    found: dict[str, None] = {}
    _collect(value, found, 0)
    return found


def spellings(keys: Iterable[str]) -> tuple[str, ...]:
    """Keys that are long enough to be looked for, also as an address would write them; the longest first."""
    texts: dict[str, None] = {}
    for key in keys:
        if len(key) >= SECRET_CHARACTERS:
            texts[key] = None
            if not _PLAIN.fullmatch(key):
                escaped = quote(key, safe="")
                texts |= dict.fromkeys([escaped, re.sub("%..", lambda found: found[0].lower(), escaped)])
    return tuple(sorted(texts, key=len, reverse=True))


def is_secret(name: str, *, parameter: bool = False) -> bool:
    """Whether a field of this name (`parameter`: a parameter of an address) holds a secret."""
    if name in _harmless:
        return parameter and _plain(name) in _SECRET_PARAMETERS
    plain = _plain(name)
    if plain in _SECRET_NAMES or plain.endswith(_SECRET_ENDINGS):
        return True
    if len(name) <= 100:
        if len(_harmless) >= _NAMES_REMEMBERED:
            _harmless.clear()
        _harmless.add(name)
    return parameter and plain in _SECRET_PARAMETERS


def _plain(name: str) -> str:
    return name[-100:].lower().replace("-", "").replace("_", "")


def _collect(value: Any, found: dict[str, None], depth: int) -> None:
    if depth > MAX_DEPTH or len(found) >= _MAX_KEYS:
        return
    if type(value) is dict:
        for name, inner in value.items():
            if not is_secret(name):
                _collect(inner, found, depth + 1)
            elif type(inner) is str and inner:
                found[inner] = None
                if " " in inner:
                    found |= dict.fromkeys([inner.partition(" ")[2].strip(), *credential(inner).secrets])
            elif type(inner) is int or type(inner) is float:
                found[str(inner)] = None
    elif type(value) is list:
        for item in value:
            _collect(item, found, depth + 1)
    elif type(value) is str and "=" in value:
        found |= dict.fromkeys(match[0][len(match[1]) :] for match in _PARAMETER.finditer(value))


def _without_credentials(match: re.Match[str]) -> str:
    return f"{match[1]} {MASK}" if user_and_password(match[2])[1] else match[0]
