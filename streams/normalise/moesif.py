"""What Moesif's SDKs send: API calls, actions of users on the web, and what is known of users.

Source: https://www.moesif.com/docs/api (collector API: events, actions, users, companies). Of headers only those named here
are kept, of bodies nothing: they hold whatever the API's users sent.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from schemas.event import Rejected
from streams.normalise.authorization import (
    CONSTANT_USERS,
    NO_CREDENTIAL,
    Credential,
    bare_token,
    credential_of_headers,
    credential_of_query,
    credential_of_token,
)
from streams.normalise.clock import Times, milliseconds
from streams.normalise.http_status import NO_RESPONSE, plain_status
from streams.normalise.raw_event import Raw, is_empty, kind_of, raw_event

MAX_URI_CHARACTERS: Final = 4_000

#: Request headers that are stored, in `context.headers`; the user agent is `context.userAgent`.
KEPT_HEADERS: Final = frozenset(["content-type", "accept-language", "origin"])

#: Fields of a user or company that neither of the other formats has.
_OWN_FIELDS: Final = frozenset(["modified_time", "user_agent_string", "company_domain", "metadata"])
#: An object of these alone is a user, a visitor or a company.
_PERSON_FIELDS: Final = _OWN_FIELDS | frozenset(
    [
        *("user_id", "anonymous_id", "company_id", "session_token", "campaign", "created", "ip_address"),
        *("subscription_id", "transaction_id"),
    ]
)
_CAMPAIGN: Final = {
    "utm_campaign": "name",
    "utm_source": "source",
    "utm_medium": "medium",
    "utm_term": "term",
    "utm_content": "content",
    "referrer": "referrer",
    "referring_domain": "referring_domain",
    "gclid": "gclid",
}


def speaks_moesif(body: dict[str, Any]) -> bool:
    """Whether the object is Moesif's: it has a `request` or an `action_name`, a field of a user or company that only
    Moesif has, or no fields but those; and neither a type nor a name.
    """
    if "type" in body or "name" in body:
        return False
    return (
        "request" in body
        or "action_name" in body
        or not _OWN_FIELDS.isdisjoint(body)
        or (bool(body) and body.keys() <= _PERSON_FIELDS)
    )


def read_moesif(body: dict[str, Any]) -> Raw | Rejected:
    """An API call (`API Call`; if it is outgoing, `Outgoing API Call`), an action of a user, or a user."""
    if "request" not in body and "action_name" not in body:
        return _user_or_company(body)
    request = body.get("request")
    if request is None and "action_name" in body:
        request = {}
    if type(request) is not dict:
        return Rejected("wrong_type", "request", f"an object is expected, not {kind_of(request)}")
    metadata = body.get("metadata")
    if not is_empty(metadata) and type(metadata) is not dict:
        return Rejected("wrong_type", "metadata", f"an object is expected, not {kind_of(metadata)}")
    uri = request.get("uri") or request.get("url") or ""
    if type(uri) is not str:
        return Rejected("wrong_type", "request.uri", f"a text is expected, not {kind_of(uri)}")
    if len(uri) > MAX_URI_CHARACTERS:
        detail = f"{len(uri)} characters; at most {MAX_URI_CHARACTERS} are accepted"
        return Rejected("too_long", "request.uri", detail)
    if "action_name" in body:
        return _action(body, request, uri, metadata or {})
    return _call(body, request, uri, metadata or {})


def _call(body: dict[str, Any], request: dict[str, Any], uri: str, metadata: dict[str, Any]) -> Raw | Rejected:
    headers = request.get("headers")
    if not is_empty(headers) and type(headers) is not dict:
        return Rejected("wrong_type", "request.headers", f"an object is expected, not {kind_of(headers)}")
    response = body.get("response")
    if not is_empty(response) and type(response) is not dict:
        return Rejected("wrong_type", "response", f"an object is expected, not {kind_of(response)}")
    status = plain_status((response or {}).get("status"))
    if status is None:
        status = NO_RESPONSE
    if type(status) is not int:
        return Rejected("wrong_type", "response.status", f"a number is expected, not {kind_of(status)}")
    host, path, query = _split(uri)
    properties = metadata | {"path": path, "status": status}
    began, ended = milliseconds(request.get("time")), milliseconds((response or {}).get("time"))
    given = {
        "host": host,
        "method": request.get("verb"),
        "api_version": request.get("api_version"),
        "latency_ms": ended - began if began is not None and ended is not None and ended >= began else None,
        "tags": body.get("tags"),
        "weight": body.get("weight"),
        "blocked_by": body.get("blocked_by"),
    }
    properties |= {field: value for field, value in given.items() if value is not None and value != ""}
    by_name = {name.lower(): value for name, value in (headers or {}).items()}
    context = _context(request, by_name.get("user-agent"))
    kept = {name: value for name, value in by_name.items() if name in KEPT_HEADERS and type(value) is str}
    if kept:
        context["headers"] = kept
    outgoing = body.get("direction")
    is_outgoing = type(outgoing) is str and outgoing.lower() == "outgoing"
    found = credential_of_headers(by_name)
    if not found.key:
        found = credential_of_query(query)
    session = body.get("session_token", "")
    if type(session) is str and session:
        found, session = _credential_or_session(session, found, body, by_name)
    name = "Outgoing API Call" if is_outgoing else "API Call"
    return _raw(body, name, "api", found, session, request, properties, context)


def _credential_or_session(
    session: str, found: Credential, body: dict[str, Any], headers: dict[str, Any]
) -> tuple[Credential, str]:
    """The credential of a call and its session, one of which Moesif's `session_token` is.

    Gateways write the caller's credential there. It is a session if a browser made the call, whose session stands in its
    cookie, or if the call names a visitor, as only the browser's library does.
    """
    token = bare_token(session)
    own = credential_of_token(session)
    if found.key:
        return found, "" if own.key == found.key or token in found.secrets else token
    cookie = headers.get("cookie")
    is_session = (
        not own.key
        or (" " in token and own.secrets == (token,))
        or bool(body.get("anonymous_id"))
        or (bool(cookie) and token in str(cookie))
    )
    return (NO_CREDENTIAL, token) if is_session else (own, "")


def _action(body: dict[str, Any], request: dict[str, Any], uri: str, metadata: dict[str, Any]) -> Raw | Rejected:
    properties = metadata | {"url": uri, "path": _split(uri)[1]} if uri else metadata
    context = _context(request, request.get("user_agent_string"))
    session = body.get("session_token", "")
    return _raw(body, body["action_name"], "web", NO_CREDENTIAL, session, request, properties, context)


def _user_or_company(body: dict[str, Any]) -> Raw | Rejected:
    """An `identify` if a user or only a visitor is named; else a `group`, of the session that is named."""
    given = [field for field in ("user_id", "anonymous_id", "company_id") if _is_given(body.get(field))]
    context = _context(body, body.get("user_agent_string"))
    campaign = body.get("campaign")
    if type(campaign) is dict:
        context["campaign"] = {ours: campaign[theirs] for theirs, ours in _CAMPAIGN.items() if campaign.get(theirs)}
    metadata = body.get("metadata")
    if not is_empty(metadata) and type(metadata) is not dict:
        return Rejected("wrong_type", "metadata", f"an object is expected, not {kind_of(metadata)}")
    traits = dict(metadata or {})
    if body.get("company_domain"):
        traits["domain"] = body["company_domain"]
    if given == ["company_id"] and not _is_given(body.get("session_token")):
        return Rejected(
            "no_identifier", "", "it names a company and nobody in it: add the user_id of one of its people"
        )
    is_group = not given or given[0] == "company_id" or given == ["anonymous_id", "company_id"]
    return raw_event(
        "group" if is_group else "identify",
        "Group" if is_group else "Identify",
        Times(body.get("modified_time"), names=("modified_time", "", "", "")),
        None,
        [
            "",
            body.get("anonymous_id", ""),
            body.get("session_token", ""),
            "",
            body.get("user_id", ""),
            body.get("company_id", ""),
            "",
            "",
        ],
        {},
        context,
        traits,
    )


def _is_given(value: Any) -> bool:
    return value is not None and value != ""


def _raw(
    body: dict[str, Any],
    name: Any,
    source: str,
    found: Credential,
    session: Any,
    request: dict[str, Any],
    properties: dict[str, Any],
    context: dict[str, Any],
) -> Raw | Rejected:
    raw = raw_event(
        "event",
        name,
        Times(request.get("time"), names=("request.time", "", "", "")),
        source,
        [
            body.get("transaction_id", ""),
            body.get("anonymous_id", ""),
            session,
            found.key,
            body.get("user_id", ""),
            body.get("company_id", ""),
            "",
            "",
        ],
        properties,
        context,
        {},
    )
    if type(raw) is Raw:
        if found.secrets != ((found.key,) if found.key else ()):
            raw.secrets = found.secrets
        if found.user and raw.user_id == found.user and found.user in CONSTANT_USERS:
            raw.user_id = ""
            raw.ignored.append(("user_id", "constant_user"))
    return raw


def _context(holder: dict[str, Any], agent: Any) -> dict[str, Any]:
    context: dict[str, Any] = {}
    if type(agent) is str and agent:
        context["userAgent"] = agent
    ip = holder.get("ip_address")
    if type(ip) is str and ip:
        context["ip"] = ip
    return context


def _split(uri: str) -> tuple[str, str, str]:
    try:
        parts = urlsplit(uri)
        return parts.hostname or "", parts.path, parts.query
    except ValueError:
        return "", uri.partition("?")[0], ""
