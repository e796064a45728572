"""Facts of a user or an API key by the company that its events name: a row each, since there may be any number."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from streams.facts.facts import NOTHING, Facts, join, join_all
from streams.messages.updates import Contribution
from streams.state.batch_context import BatchContext
from streams.state.rows import last_part, row_key


class FactsByCompany:
    """The facts of one owner by company ('' for events that name none), now and before this batch changed them."""

    def __init__(self, context: BatchContext, owner: str) -> None:
        self._context, self._owner = context, owner
        self._replaced: dict[str, Facts] = {}

    def after(self, company: str) -> Facts:
        """The facts under one company, now."""
        return self._context.rows.get(self._key(company), Facts) or NOTHING

    def before(self, company: str) -> Facts:
        """The facts under one company, before."""
        return self._replaced[company] if company in self._replaced else self.after(company)

    def changed(self) -> set[str]:
        """The companies whose facts differ from before."""
        return {company for company, facts in self._replaced.items() if facts != self.after(company)}

    def companies(self) -> set[str]:
        """Every company with facts, now or before."""
        prefix = row_key(b"f", self._owner)
        stored = {last_part(prefix, key) for key, _ in self._context.rows.scan(prefix, Facts)}
        return stored | self._replaced.keys()

    def join(self, company: str, facts: Facts) -> None:
        """Join more facts."""
        known = self.after(company)
        joined = join(known, facts, self._context.compiled.cuts)
        if joined is not known:
            self._put(company, joined)

    def rebuild(self, parts: Iterable[tuple[str, Facts]]) -> Facts:
        """Replace all facts by the join of the parts; returns the facts of all companies together."""
        cuts = self._context.compiled.cuts
        rebuilt: dict[str, Facts] = {}
        for company, facts in parts:
            rebuilt[company] = join(rebuilt.get(company, NOTHING), facts, cuts)
        for company in self.companies() | rebuilt.keys():
            facts = rebuilt.get(company, NOTHING)
            if facts != self.after(company):
                self._put(company, facts)
        return join_all(rebuilt.values(), cuts)

    def emit_to_companies(self, name: str, before: str | None, after: str | None) -> None:
        """Emit to companies what changed of the owner's facts.

        `before`, `after`: the company of the facts that name none, '' if there is none. None: nothing is contributed at all.
        """
        if (before is None) != (after is None):
            concerned = self.companies()
        elif before is None:
            return
        else:
            concerned = self.changed()
        if before != after or "" in concerned:
            concerned |= {company for company in (before, after) if company is not None}
        concerned.discard("")
        was = {} if before is None else {one: self._share(one, self.before, before) for one in concerned}
        now = {} if after is None else {one: self._share(one, self.after, after) for one in concerned}
        emit_to_companies(self._context, name, was, now)

    def _share(self, company: str, facts_of: Callable[[str], Facts], own: str) -> Facts:
        stamped = facts_of(company)
        return join(stamped, facts_of(""), self._context.compiled.cuts) if company == own else stamped

    def _key(self, company: str) -> bytes:
        return row_key(b"f", self._owner, company)

    def _put(self, company: str, facts: Facts) -> None:
        self._replaced.setdefault(company, self.after(company))
        if facts == NOTHING:
            self._context.rows.delete(self._key(company))
        else:
            self._context.rows.put(self._key(company), facts)


def emit_to_companies(context: BatchContext, name: str, before: dict[str, Facts], after: dict[str, Facts]) -> None:
    """Emit a subject's contribution to each company where it changed; empty facts withdraw it."""
    for company in before.keys() | after.keys():
        if before.get(company, NOTHING) != after.get(company, NOTHING):
            context.outbox.company(company, Contribution(name, "", after.get(company, NOTHING), context.version))
