"""Whether a single selector matches an event. `Plan` asks many at once, and faster."""

from __future__ import annotations

from schemas.definitions import Selector
from schemas.event import Event
from streams.plan import compile_test


class Matcher:
    """A selector, compiled."""

    def __init__(self, selector: Selector) -> None:
        self._source = selector.source
        self._names = frozenset(selector.name)
        self._environments = frozenset(selector.environment)
        self._tests = [(name, compile_test(test)) for name, test in selector.properties.items()]

    def __call__(self, event: Event) -> bool:
        """Whether the event is one that the selector means; nothing but events of type `event` is."""
        return (
            event.type == "event"
            and (self._source is None or event.source == self._source)
            and (not self._names or event.name in self._names)
            and (not self._environments or event.environment in self._environments)
            and all(test(event.properties.get(name)) for name, test in self._tests)
        )
