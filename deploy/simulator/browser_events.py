"""How the simulated browsers report: mostly as Segment's analytics.js does, some through a docs portal's native collector."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from deploy.simulator import catalog
from deploy.simulator.catalog import Campaign, Origin, Page
from deploy.simulator.people import Device
from deploy.simulator.stamps import Event, Stamps

#: The types of native events and what Segment calls them.
SEGMENT_TYPES = {"event": "track", "identify": "identify", "group": "group", "merge": "alias"}


class View(NamedTuple):
    """A page view, and the user and session it is known to belong to (or empty)."""

    page: Page
    origin: Origin
    user_id: str
    session_token: str


class Act(NamedTuple):
    """Anything else that happens in a browser or backend. `type` and the keys of `fields` are the native ones.

    A `campaign` in `fields` goes into the context.
    """

    type: str
    name: str
    user_id: str
    session_token: str
    fields: dict[str, Any]


def campaign_context(campaign: Campaign) -> dict[str, str]:
    """A campaign in the form of Segment's `context.campaign`."""
    return {k: v for k, v in campaign._asdict().items() if v}


def campaign_query(campaign: Campaign) -> str:
    """A campaign as the query string of the page that its link leads to."""
    given = {"campaign" if k == "name" else k: v.replace(" ", "+") for k, v in campaign._asdict().items() if v}
    return "?" + "&".join(f"utm_{k}={v}" for k, v in given.items())


def fill_segment(event: Event, act: Act, fields: dict[str, Any]) -> None:
    """Put what happened into the places that Segment's spec has for it, or Firstcall's extras in its context."""
    context = event["context"]
    if act.type == "event":
        event["event"] = act.name
        event["properties"] = fields.get("properties", {})
        if "company_id" in fields:
            context["groupId"] = fields["company_id"]
    elif act.type == "group":
        event["groupId"] = fields["company_id"]
    elif act.type == "merge":
        event["previousId"] = fields["previous_id"]
    if "traits" in fields:
        event["traits"] = fields["traits"]
    if "api_key" in fields:
        context["apiKey"] = fields["api_key"]
    if "campaign" in fields:
        context["campaign"] = fields["campaign"]


class BrowserEvents:
    def __init__(self, stamps: Stamps, rng: Random) -> None:
        self._stamps = stamps
        self._random = rng.random

    def view(self, time: int, arrival: int, device: Device, view: View) -> Event:
        page, (campaign, referrer), user_id, session = view
        query = campaign_query(campaign) if campaign else ""
        properties = {"path": page.path, "url": catalog.SITE + page.path + query, "title": page.title}
        if referrer:
            properties["referrer"] = referrer
        if device.native:
            event: Event = {"name": "Page Viewed", "properties": properties}
            return self._native(time, device, user_id, session, event)
        event = self._segment("page", time, arrival, device)
        if user_id:
            event["userId"] = user_id
        if session:
            event["context"]["sessionToken"] = session
        event["name"] = page.title
        event["properties"] = properties
        # A library of the last years parses the campaign out of the address; an older one leaves that to the reader.
        if campaign and device.keeps_sessions:
            event["context"]["campaign"] = campaign_context(campaign)
        return event

    def act(self, time: int, arrival: int, device: Device, act: Act) -> Event:
        """Anything but a page view."""
        if device.native:
            event: Event = {"type": act.type} if act.type != "event" else {"name": act.name}
            event |= {k: v for k, v in act.fields.items() if k != "campaign"}
            event = self._native(time, device, act.user_id, act.session_token, event)
            if "campaign" in act.fields:
                event["context"]["campaign"] = act.fields["campaign"]
            return event
        event = self._segment(SEGMENT_TYPES[act.type], time, arrival, device)
        if act.user_id:
            event["userId"] = act.user_id
        if act.session_token:
            event["context"]["sessionToken"] = act.session_token
        fill_segment(event, act, act.fields)
        return event

    def _native(self, time: int, device: Device, user_id: str, session: str, rest: Event) -> Event:
        event: Event = {
            "message_id": self._stamps.message_id(),
            "time": self._stamps.time(time),
            "source": "web",
            "anonymous_id": device.anonymous_id,
        }
        if session:
            event["session_token"] = session
        if user_id:
            event["user_id"] = user_id
        event |= rest
        event["context"] = {"user_agent": device.user_agent, "ip": device.ip, "locale": device.locale}
        return event

    def _segment(self, type_: str, time: int, arrival: int, device: Device) -> Event:
        """A Segment call with its three clocks: it was sent as long after it happened as it took to arrive, less the network."""
        network = min(arrival - time, 15 + int(self._random() * 120))
        stamp = self._stamps.time
        return {
            "type": type_,
            "messageId": self._stamps.message_id(),
            "source": "web",
            "anonymousId": device.anonymous_id,
            "originalTimestamp": stamp(time + device.skew_ms),
            "sentAt": stamp(arrival - network + device.skew_ms),
            "receivedAt": stamp(arrival),
            "context": {
                "userAgent": device.user_agent,
                "ip": device.ip,
                "locale": device.locale,
                "library": {"name": "analytics.js", "version": "next-1.79.0"},
            },
        }
