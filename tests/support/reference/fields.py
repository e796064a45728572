"""The fields of a message, whatever its format."""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]


class RefusedError(Exception):
    """A message that is no event. Never leaves the reading of one message."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason, field)
        self.reason = reason
        self.field = field


def first(*values: Any) -> Any:
    """The first value that is given; null and the empty string are not."""
    return next((value for value in values if value is not None and value != ""), None)


def mapping(message: Message, field: str) -> Message:
    """A field that must be an object; absent, null, or an empty text or list it is empty."""
    value = message.get(field)
    if value in (None, "", []):
        return {}
    if not isinstance(value, dict):
        raise RefusedError("wrong_type", field)
    return value
