"""One batch through one stage: the decisions of every agent, without Kafka.

A stage takes a batch and gives an outcome, whose three parts must become durable one after the other:

1. the intent: how far the batch goes. If the worker stops later on, the next one folds the same batch again, from the
   same rows, and so says the same again. Without it, it could fold more at once and never say what must be taken back.
2. the messages: state never remembers what was not said.
3. the changes, in their order: rolling counts, rows of children, the owner's own row. Whatever part of them was
   written, folding the batch again completes them.

Then the batch may be acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from schemas.event import Event, Rejected, Source
from streams import api_keys, companies, developers, merges, web_aliases
from streams.clock import text
from streams.normalise import Normaliser
from streams.outbox import Message, Outbox, PublishedRow
from streams.plan import Plan
from streams.redaction import redacted, without_keys
from streams.route import route
from streams.rows import Store, decode_row
from streams.step import Step
from streams.topology import DEAD_LETTERS
from streams.updates import AliasUpdate, CompanyUpdate, DeveloperUpdate, Pointer, decode

#: Where a partition's rows say what they are.
MARK_KEY: Final = b"e"

#: A message of an internal topic: (offset, value).
Delivered = tuple[int, bytes]

#: A message of an input topic: (partition, offset, timestamp in ms, value).
Received = tuple[int, int, int, bytes | None]

#: A row's key and its new value.
Change = tuple[bytes, bytes | None]

U = TypeVar("U", AliasUpdate, DeveloperUpdate, CompanyUpdate, Pointer)


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """How far the latest batch goes, and the fingerprint of the definitions behind the rows."""

    end: int
    definitions: str


class DefinitionsChangedError(RuntimeError):
    """The state was made under other definitions, so joining anything into it would give numbers of neither."""

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"the state of {scope} was made under other metric definitions than the configured ones. Undo the change, or "
            "start over under the new ones: set FIRSTCALL_APP_ID to a new id, which reads all events from the start, and "
            "FIRSTCALL_CLICKHOUSE to a new database"
        )


class Outcome(msgspec.Struct, frozen=True):
    """What a batch comes to, in the order in which it becomes durable. A change to None deletes the row."""

    intent: list[Change]
    messages: list[Message]
    changes: list[Change]


#: A stage with state: (plan, store of the partition, scope, batch) to outcome.
Stage = Callable[[Plan, Store, str, Sequence[Delivered]], Outcome]


def normalise_events(
    plan: Plan, normaliser: Normaliser, topic: str, source: Source, batch: Sequence[Received]
) -> list[Message]:
    """Events of an input topic to updates and dead letters. `topic` is named as it is in Kafka."""
    outbox = Outbox(plan)
    events: list[Event] = []
    for partition, offset, timestamp, value in batch:
        payload: str | None = None
        for i, event in enumerate(normaliser(value, source=source, recorded_at=timestamp)):
            if isinstance(event, Rejected):
                # Once a message: a batch may be refused call by call.
                payload = redacted(value) if payload is None else payload
                columns = {
                    "topic": topic,
                    "partition": partition,
                    "offset": offset,
                    "reason": event.reason,
                    "field": event.field,
                    "detail": without_keys(event.detail),
                    "payload": payload,
                    "recorded_at": text(timestamp),
                }
                outbox.publish(PublishedRow(DEAD_LETTERS, f"{topic}:{partition}:{offset}:{i}", columns))
            else:
                events.append(event)
    route(plan, events, outbox)
    return list(outbox.messages())


def fold_aliases(plan: Plan, store: Store, scope: str, batch: Sequence[Delivered]) -> Outcome:
    """Join what is new of session tokens, anonymous ids and API keys."""

    def fold(step: Step, updates: list[AliasUpdate]) -> None:
        kind, alias = updates[0].kind, updates[0].alias
        if kind == "session_token" or kind == "anonymous_id":  # noqa: PLR1714 - narrows the type
            web_aliases.fold(step, kind, alias, updates)
        else:
            api_keys.fold(step, alias, updates)

    return _fold(Step.of(plan, store), scope, batch, AliasUpdate, fold)


def fold_developers(plan: Plan, store: Store, scope: str, batch: Sequence[Delivered]) -> Outcome:
    """Join what is new of users."""

    def fold(step: Step, updates: list[DeveloperUpdate]) -> None:
        developers.fold(step, updates[0].user, updates)

    return _fold(Step.of(plan, store), scope, batch, DeveloperUpdate, fold)


def fold_companies(plan: Plan, store: Store, scope: str, batch: Sequence[Delivered]) -> Outcome:
    """Join what is new of companies."""

    def fold(step: Step, updates: list[CompanyUpdate]) -> None:
        companies.fold(step, updates[0].company, updates)

    return _fold(Step.of(plan, store), scope, batch, CompanyUpdate, fold)


def resolve_merges(plan: Plan, store: Store, scope: str, batch: Sequence[Delivered]) -> Outcome:
    """Take in pointers between users."""
    return _fold(Step.of(plan, store), scope, batch, Pointer, merges.fold)


def interrupted_to(plan: Plan, store: Store, scope: str) -> int:
    """The offset at which the batch ends that was begun last, -1 if none was.

    Messages up to it that come again are to be folded by themselves, and all of them at once.
    Raises DefinitionsChangedError.
    """
    stored = store.get(MARK_KEY)
    if stored is None:
        return -1
    mark = decode_row(Mark, stored)
    if mark.definitions != plan.fingerprint:
        raise DefinitionsChangedError(scope)
    return mark.end


def _fold(
    step: Step, scope: str, batch: Sequence[Delivered], kind: type[U], fold: Callable[[Step, list[U]], None]
) -> Outcome:
    """Fold a batch owner by owner; an owner's version is the offset of the last message to it."""
    by_owner: dict[object, tuple[list[U], int]] = {}
    for offset, value in batch:
        update = decode(kind, value)
        owner = update.owner
        updates = by_owner[owner][0] if owner in by_owner else []
        updates.append(update)
        by_owner[owner] = (updates, offset)
    for updates, version in by_owner.values():
        step.version = version
        fold(step, updates)
    end = batch[-1][0]
    changes = step.rows.changes()
    counted = step.rolling.settle(step.rows.beside(), step.outbox, scope, end)
    intent = step.rows.beside()
    intent.put(MARK_KEY, Mark(end, step.plan.fingerprint))
    return Outcome(intent.changes(), list(step.outbox.messages()), counted + changes)
