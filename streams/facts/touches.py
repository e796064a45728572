"""Touches: what brought someone here. A campaign, a referrer from elsewhere, or a named piece of content."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from schemas.event import Event

#: How much of each text is kept, in UTF-8, so that the state of a subject is bounded.
MAX_TEXT_BYTES: Final = 200
#: How much of an address is looked at.
MAX_URL_CHARACTERS: Final = 4_000

#: A touch's field: its name in `context.campaign`, and as a UTM parameter.
_IN_CAMPAIGN = {"campaign": "name", "source": "source", "medium": "medium", "term": "term", "content": "content"}
_IN_UTM = {field: f"utm_{field}" for field in _IN_CAMPAIGN}
_UTM = frozenset(_IN_UTM.values())


def touch_of(event: Event, is_content: bool) -> dict[str, str] | None:
    """What kind of touch the event is, or None.

    The keys are those that apply of `campaign`, `source`, `medium`, `term`, `content`, `referrer` (a host), `path` and
    `name`. `is_content`: the event matches the touch selector.
    """
    if event.source != "web" and not is_content:
        return None
    properties, context = event.properties, event.context
    page = context.get("page")
    page = page if isinstance(page, dict) else {}
    url = (_text(properties.get("url")) or _text(page.get("url")))[:MAX_URL_CHARACTERS]
    touch = _campaign(properties, context.get("campaign"), url)
    referrer = _text(properties.get("referrer")) or _text(page.get("referrer")) or _referrer(context)
    if referrer:
        host = _host(referrer[:MAX_URL_CHARACTERS])
        if host and host != _host(url):
            touch["referrer"] = _kept(host)
    if not touch and not is_content:
        return None
    touch["name"] = _kept(event.name)
    path = _text(properties.get("path")) or _text(page.get("path")) or (urlsplit(url).path if _splits(url) else "")
    if path:
        touch["path"] = _kept(path)
    return touch


def _campaign(properties: dict[str, Any], campaign: Any, url: str) -> dict[str, str]:
    """The fields of the campaign, each from the first of `context.campaign`, `utm_*` properties, the page's address."""
    touch: dict[str, str] = {}
    if isinstance(campaign, dict):
        for field, name in _IN_CAMPAIGN.items():
            _put(touch, field, campaign.get(name))
    if not _UTM.isdisjoint(properties):
        for field, name in _IN_UTM.items():
            _put(touch, field, properties.get(name))
    if "utm_" in url and _splits(url):
        query = parse_qs(urlsplit(url).query)
        for field, name in _IN_UTM.items():
            _put(touch, field, query.get(name, [None])[0])
    return touch


def _put(touch: dict[str, str], field: str, value: Any) -> None:
    text = _text(value)
    if text:
        touch.setdefault(field, _kept(text))


def _kept(text: str) -> str:
    """The text up to its limit, without a part of a character."""
    if len(text) <= MAX_TEXT_BYTES // 4:
        return text
    return text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _referrer(context: dict[str, Any]) -> str:
    """Segment's specification makes it an object with an address."""
    referrer = context.get("referrer")
    return _text(referrer.get("url")) if isinstance(referrer, dict) else _text(referrer)


def _splits(url: str) -> bool:
    try:
        urlsplit(url)
    except ValueError:
        return False
    return True


def _host(url: str) -> str:
    if not url or not _splits(url):
        return ""
    return (urlsplit(url).hostname or "").removeprefix("www.")
