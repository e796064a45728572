"""The state of a session token or an anonymous id. Several people may share it, so its events are kept one by one.

An event belongs to the user of the latest link at or before it, or of the earliest link if all are later. So a late link
moves past events to their owner. The row is bounded by limits. With more events that matter, the alias is automated
traffic and its events count for nothing. With more users, or more (user, UTC day) of links, it leads to no one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from schemas.config.definitions import Limits
from schemas.event import visitor_id
from streams.facts.compiled_definitions import CompiledDefinitions, Observation
from streams.facts.facts import NOTHING, Facts, join, join_all
from streams.facts.hours import day_of
from streams.identity.facts_by_company import emit_to_companies
from streams.identity.subjects import publish_change
from streams.messages.published_rows import Subject, identity_row
from streams.messages.updates import AliasUpdate, Contribution, Link, contributor_name
from streams.state.batch_context import BatchContext
from streams.state.rows import row_key

#: So many copies with different contents an event may have on average before they count as automated traffic too.
COPIES_LIMIT = 10

#: Stands for the visitor among the users of `shares`: no user id is empty.
VISITOR = ""


class WebAlias(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """State of one web alias.

    `links`: earliest time per user and day. `events`: (explicit company, observation). `shares`: the events' facts by user and
    company, derived from the two and kept so that one more event costs one join. `crowded`: there were too many links.
    """

    links: dict[str, dict[int, int]] = {}
    events: list[tuple[str, Observation]] = []
    automated: bool = False
    shares: dict[str, dict[str, Facts]] = {}
    crowded: bool = False


UNKNOWN = WebAlias()
CROWDED = WebAlias(automated=True, crowded=True)


def fold(
    context: BatchContext, kind: Literal["session_token", "anonymous_id"], alias: str, updates: list[AliasUpdate]
) -> None:
    """Join updates into the alias; emit what changed to its developers and companies; publish changed rows."""
    key = row_key(b"w", kind, alias)
    before = context.rows.get(key, WebAlias) or UNKNOWN
    after = _joined(context.compiled, before, updates)
    if after is not before:
        context.rows.put(key, after)
        _emit(context, kind, alias, before, after)


def drop(context: BatchContext, kind: Literal["session_token", "anonymous_id"], alias: str) -> None:
    """Delete the alias's state and withdraw all that was emitted from it."""
    key = row_key(b"w", kind, alias)
    before = context.rows.get(key, WebAlias)
    if before is not None:
        context.rows.delete(key)
        _emit(context, kind, alias, before, UNKNOWN)


def _emit(
    context: BatchContext, kind: Literal["session_token", "anonymous_id"], alias: str, before: WebAlias, after: WebAlias
) -> None:
    """Emit what changed of the alias to developers and companies; publish changed rows."""
    name = visitor_id(kind, alias)
    if after.links is not before.links or after.automated != before.automated:
        owners, owned = ownership_intervals(after.links), ownership_intervals(before.links)
        if owners != owned or (owners and after.automated != before.automated):
            context.outbox.publish(identity_row(kind, alias, owners, None, context.version, is_bot=after.automated))
    for user in before.shares.keys() | after.shares.keys():
        if user != VISITOR:
            old, new = before.shares.get(user, {}), after.shares.get(user, {})
            for company in old.keys() | new.keys():
                if old.get(company) != new.get(company):
                    contribution = Contribution(
                        contributor_name(name, company), company, new.get(company, NOTHING), context.version
                    )
                    context.outbox.developer(user).contributions.append(contribution)
    was, now = _visitor(context.compiled, name, before), _visitor(context.compiled, name, after)
    publish_change(context, was, now)
    emit_to_companies(context, name, _company_shares(was, before), _company_shares(now, after))


def _visitor(compiled: CompiledDefinitions, name: str, state: WebAlias) -> Subject | None:
    """The alias as a subject of its own; None once it has a link."""
    if state.links:
        return None
    facts = join_all(state.shares.get(VISITOR, {}).values(), compiled.cuts)
    return Subject("developer", name, "visitor", facts, "", facts.internal, state.automated)


def _company_shares(visitor: Subject | None, state: WebAlias) -> dict[str, Facts]:
    """What a visitor contributes to the companies named on its events."""
    if visitor is None or visitor.is_internal:
        return {}
    return {company: facts for company, facts in state.shares.get(VISITOR, {}).items() if company}


