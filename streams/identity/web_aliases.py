"""The state of a session token or an anonymous id: the events it holds, and whose each of them is.

A device (an anonymous id) holds the events that carry it; a session holds those that carry no device. Each event belongs to
the first of these that leads to a user: its API key (`api_keys.py` counts it then), its session, its device. So the row of
the holder must know the links of the others. It receives them as versioned values:

    session ── its ownership intervals ──▶ every device it was seen with
    device  ── its ownership intervals ──▶ its sessions with events that carry no device
    API key ── its owner and company ────▶ every web alias that holds events with it

An event that leads to nobody belongs to the visitor named by its device: a session contributes its own to that visitor.
With more events than a person makes, an alias is automated traffic and its events count for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from schemas.event import visitor_id
from streams.facts.facts import NOTHING, Facts, join, join_all
from streams.identity import contributions, held_events
from streams.identity.contributions import apply_contributions, contributions_of
from streams.identity.facts_by_company import FactsByCompany, emit_to_companies
from streams.identity.held_events import DayCounts, Received
from streams.identity.ownership import VISITOR, Links, is_crowded, join_links, owner_at, ownership_intervals
from streams.identity.shares import Owner, Shares
from streams.identity.subjects import publish_change
from streams.identity.subscribers import drop_subscribers, new_subscribers, subscribers_of
from streams.messages.published_rows import Subject, identity_row
from streams.messages.updates import (
    Alias,
    AliasLinks,
    AliasUpdate,
    Contribution,
    HeldEvent,
    KeyParents,
    Link,
    contributor_name,
)
from streams.state.batch_context import BatchContext
from streams.state.rows import row_key
from streams.state.versioned_values import Freshness, put_if_newer

WebKind = Literal["session_token", "anonymous_id"]


class WebAlias(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """State of one web alias; its events, shares, subscribers, received values and contributions have rows of their own.

    `links`: evidence. `days`: how many events each UTC day holds. `visitor`: the facts of the events that lead to nobody.
    `automated`, `automated_keyed`: too many events without, with an API key. `crowded`: too many links. `device`: of a session,
    the earliest it was seen with; `is_lone`: some of its events carry no device. `lone`: of a device, the facts that its
    sessions contribute to its visitor.
    """

    links: Links = {}
    days: dict[int, DayCounts] = {}
    visitor: Facts = NOTHING
    automated: bool = False
    automated_keyed: bool = False
    crowded: bool = False
    device: Link | None = None
    is_lone: bool = False
    lone: Facts = NOTHING

    @property
    def intervals(self) -> list[Link]:
        """Whose the alias is by its own links."""
        return ownership_intervals(self.links)


UNKNOWN = WebAlias()


def fold(context: BatchContext, kind: WebKind, alias: str, updates: list[AliasUpdate]) -> None:
    """Join updates into the alias; emit what changed to its developers and companies; publish changed rows."""
    name, key = visitor_id(kind, alias), row_key(b"w", kind, alias)
    before = context.rows.get(key, WebAlias) or UNKNOWN
    shares, lone = Shares(context, name), FactsByCompany(context, name)
    state = _joined_links(context, before, updates)
    moved = _receive_values(context, name, updates) or (state.links, state.device) != (before.links, before.device)
    state = msgspec.structs.replace(state, lone=_joined_lone(context, name, before.lone, lone, updates))
    new_events = (event for update in updates for event in update.events if _counts(state, event))
    received = held_events.receive(context, name, new_events)
    after = _counted(context, state, received)
    resolver = _Resolver(context, name, after)
    became_automated = (after.automated, after.automated_keyed) != (before.automated, before.automated_keyed)
    if moved or received.moved or became_automated:
        events = (event for event in held_events.all_events(context, name, received) if _counts(after, event))
        visitor = shares.rebuild(resolver.parts(events))
    else:
        visitor = after.visitor
        for owner, facts in resolver.parts(event for event in received.events if _counts(after, event)):
            shares.join(owner, facts)
            if owner[0] == VISITOR:
                visitor = join(visitor, facts, context.compiled.cuts)
    after = msgspec.structs.replace(after, visitor=visitor)
    # Before the days: what follows from a day is derived again until the day is written.
    if after != before:
        context.rows.put(key, after)
    held_events.write(context, name, received)
    for flag, keyed in ((after.automated, False), (after.automated_keyed, True)):
        if flag:
            held_events.delete(context, name, keyed=keyed)
    new = new_subscribers(context, name, _subscribers(updates))
    _emit(context, (kind, alias), (before, after), shares, lone, new)


def drop(context: BatchContext, kind: WebKind, alias: str) -> None:
    """Delete the alias's state and withdraw all that was emitted from it.

    What others sent stays: they send changes only.
    """
    name, key = visitor_id(kind, alias), row_key(b"w", kind, alias)
    before = context.rows.get(key, WebAlias)
    if before is None:
        return
    shares, lone = Shares(context, name), FactsByCompany(context, name)
    shares.rebuild(())
    after = WebAlias(lone=before.lone)
    _emit(context, (kind, alias), (before, after), shares, lone, [])
    held_events.delete(context, name)
    if kind == "session_token":
        # The events that remain name its devices again.
        drop_subscribers(context, name)
    # Last: an interrupted batch that has written it does not come here again.
    if after == UNKNOWN:
        context.rows.delete(key)
    else:
        context.rows.put(key, after)


def prune(context: BatchContext, kind: WebKind, alias: str) -> None:
    """Delete what others have withdrawn, and all that they sent if the alias has no state of its own."""
    name, key = visitor_id(kind, alias), row_key(b"w", kind, alias)
    contributions.prune(context, name)
    is_gone = (context.rows.get(key, WebAlias) or UNKNOWN) == UNKNOWN
    for row, links in list(context.rows.scan(row_key(b"l", name), AliasLinks)):
        if is_gone or not links.intervals:
            context.rows.delete(row)
    for row, parents in list(context.rows.scan(row_key(b"q", name), KeyParents)):
        if is_gone or not (parents.owner or parents.company):
            context.rows.delete(row)
    if is_gone:
        drop_subscribers(context, name)
        context.rows.delete(key)


def _subscribers(updates: Iterable[AliasUpdate]) -> list[Alias]:
    """Who is to receive the alias's links: of a session its devices, of a device its sessions that asked."""
    found: dict[Alias, None] = {}
    for update in updates:
        found.update(dict.fromkeys(update.subscribers))
        found.update({("anonymous_id", device): None for _, device in update.devices})
    return list(found)


