"""Compares two configurations: the differences, and what makes each of them take effect."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr

from schemas.config.definitions import READ_SECTIONS
from schemas.config.loading import HIDDEN
from schemas.config.monitors import Monitors

#: Sections whose entries have a visible order, as the stages of a funnel.
_ORDERED: Final = frozenset({"stages", "activations", "segments", "churn_risks", "power_users"})
#: In an address.
_PASSWORD: Final = re.compile(r"(://[^:/@\s]*):[^@\s]+@")
_SHOWN: Final = 100
_NOTHING: Final = object()

#: What makes a change take effect, in the order of printing.
EFFECTS: Final = {
    "rebuild": "Need all numbers rebuilt: `firstcall rebuild`",
    "sink": "Hold from the next start of the sink on",
    "alerts": "Hold from the next start of alerts on",
    "start": "Hold from the next start of each process on",
}


@dataclass(frozen=True)
class Change:
    """One difference. `before` and `after` as they are shown; None where there is nothing."""

    way: tuple[str, ...]
    before: str | None
    after: str | None

    @property
    def effect(self) -> str:
        """The key of EFFECTS."""
        section = self.way[0]
        if section in ("settings", "monitors"):
            return "alerts" if section == "monitors" else "start"
        return "sink" if section in READ_SECTIONS else "rebuild"

    def __str__(self) -> str:
        where = ".".join(self.way)
        if self.before is None:
            return f"+ {where}: {self.after}"
        if self.after is None:
            return f"- {where}: {self.before}"
        return f"~ {where}: {self.before} → {self.after}"


def changes(before: Any, after: Any, way: tuple[str, ...] = ()) -> Iterator[Change]:
    """The differences of plain data, each as deep as it goes. Lists are compared as a whole."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        if before != after:
            yield Change(way, _text(before), _text(after))
        return
    for name in [*before, *(name for name in after if name not in before)]:
        yield from changes(before.get(name, _NOTHING), after.get(name, _NOTHING), (*way, str(name)))
    common = [name for name in before if name in after]
    if len(way) == 1 and way[0] in _ORDERED and common != [name for name in after if name in before]:
        yield Change((*way, "(order)"), ", ".join(map(str, before)), ", ".join(map(str, after)))


def plain_monitors(monitors: Monitors) -> dict[str, Any]:
    """The section as plain data. Secrets can be compared in it, and not be read."""
    return {name: _plain(value) for name, value in monitors.model_dump(by_alias=True, exclude_none=True).items()}


def masked(value: Any) -> Any:
    """Plain data as it may be shown and written."""
    if isinstance(value, Mapping):
        return {str(name): masked(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [masked(each) for each in value]
    if isinstance(value, SecretStr):
        return "***"
    return value if isinstance(value, int | float | bool | None) else _PASSWORD.sub(r"\1:***@", str(value))


def hidden_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a file; those that hold secrets, or may, to be compared and not to be read."""
    return {
        name: SecretStr(json.dumps(value, sort_keys=True, default=str)) if name in HIDDEN else value
        for name, value in settings.items()
    }


def _plain(value: Any) -> Any:
    """Data without types of its own, but for secrets."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, SecretStr | str | int | float | bool | None) else str(value)


def _text(value: Any) -> str | None:
    if value is _NOTHING:
        return None
    text = json.dumps(masked(value), ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
