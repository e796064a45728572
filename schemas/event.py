"""One normalised event, and the value that stands for refused input."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Source = Literal["web", "api"]
AliasKind = Literal["user_id", "api_key", "session_token", "anonymous_id"]
EventType = Literal["event", "identify", "group", "merge"]

#: From the strongest to the weakest: the first one that an event carries is its alias.
ALIAS_KINDS: tuple[AliasKind, ...] = ("user_id", "api_key", "session_token", "anonymous_id")

#: Aliases that several people may share over time; their events are kept one by one.
WEB_ALIAS_KINDS: tuple[AliasKind, ...] = ("session_token", "anonymous_id")


#: The topics that producers write to, without the prefix of a deployment.
TOPIC_BY_SOURCE: dict[Source, str] = {"web": "web-events", "api": "api-events"}
#: Where the marks of who was erased are kept, named in the same way: they hold for all streams that read those topics.
ERASURES_TOPIC = "erasures"


class Event(msgspec.Struct, frozen=True, gc=False):
    """A normalised event. Times are milliseconds since 1970 UTC; a missing identifier is the empty string.

    `api_key` is the keyed hash of the key, never the key. `is_use`: it carries a key and matches the `usage` selector.
    """

    message_id: str
    time: int
    received_at: int
    source: Source
    type: EventType
    name: str
    anonymous_id: str
    session_token: str
    api_key: str
    user_id: str
    company_id: str
    previous_id: str
    environment: str
    properties: dict[str, Any]
    context: dict[str, Any]
    traits: dict[str, Any]
    is_internal: bool
    is_bot: bool
    is_use: bool = False

    @property
    def alias_kind(self) -> AliasKind:
        """The kind of the strongest identifier that the event carries."""
        if self.user_id:
            return "user_id"
        if self.api_key:
            return "api_key"
        return "session_token" if self.session_token else "anonymous_id"

    @property
    def alias(self) -> str:
        """The strongest identifier that the event carries."""
        return self.user_id or self.api_key or self.session_token or self.anonymous_id

    @property
    def holder(self) -> tuple[AliasKind, str] | None:
        """The web alias that holds the event if no user is named: its anonymous id, else its session token."""
        if self.anonymous_id:
            return "anonymous_id", self.anonymous_id
        return ("session_token", self.session_token) if self.session_token else None

    @property
    def merged_id(self) -> str:
        """The user id that a merge leads elsewhere; '' if it is none of two users (a device names itself)."""
        if self.type != "merge" or not self.user_id or self.previous_id == self.anonymous_id:
            return ""
        return self.previous_id


class Rejected(msgspec.Struct, frozen=True):
    """Input that is no event: the reason (a fixed word), the field it lies in, and what is wrong, for a person.

    `call`: which call of a batch it is, from 0; -1: the message as a whole, or its only event.
    """

    reason: str
    field: str
    detail: str
    call: int = -1


def is_preflight(source: str, properties: dict[str, Any]) -> bool:
    """Whether an event is a preflight of a browser. It is no use of the API, and no selector matches it."""
    method = properties.get("method")
    return source == "api" and type(method) is str and len(method) == 7 and method.upper() == "OPTIONS"


def visitor_id(kind: AliasKind, alias: str) -> str:
    """The developer id of an alias that no one is known behind."""
    return f"{kind}:{alias}"
