"""The API key in the headers of a request."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

#: Headers that hold nothing but a key, in lower case, the most specific first.
KEY_HEADERS: Final = (
    *("x-api-key", "api-key", "apikey", "x-apikey", "x-auth-token", "x-access-token", "x-goog-api-key"),
    *("ocp-apim-subscription-key", "x-functions-key"),
)


def key_of_headers(headers: Mapping[str, Any]) -> str:
    """The key that a call was made with, empty if there is none. `headers`: by name in lower case.

    A header that only holds a key comes first; then `Authorization`: the token of `Bearer`, the user of `Basic`, what
    follows any other scheme. A JSON Web Token is no key: it is issued every hour, so each would count as another key.
    """
    for name in KEY_HEADERS:
        value = headers.get(name)
        if type(value) is str and value and not _is_web_token(value):
            return value
    value = headers.get("authorization")
    key = credential(value) if type(value) is str else ""
    return "" if _is_web_token(key) else key


def credential(authorization: str) -> str:
    """The key in the value of an `Authorization` header."""
    scheme, _, rest = authorization.strip().partition(" ")
    rest = rest.strip()
    if not rest:
        return scheme
    if scheme.lower() == "basic":
        user, _, password = user_and_password(rest)
        return user or password
    return rest


def user_and_password(text: str) -> tuple[str, str, str]:
    """(user, colon, password) of Basic credentials, three empty texts if they are none."""
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except ValueError:
        return "", "", ""
    return decoded.partition(":") if ":" in decoded else ("", "", "")


def _is_web_token(text: str) -> bool:
    return text.startswith("eyJ") and text.count(".") == 2
