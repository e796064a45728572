"""Moesif's API calls, actions and users in the field names of the native format."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tests.support.reference.calls import status_number
from tests.support.reference.credentials import CONSTANT_USERS, of_address, of_headers, of_session
from tests.support.reference.fields import Message, RefusedError, first, mapping
from tests.support.reference.moments import milliseconds_of

KEPT_HEADERS = ("content-type", "accept-language", "origin")
CAMPAIGN = {"name": "utm_campaign", "source": "utm_source", "medium": "utm_medium"} | {
    "term": "utm_term",
    "content": "utm_content",
    "referrer": "referrer",
    "referring_domain": "referring_domain",
    "gclid": "gclid",
}
OF_A_PERSON = {"modified_time", "user_agent_string", "company_domain", "metadata"}
ABOUT_A_PERSON = OF_A_PERSON | {
    "user_id",
    "anonymous_id",
    "company_id",
    "session_token",
    "campaign",
    "created",
    "ip_address",
    "subscription_id",
    "transaction_id",
}


def speaks_moesif(message: Message) -> bool:
    """Whether the message is in Moesif's format, which has neither type nor name."""
    fields = set(message)
    if not fields.isdisjoint({"type", "name"}):
        return False
    return not fields.isdisjoint({"request", "action_name"} | OF_A_PERSON) or (
        fields != set() and fields <= ABOUT_A_PERSON
    )


def from_moesif(message: Message) -> Message:
    """The same in the native format. Raises RefusedError."""
    if "request" in message or "action_name" in message:
        return _from_request(message)
    user, visitor, company = (first(message.get(field)) for field in ("user_id", "anonymous_id", "company_id"))
    is_identify = user is not None or (visitor is not None and company is None)
    campaign = message.get("campaign")
    context = _context(message, message.get("user_agent_string"))
    if isinstance(campaign, dict):
        context["campaign"] = {ours: campaign[theirs] for ours, theirs in CAMPAIGN.items() if campaign.get(theirs)}
    domain = {"domain": message["company_domain"]} if message.get("company_domain") else {}
    return {
        "type": "identify" if is_identify else "group",
        "time": message.get("modified_time"),
        "anonymous_id": message.get("anonymous_id"),
        "session_token": message.get("session_token"),
        "user_id": message.get("user_id"),
        "company_id": message.get("company_id"),
        "context": context,
        "traits": mapping(message, "metadata") | domain,
    }


def _from_request(message: Message) -> Message:
    request = message.get("request")
    if request is None and "action_name" in message:
        request = {}
    if not isinstance(request, dict):
        raise RefusedError("wrong_type", "request")
    uri = request.get("uri") or request.get("url") or ""
    if not isinstance(uri, str):
        raise RefusedError("wrong_type", "request.uri")
    if len(uri) > 4_000:
        raise RefusedError("too_long", "request.uri")
    metadata = mapping(message, "metadata")
    shared: Message = {
        "message_id": message.get("transaction_id"),
        "time": request.get("time"),
        "user_id": message.get("user_id"),
        "company_id": message.get("company_id"),
        "anonymous_id": message.get("anonymous_id"),
        "(secrets)": [],
    }
    if "action_name" in message:
        where = {"url": uri, "path": _address(uri)[1]} if uri else {}
        return shared | {
            "name": message["action_name"],
            "source": "web",
            "session_token": message.get("session_token"),
            "properties": metadata | where,
            "context": _context(request, request.get("user_agent_string")),
        }
    return shared | _call(message, request, uri, metadata)


def _call(message: Message, request: Message, uri: str, metadata: Message) -> Message:
    try:
        headers = {name.lower(): value for name, value in mapping(request, "headers").items()}
    except RefusedError:
        raise RefusedError("wrong_type", "request.headers") from None
    response = mapping(message, "response")
    # A call that was not answered is a failure, as a gateway reports it.
    status = 504 if response.get("status") is None else status_number(response["status"])
    if not isinstance(status, int) or isinstance(status, bool):
        raise RefusedError("wrong_type", "response.status")
    host, path, query = _address(uri)
    beside = {
        "host": host,
        "method": request.get("verb"),
        "api_version": request.get("api_version"),
        "latency_ms": _between(request.get("time"), response.get("time")),
        "tags": message.get("tags"),
        "weight": message.get("weight"),
        "blocked_by": message.get("blocked_by"),
    }
    given = {name: value for name, value in beside.items() if value is not None and value != ""}
    kept = {name: headers[name] for name in headers if name in KEPT_HEADERS and isinstance(headers[name], str)}
    found = of_headers(headers)
    if not found.key:
        found = of_address(query)
    session = message.get("session_token")
    if isinstance(session, str) and session:
        found, session = of_session(session, found, headers, bool(message.get("anonymous_id")))
    outgoing = str(message.get("direction")).lower() == "outgoing"
    is_nobody = bool(found.user) and message.get("user_id") == found.user and found.user in CONSTANT_USERS
    return ({"user_id": ""} if is_nobody else {}) | {
        "name": "Outgoing API Call" if outgoing else "API Call",
        "source": "api",
        "api_key": found.key,
        "(secrets)": list(found.secrets),
        "session_token": session,
        "properties": metadata | {"path": path, "status": status} | given,
        "context": _context(request, headers.get("user-agent")) | ({"headers": kept} if kept else {}),
    }


def _context(holder: Message, agent: Any) -> Message:
    given = {"userAgent": agent, "ip": holder.get("ip_address")}
    return {name: value for name, value in given.items() if isinstance(value, str) and value}


def _between(began: Any, ended: Any) -> int | None:
    moments = [milliseconds_of(time) for time in (began, ended)]
    if None in moments:
        return None
    first_ms, last_ms = moments
    assert first_ms is not None
    assert last_ms is not None
    return last_ms - first_ms if last_ms >= first_ms else None


def _address(uri: str) -> tuple[str, str, str]:
    try:
        parts = urlsplit(uri)
        return parts.hostname or "", parts.path, parts.query
    except ValueError:
        return "", uri.split("?", maxsplit=1)[0], ""
