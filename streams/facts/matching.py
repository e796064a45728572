"""Whether a single selector matches an event. `CompiledDefinitions` asks many at once, and faster."""

from __future__ import annotations

from typing import Any

from schemas.config.definitions import Selector
from schemas.event import Event
from streams.facts.compiled_definitions import compile_test


class Matcher:
    """A selector, compiled."""

    def __init__(self, selector: Selector) -> None:
        self._source = selector.source
        self._names = frozenset(selector.name)
        self._environments = frozenset(selector.environment)
        self._tests = [(name, compile_test(test)) for name, test in selector.properties.items()]

    def __call__(self, event: Event) -> bool:
        """Whether the event is one that the selector means; nothing but events of type `event` is."""
        return event.type == "event" and self.means(event.source, event.name, event.environment, event.properties)

    def means(self, source: str, name: str, environment: str, properties: dict[str, Any]) -> bool:
        """Whether the selector means an event of type `event` with these parts."""
        return (
            (self._source is None or source == self._source)
            and (not self._names or name in self._names)
            and (not self._environments or environment in self._environments)
            and all(test(properties.get(field)) for field, test in self._tests)
        )
