"""Use of the API: the events that the `usage` selector matches, as they are marked in their rows."""

from __future__ import annotations

from typing import Any

from schemas.definitions import Definitions
from streams.plan import compile_test


class Usage:
    """Whether an event that carries a key is use of the API."""

    def __init__(self, definitions: Definitions) -> None:
        selector = definitions.selectors[definitions.usage]
        self._source = selector.source
        self._names = frozenset(selector.name)
        self._environments = frozenset(selector.environment)
        self._tests = [(field, compile_test(test)) for field, test in selector.properties.items()]

    def __call__(self, source: str, name: str, environment: str, properties: dict[str, Any]) -> bool:
        """Whether the selector matches such an event."""
        if self._source is not None and source != self._source:
            return False
        if self._names and name not in self._names:
            return False
        if self._environments and environment not in self._environments:
            return False
        return all(test(properties.get(field)) for field, test in self._tests)
