"""The owner of a user id: the join of its own events, its aliases, and the users merged into it.

A user whose pointers lead elsewhere is part of another developer: it passes everything on to the canonical one and is
no subject itself. Whatever there may be any number of has rows of its own: aliases, merged users, companies named on events,
and what canonical developers so far have said of themselves.
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

    `root`: the canonical developer, '' for itself, with the version of the word taken last. `link`: the user's own latest
    company. `latest`: the latest of it and of those of the users merged into this one. `facts`: all there are. `internal`: whether
    any event of the developer was the own organisation's; of a merged user, whether the canonical one says so.
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
        """Whose the facts are that name no company; None: companies are told nothing of the user."""
        return None if self.root or self.internal else self.company


UNKNOWN = Developer()


def fold(context: BatchContext, user: str, updates: list[DeveloperUpdate]) -> None:
    """Join updates into the user, tell its company or canonical developer what changed, publish what is new."""
    key = row_key(b"u", user)
    before = context.rows.get(key, Developer) or UNKNOWN
    by_company = FactsByCompany(context, user)
    taken, facts = _join_facts(context, user, before.facts, by_company, updates)
    new_members, left = _take_members(context, user, [member for update in updates for member in update.members])
    # The latest of all companies may have gone with a member; else it is one of those known, or a new one.
    companies = [before.latest, *_links_of(new_members)] if not left else _links_of(members_of(context, user))
    after = _joined(context, user, before, facts, companies, updates)
    if after != before:
        context.rows.put(key, after)
    _tell(context, user, before, after, by_company)
    _tell_internal(context, user, (before, after), taken, new_members)


def members_of(context: BatchContext, user: str) -> Iterable[Member]:
    """The latest word of every user that is or was merged into this one."""
    return (member for _, member in context.rows.scan(row_key(b"g", user), Member))


def forget(context: BatchContext, user: str) -> None:
    """Drop the user and take back what was said of it; its aliases are forgotten by orders of their own."""
    key = row_key(b"u", user)
    before = context.rows.get(key, Developer)
    by_company = FactsByCompany(context, user)
    by_company.rebuild(())
    for tag in (b"o", b"c", b"g", b"i"):
        for row, _ in list(context.rows.scan(row_key(tag, user), msgspec.Raw)):
            context.rows.delete(row)
    if before is not None:
        context.rows.delete(key)
        _tell(context, user, before, UNKNOWN, by_company)


def tidy(context: BatchContext, user: str) -> None:
    """Drop what is left of aliases and merged users that are gone, and the user when nothing else is left."""
    left = contributions.tidy(context, user)
    for member in list(members_of(context, user)):
        if member.present:
            left = True
        else:
            context.rows.delete(row_key(b"g", user, member.user))
    key = row_key(b"u", user)
    state = context.rows.get(key, Developer) or UNKNOWN
    internal_flags.forget(context, user, but=state.root)
    if not (left or state.root or state.link or state.facts != NOTHING):
        context.rows.delete(key)


def _join_facts(
    context: BatchContext, user: str, known: Facts, by_company: FactsByCompany, updates: list[DeveloperUpdate]
) -> tuple[list[Contribution], Facts]:
    """Join in what aliases, merged users and own events say; the words that were new, and the facts of all companies."""
    own = [delta for update in updates for delta in update.own]
    for company, facts in own:
        key = row_key(b"o", user, company)
        known_own = context.rows.get(key, Facts) or NOTHING
        joined = join(known_own, facts, context.compiled.cuts)
        if joined is not known_own:
            context.rows.put(key, joined)
    taken, shrunk = apply_contributions(context, user, [child for update in updates for child in update.children])
    if shrunk:
        return taken, by_company.rebuild(_parts(context, user))
    # Of own events, even if their row has them: a batch that was interrupted may have written no more than that.
    new = [*own, *((word.company, word.facts) for word in taken)]
    for company, facts in new:
        by_company.join(company, facts)
    return taken, join_all([known, *(facts for _, facts in new)], context.compiled.cuts)


def _parts(context: BatchContext, user: str) -> Iterable[tuple[str, Facts]]:
    """All that the user's facts are made of, by company."""
    prefix = row_key(b"o", user)
    for key, facts in context.rows.scan(prefix, Facts):
        yield last_part(prefix, key), facts
    for child in contributions_of(context, user):
        yield child.company, child.facts


def _take_members(context: BatchContext, user: str, words: list[Member]) -> tuple[list[Member], bool]:
    """Take in what merged users say; the words that were new, and whether the latest of all companies may have gone with one."""
    taken: list[Member] = []
    left = False
    for word in words:
        heard, known = put_if_newer(context.rows, row_key(b"g", user, word.user), word)
        if heard is Freshness.NEWER:
            taken.append(word)
            left = left or (known is not None and known.link is not None and known.link != word.link)
        elif heard is Freshness.SAME:
            # The latest company may not go by it yet.
            left = True
    return taken, left


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
        for told in update.roots:
            if told.version > root_version:
                root, root_version = ("" if told.root == user else told.root), told.version
        internal_flags.heard(context, user, update.internal_flags)
    internal = internal_flags.is_internal(context, user, root) if root else facts.internal
    return Developer(root, root_version, link, _latest(link, *companies), facts, internal)


def _tell(context: BatchContext, user: str, before: Developer, after: Developer, by_company: FactsByCompany) -> None:
    """Tell companies and the canonical developer what changed of the user, and publish it."""
    _tell_root(context, user, before, after, by_company)
    publish_change(context, _subject(user, before), _subject(user, after))
    by_company.emit_to_companies(visitor_id("user_id", user), before.own_company, after.own_company)
    _publish_identity(context, user, before, after)


def _tell_root(
    context: BatchContext, user: str, before: Developer, after: Developer, by_company: FactsByCompany
) -> None:
    """Pass a merged user's facts and company on to the canonical developer; take them back from the one before."""
    name, version, outbox = visitor_id("user_id", user), context.version, context.outbox
    moved = before.root != after.root
    if before.root and moved:
        old_root = outbox.developer(before.root)
        old_root.members.append(Member(user, None, False, version))
        companies = [one for one in by_company.companies() if by_company.before(one) != NOTHING]
        old_root.children.extend(Contribution(contributor_name(name, one), one, NOTHING, version) for one in companies)
    if not after.root:
        return
    root = outbox.developer(after.root)
    for one in by_company.companies() if moved else by_company.changed():
        facts = by_company.after(one)
        if not moved or facts != NOTHING:
            root.children.append(Contribution(contributor_name(name, one), one, facts, version))
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


def _tell_internal(
    context: BatchContext,
    user: str,
    states: tuple[Developer, Developer],
    taken: list[Contribution],
    new_members: list[Member],
) -> None:
    """Tell keys and merged users whether their developer is internal: all of them when it changes, else new ones."""
    before, after = states
    word = InternalFlag(user, after.internal, context.version)
    changed = after.internal != before.internal
    # When it changes, also keys that belong to another one now: they may come back and must not remember the old word.
    new = taken if after.internal else []
    for child in contributions_of(context, user) if changed else new:
        if child.api_key:
            context.outbox.alias("api_key", child.api_key).internal_flags.append(word)
    if not after.root:
        for member in members_of(context, user) if changed else new_members:
            if member.present:
                context.outbox.developer(member.user).internal_flags.append(word)