def _joined_links(context: BatchContext, state: WebAlias, updates: Sequence[AliasUpdate]) -> WebAlias:
    known = [state.device] if state.device is not None else []
    device = min([*known, *(link for update in updates for link in update.devices)], default=None)
    is_lone = state.is_lone or any(update.is_lone for update in updates)
    links = {} if state.crowded else join_links(state.links, (link for update in updates for link in update.users))
    if state.crowded or is_crowded(context.compiled.definitions.limits, links):
        return WebAlias(automated=True, automated_keyed=True, crowded=True, device=device, is_lone=is_lone)
    return msgspec.structs.replace(state, links=links, device=device, is_lone=is_lone)


def _receive_values(context: BatchContext, name: str, updates: Sequence[AliasUpdate]) -> bool:
    """Store received links and parents; returns whether what follows from them must be derived, maybe again."""
    received = [
        put_if_newer(context.rows, row_key(b"l", name, visitor_id(links.kind, links.alias)), links)[0]
        for update in updates
        for links in update.alias_links
    ]
    received += [
        put_if_newer(context.rows, row_key(b"q", name, parents.api_key), parents)[0]
        for update in updates
        for parents in update.key_parents
    ]
    return any(freshness is not Freshness.STALE for freshness in received)


def _joined_lone(
    context: BatchContext, name: str, known: Facts, lone: FactsByCompany, updates: Sequence[AliasUpdate]
) -> Facts:
    """What sessions contribute to the visitor, of all companies together."""
    contributed = [contribution for update in updates for contribution in update.contributions]
    if not contributed:
        return known
    new, shrunk = apply_contributions(context, name, contributed)
    if shrunk:
        return lone.rebuild((one.company, one.facts) for one in contributions_of(context, name))
    for one in new:
        lone.join(one.company, one.facts)
    return join_all([known, *(one.facts for one in new)], context.compiled.cuts)


