"""The facts of a web alias's events by who owns them: a row for each (user, company), since there may be any number."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from streams.facts.facts import NOTHING, Facts, join, join_all
from streams.identity.ownership import VISITOR
from streams.state.batch_context import BatchContext
from streams.state.rows import row_key

#: (user, company): VISITOR for events without a known user, '' for events that name no company.
Owner = tuple[str, str]


class Share(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The facts of one owner."""

    user: str
    company: str
    facts: Facts


class Shares:
    """The facts of one web alias by owner, now and before this batch changed them."""

    def __init__(self, context: BatchContext, name: str) -> None:
        self._context, self._name = context, name
        self._current: dict[Owner, Facts] = {}
        self._replaced: dict[Owner, Facts] = {}

    def after(self, owner: Owner) -> Facts:
        """The facts of an owner, now."""
        facts = self._current.get(owner)
        if facts is None:
            share = self._context.rows.get(self._key(owner), Share)
            facts = self._current[owner] = share.facts if share is not None else NOTHING
        return facts

    def before(self, owner: Owner) -> Facts:
        """The facts of an owner, before."""
        return self._replaced[owner] if owner in self._replaced else self.after(owner)

    def changed(self) -> list[Owner]:
        """The owners whose facts differ from before."""
        return [owner for owner, facts in self._replaced.items() if facts != self.after(owner)]

    def companies_of_visitor(self) -> set[str]:
        """The companies of the visitor's facts, now or before."""
        stored = {share.company for share in self._stored() if share.user == VISITOR}
        return stored | {company for user, company in self._replaced if user == VISITOR}

    def join(self, owner: Owner, facts: Facts) -> None:
        """Join more facts."""
        known = self.after(owner)
        joined = join(known, facts, self._context.compiled.cuts)
        if joined is not known:
            self._put(owner, joined)

    def rebuild(self, parts: Iterable[tuple[Owner, Facts]]) -> Facts:
        """Replace all facts by the join of the parts; returns those of the visitor, of all companies together."""
        cuts = self._context.compiled.cuts
        rebuilt: dict[Owner, Facts] = {}
        for owner, facts in parts:
            rebuilt[owner] = join(rebuilt.get(owner, NOTHING), facts, cuts)
        for owner in {(share.user, share.company) for share in self._stored()} | rebuilt.keys():
            facts = rebuilt.get(owner, NOTHING)
            if facts != self.after(owner):
                self._put(owner, facts)
        return join_all((facts for (user, _), facts in rebuilt.items() if user == VISITOR), cuts)

    def _stored(self) -> list[Share]:
        return [share for _, share in self._context.rows.scan(row_key(b"v", self._name), Share)]

    def _key(self, owner: Owner) -> bytes:
        return row_key(b"v", self._name, *owner)

    def _put(self, owner: Owner, facts: Facts) -> None:
        self._replaced.setdefault(owner, self.after(owner))
        self._current[owner] = facts
        if facts == NOTHING:
            self._context.rows.delete(self._key(owner))
        else:
            self._context.rows.put(self._key(owner), Share(*owner, facts))
