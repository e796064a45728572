"""The messages by which an erasure changes the streams' state, in the order in which they must be folded."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.event import Event
from streams.erasure.plan import Erasure
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.identity.route import route
from streams.messages.outbox import Message, Outbox
from streams.messages.updates import AliasUpdate, CompanyUpdate, DeveloperUpdate, Pointer, encode
from streams.topology import ALIAS_UPDATES, COMPANY_UPDATES, DEVELOPER_UPDATES, MERGES


def drop_orders(erasure: Erasure) -> list[Message]:
    """The orders to drop state; `refeed_messages` follow them."""
    orders = [
        Message(ALIAS_UPDATES, f"{kind}:{alias}".encode(), encode(AliasUpdate(kind, alias, order="drop")))
        for kind, alias in sorted(erasure.aliases)
    ]
    orders += [
        Message(DEVELOPER_UPDATES, user.encode(), encode(DeveloperUpdate(user, order="drop")))
        for user in sorted(erasure.users)
    ]
    return orders + [Message(MERGES, b"", encode(Pointer(user, 0, "", "drop"))) for user in sorted(erasure.users)]


def refeed_messages(compiled: CompiledDefinitions, events: Iterable[Event]) -> list[Message]:
    """The updates of the remaining events, as `normalise_events` makes them."""
    outbox = Outbox(compiled)
    route(compiled, events, outbox)
    return list(outbox.messages())


def prune_orders(erasure: Erasure) -> list[Message]:
    """The orders to prune, for when all that follows from the messages before is folded."""
    orders = [
        Message(ALIAS_UPDATES, f"{kind}:{alias}".encode(), encode(AliasUpdate(kind, alias, order="prune")))
        for kind, alias in sorted(erasure.aliases)
        if kind != "api_key"
    ]
    orders += [
        Message(DEVELOPER_UPDATES, user.encode(), encode(DeveloperUpdate(user, order="prune")))
        for user in sorted(erasure.others)
    ]
    return orders + [
        Message(COMPANY_UPDATES, company.encode(), encode(CompanyUpdate(company, order="prune")))
        for company in sorted(erasure.companies)
    ]
