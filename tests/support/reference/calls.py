"""The outcome of one API call, and the calls that count, with their developer and company."""

from __future__ import annotations

import re
from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """The outcome of an API call: first digit of the status or 0, latency in whole microseconds or None, library."""

    status_class: int
    latency_us: int | None
    sdk: str


class Call(NamedTuple):
    """An API event with a key that counts: not a bot's nor of an internal developer. `time` in ms; `company` is '' where none
    is known or it is internal; `is_use`: the configured selector `usage` matches it."""

    time: int
    token: str
    developer: str
    company: str
    environment: str
    is_use: bool
    outcome: Outcome


def outcome_of(properties: dict[str, Any], context: dict[str, Any]) -> Outcome:
    """Status, latency and library in the properties and context of an event."""
    status, latency, sdk = properties.get("status"), properties.get("latency_ms"), context.get("sdk")
    if not isinstance(status, int) or isinstance(status, bool) or not 0 <= status < 65_536:
        status = 0
    if not isinstance(latency, int | float) or isinstance(latency, bool):
        latency = None
    whole = None if latency is None else round(1000 * min(max(latency, 0), 1e9))
    return Outcome(status // 100, whole, sdk if isinstance(sdk, str) else "")


def with_library(context: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    """The context with the library: as given, else the first product of the user agent."""
    if context.get("sdk") is not None and context["sdk"] != "":
        return context
    agent = _agent(context) or _agent(properties)
    name = _product(agent[:512])
    return {**context, "sdk": name} if name else context


def with_status(properties: dict[str, Any]) -> dict[str, Any]:
    """The properties with a status that is a number where a text of digits or a whole float is one."""
    return (
        {**properties, "status": status_number(properties["status"])}
        if properties.get("status") is not None
        else properties
    )


def status_number(status: Any) -> Any:
    """Of "200", "200 OK" and 200.0 the number, of what means no answer 504; else what it is."""
    if isinstance(status, str):
        line = re.fullmatch(r"([0-9]{3}) [A-Za-z].*", status)
        status = line[1] if line else status
        if re.fullmatch(r"-?[0-9]{1,9}", status):
            status = int(status)
    if isinstance(status, float) and status.is_integer() and abs(status) < 1e9:
        status = int(status)
    if isinstance(status, int | float) and not isinstance(status, bool) and status < 100:
        return 504  # nobody answered
    return status


def _agent(holder: dict[str, Any]) -> str:
    agent = holder.get("userAgent") or holder.get("user_agent")
    return agent if isinstance(agent, str) else ""


def _product(agent: str) -> str:
    """Of `Acme-Python/2.1 (CPython 3.12)` acme-python; the slash of a scope, as in @acme/sdk/1.0, is part of the name."""
    words = agent.lstrip(" \t").split()
    if not words or agent.lstrip(" \t")[0].isspace():
        return ""
    first = words[0].partition("(")[0].partition(")")[0]
    parts = first.split("/")
    name = (
        "/".join(parts[:2]) if first.startswith("@") and len(parts) > 1 and parts[0] != "@" and parts[1] else parts[0]
    )
    return name.lower()[:64]
