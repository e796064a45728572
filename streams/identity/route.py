"""From events to updates: which owner receives what.

An event that names a user goes to the user, or to its API key, which contributes to the user: an event's company is its
key's. Any other goes to its API key and to the web alias that holds it (its anonymous id, else its session token); which of
the two counts it depends on whether the key has an owner. Evidence of a link goes to the alias.
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.event import Event
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.messages.outbox import Outbox
from streams.messages.updates import HeldEvent, Pointer


def route(compiled: CompiledDefinitions, events: Iterable[Event], outbox: Outbox) -> None:
    """Collect the updates of a batch of events, one per owner however many events there are."""
    for event in events:
        _links(event, outbox)
        seen = compiled.observe(event)
        if seen is None:
            continue
        user, key, company = event.user_id, event.api_key, event.company_id
        holder = None if user else event.holder
        if key:
            of_key = outbox.alias("api_key", key)
            outbox.join_bucket(of_key.buckets, (user, company, holder is not None), compiled.facts(seen))
            if holder is not None:
                of_key.subscribers.add(holder)
        elif user:
            outbox.join_bucket(outbox.developer(user).own, company, compiled.facts(seen))
        if holder is not None:
            session = event.session_token if event.anonymous_id else ""
            outbox.alias(*holder).events.append(HeldEvent(company, session, key, seen))


def _links(event: Event, outbox: Outbox) -> None:
    """Collect the evidence of links in one event: any two identifiers that it carries."""
    time, user, company = event.time, event.user_id, event.company_id
    if user:
        if event.anonymous_id:
            outbox.alias("anonymous_id", event.anonymous_id).users.add((time, user))
        if event.session_token:
            outbox.alias("session_token", event.session_token).users.add((time, user))
        if event.api_key:
            outbox.alias("api_key", event.api_key).users.add((time, user))
        if company:
            outbox.developer(user).companies.add((time, company))
        if event.merged_id:
            outbox.pointer(Pointer(event.merged_id, time, user))
        if event.type == "merge":
            # Segment's `previousId` may be an anonymous id as well as a user id.
            outbox.alias("anonymous_id", event.previous_id).users.add((time, user))
    if event.session_token:
        session = outbox.alias("session_token", event.session_token)
        if event.anonymous_id:
            session.devices[event.anonymous_id] = min(time, session.devices.get(event.anonymous_id, time))
        elif not user:
            session.is_lone = True
    if company and event.api_key:
        outbox.alias("api_key", event.api_key).companies.add((time, company))
