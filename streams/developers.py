"""The owner of a user id: the join of its own events, its aliases, and the users merged into it.

A user whose pointers lead elsewhere is part of another developer: it passes everything on to the canonical one and is
no subject itself. The row is bounded by facts per company named on events and one link per merged user; children have
rows of their own.
"""

from __future__ import annotations

import msgspec

from schemas.event import visitor_id
from streams import children
from streams.children import absorb, children_of
from streams.facts import NOTHING, Facts, join, join_all
from streams.plan import Plan
from streams.published import ALWAYS, Subject, identity_row
from streams.rows import row_key
from streams.step import Step
from streams.subjects import publish_change
from streams.updates import Child, DeveloperUpdate, InternalUser, Link, Member, RootInternal, child_name
from streams.web_aliases import tell_companies


class Developer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """State of one user id. Versions are those of the word last taken.

    `root`: the canonical developer, '' for itself. `link`: the user's own latest company. `members`: the users merged
    into this one, with their latest company. `facts`: by explicit company, '' for none. `root_internal`: what each
    canonical developer so far has said of himself, (internal, version); a word of an earlier one may come late.
    """

    root: str = ""
    root_version: int = -1
    link: Link | None = None
    members: dict[str, tuple[Link | None, bool, int]] = {}
    facts: dict[str, Facts] = {}
    root_internal: dict[str, tuple[bool, int]] = {}

    def company(self) -> str:
        """The latest company of the user and all that are merged into it; '' if none."""
        links = [link for link, present, _ in self.members.values() if present and link is not None]
        latest = max([*links, self.link] if self.link else links, default=None)
        return latest[1] if latest else ""

    def is_internal(self) -> bool:
        """Whether any event of the developer was the own organisation's."""
        if self.root:
            return self.root_internal.get(self.root, (False, -1))[0]
        return any(facts.internal for facts in self.facts.values())


UNKNOWN = Developer()


def fold(step: Step, user: str, updates: list[DeveloperUpdate]) -> None:
    """Join updates into the user, tell its company or canonical developer what changed, publish what is new."""
    key = row_key(b"u", user)
    before = step.rows.get(key, Developer) or UNKNOWN
    facts = _join_own(step, user, before.facts, updates)
    words = [child for update in updates for child in update.children]
    facts, taken = absorb(step, user, facts, words, lambda: _own(step, user))
    after = _joined(user, before, facts, updates)
    if after != before:
        step.rows.put(key, after)
        _tell(step, user, before, after)
    _tell_internal(step, user, before, after, taken)


def _tell(step: Step, user: str, before: Developer, after: Developer) -> None:
    """Tell companies and the canonical developer what changed of the user, and publish it."""
    _tell_root(step, user, before, after)
    publish_change(step, _subject(step.plan, user, before), _subject(step.plan, user, after))
    old_shares, new_shares = _company_shares(step.plan, before), _company_shares(step.plan, after)
    tell_companies(step, visitor_id("user_id", user), old_shares, new_shares)
    _publish_identity(step, user, before, after)


def forget(step: Step, user: str) -> None:
    """Drop the user and take back what was said of it; its aliases are forgotten by orders of their own."""
    key = row_key(b"u", user)
    before = step.rows.get(key, Developer)
    for tag in (b"o", b"c"):
        for row, _ in list(step.rows.scan(row_key(tag, user), msgspec.Raw)):
            step.rows.delete(row)
    if before is not None:
        step.rows.delete(key)
        _tell(step, user, before, UNKNOWN)


def tidy(step: Step, user: str) -> None:
    """Drop what is left of aliases and merged users that are gone, and the user when nothing else is left."""
    left = children.tidy(step, user)
    key = row_key(b"u", user)
    state = step.rows.get(key, Developer)
    if state is None:
        return
    members = {member: word for member, word in state.members.items() if word[1]}
    root_internal = {root: word for root, word in state.root_internal.items() if root == state.root}
    own = state.root or state.link or state.facts or members
    if left or own:
        step.rows.put(key, msgspec.structs.replace(state, members=members, root_internal=root_internal))
    else:
        step.rows.delete(key)


