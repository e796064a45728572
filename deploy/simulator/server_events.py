"""How the simulated API gateway and backend report: mostly native JSON, some with Segment's server libraries."""

from __future__ import annotations

from random import Random

from deploy.simulator import catalog
from deploy.simulator.browser_events import SEGMENT_TYPES, Act, fill_segment
from deploy.simulator.people import Company, Token
from deploy.simulator.stamps import Event, Stamps


class ServerEvents:
    """Writers of what servers report. Their clocks are right."""

    def __init__(self, stamps: Stamps, rng: Random) -> None:
        self._stamps = stamps
        self._random = rng.random

    def report(self, time: int, arrival: int, company: Company | None, act: Act) -> Event:
        """What the vendor's own backend saw: of a user whose device it does not know, or of a company alone."""
        fields = act.fields | ({"company_id": company.id} if company else {})
        if not act.user_id or self._random() < 0.5:
            event = self._native(time)
            event |= {"type": act.type} if act.type != "event" else {"name": act.name}
            if act.user_id:
                event["user_id"] = act.user_id
            return event | fields
        event = self._segment(SEGMENT_TYPES[act.type], time, arrival, "analytics-node")
        event["userId"] = act.user_id
        fill_segment(event, act, fields)
        return event

    def call(self, time: int, arrival: int, token: Token, refused: int) -> Event:
        """One API call: `refused` with that status if not 0. A failing app always is; any other fails now and then."""
        random = self._random
        method, path, status, latency = catalog.ROUTES[int(random() * len(catalog.ROUTES))]
        chance = random()
        if refused:
            status = refused
        elif token.failing:
            status = catalog.REFUSALS[int(chance * len(catalog.REFUSALS))]
        elif chance < 0.024:
            status = catalog.FAILURES[int(chance / 0.024 * len(catalog.FAILURES))]
        slow = random()
        milliseconds = int(latency * (0.6 + slow + 1.2 * slow**16))
        properties: Event = {"method": method, "path": path, "status": status, "latency_ms": milliseconds}
        return self._use("API Call", time, arrival, token, properties)

    def message(self, time: int, arrival: int, token: Token, _: int) -> Event:
        return self._use("Message Sent", time, arrival, token, {"bytes": 40 + int(900 * self._random() ** 3)})

    def connection(self, time: int, arrival: int, token: Token, _: int) -> Event:
        return self._use("Connection Held", time, arrival, token, {"duration_s": 30 + int(7200 * self._random() ** 2)})

    def _use(self, name: str, time: int, arrival: int, token: Token, properties: Event) -> Event:
        company = token.company
        if token.segment:
            event = self._segment("track", time, arrival, "analytics-python")
            context = event["context"]
            context["userAgent"] = token.context["user_agent"]
            if token.explicit_environment:
                context["environment"] = token.environment
            if company is not None and token.identifiers == "key+company":
                context["groupId"] = company.id
            event["event"] = name
            event["properties"] = properties
            properties["api_key"] = token.key
            return event
        event = self._native(time)
        event["name"] = name
        event["api_key"] = token.key
        if company is not None:
            if token.identifiers == "key+company":
                event["company_id"] = company.id
            elif token.identifiers == "key+user" and company.members:
                event["user_id"] = company.members[int(self._random() * len(company.members))].user_id
        if token.explicit_environment:
            event["environment"] = token.environment
        event["properties"] = properties
        event["context"] = {**token.context}
        return event

    def _native(self, time: int) -> Event:
        return {"message_id": self._stamps.message_id(), "time": self._stamps.time(time), "source": "api"}

    def _segment(self, type_: str, time: int, arrival: int, library: str) -> Event:
        return {
            "type": type_,
            "messageId": self._stamps.message_id(),
            "source": "api",
            "timestamp": self._stamps.time(time),
            "receivedAt": self._stamps.time(arrival),
            "context": {"library": {"name": library, "version": "2.3.4"}},
        }
