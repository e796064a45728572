"""Who receives the links of a web alias, or the owner and company of an API key, whenever they change: a row each."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from schemas.event import AliasKind, visitor_id
from streams.messages.updates import Alias
from streams.state.batch_context import BatchContext
from streams.state.rows import row_key


class Subscriber(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An alias that resolves events by the owner of the row."""

    kind: AliasKind
    alias: str


def new_subscribers(context: BatchContext, name: str, subscribers: Iterable[Alias]) -> list[Alias]:
    """Store subscribers; returns those that were none before."""
    new = []
    for kind, alias in subscribers:
        key = row_key(b"s", name, visitor_id(kind, alias))
        if context.rows.get(key, Subscriber) is None:
            context.rows.put(key, Subscriber(kind, alias))
            new.append((kind, alias))
    return new


def subscribers_of(context: BatchContext, name: str) -> list[Alias]:
    """All subscribers."""
    return [(one.kind, one.alias) for _, one in context.rows.scan(row_key(b"s", name), Subscriber)]


def drop_subscribers(context: BatchContext, name: str) -> None:
    """Delete all subscribers."""
    for key, _ in list(context.rows.scan(row_key(b"s", name), Subscriber)):
        context.rows.delete(key)
