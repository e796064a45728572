"""Facts of a user or an API key by the company that its events name: a row for each, so that it may name any number of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from streams.facts.facts import NOTHING, Facts, join, join_all
from streams.messages.updates import Contribution
from streams.state.batch_context import BatchContext
from streams.state.rows import last_part, row_key


class FactsByCompany:
    """The facts of one owner by company, '' for events that name none; and what they were before this was made."""

    def __init__(self, context: BatchContext, owner: str) -> None:
        self._step, self._owner = context, owner
        self._replaced: dict[str, Facts] = {}

    def after(self, company: str) -> Facts:
        """The facts under one company, as they are by now."""
        return self._step.rows.get(self._key(company), Facts) or NOTHING

    def before(self, company: str) -> Facts:
        """The facts under one company, as they were."""
        return self._replaced[company] if company in self._replaced else self.after(company)

    def changed(self) -> set[str]:
        """The companies whose facts are others than before."""
        return {company for company, facts in self._replaced.items() if facts != self.after(company)}

    def companies(self) -> set[str]:
        """Every company with facts, now or before."""
        prefix = row_key(b"f", self._owner)
        stored = {last_part(prefix, key) for key, _ in self._step.rows.scan(prefix, Facts)}
        return stored | self._replaced.keys()

    def join(self, company: str, facts: Facts) -> None:
        """Take more facts in."""
        known = self.after(company)
        joined = join(known, facts, self._step.compiled.cuts)
        if joined is not known:
            self._put(company, joined)

    def rebuild(self, parts: Iterable[tuple[str, Facts]]) -> Facts:
        """Let the facts be those of the parts, and no more; returns what they are of all companies together."""
        cuts = self._step.compiled.cuts
        anew: dict[str, Facts] = {}
        for company, facts in parts:
            anew[company] = join(anew.get(company, NOTHING), facts, cuts)
        for company in self.companies() | anew.keys():
            facts = anew.get(company, NOTHING)
            if facts != self.after(company):
                self._put(company, facts)
        return join_all(anew.values(), cuts)

    def emit_to_companies(self, name: str, before: str | None, after: str | None) -> None:
        """Tell companies what changed of the owner's facts.

        `before`, `after`: whose the facts are that name no company, '' if no one's; None: none of the facts are told.
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
        emit_to_companies(self._step, name, was, now)

    def _share(self, company: str, facts_of: Callable[[str], Facts], own: str) -> Facts:
        stamped = facts_of(company)
        return join(stamped, facts_of(""), self._step.compiled.cuts) if company == own else stamped

    def _key(self, company: str) -> bytes:
        return row_key(b"f", self._owner, company)

    def _put(self, company: str, facts: Facts) -> None:
        self._replaced.setdefault(company, self.after(company))
        if facts == NOTHING:
            self._step.rows.delete(self._key(company))
        else:
            self._step.rows.put(self._key(company), facts)


def emit_to_companies(context: BatchContext, name: str, before: dict[str, Facts], after: dict[str, Facts]) -> None:
    """Tell each company whose facts by a subject changed; no facts where there were some withdraws them."""
    for company in before.keys() | after.keys():
        if before.get(company, NOTHING) != after.get(company, NOTHING):
            context.outbox.company(company, Contribution(name, "", after.get(company, NOTHING), context.version))
