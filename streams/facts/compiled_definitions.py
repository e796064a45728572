"""The definitions, compiled: which selectors an event matches, and which facts it contributes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from schemas.config.definitions import Definitions, PropertyTest, Selector
from schemas.event import Event, is_preflight
from streams.facts import hours as bitmap
from streams.facts.facts import Cuts, Facts, SegmentValue, Touch
from streams.facts.segments import SegmentReader
from streams.facts.touches import touch_of

#: Bounds the memory of the cache of event names; beyond it the cache is cleared.
NAMES_CACHED = 10_000

PropertyTests = list[tuple[str, Callable[[Any], bool]]]


class Observation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one event contributes to the facts of its subject. `selectors`: bit i is selector i of the definitions.

    `time`, `latest`: the earliest and the latest time (ms) among its copies. `event`: a hash of its identity, the same for all
    copies. `uses`: it makes an API key active.
    `segments`: its values, by number of the segment.
    """

    time: int
    latest: int
    event: int
    selectors: int
    environment: str
    uses: bool = False
    internal: bool = False
    touch: dict[str, str] | None = None
    segments: dict[int, str] | None = None


class CompiledDefinitions:
    """The definitions as the streams use them. Selectors are numbered in the order of their names."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self.fingerprint = definitions.fingerprint()
        used = {definitions.usage, definitions.touch}
        counted: dict[str, int] = {}
        days: dict[str, int] = {}
        first = {stage.selector for stage in definitions.stages.values() if stage.selector}
        for activation in definitions.activations.values():
            for condition in activation.all:
                if condition.count:
                    counted[condition.count] = max(counted.get(condition.count, 0), condition.at_least)
                elif condition.distinct_days:
                    days[condition.distinct_days] = max(days.get(condition.distinct_days, 0), condition.at_least)
        used |= first | set(counted) | set(days)
        self.selectors = sorted(used)
        self.number = {name: i for i, name in enumerate(self.selectors)}
        self.segments = SegmentReader(definitions)
        self.cuts = Cuts(
            counted={self.number[name]: n for name, n in counted.items()},
            days={self.number[name]: n for name, n in days.items()},
            latest=self.segments.latest,
        )
        self._first = [(i, 1 << i) for i in sorted(self.number[name] for name in first)]
        self._counted = [(i, 1 << i) for i in sorted(self.cuts.counted)]
        self._days = [(i, 1 << i) for i in sorted(self.cuts.days)]
        self._usage = 1 << self.number[definitions.usage]
        self._touch = 1 << self.number[definitions.touch]
        #: The selector whose earliest event counts as the sign-up.
        self.signup_selector = self.number[definitions.signup_selector]
        self._by_kind: dict[tuple[str, str, str], tuple[int, list[tuple[int, PropertyTests]]]] = {}

    def observe(self, event: Event) -> Observation | None:
        """The observation of an event; None if no number depends on it, as for a bot."""
        if event.is_bot:
            return None
        selectors = self._matches(event) if event.type == "event" else 0
        is_content = bool(selectors & self._touch)
        touch = touch_of(event, is_content) if event.type == "event" else None
        segments = self.segments(event)
        if not selectors and touch is None and not event.is_internal and segments is None:
            return None
        return Observation(
            time=event.time,
            latest=event.time,
            event=event_hash(event),
            selectors=selectors,
            environment=event.environment,
            uses=bool(selectors & self._usage and event.api_key),
            internal=event.is_internal,
            touch=touch,
            segments=segments,
        )

    def facts(self, seen: Observation) -> Facts:
        """The facts of one observation alone."""
        time, selectors = seen.time, seen.selectors
        moment = (time, seen.event)
        matters = selectors or seen.touch is not None
        touches: list[Touch] = [(time, seen.event, seen.touch)] if seen.touch is not None else []
        return Facts(
            first_seen=time if matters else None,
            last_active=seen.latest if matters else None,
            firsts={i: time for i, bit in self._first if selectors & bit},
            counted={i: [moment] for i, bit in self._counted if selectors & bit},
            days={i: {time // bitmap.DAY_MS: time} for i, bit in self._days if selectors & bit},
            hours={seen.environment: bitmap.single(bitmap.hour_of(time))} if seen.uses else {},
            touches=touches,
            internal=seen.internal,
            segments=self._segments(seen) if seen.segments else {},
        )

    def _segments(self, seen: Observation) -> dict[int, SegmentValue]:
        latest = self.segments.latest
        values = seen.segments or {}
        return {i: (seen.latest if i in latest else seen.time, value) for i, value in values.items()}

    def _matches(self, event: Event) -> int:
        if is_preflight(event.source, event.properties):
            return 0
        key = (event.source, event.name, event.environment)
        compiled = self._by_kind.get(key)
        if compiled is None:
            if len(self._by_kind) >= NAMES_CACHED:
                self._by_kind.clear()
            compiled = self._by_kind[key] = self._compile(*key)
        selectors, tested = compiled
        for bit, tests in tested:
            properties = event.properties
            if all(test(properties.get(name)) for name, test in tests):
                selectors |= bit
        return selectors

    def _compile(self, source: str, name: str, environment: str) -> tuple[int, list[tuple[int, PropertyTests]]]:
        """The selectors that match by kind alone, and those that still depend on properties."""
        always = 0
        tested: list[tuple[int, PropertyTests]] = []
        for i, selector_name in enumerate(self.selectors):
            selector = self.definitions.selectors[selector_name]
            if selector.source is not None and selector.source != source:
                continue
            if selector.name and name not in selector.name:
                continue
            if selector.environment and environment not in selector.environment:
                continue
            if selector.properties:
                tests = [(prop, compile_test(test)) for prop, test in selector.properties.items()]
                tested.append((1 << i, tests))
            else:
                always |= 1 << i
        return always, tested


class Matcher:
    """Whether a single selector matches an event. `CompiledDefinitions` asks many at once, and faster."""

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
            and not is_preflight(source, properties)
            and all(test(properties.get(field)) for field, test in self._tests)
        )


def event_hash(event: Event) -> int:
    """63 bits that are the same for all copies of an event (same message id and same alias)."""
    # An id may hold the character that separates them.
    alias = event.alias.replace("\0", "\0\1")
    identity = f"{event.alias_kind}\0{alias}\0{event.message_id}".encode()
    return int.from_bytes(hashlib.blake2b(identity, digest_size=8).digest(), "big") >> 1


def compile_test(test: PropertyTest) -> Callable[[Any], bool]:
    """Whether a property's value (None: absent) passes."""
    allowed = test.equals if isinstance(test.equals, list) else [test.equals]

    def holds(value: Any) -> bool:
        if value is None:
            return test.or_missing or test.exists is False
        if test.exists is False:
            return False
        if test.equals is not None and not any(_same(value, one) for one in allowed):
            return False
        if test.prefix is not None and not (isinstance(value, str) and value.startswith(test.prefix)):
            return False
        bounds = (test.lt, test.lte, test.gt, test.gte)
        if any(bound is not None for bound in bounds):
            if isinstance(value, bool) or not isinstance(value, int | float):
                return False
            return (
                (test.lt is None or value < test.lt)
                and (test.lte is None or value <= test.lte)
                and (test.gt is None or value > test.gt)
                and (test.gte is None or value >= test.gte)
            )
        return True

    return holds


def _same(value: Any, expected: Any) -> bool:
    """Equality without Python's `True == 1`."""
    return value == expected and isinstance(value, bool) == isinstance(expected, bool)
