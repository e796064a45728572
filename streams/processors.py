"""The processors: pure functions from a batch and a partition's rows to an outcome.

`streams.runtime.commit_order` makes outcomes durable on Kafka, `streams.local` in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, TypeVar

import msgspec

from schemas.errors import StateError
from schemas.event import Event, Rejected, Source
from streams import topology
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.identity import api_keys, companies, developers, merges, web_aliases
from streams.identity.route import route
from streams.messages.dead_letters import MessageRef, dead_letters_of, foreign_dead_letter
from streams.messages.outbox import Message, Outbox
from streams.messages.updates import AliasUpdate, CompanyUpdate, DeveloperUpdate, Pointer, decode, is_order
from streams.normalise.normaliser import Normaliser
from streams.state.batch_context import BatchContext
from streams.state.rows import Store, decode_row

#: The key of a partition's checkpoint among its rows.
CHECKPOINT_KEY: Final = b"e"

#: A message of an internal topic: (offset, value).
Delivered = tuple[int, bytes | None]

#: A message of an input topic: (partition, offset, timestamp in ms, value).
Received = tuple[int, int, int, bytes | None]

#: A row's key and its new value.
Change = tuple[bytes, bytes | None]

U = TypeVar("U", AliasUpdate, DeveloperUpdate, CompanyUpdate, Pointer)


class BatchCheckpoint(msgspec.Struct, frozen=True, array_like=True):
    """The offset at which the latest batch ends, and the fingerprint of the definitions behind the rows."""

    end: int
    definitions: str


class Outcome(msgspec.Struct, frozen=True):
    """The effects of a batch, in the order in which they must become durable; then the batch may be acknowledged.

    `intent`: the checkpoint, so that an interrupted batch is folded again up to the same offset, from the same rows.
    `messages`: updates and rows. They precede the changes, so state never holds what was not emitted.
    `changes`: of rows, in order: rolling counts, rows of contributions, the owner's own row. None deletes a row. If only a
    part of them was written, folding the batch again completes them.
    `end`: the offset of the last message, which grows from one batch of a partition to the next.
    """

    intent: list[Change]
    messages: list[Message]
    changes: list[Change]
    end: int


#: A processor with state: (compiled, store of the partition, scope, batch) to outcome.
Processor = Callable[[CompiledDefinitions, Store, str, Sequence[Delivered]], Outcome]


def normalise_events(
    compiled: CompiledDefinitions, normaliser: Normaliser, topic: str, source: Source, batch: Sequence[Received]
) -> list[Message]:
    """Messages of an input topic to updates and dead letters. `topic`: its name in Kafka."""
    outbox = Outbox(compiled)
    events: list[Event] = []
    for partition, offset, timestamp, value in batch:
        outcomes = normaliser(value, source=source, recorded_at=timestamp)
        for letter in dead_letters_of(normaliser.redactor, (topic, partition, offset), timestamp, value, outcomes):
            outbox.publish(letter)
        for event in outcomes:
            if isinstance(event, Event):
                events.append(event)
                for newer in normaliser.key_hasher.newer(event.api_key):
                    outbox.alias("api_key", newer).same_key.add((newer, event.api_key))
    route(compiled, events, outbox)
    return list(outbox.messages())


def fold_aliases(compiled: CompiledDefinitions, store: Store, scope: str, batch: Sequence[Delivered]) -> Outcome:
    """Fold updates of session tokens, anonymous ids and API keys."""

    def fold(context: BatchContext, updates: list[AliasUpdate]) -> None:
        kind, alias, order = updates[0].kind, updates[0].alias, updates[0].order
        if kind == "session_token" or kind == "anonymous_id":  # noqa: PLR1714 - narrows the type
            if order == "drop":
                web_aliases.drop(context, kind, alias)
            elif order == "prune":
                web_aliases.prune(context, kind, alias)
            else:
                web_aliases.fold(context, kind, alias, updates)
        elif order == "drop":
            api_keys.drop(context, alias)
        elif order == "":
            api_keys.fold(context, alias, updates)

    return _fold(BatchContext.of(compiled, store), scope, batch, AliasUpdate, fold)


def fold_developers(compiled: CompiledDefinitions, store: Store, scope: str, batch: Sequence[Delivered]) -> Outcome:
    def fold(context: BatchContext, updates: list[DeveloperUpdate]) -> None:
        match updates[0].order:
            case "drop":
                developers.drop(context, updates[0].user)
            case "prune":
                developers.prune(context, updates[0].user)
            case _:
                developers.fold(context, updates[0].user, updates)

    return _fold(BatchContext.of(compiled, store), scope, batch, DeveloperUpdate, fold)


def fold_companies(compiled: CompiledDefinitions, store: Store, scope: str, batch: Sequence[Delivered]) -> Outcome:
    def fold(context: BatchContext, updates: list[CompanyUpdate]) -> None:
        if updates[0].order == "prune":
            companies.prune(context, updates[0].company)
        else:
            companies.fold(context, updates[0].company, updates)

    return _fold(BatchContext.of(compiled, store), scope, batch, CompanyUpdate, fold)


def resolve_merges(compiled: CompiledDefinitions, store: Store, scope: str, batch: Sequence[Delivered]) -> Outcome:
    return _fold(BatchContext.of(compiled, store), scope, batch, Pointer, merges.fold)


#: The processors with state, by the topic that each folds.
PROCESSORS: Final[dict[str, Processor]] = {
    topology.ALIAS_UPDATES: fold_aliases,
    topology.MERGES: resolve_merges,
    topology.DEVELOPER_UPDATES: fold_developers,
    topology.COMPANY_UPDATES: fold_companies,
}


def interrupted_batch_end(compiled: CompiledDefinitions, store: Store, scope: str) -> int:
    """The offset at which the latest batch ends, -1 if there is none.

    If messages up to it arrive again, that batch was interrupted: they must be folded together, and apart from later ones.
    Raises StateError if the rows were made under other definitions.
    """
    stored = store.get(CHECKPOINT_KEY)
    if stored is None:
        return -1
    checkpoint = decode_row(BatchCheckpoint, stored)
    if checkpoint.definitions != compiled.fingerprint:
        raise StateError(
            f"the state of {scope} was made under other metric definitions than the configured ones. Undo the change, or "
            "let `firstcall rebuild` compute all numbers again under the new ones, while the old ones are served"
        )
    return checkpoint.end


def split_at_orders(batch: Sequence[Delivered]) -> list[Sequence[Delivered]]:
    """A batch cut where orders begin and end. Each part must be durable before the next is folded.

    An order deletes rows that make updates idempotent. If some of them were gone when a batch is folded again, updates
    before the order would count twice.
    """
    cuts = [i for i in range(1, len(batch)) if is_order(batch[i - 1][1]) != is_order(batch[i][1])]
    return [batch[start:end] for start, end in pairwise([0, *cuts, len(batch)])]


def _fold(
    context: BatchContext,
    scope: str,
    batch: Sequence[Delivered],
    kind: type[U],
    fold: Callable[[BatchContext, list[U]], None],
) -> Outcome:
    """Fold a batch owner by owner; an owner's version is the offset of the last message to it.

    An order is folded by itself, between the updates before and after it. A message that is no update becomes a dead letter.
    Raises StateError.
    """
    by_owner: dict[object, list[tuple[list[U], int]]] = {}
    for offset, value in batch:
        update = _decoded(kind, value, ref := _message_ref(scope, offset))
        if isinstance(update, Rejected):
            context.outbox.publish(foreign_dead_letter(ref, value, update))
            continue
        runs = by_owner.setdefault(update.owner, [])
        if runs and not update.order and not runs[-1][0][0].order:
            runs[-1][0].append(update)
            runs[-1] = (runs[-1][0], offset)
        else:
            runs.append(([update], offset))
    for runs in by_owner.values():
        for updates, version in runs:
            context.version = version
            fold(context, updates)
    end = batch[-1][0]
    changes = context.rows.changes()
    counted = context.rolling.apply(context.rows.beside(), context.outbox, scope, end)
    intent = context.rows.beside()
    intent.put(CHECKPOINT_KEY, BatchCheckpoint(end, context.compiled.fingerprint))
    return Outcome(intent.changes(), list(context.outbox.messages()), counted + changes, end)


def _decoded(kind: type[U], value: bytes | None, ref: MessageRef) -> U | Rejected:
    try:
        return decode(kind, value)
    except msgspec.ValidationError as error:
        # To skip it would lose facts.
        topic, partition, offset = ref
        raise StateError(
            f"the message at {topic}/{partition}/{offset} is an update of another version of Firstcall: {error}. Run the newest version "
            f"of those that have been running. If no other version ever wrote to this topic, commit the group's offset {offset + 1} "
            "there to go on without it, and run `firstcall audit`"
        ) from None


def _message_ref(scope: str, offset: int) -> MessageRef:
    topic, _, partition = scope.rpartition("/")
    return topic, int(partition), offset
