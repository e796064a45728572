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

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from schemas.event import visitor_id
from streams.facts.facts import NOTHING, Facts, join, join_all
from streams.identity import contributions, held_events
from streams.identity.contributions import apply_contributions, contributions_of
from streams.identity.facts_by_company import emit_to_companies
from streams.identity.held_events import DayCounts, Received
from streams.identity.ownership import VISITOR, Links, is_crowded, join_links, owner_at, ownership_intervals
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

#: Facts by user (or VISITOR) and company.
Shares = dict[str, dict[str, Facts]]


class WebAlias(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """State of one web alias; its events, subscribers, received values and contributions have rows of their own.

    `links`: evidence. `days`: how many events each UTC day holds. `shares`: the facts of the events by owner, derived and kept
    so that one more event costs one join. `automated`, `automated_keyed`: too many events without, with an API key. `crowded`:
    too many links. `device`: of a session, the earliest it was seen with; `is_lone`: some of its events carry no device.
    `lone`: of a device, what its sessions contribute to its visitor, by company.
    """

    links: Links = {}
    days: dict[int, DayCounts] = {}
    shares: Shares = {}
    automated: bool = False
    automated_keyed: bool = False
    crowded: bool = False
    device: Link | None = None
    is_lone: bool = False
    lone: dict[str, Facts] = {}

    @property
    def intervals(self) -> list[Link]:
        """Whose the alias is by its own links."""
        return ownership_intervals(self.links)


UNKNOWN = WebAlias()


def fold(context: BatchContext, kind: WebKind, alias: str, updates: list[AliasUpdate]) -> None:
    """Join updates into the alias; emit what changed to its developers and companies; publish changed rows."""
    name, key = visitor_id(kind, alias), row_key(b"w", kind, alias)
    before = context.rows.get(key, WebAlias) or UNKNOWN
    links = _joined_links(context, before, updates)
    moved = _receive_values(context, name, updates) or links.links != before.links or links.device != before.device
    state = msgspec.structs.replace(links, lone=_joined_lone(context, name, before.lone, updates))
    received = held_events.receive(
        context, name, (event for update in updates for event in update.events if _is_held(state, event))
    )
    state = _counted(context, state, received)
    kept = [event for event in received.events if _is_held(state, event)]
    owners = _Owners(context, name, state)
    if (
        moved
        or received.moved
        or (state.automated, state.automated_keyed) != (before.automated, before.automated_keyed)
    ):
        shares = owners.shares({}, (e for e in held_events.all_events(context, name, received) if _is_held(state, e)))
    else:
        shares = owners.shares(state.shares, kept)
    after = msgspec.structs.replace(state, shares=shares)
    # Before the days: what follows from a day is derived again until the day is written.
    if after != before:
        context.rows.put(key, after)
    held_events.write(context, name, received)
    for flag, keyed in ((after.automated, False), (after.automated_keyed, True)):
        if flag:
            held_events.delete(context, name, keyed=keyed)
    new = new_subscribers(context, name, _subscribers(updates))
    _emit(context, (kind, alias), before, after, new)


def drop(context: BatchContext, kind: WebKind, alias: str) -> None:
    """Delete the alias's state and withdraw all that was emitted from it. What others sent stays: they send changes only."""
    name, key = visitor_id(kind, alias), row_key(b"w", kind, alias)
    before = context.rows.get(key, WebAlias)
    if before is None:
        return
    after = WebAlias(lone=before.lone)
    _emit(context, (kind, alias), before, after, [])
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
    """Who is to receive the alias's links: of a session its devices, of a device its lone sessions."""
    found: dict[Alias, None] = {}
    for update in updates:
        found.update(dict.fromkeys(update.subscribers))
        found.update({("anonymous_id", device): None for _, device in update.devices})
    return list(found)


def _joined_links(context: BatchContext, state: WebAlias, updates: Sequence[AliasUpdate]) -> WebAlias:
    device = min(
        [link for update in updates for link in update.devices] + ([state.device] if state.device else []), default=None
    )
    is_lone = state.is_lone or any(update.is_lone for update in updates)
    links = {} if state.crowded else join_links(state.links, (link for update in updates for link in update.users))
    crowded = state.crowded or is_crowded(context.compiled.definitions.limits, links)
    if crowded:
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
    context: BatchContext, name: str, lone: dict[str, Facts], updates: Sequence[AliasUpdate]
) -> dict[str, Facts]:
    """What sessions contribute to the visitor, by company."""
    contributed = [contribution for update in updates for contribution in update.contributions]
    if not contributed:
        return lone
    new, shrunk = apply_contributions(context, name, contributed)
    found = {} if shrunk else dict(lone)
    for one in contributions_of(context, name) if shrunk else new:
        facts = join(found.get(one.company, NOTHING), one.facts, context.compiled.cuts)
        if facts != NOTHING:
            found[one.company] = facts
    return found


def _is_held(state: WebAlias, event: HeldEvent) -> bool:
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


