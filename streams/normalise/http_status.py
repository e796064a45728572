"""The status of an API call, as gateways write it."""

from __future__ import annotations

import re
from typing import Any, Final

#: What a gateway answers when the API did not: a call without a response must not pass for a success.
NO_RESPONSE: Final = 504

#: No status is larger, and what is much larger is no number that JSON could hold.
MOST: Final = 1_000_000_000

#: A number, as "200", "000" or "-1", or the start of a status line, as "503 Service Unavailable".
_WRITTEN: Final = re.compile(r"(-?[0-9]{1,9})|([0-9]{3}) [A-Za-z].*")


def plain_status(status: Any) -> Any:
    """The status as a number where it is one. Below 100 nobody answered: then it is NO_RESPONSE."""
    if type(status) is str:
        written = _WRITTEN.fullmatch(status)
        status = int(written[1] or written[2]) if written else status
    elif type(status) is float and status.is_integer() and abs(status) < MOST:
        status = int(status)
    return NO_RESPONSE if type(status) in (int, float) and status < 100 else status


def with_status(properties: dict[str, Any]) -> dict[str, Any]:
    """The properties of an API event with the status as a number, where it is one."""
    status = properties.get("status")
    if status is None or (type(status) is int and status >= 100):
        return properties
    return properties | {"status": plain_status(status)}