def _counts(state: WebAlias, event: HeldEvent) -> bool:
    """Whether the event counts: it is no automated traffic."""
    return not (state.automated_keyed if event.api_key else state.automated)


def _counted(context: BatchContext, state: WebAlias, received: Received) -> WebAlias:
    """The state with the days' counts, and whether they are those of automated traffic."""
    if not received.days:
        return state
    limits = context.compiled.definitions.limits
    days = state.days | {day: held_events.counts_of(held) for day, held in received.days.items()}
    return msgspec.structs.replace(
        state,
        days=days,
        automated=state.automated or held_events.is_automated(limits, days, keyed=False),
        automated_keyed=state.automated_keyed or held_events.is_automated(limits, days, keyed=True),
    )


class _Resolver:
    """Resolves the owner of each event of a web alias, by its own links and what others sent."""

    def __init__(self, context: BatchContext, name: str, state: WebAlias) -> None:
        self._context, self._name = context, name
        self._intervals = state.intervals
        if not self._intervals and state.device is not None:
            self._intervals = self._received(visitor_id("anonymous_id", state.device[1]))
        self._of_session: dict[str, list[Link]] = {}

    def parts(self, events: Iterable[HeldEvent]) -> Iterator[tuple[Owner, Facts]]:
        """The facts of each event with their owner, but for events that their API key counts."""
        for event in events:
            owner = self._owner(event)
            if owner is not None:
                yield owner, self._context.compiled.facts(event.seen)

    def _owner(self, event: HeldEvent) -> Owner | None:
        """The user or VISITOR, and the stamped company; None if the event's API key counts it."""
        company, intervals = event.company, self._intervals
        if event.api_key:
            parents = self._context.rows.get(row_key(b"q", self._name, event.api_key), KeyParents)
            if parents is not None:
                if parents.owner:
                    return None
                company = company or parents.company
        if event.session:
            of_session = self._of_session.get(event.session)
            if of_session is None:
                of_session = self._received(visitor_id("session_token", event.session))
                self._of_session[event.session] = of_session
            intervals = of_session or intervals
        return owner_at(intervals, event.seen.time), company

    def _received(self, sender: str) -> list[Link]:
        found = self._context.rows.get(row_key(b"l", self._name, sender), AliasLinks)
        return found.intervals if found is not None else []


def _emit(
    context: BatchContext,
    alias: Alias,
    states: tuple[WebAlias, WebAlias],
    shares: Shares,
    lone: FactsByCompany,
    new: Iterable[Alias],
) -> None:
    """Emit what changed to developers, companies, subscribers and the device; publish changed rows."""
    before, after = states
    name = visitor_id(*alias)
    owned = before.intervals
    owners = owned if after.links is before.links else after.intervals
    _publish_identity(context, alias, (owned, before), (owners, after))
    _emit_links(context, alias, owned, owners, new)
    if after.is_lone and after.device is not None and (not before.is_lone or before.device != after.device):
        context.outbox.alias("anonymous_id", after.device[1]).subscribers.add(alias)
    for user, company in shares.changed():
        if user != VISITOR:
            contribution = _contribution(context, name, company, shares.after((user, company)))
            context.outbox.developer(user).contributions.append(contribution)
    _emit_to_device(context, name, states, shares)
    was, now = (_visitor(context, alias, state) for state in states)
    publish_change(context, was, now)
    is_open = (_is_open(was, before), _is_open(now, after))
    _emit_to_companies(context, name, is_open, shares, lone)


