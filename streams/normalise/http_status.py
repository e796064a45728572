"""The status of an API call, as gateways write it."""

from __future__ import annotations

from typing import Any, Final

#: No status is larger, and what is much larger is no number that JSON could hold.
MOST: Final = 1_000_000_000


def plain_status(status: Any) -> Any:
    """The number in a text of digits or a whole float, since many gateways log "200". Anything else as it is."""
    if type(status) is str and status.isdecimal() and len(status) < 10:
        return int(status)
    return int(status) if type(status) is float and status.is_integer() and abs(status) < MOST else status


def with_status(properties: dict[str, Any]) -> dict[str, Any]:
    """The properties of an API event with the status as a number, where it is one."""
    status = properties.get("status")
    return properties if type(status) is int or status is None else properties | {"status": plain_status(status)}
