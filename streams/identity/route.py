"""From events to updates: which owner receives what.

The facts of an event go to exactly one owner: its API key if it has one (the event's company is its key's, even if it
names a user), else its user, else its session token, else its anonymous id. Evidence of a link goes to the alias.
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.event import AliasKind, Event
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.messages.outbox import Outbox
from streams.messages.updates import Pointer


def route(compiled: CompiledDefinitions, events: Iterable[Event], outbox: Outbox) -> None:
    """Collect the updates of a batch of events, one per owner however many events there are."""
    for event in events:
        _links(event, outbox)
        seen = compiled.observe(event)
        if seen is None:
            continue
        if event.api_key:
            buckets = outbox.alias("api_key", event.api_key).buckets
            outbox.join_bucket(buckets, (event.user_id, event.company_id), compiled.facts(seen))
        elif event.user_id:
            outbox.join_bucket(outbox.developer(event.user_id).own, event.company_id, compiled.facts(seen))
        else:
            kind: AliasKind = "session_token" if event.session_token else "anonymous_id"
            outbox.alias(kind, event.alias).events.append((event.company_id, seen))


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
    if company and event.api_key:
        outbox.alias("api_key", event.api_key).companies.add((time, company))
