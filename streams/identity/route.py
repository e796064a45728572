"""From events to updates: which owner learns what of a batch of events.

Every event's facts go to exactly one owner: that of its API key if it has one (an event's company is its key's, even
if it names a user), else of its user, else of its session token, else of its anonymous id. Links go to the owner of
the alias they are about.
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.event import AliasKind, Event
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.messages.outbox import Outbox
from streams.messages.updates import Pointer


def route(compiled: CompiledDefinitions, events: Iterable[Event], outbox: Outbox) -> None:
    """Collect what the events of a batch say, one update per owner however many events there are."""
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
    """The evidence in one event: whatever two identifiers it carries."""
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