class _Owners:
    """Whose each event of a web alias is, by its own links and what others sent."""

    def __init__(self, context: BatchContext, name: str, state: WebAlias) -> None:
        self._context, self._name = context, name
        self._intervals = state.intervals
        if not self._intervals and state.device is not None:
            self._intervals = self._received(visitor_id("anonymous_id", state.device[1]))
        self._of_session: dict[str, list[Link]] = {}

    def shares(self, known: Shares, events: Iterable[HeldEvent]) -> Shares:
        """The known shares with the facts of the events joined in."""
        compiled = self._context.compiled
        shares = {user: dict(companies) for user, companies in known.items()}
        for event in events:
            owner = self._owner(event)
            if owner is not None:
                user, company = owner
                companies = shares.setdefault(user, {})
                companies[company] = join(companies.get(company, NOTHING), compiled.facts(event.seen), compiled.cuts)
        return shares

    def _owner(self, event: HeldEvent) -> tuple[str, str] | None:
        """(user or VISITOR, stamped company); None if the event's API key counts it."""
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
                of_session = self._of_session[event.session] = self._received(
                    visitor_id("session_token", event.session)
                )
            intervals = of_session or intervals
        return owner_at(intervals, event.seen.time), company

    def _received(self, sender: str) -> list[Link]:
        found = self._context.rows.get(row_key(b"l", self._name, sender), AliasLinks)
        return found.intervals if found is not None else []


def _emit(
    context: BatchContext, alias: Alias, before: WebAlias, after: WebAlias, new_subscribers: Iterable[Alias]
) -> None:
    """Emit what changed of the alias to developers, companies, subscribers and its device; publish changed rows."""
    kind, identifier = alias
    name = visitor_id(kind, identifier)
    owned, owners = before.intervals, after.intervals
    if _identity(owned, before) != _identity(owners, after):
        context.outbox.publish(
            identity_row(
                kind,
                identifier,
                owners,
                None,
                context.version,
                device=after.device if after.is_lone else None,
                is_bot=after.automated,
                is_bot_with_key=after.automated_keyed,
            )
        )
    # Without links a new subscriber has nothing to receive.
    to = subscribers_of(context, name) if owners != owned else new_subscribers if owners else ()
    _emit_links(context, alias, owners, to)
    if after.is_lone and after.device is not None and (not before.is_lone or before.device != after.device):
        context.outbox.alias("anonymous_id", after.device[1]).subscribers.add(alias)
    for user in before.shares.keys() | after.shares.keys():
        if user != VISITOR:
            for one in _contributions(context, name, before.shares.get(user, {}), after.shares.get(user, {})):
                context.outbox.developer(user).contributions.append(one)
    _emit_to_device(context, name, before, after)
    was, now = _visitor(context, alias, before), _visitor(context, alias, after)
    publish_change(context, was, now)
    emit_to_companies(context, name, _company_shares(context, was, before), _company_shares(context, now, after))


def _identity(intervals: list[Link], state: WebAlias) -> tuple[object, ...]:
    return intervals, state.automated, state.automated_keyed, state.device if state.is_lone else None


def _emit_links(context: BatchContext, alias: Alias, intervals: list[Link], to: Iterable[Alias]) -> None:
    for subscriber in to:
        links = AliasLinks(*alias, intervals, context.version)
        context.outbox.alias(*subscriber).alias_links.append(links)


def _contributions(
    context: BatchContext, name: str, before: dict[str, Facts], after: dict[str, Facts]
) -> list[Contribution]:
    return [
        Contribution(contributor_name(name, company), company, after.get(company, NOTHING), context.version)
        for company in before.keys() | after.keys()
        if before.get(company, NOTHING) != after.get(company, NOTHING)
    ]


def _emit_to_device(context: BatchContext, name: str, before: WebAlias, after: WebAlias) -> None:
    """Contribute a session's events that lead to nobody to the visitor of its device; withdraw them from another one."""
    old, new = (state.device[1] if state.device is not None else None for state in (before, after))
    was, now = before.shares.get(VISITOR, {}), after.shares.get(VISITOR, {})
    if old is not None and old != new:
        context.outbox.alias("anonymous_id", old).contributions.extend(_contributions(context, name, was, {}))
    if new is not None:
        changed = _contributions(context, name, was if old == new else {}, now)
        context.outbox.alias("anonymous_id", new).contributions.extend(changed)


def _visitor(context: BatchContext, alias: Alias, state: WebAlias) -> Subject | None:
    """The alias as a subject of its own; None if it has a link, or is a session of a known device."""
    if state.links or state.device is not None:
        return None
    facts = NOTHING if state.automated else _visitor_facts(context, state)
    return Subject("developer", visitor_id(*alias), "visitor", facts, "", facts.internal, state.automated)


def _visitor_facts(context: BatchContext, state: WebAlias) -> Facts:
    return join_all([*state.shares.get(VISITOR, {}).values(), *state.lone.values()], context.compiled.cuts)


def _company_shares(context: BatchContext, visitor: Subject | None, state: WebAlias) -> dict[str, Facts]:
    """What a visitor contributes to the companies named on its events."""
    if visitor is None or _visitor_facts(context, state).internal:
        return {}
    own = state.shares.get(VISITOR, {})
    return {
        company: join(own.get(company, NOTHING), state.lone.get(company, NOTHING), context.compiled.cuts)
        for company in own.keys() | state.lone.keys()
        if company
    }
