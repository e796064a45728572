"""What one event is by itself: which selectors it matches, whether it is a touch, internal, or a bot's."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from schemas.config.definitions import Definitions, PropertyTest, Selector

#: How much of an address is looked at, and how much of each of its parts is kept.
MAX_ADDRESS_CHARACTERS = 4_000
MAX_BYTES = 200
BLANKS = " \t\r\n\v\f\xa0\u2007\u200b\u202f\u2060\u3000\ufeff"
CAMPAIGN_FIELDS = {"campaign": "name", "source": "source", "medium": "medium", "term": "term", "content": "content"}


def selectors_that_matter(definitions: Definitions) -> list[str]:
    """The selectors that a stage, an activation's condition or the definition of usage names."""
    stages = [stage.selector for stage in definitions.stages.values() if stage.selector]
    conditions = [
        condition.count or condition.distinct_days or ""
        for definition in definitions.activations.values()
        for condition in definition.all
    ]
    return list(dict.fromkeys([*stages, *conditions, definitions.usage]))


def matches(selector: Selector, source: str, name: str, environment: str, properties: dict[str, Any]) -> bool:
    """Whether every part of the selector holds. Nothing matches a browser's preflight."""
    if source == "api" and str(properties.get("method")).upper() == "OPTIONS":
        return False
    if selector.source is not None and source != selector.source:
        return False
    if selector.name and name not in selector.name:
        return False
    if selector.environment and environment not in selector.environment:
        return False
    return all(_passes(test, properties.get(field)) for field, test in selector.properties.items())


def _passes(test: PropertyTest, value: Any) -> bool:
    """Whether every operator holds. A null property is a missing one; a true or false is no number."""
    if value is None:
        others = test.model_dump(exclude={"exists", "or_missing"}, exclude_none=True)
        return test.or_missing or (test.exists is False and not others)
    if test.exists is False:
        return False
    if test.equals is not None:
        wanted = test.equals if isinstance(test.equals, list) else [test.equals]
        if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in wanted):
            return False
    if test.prefix is not None and not (isinstance(value, str) and value.startswith(test.prefix)):
        return False
    if test.lt is test.lte is test.gt is test.gte is None:
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return (
        (test.lt is None or value < test.lt)
        and (test.lte is None or value <= test.lte)
        and (test.gt is None or value > test.gt)
        and (test.gte is None or value >= test.gte)
    )


def touch_of(
    source: str, name: str, is_selected: bool, properties: dict[str, Any], context: dict[str, Any]
) -> dict[str, str] | None:
    """The touch that an event is, without its empty fields: a web event with a campaign or a referrer from elsewhere,
    or any event that the `touch` selector matches.

    Each field of the campaign is that of the context, else of the `utm_` properties, else of the page's address.
    """
    if source != "web" and not is_selected:
        return None
    page = context.get("page") if isinstance(context.get("page"), dict) else {}
    assert isinstance(page, dict)
    host, url_path, query = _url(_text(properties.get("url")) or _text(page.get("url")))
    beside = context.get("referrer")
    if isinstance(beside, dict):
        beside = beside.get("url")
    referrer = _text(properties.get("referrer")) or _text(page.get("referrer")) or _text(beside)
    referrer_host = _url(referrer)[0]
    given = context.get("campaign") if isinstance(context.get("campaign"), dict) else {}
    assert isinstance(given, dict)
    campaign = {
        field: _text(given.get(named))
        or _text(properties.get(f"utm_{field}"))
        or parse_qs(query).get(f"utm_{field}", [""])[0]
        for field, named in CAMPAIGN_FIELDS.items()
    }
    from_elsewhere = bool(referrer_host) and referrer_host != host
    if not (is_selected or any(campaign.values()) or from_elsewhere):
        return None
    touch = campaign | {
        "referrer": referrer_host if from_elsewhere else "",
        "path": _text(properties.get("path")) or _text(page.get("path")) or url_path,
        "name": name,
    }
    return {field: _first_bytes(value) for field, value in touch.items() if value}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _url(text: str) -> tuple[str, str, str]:
    """Host (lower case, without port and `www.`), path and query; empty where there is none."""
    try:
        parts = urlsplit(text[:MAX_ADDRESS_CHARACTERS])
        return (parts.hostname or "").removeprefix("www."), parts.path, parts.query
    except ValueError:
        return "", "", ""


def is_internal(
    definitions: Definitions,
    ids: dict[str, str],
    properties: dict[str, Any],
    context: dict[str, Any],
    traits: dict[str, Any],
) -> bool:
    """Whether the event shows one of the own organisation's traits."""
    internal = definitions.internal
    inner = context.get("traits")
    beside = inner if isinstance(inner, dict) else {}
    return (
        (ids["user_id"] in internal.user_ids)
        or (ids["company_id"] in internal.company_ids)
        or any(_is_own_email(internal.email_domains, data.get("email")) for data in (traits, properties, beside))
        or any(
            _is_own_address(tuple(internal.ip_networks), _address_in(data.get("ip"))) for data in (context, properties)
        )
    )


def _is_own_email(domains: list[str], email: Any) -> bool:
    if not isinstance(email, str) or "@" not in email:
        return False
    domain = re.split(r"[>\s\u200b\u2060\ufeff]", email.rpartition("@")[2].lower().strip())[0].rstrip(".")
    return any(domain == own.lower() or domain.endswith("." + own.lower()) for own in domains)


def _address_in(value: Any) -> str:
    """The address in what a proxy wrote: the first of several, without quotes, brackets, a port, a zone or a prefix length."""
    if isinstance(value, list):
        value = value[0] if value else ""
    first_one = re.split(r"[,;]", _text(value))[0]
    first_one = re.sub(r"^for=", "", first_one.strip(BLANKS), flags=re.IGNORECASE).strip(BLANKS + "\"'")
    found = re.match(r"/*(?:\[([^\]]*)\](?::\d*)?|(\d+\.\d+\.\d+\.\d+):\d*|([^%/]*)(?:[%/].*)?)\Z", first_one)
    if not found:
        return ""
    return re.split("[%/]", found[1] or found[2] or found[3] or "")[0]


@lru_cache(maxsize=100_000)
def _is_own_address(networks: tuple[str, ...], address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in ipaddress.ip_network(network) for network in networks)


def is_bot(definitions: Definitions, properties: dict[str, Any], context: dict[str, Any]) -> bool:
    """Whether a user agent of the event contains one of the configured patterns, in any case."""
    agents = [_text(data.get(field)).lower() for data in (context, properties) for field in ("userAgent", "user_agent")]
    return any(pattern.lower() in agent for pattern in definitions.bots.user_agents for agent in agents if agent)


def _first_bytes(text: str) -> str:
    """The longest beginning of whole characters that is not over the limit."""
    text = text[:MAX_BYTES]
    while len(text.encode()) > MAX_BYTES:
        text = text[:-1]
    return text


def segment_values(definitions: Definitions, parts: dict[str, Any]) -> dict[str, str]:
    """The event's values of the segments that are read from events, each of the first field with a value."""
    found = {}
    for name, segment in definitions.segments.items():
        for field in segment.fields:
            text = _segment_text(parts, field)
            if text:
                named = [value for value in segment.values if segment.words and value in _words(text)]
                found[name] = named[0] if named else text.encode()[:64].decode(errors="ignore")
                break
    return found


def _segment_text(parts: dict[str, Any], field: str) -> str:
    value: Any = parts
    for key in field.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    if isinstance(value, int) and not -(2**53) <= value <= 2**53:
        return ""
    return str(value).strip()


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text.lower()[:1_000]).split()