def _publish_identity(
    context: BatchContext, alias: Alias, before: tuple[list[Link], WebAlias], after: tuple[list[Link], WebAlias]
) -> None:
    """Publish the alias with its ownership intervals, if any column changed."""
    was, now = (
        (intervals, state.device if state.is_lone else None, state.automated, state.automated_keyed)
        for intervals, state in (before, after)
    )
    if was != now:
        intervals, device, is_bot, is_bot_with_key = now
        row = identity_row(
            *alias, intervals, None, context.version, device=device, is_bot=is_bot, is_bot_with_key=is_bot_with_key
        )
        context.outbox.publish(row)


def _emit_links(
    context: BatchContext, alias: Alias, before: list[Link], intervals: list[Link], new: Iterable[Alias]
) -> None:
    """Emit changed links to all subscribers; to a new one, if there are any."""
    to = new if intervals else ()
    if intervals != before:
        to = subscribers_of(context, visitor_id(*alias))
    for subscriber in to:
        links = AliasLinks(*alias, intervals, context.version)
        context.outbox.alias(*subscriber).alias_links.append(links)


def _contribution(context: BatchContext, name: str, company: str, facts: Facts) -> Contribution:
    return Contribution(contributor_name(name, company), company, facts, context.version)


def _emit_to_device(context: BatchContext, name: str, states: tuple[WebAlias, WebAlias], shares: Shares) -> None:
    """Contribute a session's events that lead to nobody to the visitor of its device; withdraw them from another one."""
    old, new = (state.device[1] if state.device is not None else None for state in states)
    if old is not None and old != new:
        to = context.outbox.alias("anonymous_id", old).contributions
        for company in shares.companies_of_visitor():
            if shares.before((VISITOR, company)) != NOTHING:
                to.append(_contribution(context, name, company, NOTHING))
    if new is not None:
        companies = {company for user, company in shares.changed() if user == VISITOR}
        if old != new:
            companies = {one for one in shares.companies_of_visitor() if shares.after((VISITOR, one)) != NOTHING}
        to = context.outbox.alias("anonymous_id", new).contributions if companies else []
        to.extend(_contribution(context, name, one, shares.after((VISITOR, one))) for one in companies)


def _visitor(context: BatchContext, alias: Alias, state: WebAlias) -> Subject | None:
    """The alias as a subject of its own; None if it has a link, or is a session of a known device."""
    if state.links or state.device is not None:
        return None
    facts = NOTHING if state.automated else join(state.visitor, state.lone, context.compiled.cuts)
    return Subject("developer", visitor_id(*alias), "visitor", facts, "", facts.internal, state.automated)


def _is_open(visitor: Subject | None, state: WebAlias) -> bool:
    """Whether the visitor contributes to the companies named on its events."""
    return visitor is not None and not (state.visitor.internal or state.lone.internal)


def _emit_to_companies(
    context: BatchContext, name: str, is_open: tuple[bool, bool], shares: Shares, lone: FactsByCompany
) -> None:
    """Emit what changed of a visitor's contribution to the companies named on its events."""
    if is_open == (False, False):
        return
    companies = {company for user, company in shares.changed() if user == VISITOR} | lone.changed()
    if is_open[0] != is_open[1]:
        companies = shares.companies_of_visitor() | lone.companies()
    companies.discard("")
    cuts = context.compiled.cuts
    was = {one: join(shares.before((VISITOR, one)), lone.before(one), cuts) for one in companies if is_open[0]}
    now = {one: join(shares.after((VISITOR, one)), lone.after(one), cuts) for one in companies if is_open[1]}
    emit_to_companies(context, name, was, now)
