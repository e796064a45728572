"""An event as it was given: one shape for all formats, its fields checked for type and length."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from schemas.event import EventType, Rejected
from streams.normalise.clock import Times

#: In UTF-8: state is bounded in bytes.
MAX_ID_BYTES: Final = 512

#: The fields that are texts, in the order of `Raw`.
TEXTS: Final = (
    "message_id",
    "anonymous_id",
    "session_token",
    "api_key",
    "user_id",
    "company_id",
    "previous_id",
    "environment",
)


_ENVIRONMENT: Final = TEXTS.index("environment")
#: A float beyond it may stand for several integers.
_MOST: Final = 2**53
#: Stands for an environment that is no text.
NO_WORD: Final = "?"


class Raw(msgspec.Struct, gc=False):
    """The fields of an event as they were given, the same names in all formats. `api_key` is still the key.

    `secrets`: the parts of the credential that must stand nowhere; None: `api_key`, which stands in the message as it is.
    `ignored`: (field, reason) of each value that is not used.
    """

    type: EventType
    name: str
    times: Times
    source: Any
    properties: dict[str, Any]
    context: dict[str, Any]
    traits: dict[str, Any]
    message_id: str
    anonymous_id: str
    session_token: str
    api_key: str
    user_id: str
    company_id: str
    previous_id: str
    environment: str
    secrets: tuple[str, ...] | None = None
    ignored: list[tuple[str, str]] = []


def raw_event(
    event_type: EventType,
    name: Any,
    times: Times,
    source: Any,
    texts: list[Any],
    properties: Any,
    context: Any,
    traits: Any,
) -> Raw | Rejected:
    """The event, or which of its fields is of a wrong type or too long. `texts`: the values of `TEXTS`, changed in place.

    What stands for an empty map is one: null, an empty text, and the empty list, as PHP writes it.
    """
    if type(name) is not str:
        if name is not None:
            return Rejected("wrong_type", "name", f"a text is expected, not {kind_of(name)}")
        name = ""
    for text in texts:
        # No character has more than four bytes.
        if type(text) is not str or len(text) > MAX_ID_BYTES // 4:
            wrong = _make_texts(texts)
            if wrong is not None:
                return wrong
            break
    if type(properties) is not dict:
        if not is_empty(properties):
            return Rejected("wrong_type", "properties", f"an object is expected, not {kind_of(properties)}")
        properties = {}
    if type(context) is not dict:
        if not is_empty(context):
            return Rejected("wrong_type", "context", f"an object is expected, not {kind_of(context)}")
        context = {}
    if type(traits) is not dict:
        if not is_empty(traits):
            return Rejected("wrong_type", "traits", f"an object is expected, not {kind_of(traits)}")
        traits = {}
    return Raw(event_type, name, times, source, properties, context, traits, *texts)


def _make_texts(texts: list[Any]) -> Rejected | None:
    for i, value in enumerate(texts):
        if value is None:
            texts[i] = ""
        elif i == _ENVIRONMENT:
            texts[i] = value[:MAX_ID_BYTES] if type(value) is str else NO_WORD
        elif type(value) is int or (type(value) is float and value.is_integer() and abs(value) < _MOST):
            texts[i] = str(int(value))
        elif type(value) is bool or value == [] or value == {}:  # noqa: PLR1714 - neither can be hashed
            # A program wrote it for nothing: it is dropped, and counted, as that text.
            texts[i] = str(value).lower()
        elif type(value) is not str:
            return Rejected("wrong_type", TEXTS[i], f"a text is expected, not {kind_of(value)}")
        elif (length := len(value.encode())) > MAX_ID_BYTES:
            return Rejected("too_long", TEXTS[i], f"{length} bytes; at most {MAX_ID_BYTES} are accepted")
    return None


def is_empty(value: Any) -> bool:
    """Whether the value stands for an empty map."""
    return value is None or value in ("", [])


def kind_of(value: Any) -> str:
    """What kind of JSON value it is, for a person."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
