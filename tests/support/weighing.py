"""Streams whose rows and messages are weighed on their way, to hold them against the bounds of state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from schemas.config.definitions import Definitions, load
from schemas.event import Event
from streams.identity.route import route
from streams.local import LocalRunner
from streams.messages.outbox import Message, Outbox
from streams.processors import Outcome
from streams.state.rows import TAGS, MemoryStore
from streams.topology import MAX_MESSAGE_BYTES
from tests.support.worlds import SECRETS


def happened(name: str, time: int, message_id: str, **fields: Any) -> Event:
    """A normalised event, as it comes out of any format."""
    absent: dict[str, Any] = dict.fromkeys(
        ("anonymous_id", "session_token", "api_key", "user_id", "company_id", "previous_id"), ""
    )
    own: dict[str, Any] = {"message_id": message_id, "time": time, "received_at": time, "type": "event", "name": name}
    kinds: dict[str, Any] = {"environment": "production", "source": "web", "is_internal": False, "is_bot": False}
    return Event(**own | absent | kinds | {"properties": {}, "context": {}, "traits": {}} | fields)


class Weighed(LocalRunner):
    """Weighs in bytes of key and value, and fails on what no topic takes.

    `rows`, `messages`: the heaviest ever written of each table, sent to each topic.
    """

    def __init__(self, definitions: Definitions | None = None) -> None:
        self.rows: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()
        super().__init__(definitions or load(), SECRETS, on_rows=lambda _: None)

    def feed_events(self, events: Iterable[Event], batch: int = 500) -> None:
        """Route events batch by batch, and fold all that follows."""
        waiting: Iterator[Event] = iter(events)
        while some := list(islice(waiting, batch)):
            self.enqueue(self.routed(some))
            self.run_until_idle()

    def routed(self, events: Iterable[Event]) -> list[Message]:
        """The updates of a batch of events."""
        outbox = Outbox(self.compiled)
        route(self.compiled, events, outbox)
        return list(outbox.messages())

    def enqueue(self, messages: list[Message]) -> None:
        """Weigh messages and put them on their topics."""
        for message in messages:
            _weigh(self.messages, message.topic, message.key, message.value)
        super().enqueue(messages)

    def held(self, table: str) -> int:
        """How many rows of a table there are now."""
        keys = (key for store in self._stores.values() for rows in store._owners.values() for key in rows)
        return sum(_table(key) == table for key in keys)

    def _apply(self, store: MemoryStore, outcome: Outcome) -> None:
        for key, value in (*outcome.intent, *outcome.changes):
            _weigh(self.rows, _table(key), key, value or b"")
        super()._apply(store, outcome)


def _weigh(heaviest: Counter[str], name: str, key: bytes, value: bytes) -> None:
    weight = len(key) + len(value)
    assert weight <= MAX_MESSAGE_BYTES, f"{name}: {weight:,} bytes"
    heaviest[name] = max(heaviest[name], weight)


def _table(key: bytes) -> str:
    return TAGS[key[:1]].partition(":")[0]
