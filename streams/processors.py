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
from itertools import pairwise
from typing import Final, TypeVar

import msgspec

from schemas.errors import StateError
from schemas.event import Event, Rejected, Source
from streams import topology
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.identity import api_keys, companies, developers, merges, web_aliases
from streams.identity.route import route
from streams.messages.dead_letters import foreign_dead_letter, letters
from streams.messages.outbox import Message, Outbox
from streams.messages.updates import AliasUpdate, CompanyUpdate, DeveloperUpdate, Pointer, decode, is_order
from streams.normalise.normaliser import Normaliser
from streams.state.batch_context import BatchContext
from streams.state.rows import Store, decode_row

#: Where a partition's rows say what they are.
CHECKPOINT_KEY: Final = b"e"

#: A message of an internal topic: (offset, value).
Delivered = tuple[int, bytes | None]

#: A message of an input topic: (partition, offset, timestamp in ms, value).
Received = tuple[int, int, int, bytes | None]

#: A row's key and its new value.
Change = tuple[bytes, bytes | None]

U = TypeVar("U", AliasUpdate, DeveloperUpdate, CompanyUpdate, Pointer)


class BatchCheckpoint(msgspec.Struct, frozen=True, array_like=True):
    """How far the latest batch goes, and the fingerprint of the definitions behind the rows."""

    end: int
    definitions: str


def definitions_changed(scope: str) -> StateError:
    """The state was made under other definitions, so joining anything into it would give numbers of neither."""
    return StateError(
        f"the state of {scope} was made under other metric definitions than the configured ones. Undo the change, or "
        "let `firstcall replay --from-start` make all numbers anew under the new ones, while the old ones are served"
    )


def unknown_update(place: tuple[str, int, int], reason: str) -> StateError:
    """A message of an internal topic is an update, but of no kind that this version knows. To leave it out would be to lose
    what it says.
    """
    topic, partition, offset = place
    return StateError(
        f"the message at {topic}/{partition}/{offset} is an update of another version of Firstcall: {reason}. Run the newest version "
        f"of those that have been running. If no other version ever wrote to this topic, commit the group's offset {offset + 1} "
        "there to go on without it, and run `firstcall audit`"
    )


class Outcome(msgspec.Struct, frozen=True):
    """What a batch comes to, in the order in which it becomes durable. A change to None deletes the row.

    `end`: the offset of its last message, which never goes back from one batch of a partition to the next.
    """

    intent: list[Change]
    messages: list[Message]
    changes: list[Change]
    end: int


#: A stage with state: (compiled, store of the partition, scope, batch) to outcome.
Processor = Callable[[CompiledDefinitions, Store, str, Sequence[Delivered]], Outcome]


def normalise_events(
    compiled: CompiledDefinitions, normaliser: Normaliser, topic: str, source: Source, batch: Sequence[Received]
) -> list[Message]:
    """Events of an input topic to updates and dead letters. `topic` is named as it is in Kafka."""
    outbox = Outbox(compiled)
    events: list[Event] = []
    for partition, offset, timestamp, value in batch:
        outcomes = normaliser(value, source=source, recorded_at=timestamp)
        for letter in letters(normaliser.redactor, (topic, partition, offset), timestamp, value, outcomes):
            outbox.publish(letter)
        for event in outcomes:
            if isinstance(event, Event):
                events.append(event)
                for newer in normaliser.key_hasher.newer(event.api_key):
                    outbox.alias("api_key", newer).same_key.add((newer, event.api_key))
    route(compiled, events, outbox)
    return list(outbox.messages())


def fold_aliases(compiled: CompiledDefinitions, store: Store, scope: str, batch: Sequence[Delivered]) -> Outcome:
    """Join what is new of session tokens, anonymous ids and API keys."""

    def fold(context: BatchContext, updates: list[AliasUpdate]) -> None:
        kind, alias, forget = updates[0].kind, updates[0].alias, updates[0].order == "forget"
        if kind == "session_token" or kind == "anonymous_id":  # noqa: PLR1714 - narrows the type
            web_aliases.forget(context, kind, alias) if forget else web_aliases.fold(context, kind, alias, updates)
        elif forget:
            api_keys.forget(context, alias)
        else:
            api_keys.fold(context, alias, updates)

    return _fold(BatchContext.of(compiled, store), scope, batch, AliasUpdate, fold)


