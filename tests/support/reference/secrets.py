"""An event without the API keys that stand where no key belongs. Plain and slow: every text is looked at."""

from __future__ import annotations

import base64
import binascii
import re
from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote

MASK = "[redacted]"
SECRET_FIELDS = frozenset(
    [
        "apikey",
        "xapikey",
        "authorization",
        "proxyauthorization",
        "token",
        "refreshtoken",
        "idtoken",
        "authtoken",
        "xauthtoken",
        "secret",
        "secretkey",
        "privatekey",
        "accesskey",
        "writekey",
        "subscriptionkey",
        "passwd",
        "ocpapimsubscriptionkey",
        "xfunctionskey",
        "bearer",
        "cookie",
        "setcookie",
    ]
)
SECRET_ENDINGS = ("apikey", "accesstoken", "clientsecret", "password")
SECRET_PARAMETERS = ("key", "auth", "pwd", "sig", "signature")
ENDS_LIKE_A_SECRET = ("apikey", "token", "secret", "password", "passwd")

USUAL = re.compile(r"(?<![A-Za-z0-9])[sprw]k_(live|test|prod|dev)_[A-Za-z0-9_-]{4,}")
BEARER = re.compile(r"\b[Bb]earer\s+(?=[^\s\"]*[0-9])[A-Za-z0-9._~+/=-]{8,}")
BASIC = re.compile(r"\b([Bb]asic)\s+([A-Za-z0-9+/]{8,}={0,2})")
USER_OF_ADDRESS = re.compile(r"://[^/?#\s@]{1,300}@")


class TooDeepError(Exception):
    """A value within more than twenty others."""


def is_secret_field(name: str) -> bool:
    """Whether what stands under this name is a secret, however the name is spelled."""
    plain = name[-100:].lower().replace("-", "").replace("_", "")
    return plain in SECRET_FIELDS or plain.endswith(SECRET_ENDINGS)


def secrets_of(*values: Any) -> list[str]:
    """What stands under the names of secrets, long enough to be looked for elsewhere."""
    found = [text for value in values for text in _under_secret_names(value)]
    return [text for text in dict.fromkeys(found) if len(text) >= 8]


def cleaned(value: Any, secrets: list[str], prefixes: list[str], depth: int = 0) -> Any:
    """The value without secret fields, and without keys in any text. Raises TooDeepError."""
    if depth > 20:
        raise TooDeepError
    if isinstance(value, dict):
        return {
            cleaned_text(name, secrets, prefixes): cleaned(inner, secrets, prefixes, depth + 1)
            for name, inner in value.items()
            if not is_secret_field(name)
        }
    if isinstance(value, list):
        return [cleaned(inner, secrets, prefixes, depth + 1) for inner in value]
    if isinstance(value, str):
        return cleaned_text(value, secrets, prefixes)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return MASK if any(secret in str(value) for secret in secrets) else value
    return value


def cleaned_text(text: str, secrets: list[str], prefixes: list[str]) -> str:
    """The text without the given secrets, and without what has the form of a key."""
    return _cleaned_text(text, tuple(secrets), tuple(prefixes))


# Names of fields and most texts come again and again.
@lru_cache(100_000)
def _cleaned_text(text: str, secrets: tuple[str, ...], prefixes: tuple[str, ...]) -> str:
    spelled = {form for secret in secrets for form in (secret, quote(secret, safe=""), _lower_hex(secret))}
    for secret in sorted(spelled, key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern in _forms(prefixes):
        text = pattern.sub(MASK, text)
    text = _without_parameters(text)
    text = BASIC.sub(lambda found: f"{found[1]} {MASK}" if _is_user_and_password(found[2]) else found[0], text)
    return USER_OF_ADDRESS.sub(f"://{MASK}@", text)


@cache
def _forms(prefixes: tuple[str, ...]) -> list[re.Pattern[str]]:
    own = [
        re.compile(rf"(?<![A-Za-z0-9]){re.escape(prefix)}(?=[A-Za-z_-]{{0,200}}\d)[A-Za-z0-9_-]{{8,}}")
        for prefix in sorted(prefixes, key=len, reverse=True)
        if len(prefix) > 2
    ]
    return [USUAL, *own, BEARER]


def _under_secret_names(value: Any, depth: int = 0) -> list[str]:
    if depth > 20:
        return []
    if isinstance(value, list):
        return [text for inner in value for text in _under_secret_names(inner, depth + 1)]
    if not isinstance(value, dict):
        return []
    found = []
    for name, inner in value.items():
        if not is_secret_field(name):
            found += _under_secret_names(inner, depth + 1)
        elif isinstance(inner, str) or (isinstance(inner, int | float) and not isinstance(inner, bool)):
            found.append(str(inner))
    return found


def _without_parameters(text: str) -> str:
    """Addresses without the values of their secret parameters, also of an address within an address."""
    pieces = re.split(r"([?&;#\s/\"'(,{]|%(?:25)*(?:3[fF]|26|23|2[fF]))", text)
    kept, hiding = [], False
    for separator, part in zip(["", *pieces[1::2]], pieces[::2], strict=True):
        if hiding and not re.fullmatch(r"[&;#\s\"']|%(?:25)*(?:26|23)", separator):
            continue  # still the value of the secret parameter
        name, equals, value = _parameter(part)
        hiding = bool(equals and value) and _is_secret_parameter(name)
        kept += [separator, f"{name}{equals}{MASK}" if hiding else part]
    return "".join(kept)


def _is_secret_parameter(name: str) -> bool:
    plain = re.sub(r"%5f|%2d|[_-]", "", name.lower())
    whole = plain in (*SECRET_PARAMETERS, "authorization", "proxyauthorization")
    return re.fullmatch(r"[a-z0-9.]+", plain) is not None and (whole or plain.endswith(ENDS_LIKE_A_SECRET))


def _parameter(part: str) -> tuple[str, str, str]:
    found = re.search(r"=|%(?:25)*3[dD]", part)
    return (part[: found.start()], found[0], part[found.end() :]) if found else (part, "", "")


def _lower_hex(text: str) -> str:
    return re.sub(r"%..", lambda found: found[0].lower(), quote(text, safe=""))


def _is_user_and_password(text: str) -> bool:
    try:
        return b":" in base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return False
