"""Moesif's API calls, actions and users in the field names of the native format."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.reference.calls import status_number
from tests.support.reference.fields import Message, RefusedError, first, mapping
from tests.support.reference.moments import milliseconds_of
from tests.support.reference.secrets import SECRET_PARAMETERS, is_secret_field

KEY_HEADERS = [
    "x-api-key",
    "api-key",
    "apikey",
    "x-apikey",
    "x-auth-token",
    "x-access-token",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
    "x-functions-key",
]
KEPT_HEADERS = ("content-type", "accept-language", "origin")
CAMPAIGN = {"name": "utm_campaign", "source": "utm_source", "medium": "utm_medium"} | {
    "term": "utm_term",
    "content": "utm_content",
}
OF_A_PERSON = {"modified_time", "user_agent_string", "company_domain", "metadata"}


def speaks_moesif(message: Message) -> bool:
    """Whether the message is in Moesif's format, which has neither type nor name."""
    fields = set(message)
    return fields.isdisjoint({"type", "name"}) and not fields.isdisjoint({"request", "action_name"} | OF_A_PERSON)


def from_moesif(message: Message) -> Message:
    """The same in the native format. Raises RefusedError."""
    if "request" in message or "action_name" in message:
        return _from_request(message)
    named = first(message.get("user_id")) is not None
    campaign = message.get("campaign")
    context = _context(message, message.get("user_agent_string"))
    if isinstance(campaign, dict):
        context["campaign"] = {ours: campaign[theirs] for ours, theirs in CAMPAIGN.items() if campaign.get(theirs)}
    domain = {"domain": message["company_domain"]} if message.get("company_domain") else {}
    return {
        "type": "identify" if named else "group",
        "time": message.get("modified_time"),
        "session_token": message.get("session_token"),
        "user_id": message.get("user_id"),
        "company_id": message.get("company_id"),
        "context": context,
        "traits": mapping(message, "metadata") | domain,
    }


def _from_request(message: Message) -> Message:
    request = message.get("request")
    if not isinstance(request, dict):
        raise RefusedError("wrong_type", "request")
    uri = request.get("uri") or request.get("url") or ""
    if not isinstance(uri, str):
        raise RefusedError("wrong_type", "request.uri")
    if len(uri) > 4_000:
        raise RefusedError("too_long", "request.uri")
    metadata = mapping(message, "metadata")
    shared = {
        "message_id": message.get("transaction_id"),
        "time": request.get("time"),
        "user_id": message.get("user_id"),
        "company_id": message.get("company_id"),
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
    key = _key(headers) or next(
        (value for name, value in parse_qsl(query) if is_secret_field(name) or _plain(name) in SECRET_PARAMETERS), ""
    )
    session = message.get("session_token")
    outgoing = str(message.get("direction")).lower() == "outgoing"
    return {
        "name": "Outgoing API Call" if outgoing else "API Call",
        "source": "api",
        "api_key": key,
        "session_token": None if key and session == key else session,
        "properties": metadata | {"path": path, "status": status} | given,
        "context": _context(request, headers.get("user-agent")) | ({"headers": kept} if kept else {}),
    }


def _key(headers: dict[str, Any]) -> str:
    texts = {name: value for name, value in headers.items() if isinstance(value, str) and value}
    alone = [texts[name] for name in KEY_HEADERS if name in texts and not _is_web_token(texts[name])]
    if alone:
        return alone[0]
    words = texts.get("authorization", "").split(None, 1)
    if not words:
        return ""
    key = words[-1].strip()
    if len(words) == 2 and words[0].lower() == "basic":
        user, _, password = _decoded(key).partition(":")
        key = user or password
    return "" if _is_web_token(key) else key


def _decoded(credentials: str) -> str:
    try:
        text = base64.b64decode(credentials + "=" * (-len(credentials) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text if ":" in text else ""


def _is_web_token(text: str) -> bool:
    return re.match(r"eyJ[^.]*\.[^.]*\.[^.]*\Z", text) is not None


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


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
