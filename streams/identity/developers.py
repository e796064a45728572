"""The state of a user id: the join of its own events, its aliases, and the users merged into it.

A user that is merged away is no subject: it contributes all its facts to the canonical developer. What may come in any
number has rows of its own: aliases, merged users, companies named on events, and flags of canonical developers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from schemas.event import visitor_id
from streams.facts.facts import NOTHING, Facts, join, join_all
from streams.identity import contributions, internal_flags
from streams.identity.contributions import apply_contributions, contributions_of
from streams.identity.facts_by_company import FactsByCompany
from streams.identity.subjects import publish_change
from streams.messages.published_rows import ALWAYS, Subject, identity_row
from streams.messages.updates import Contribution, DeveloperUpdate, InternalFlag, Link, Member, contributor_name
from streams.state.batch_context import BatchContext
from streams.state.rows import last_part, row_key
from streams.state.versioned_values import Freshness, put_if_newer


class Developer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """State of one user id.

    `root`: the canonical developer, '' for itself, with its version. `link`: the user's own latest company. `latest`: the latest
    of that and of those of merged users. `facts`: of all companies. `internal`: whether any event of the developer was the
    own organisation's; of a merged user, whether the canonical one is internal.
    """

    root: str = ""
    root_version: int = -1
    link: Link | None = None
    latest: Link | None = None
    facts: Facts = NOTHING
    internal: bool = False

    @property
    def company(self) -> str:
        """The company that the developer belongs to; '' if none."""
        return self.latest[1] if self.latest else ""

    @property
    def own_company(self) -> str | None:
        """The company of facts that name none; None if the user contributes to no company."""
        return None if self.root or self.internal else self.company


UNKNOWN = Developer()


def fold(context: BatchContext, user: str, updates: list[DeveloperUpdate]) -> None:
    """Join updates into the user; emit what changed to its company or canonical developer; publish changed rows."""
    key = row_key(b"u", user)
    before = context.rows.get(key, Developer) or UNKNOWN
    by_company = FactsByCompany(context, user)
    new, facts = _join_facts(context, user, before.facts, by_company, updates)
    new_members, left = _store_members(context, user, [member for update in updates for member in update.members])
    # If a member left, its company may have been the latest, so all are compared again.
    companies = [before.latest, *_links_of(new_members)] if not left else _links_of(members_of(context, user))
    after = _joined(context, user, before, facts, companies, updates)
    if after != before:
        context.rows.put(key, after)
    _emit(context, user, before, after, by_company)
    _emit_internal_flags(context, user, (before, after), new, new_members)


def members_of(context: BatchContext, user: str) -> Iterable[Member]:
    """Every user that is or was merged into this one."""
    return (member for _, member in context.rows.scan(row_key(b"g", user), Member))


def drop(context: BatchContext, user: str) -> None:
    """Delete the user's state and withdraw all that was emitted from it. Its aliases have orders of their own."""
    key = row_key(b"u", user)
    before = context.rows.get(key, Developer)
    by_company = FactsByCompany(context, user)
    by_company.rebuild(())
    for tag in (b"o", b"c", b"g", b"i"):
        for row, _ in list(context.rows.scan(row_key(tag, user), msgspec.Raw)):
            context.rows.delete(row)
    if before is not None:
        context.rows.delete(key)
        _emit(context, user, before, UNKNOWN, by_company)


def prune(context: BatchContext, user: str) -> None:
    """Delete withdrawn contributions and members that left, and the user if nothing else is left."""
    left = contributions.prune(context, user)
    for member in list(members_of(context, user)):
        if member.present:
            left = True
        else:
            context.rows.delete(row_key(b"g", user, member.user))
    key = row_key(b"u", user)
    state = context.rows.get(key, Developer) or UNKNOWN
    internal_flags.drop(context, user, but=state.root)
    if not (left or state.root or state.link or state.facts != NOTHING):
        context.rows.delete(key)


def _join_facts(
    context: BatchContext, user: str, known: Facts, by_company: FactsByCompany, updates: list[DeveloperUpdate]
) -> tuple[list[Contribution], Facts]:
    """Join own events and contributions; returns the new contributions, and the facts of all companies."""
    own = [delta for update in updates for delta in update.own]
    for company, facts in own:
        key = row_key(b"o", user, company)
        known_own = context.rows.get(key, Facts) or NOTHING
        joined = join(known_own, facts, context.compiled.cuts)
        if joined is not known_own:
            context.rows.put(key, joined)
    received = [contribution for update in updates for contribution in update.contributions]
    new, shrunk = apply_contributions(context, user, received)
    if shrunk:
        return new, by_company.rebuild(_parts(context, user))
    # Own events even if their row has them: an interrupted batch may have written no more than that row.
    added = [*own, *((contribution.company, contribution.facts) for contribution in new)]
    for company, facts in added:
        by_company.join(company, facts)
    return new, join_all([known, *(facts for _, facts in added)], context.compiled.cuts)