def fold_developers(compiled: CompiledDefinitions, store: Store, scope: str, batch: Sequence[Delivered]) -> Outcome:
    """Join what is new of users."""

    def fold(context: BatchContext, updates: list[DeveloperUpdate]) -> None:
        match updates[0].order:
            case "forget":
                developers.forget(context, updates[0].user)
            case "tidy":
                developers.tidy(context, updates[0].user)
            case _:
                developers.fold(context, updates[0].user, updates)

    return _fold(BatchContext.of(compiled, store), scope, batch, DeveloperUpdate, fold)


def fold_companies(compiled: CompiledDefinitions, store: Store, scope: str, batch: Sequence[Delivered]) -> Outcome:
    """Join what is new of companies."""

    def fold(context: BatchContext, updates: list[CompanyUpdate]) -> None:
        if updates[0].order == "tidy":
            companies.tidy(context, updates[0].company)
        else:
            companies.fold(context, updates[0].company, updates)

    return _fold(BatchContext.of(compiled, store), scope, batch, CompanyUpdate, fold)


def resolve_merges(compiled: CompiledDefinitions, store: Store, scope: str, batch: Sequence[Delivered]) -> Outcome:
    """Take in pointers between users."""
    return _fold(BatchContext.of(compiled, store), scope, batch, Pointer, merges.fold)


#: The stages with state, by the topic that each folds. Its table is named as it is.
PROCESSORS: Final[dict[str, Processor]] = {
    topology.ALIAS_UPDATES: fold_aliases,
    topology.MERGES: resolve_merges,
    topology.DEVELOPER_UPDATES: fold_developers,
    topology.COMPANY_UPDATES: fold_companies,
}


def interrupted_to(compiled: CompiledDefinitions, store: Store, scope: str) -> int:
    """The offset at which the batch ends that was begun last, -1 if none was.

    Messages up to it that come again are to be folded by themselves, and all of them at once.
    Raises StateError.
    """
    stored = store.get(CHECKPOINT_KEY)
    if stored is None:
        return -1
    checkpoint = decode_row(BatchCheckpoint, stored)
    if checkpoint.definitions != compiled.fingerprint:
        raise definitions_changed(scope)
    return checkpoint.end


def parts(batch: Sequence[Delivered]) -> list[Sequence[Delivered]]:
    """A batch cut where orders begin and end, to be folded one after the other, each durable before the next.

    An order drops rows that say what has been taken in already: folded again from some of them, what came before it would
    be taken in a second time.
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

    An order is folded by itself, between what comes before and after it. What is no update becomes a dead letter. Raises
    StateError.
    """
    by_owner: dict[object, list[tuple[list[U], int]]] = {}
    for offset, value in batch:
        update = _decoded(kind, value, place := _place(scope, offset))
        if isinstance(update, Rejected):
            context.outbox.publish(foreign_dead_letter(place, value, update))
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
    counted = context.rolling.settle(context.rows.beside(), context.outbox, scope, end)
    intent = context.rows.beside()
    intent.put(CHECKPOINT_KEY, BatchCheckpoint(end, context.compiled.fingerprint))
    return Outcome(intent.changes(), list(context.outbox.messages()), counted + changes, end)


def _decoded(kind: type[U], value: bytes | None, place: tuple[str, int, int]) -> U | Rejected:
    try:
        return decode(kind, value)
    except msgspec.ValidationError as error:
        raise unknown_update(place, str(error)) from None


def _place(scope: str, offset: int) -> tuple[str, int, int]:
    topic, _, partition = scope.rpartition("/")
    return topic, int(partition), offset
