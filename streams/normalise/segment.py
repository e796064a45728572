"""Segment's calls: `track`, `page`, `screen`, `identify`, `group`, `alias`.

Source: https://segment.com/docs/connections/spec/ (common fields and the six calls). `integrations`, `channel`, `version` and
other instructions for routers are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from schemas.config.definitions import NamedProperties
from schemas.event import EventType, Rejected
from streams.normalise.clock import Times, shown
from streams.normalise.raw_event import Raw, is_empty, raw_event

_TYPES: Final[dict[Any, tuple[EventType, str]]] = {
    "track": ("event", ""),
    "page": ("event", "Page Viewed"),
    "screen": ("event", "Screen Viewed"),
    "identify": ("identify", "Identify"),
    "group": ("group", "Group"),
    "alias": ("merge", "Alias"),
}
_OWN_TYPES: Final = frozenset(["track", "page", "screen", "alias"])
_OWN_FIELDS: Final = frozenset(
    [
        *("messageId", "anonymousId", "userId", "groupId", "previousId"),
        *("sentAt", "originalTimestamp", "receivedAt", "timestamp", "event"),
    ]
)
#: What Segment has no field for, in the context.
_BESIDE: Final = frozenset(["sessionToken", "session_token", "apiKey", "api_key", "environment", "groupId", "group_id"])
#: Where older SDKs put an identifier, in the traits of the context.
SPARE_TRAITS: Final = {
    "anonymous_id": ("anonymousId", "anonymous_id"),
    "user_id": ("userId", "user_id", "id"),
    "company_id": ("groupId", "group_id"),
}
_TIME_NAMES: Final = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
_PAGE_FIELDS: Final = ("path", "url", "referrer", "title")


def speaks_segment(body: dict[str, Any]) -> bool:
    """Whether the object is one of Segment's calls: by its type, else by field names that only Segment has."""
    kind = body.get("type")
    return (type(kind) is str and kind in _OWN_TYPES) or not _OWN_FIELDS.isdisjoint(body)


def read_segment(body: dict[str, Any], named: NamedProperties) -> Raw | Rejected:
    """One of Segment's calls. What Segment has no field for is looked up in `context`, then in the `named` properties."""
    get = body.get
    kind = get("type")
    if kind is None and "event" in body:
        # Segment's HTTP API has an address for each call, so a body sent to it need not name its type.
        kind = "track"
    known = _TYPES.get(kind) if type(kind) is str else None
    if known is None:
        return Rejected("unknown_type", "type", f"{shown(kind)} is not one of {', '.join(_TYPES)}")
    event_type, name = known
    context = get("context")
    properties = get("properties")
    traits = get("traits")
    in_context = context if type(context) is dict else {}
    in_properties = properties if type(properties) is dict else {}

    if "request_ip" in body and "ip" not in in_context and (type(context) is dict or is_empty(context)):
        # RudderStack's server adds it.
        context = in_context = in_context | {"ip": body["request_ip"]}
    in_traits = in_context.get("traits")
    if is_empty(traits) and type(in_traits) is dict:
        traits = in_traits
    anonymous, user, group = get("anonymousId", ""), get("userId", ""), get("groupId", "")
    session = key = environment = ""
    if not _BESIDE.isdisjoint(in_context):
        session = _first(in_context, ("sessionToken", "session_token"))
        key = _first(in_context, ("apiKey", "api_key"))
        environment = _first(in_context, ("environment",))
        group = group or _first(in_context, ("groupId", "group_id"))
    if not named.all.isdisjoint(in_properties):
        session = session or _first(in_properties, named.session_token)
        key = key or _first(in_properties, named.api_key)
        environment = environment or _first(in_properties, named.environment)
        anonymous = anonymous or _first(in_properties, named.anonymous_id)
        user = user or _first(in_properties, named.user_id)
        group = group or _first(in_properties, named.company_id)
    if type(in_traits) is dict and in_traits:
        anonymous = anonymous or _first(in_traits, SPARE_TRAITS["anonymous_id"])
        user = user or _first(in_traits, SPARE_TRAITS["user_id"])
        group = group or _first(in_traits, SPARE_TRAITS["company_id"])
    raw = raw_event(
        event_type,
        name or get("event"),
        Times(get("timestamp"), get("originalTimestamp"), get("sentAt"), get("receivedAt"), _TIME_NAMES),
        get("source"),
        [
            get("messageId", ""),
            anonymous,
            session,
            key,
            user,
            group,
            get("previousId", ""),
            environment,
        ],
        properties,
        context,
        traits,
    )
    if type(raw) is Raw and (kind == "page" or kind == "screen"):  # noqa: PLR1714 - compared, not hashed
        raw.properties = _with_page(body, raw.properties, in_context.get("page"))
    return raw


def _first(holder: dict[str, Any], names: Sequence[str]) -> Any:
    for field in names:
        value = holder.get(field)
        if value is not None and value != "":
            return value
    return ""


def _with_page(body: dict[str, Any], properties: dict[str, Any], page: Any) -> dict[str, Any]:
    """The properties of a page or screen call, completed with its name and category, which stand beside them, and from
    `context.page`, where Segment's libraries repeat the address.
    """
    missing = {k: body[k] for k in ("name", "category") if k not in properties and type(body.get(k)) is str}
    if type(page) is dict:
        missing |= {k: page[k] for k in _PAGE_FIELDS if k in page and k not in properties}
    return properties | missing if missing else properties
