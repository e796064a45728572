"""The hashes of one API key: while its secret is rotated, and for ever after, a key is known by several.

A key's alias is its hash under the oldest secret in use, so a new secret changes nothing until the old one is retired.
Until then every event of a key is also evidence that its hashes under the newer secrets are the same key. The hash that all
evidence leads to, the first one, owns what is known of the key; the others pass on to it what they are told, and learn
whose the key is, which they publish for the rows that carry them.

Evidence only grows, and every hash tells it to all others, so all of them come to know the same and agree on the first
one, in whatever order they learn it. Bounded by the number of secrets under which the key was seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.event import visitor_id
from streams.messages.outbox import PublishedRow
from streams.messages.published_rows import ALWAYS, identity_row
from streams.messages.updates import AliasUpdate, FirstHash, Link, SameKey
from streams.state.batch_context import BatchContext

#: Whose a key is: its owner and its company.
Parents = tuple[Link | None, Link | None]


class Hashes(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one hash of a key knows of the others. `same`: the evidence, ascending. `told`: what each hash that was the
    first one said of the key's parents, with the version of its word; one that is first no more may come late.
    """

    same: list[SameKey] = []
    told: dict[str, tuple[Link | None, Link | None, int]] = {}

    def first(self, alias: str) -> str:
        """The hash that owns the key, as far as `alias` knows: of those that no other one is older than, the smallest.

        Secrets that were once listed in one order and once in another have made a circle: then the smallest of all.
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


def heard(state: Hashes, updates: Sequence[AliasUpdate]) -> Hashes:
    """The state with what updates say of hashes joined in; `state` itself if nothing is new."""
    same, told = set(state.same), state.told
    for update in updates:
        same.update(update.same_key)
        for word in update.first_hashes:
            if word.version > told.get(word.first, (None, None, -1))[2]:
                told = {**told, word.first: (word.owner, word.company, word.version)}
    if len(same) == len(state.same) and told is state.told:
        return state
    return Hashes(sorted(same), told)


def forward(context: BatchContext, first: str, updates: Sequence[AliasUpdate]) -> None:
    """Pass on to the first hash what another one was told of the key: deltas, so that it may come twice."""
    to = context.outbox.alias("api_key", first)
    for update in updates:
        to.users.update(update.users)
        to.companies.update(update.companies)
        for bucket in update.buckets:
            context.outbox.join_bucket(to.buckets, (bucket.user, bucket.company), bucket.facts)


def emit_change(
    context: BatchContext, alias: str, before: tuple[Hashes, Parents], after: tuple[Hashes, Parents]
) -> None:
    """Publish whose the key is, and tell its other hashes: what is new of the evidence and, as their first, whose it is."""
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


def _identity(alias: str, hashes: Hashes, parents: Parents, version: int) -> PublishedRow | None:
    """The row of a hash in `identities`; None while it has not heard whose the key is.

    A later hash of a key whose developer is unknown leads to the visitor that the first one stands for.
    """
    first = hashes.first(alias)
    later = ""
    if first != alias:
        word = hashes.told.get(first)
        if word is None:
            return None
        parents, later = word[:2], first
    owner, company = parents
    visitor = [(ALWAYS, visitor_id("api_key", later))] if later else []
    return identity_row("api_key", alias, [owner] if owner else visitor, company, version, later)