def _joined(compiled: CompiledDefinitions, state: WebAlias, updates: list[AliasUpdate]) -> WebAlias:
    if state.crowded:
        return state
    limits = compiled.definitions.limits
    links = join_links(state.links, (link for update in updates for link in update.users))
    if links is not state.links and is_crowded(limits, links):
        return CROWDED
    if state.automated:
        return state if links is state.links else WebAlias(links, [], True, {})
    events, new = _joined_events(state.events, updates)
    limit = limits.web_alias_events
    if len(events) > limit and (len({seen.event for _, seen in events}) > limit or len(events) > COPIES_LIMIT * limit):
        return WebAlias(links, [], True, {})
    if links is state.links and events is state.events:
        return state
    points = _points(links)
    if links is state.links and new is not None:
        shares = {user: dict(companies) for user, companies in state.shares.items()}
        for company, seen in new:
            _join_share(compiled, shares, _owner(points, seen.time), company, seen)
    else:
        shares = {}
        for company, seen in events:
            _join_share(compiled, shares, _owner(points, seen.time), company, seen)
    return WebAlias(links, events, False, shares)


def _join_share(
    compiled: CompiledDefinitions, shares: dict[str, dict[str, Facts]], user: str, company: str, seen: Observation
) -> None:
    companies = shares.setdefault(user, {})
    companies[company] = join(companies.get(company, NOTHING), compiled.facts(seen), compiled.cuts)


def join_links(links: dict[str, dict[int, int]], evidence: Iterable[Link]) -> dict[str, dict[int, int]]:
    """The earliest time per user and day; `links` itself if nothing is new."""
    joined = links
    for time, user in evidence:
        day = day_of(time)
        known = joined.get(user, {}).get(day)
        if known is None or time < known:
            if joined is links:
                joined = {user: dict(days) for user, days in links.items()}
            joined.setdefault(user, {})[day] = time
    return joined


def is_crowded(limits: Limits, links: dict[str, dict[int, int]]) -> bool:
    """Whether so many users share an alias, or on so many days, that it leads to no one."""
    return len(links) > limits.web_alias_users or sum(map(len, links.values())) > limits.web_alias_links


def _joined_events(
    events: list[tuple[str, Observation]], updates: list[AliasUpdate]
) -> tuple[list[tuple[str, Observation]], list[tuple[str, Observation]] | None]:
    """All events, copies of equal content once, and the added ones; None there: the times of some event changed.

    The list itself if nothing is new.
    """
    by_content: dict[Any, int] = {}
    joined = events
    added: list[tuple[str, Observation]] | None = []
    for update in updates:
        for company, seen in update.events:
            if not by_content:
                by_content = {content_of(c, s): i for i, (c, s) in enumerate(events)}
            content = content_of(company, seen)
            known = by_content.get(content)
            if known is None:
                if joined is events:
                    joined = list(events)
                by_content[content] = len(joined)
                joined.append((company, seen))
                if added is not None:
                    added.append((company, seen))
            else:
                copy = joined[known][1]
                time, latest = min(copy.time, seen.time), max(copy.latest, seen.latest)
                if (time, latest) != (copy.time, copy.latest):
                    if joined is events:
                        joined = list(events)
                    joined[known] = (company, msgspec.structs.replace(copy, time=time, latest=latest))
                    added = None
    return joined, added


def content_of(company: str, seen: Observation) -> tuple[Any, ...]:
    """All of an observation but its times; copies that agree in it are one event."""
    touch = None if seen.touch is None else tuple(sorted(seen.touch.items()))
    segments = None if seen.segments is None else tuple(sorted(seen.segments.items()))
    return (seen.event, company, seen.selectors, seen.environment, seen.uses, seen.internal, touch, segments)


def _points(links: dict[str, dict[int, int]]) -> list[Link]:
    """All links in the order of time."""
    return sorted((time, user) for user, days in links.items() for time in days.values())


def _owner(points: list[Link], time: int) -> str:
    """The user that an event at `time` belongs to: of the latest link at or before it, else the earliest, else the visitor."""
    if not points:
        return VISITOR
    at = bisect_right(points, time, key=lambda link: link[0])
    return points[at - 1 if at else 0][1]


def ownership_intervals(links: dict[str, dict[int, int]]) -> list[Link]:
    """(start, owner) of each interval, ascending. The first one also holds for all time before its start."""
    points = _points(links)
    last_of_instant = [p for i, p in enumerate(points) if i + 1 == len(points) or points[i + 1][0] > p[0]]
    found: list[Link] = []
    for i, (time, user) in enumerate(last_of_instant):
        if i == 0 and points[0][1] != user:
            found.append(points[0])
        if not found or found[-1][1] != user:
            found.append((time, user))
    return found
