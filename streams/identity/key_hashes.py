"""The hashes of one API key: from the first rotation of the HMAC secret on, a key has several.

A key's alias is its hash under the oldest secret in use, so a new secret changes nothing until the old one is retired.
Until then, every event of a key is evidence that its hashes under the newer secrets are the same key. All evidence leads to
one hash, the first. It owns the facts of the key. The other hashes forward their updates to it; it sends them the owner
and company of the key, which they publish for the rows that carry them.

Evidence only grows and is sent to all hashes of the key, so they agree on the first one whatever the order of arrival. State
is bounded by the number of secrets under which the key was seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.event import visitor_id
from streams.messages.outbox import PublishedRow
from streams.messages.published_rows import ALWAYS, identity_row
from streams.messages.updates import AliasUpdate, FirstHash, Link, SameKey
from streams.state.batch_context import BatchContext

#: The owner and the company of a key.
Parents = tuple[Link | None, Link | None]


class Hashes(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one hash of a key knows of the others.

    `same`: the evidence, ascending. `received`: (owner, company, version) by the hash that sent them as the first one. The
    value of a hash that is no longer the first may arrive late, so each is kept.
    """

    same: list[SameKey] = []
    received: dict[str, tuple[Link | None, Link | None, int]] = {}

    def first(self, alias: str) -> str:
        """The hash that owns the key, by the evidence that `alias` has: the smallest of those without an older one.

        If secrets were listed in different orders, the evidence may be a circle: then the smallest of all.
        """
        if not self.same:
            return alias
        newer = {new for new, _ in self.same}
        hashes = newer | {old for _, old in self.same}
        return min(hashes - newer or hashes)

    def others(self, alias: str) -> list[str]:
        """All hashes of the key but `alias`, ascending."""
        return sorted({one for pair in self.same for one in pair} - {alias})


ALONE = Hashes()


def receive(state: Hashes, updates: Sequence[AliasUpdate]) -> Hashes:
    """The state with the updates' evidence joined in; `state` itself if nothing is new."""
    same, received = set(state.same), state.received
    for update in updates:
        same.update(update.same_key)
        for sent in update.first_hashes:
            if sent.version > received.get(sent.first, (None, None, -1))[2]:
                received = {**received, sent.first: (sent.owner, sent.company, sent.version)}
    if len(same) == len(state.same) and received is state.received:
        return state
    return Hashes(sorted(same), received)


def forward(context: BatchContext, first: str, updates: Sequence[AliasUpdate]) -> None:
    """Forward updates to the first hash. They are deltas, so forwarding them twice does no harm."""
    to = context.outbox.alias("api_key", first)
    for update in updates:
        to.users.update(update.users)
        to.companies.update(update.companies)
        for bucket in update.buckets:
            context.outbox.join_bucket(to.buckets, (bucket.user, bucket.company, bucket.is_web), bucket.facts)


def emit_change(
    context: BatchContext, alias: str, before: tuple[Hashes, Parents], after: tuple[Hashes, Parents]
) -> None:
    """Publish the key's owner and company; send its other hashes new evidence and, from the first hash, owner and company."""
    if before == after:
        return
    row = _identity(alias, *after, context.version)
    if row is not None and row != _identity(alias, *before, context.version):
        context.outbox.publish(row)
    hashes, (owner, company) = after
    new_evidence = hashes.same != before[0].same
    if not new_evidence and before[1] == after[1]:
        return
    is_first = hashes.first(alias) == alias
    for other in hashes.others(alias):
        to = context.outbox.alias("api_key", other)
        if new_evidence:
            to.same_key.update(hashes.same)
        if is_first:
            to.first_hashes.append(FirstHash(alias, owner, company, context.version))


def parents_of(alias: str, hashes: Hashes, parents: Parents) -> Parents:
    """The owner and company of the key that `alias` is a hash of: its own, or those that the first hash sent."""
    first = hashes.first(alias)
    return parents if first == alias else hashes.received.get(first, (None, None, -1))[:2]


def _identity(alias: str, hashes: Hashes, parents: Parents, version: int) -> PublishedRow | None:
    """The row of a hash in `identities`; None until a later hash has received the key's owner and company.

    While the developer is unknown, a later hash leads to the visitor that the first one stands for.
    """
    first = hashes.first(alias)
    later = ""
    if first != alias:
        received = hashes.received.get(first)
        if received is None:
            return None
        parents, later = received[:2], first
    owner, company = parents
    visitor = [(ALWAYS, visitor_id("api_key", later))] if later else []
    return identity_row("api_key", alias, [owner] if owner else visitor, company, version, later)