def _parts(context: BatchContext, user: str) -> Iterable[tuple[str, Facts]]:
    """All parts of the user's facts: (company, facts)."""
    prefix = row_key(b"o", user)
    for key, facts in context.rows.scan(prefix, Facts):
        yield last_part(prefix, key), facts
    for contribution in contributions_of(context, user):
        yield contribution.company, contribution.facts


def _store_members(context: BatchContext, user: str, members: list[Member]) -> tuple[list[Member], bool]:
    """Store merged users; returns those that are new, and whether the latest of all companies may have left with one."""
    new: list[Member] = []
    left = False
    for member in members:
        freshness, known = put_if_newer(context.rows, row_key(b"g", user, member.user), member)
        if freshness is Freshness.NEWER:
            new.append(member)
            left = left or (known is not None and known.link is not None and known.link != member.link)
        elif freshness is Freshness.SAME:
            # An interrupted batch may have stored it without its company.
            left = True
    return new, left


def _links_of(members: Iterable[Member]) -> list[Link]:
    return [member.link for member in members if member.present and member.link is not None]


def _latest(*links: Link | None) -> Link | None:
    return max((link for link in links if link is not None), default=None)


def _joined(
    context: BatchContext,
    user: str,
    state: Developer,
    facts: Facts,
    companies: Sequence[Link | None],
    updates: list[DeveloperUpdate],
) -> Developer:
    """The state with the updates joined in, all its `facts` and the `companies` of merged users."""
    root, root_version, link = state.root, state.root_version, state.link
    for update in updates:
        link = _latest(link, *update.companies)
        for canonical in update.roots:
            if canonical.version > root_version:
                root, root_version = ("" if canonical.root == user else canonical.root), canonical.version
        internal_flags.receive(context, user, update.internal_flags)
    internal = internal_flags.is_internal(context, user, root) if root else facts.internal
    return Developer(root, root_version, link, _latest(link, *companies), facts, internal)


def _emit(context: BatchContext, user: str, before: Developer, after: Developer, by_company: FactsByCompany) -> None:
    """Emit what changed of the user to companies and the canonical developer; publish changed rows."""
    _emit_to_root(context, user, before, after, by_company)
    publish_change(context, _subject(user, before), _subject(user, after))
    by_company.emit_to_companies(visitor_id("user_id", user), before.own_company, after.own_company)
    _publish_identity(context, user, before, after)


def _emit_to_root(
    context: BatchContext, user: str, before: Developer, after: Developer, by_company: FactsByCompany
) -> None:
    """Contribute a merged user's facts and company to the canonical developer; withdraw them from the one before."""
    name, version, outbox = visitor_id("user_id", user), context.version, context.outbox
    moved = before.root != after.root
    if before.root and moved:
        old_root = outbox.developer(before.root)
        old_root.members.append(Member(user, None, False, version))
        companies = [one for one in by_company.companies() if by_company.before(one) != NOTHING]
        old_root.contributions.extend(
            Contribution(contributor_name(name, one), one, NOTHING, version) for one in companies
        )
    if not after.root:
        return
    root = outbox.developer(after.root)
    for one in by_company.companies() if moved else by_company.changed():
        facts = by_company.after(one)
        if not moved or facts != NOTHING:
            root.contributions.append(Contribution(contributor_name(name, one), one, facts, version))
    if moved or before.link != after.link:
        root.members.append(Member(user, after.link, True, version))


def _subject(user: str, state: Developer) -> Subject | None:
    """The user as a developer; None if it is part of another one."""
    return None if state.root else Subject("developer", user, "user", state.facts, state.company, state.internal)


def _publish_identity(context: BatchContext, user: str, before: Developer, after: Developer) -> None:
    was, now = (before.root, before.company), (after.root, after.company)
    if was != now:
        root, company = now
        developers = [(ALWAYS, root)] if root else []
        link = (ALWAYS, company) if company and not root else None
        context.outbox.publish(identity_row("user_id", user, developers, link, context.version))


def _emit_internal_flags(
    context: BatchContext,
    user: str,
    states: tuple[Developer, Developer],
    new: list[Contribution],
    new_members: list[Member],
) -> None:
    """Send keys and merged users whether their developer is internal: all of them when that changes, else new ones."""
    before, after = states
    flag = InternalFlag(user, after.internal, context.version)
    changed = after.internal != before.internal
    # A change also goes to keys that belong to another developer now: they may come back with the old flag.
    unchanged = new if after.internal else []
    for contribution in contributions_of(context, user) if changed else unchanged:
        if contribution.api_key:
            context.outbox.alias("api_key", contribution.api_key).internal_flags.append(flag)
    if not after.root:
        for member in members_of(context, user) if changed else new_members:
            if member.present:
                context.outbox.developer(member.user).internal_flags.append(flag)