def _join_own(step: Step, user: str, pooled: dict[str, Facts], updates: list[DeveloperUpdate]) -> dict[str, Facts]:
    """Join the user's own events into their rows and into the pooled facts."""
    for update in updates:
        for company, delta in update.own:
            key = row_key(b"o", user, company)
            old = step.rows.get(key, Facts)
            own = delta if old is None else join(old, delta, step.plan.cuts)
            if own is not old:
                step.rows.put(key, own)
            # Even if the own row has it: a batch that was interrupted may have written that and not the pooled facts.
            joined = join(pooled.get(company, NOTHING), delta, step.plan.cuts)
            if joined is not pooled.get(company):
                pooled = {**pooled, company: joined}
    return pooled


def _own(step: Step, user: str) -> dict[str, Facts]:
    prefix = row_key(b"o", user)
    return {key[len(prefix) + 2 :].decode(): facts for key, facts in step.rows.scan(prefix, Facts)}


def _joined(user: str, state: Developer, facts: dict[str, Facts], updates: list[DeveloperUpdate]) -> Developer:
    root, root_version, link, members = state.root, state.root_version, state.link, state.members
    root_internal = state.root_internal
    for update in updates:
        link = max([link, *update.companies] if link else update.companies, default=None)
        for member in update.members:
            known = members.get(member.user)
            if known is None or member.version > known[2]:
                members = {**members, member.user: (member.link, member.present, member.version)}
        for told in update.roots:
            if told.version > root_version:
                root, root_version = ("" if told.root == user else told.root), told.version
        for word in update.root_internal:
            if word.version > root_internal.get(word.root, (False, -1))[1]:
                root_internal = {**root_internal, word.root: (word.internal, word.version)}
    return Developer(root, root_version, link, members, facts, root_internal)


def _tell_root(step: Step, user: str, before: Developer, after: Developer) -> None:
    """Pass a merged user's facts and company on to the canonical developer; take them back from the one before."""
    name, version, outbox = visitor_id("user_id", user), step.version, step.outbox
    if before.root and before.root != after.root:
        old_root = outbox.developer(before.root)
        old_root.members.append(Member(user, None, False, version))
        withdrawn = [Child(child_name(name, company), company, NOTHING, version) for company in before.facts]
        old_root.children.extend(withdrawn)
    if not after.root:
        return
    known = before.facts if before.root == after.root else {}
    root = outbox.developer(after.root)
    for company in known.keys() | after.facts.keys():
        facts = after.facts.get(company, NOTHING)
        if facts != known.get(company, NOTHING):
            root.children.append(Child(child_name(name, company), company, facts, version))
    if before.root != after.root or before.link != after.link:
        root.members.append(Member(user, after.link, True, version))


def _subject(plan: Plan, user: str, state: Developer) -> Subject | None:
    """The user as a developer; None if it is part of another one."""
    if state.root:
        return None
    facts = join_all(state.facts.values(), plan.cuts)
    return Subject("developer", user, "user", facts, state.company(), state.is_internal())


def _company_shares(plan: Plan, state: Developer) -> dict[str, Facts]:
    """The developer's facts by company: events that name one stay with it, the rest goes to the developer's own."""
    if state.root or state.is_internal():
        return {}
    shares: dict[str, Facts] = {}
    for stamped, facts in state.facts.items():
        company = stamped or state.company()
        if company:
            shares[company] = join(shares.get(company, NOTHING), facts, plan.cuts)
    return shares


def _publish_identity(step: Step, user: str, before: Developer, after: Developer) -> None:
    was, now = (before.root, before.company()), (after.root, after.company())
    if was != now:
        root, company = now
        developers = [(ALWAYS, root)] if root else []
        link = (ALWAYS, company) if company and not root else None
        step.outbox.publish(identity_row("user_id", user, developers, link, step.version))


def _tell_internal(step: Step, user: str, before: Developer, after: Developer, taken: list[Child]) -> None:
    """Tell keys and merged users whether their developer is internal: all of them when it changes, else new ones."""
    internal = after.is_internal()
    changed = internal != before.is_internal()
    # When it changes, also keys that belong to another one now: they may come back and must not remember the old word.
    new = taken if internal else []
    for child in children_of(step, user) if changed else new:
        if child.api_key:
            word = InternalUser(user, internal, step.version)
            step.outbox.alias("api_key", child.api_key).internal_users.append(word)
    if after.root:
        return
    for member, (_, present, member_version) in after.members.items():
        is_new = before.members.get(member, (None, False, -1))[2] != member_version
        if present and (changed or is_new):
            step.outbox.developer(member).root_internal.append(RootInternal(user, internal, step.version))
