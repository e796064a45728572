"""How the simulated developers take up the API: keys, first calls, going live, paying, and recommending it."""

from __future__ import annotations

from math import exp, log
from random import Random

from deploy.simulator import catalog
from deploy.simulator.browser_events import Act
from deploy.simulator.people import Casting, Company, Developer, Mix, Token
from deploy.simulator.server_events import ServerEvents
from deploy.simulator.sessions import Sessions
from deploy.simulator.stamps import DAY_MS, HOUR_MS, MINUTE_MS
from deploy.simulator.traffic import Traffic


class Adoption:
    """Plans what is done with the API, and reports what the vendor's site or backend sees of it.

    `giant` is the company whose app outgrows all others.
    """

    def __init__(self, sessions: Sessions, server: ServerEvents, traffic: Traffic, cast: Casting, rng: Random) -> None:
        self._sessions = sessions
        self._server = server
        self._traffic = traffic
        self._cast = cast
        self._random = rng.random
        self._shared_keys = Mix({"own": 72, "shared": 28}, rng.random)
        self.giant: Company | None = None

    def report(self, developer: Developer, at: int, act: Act, *, in_browser: bool, delay_ms: int = 0) -> None:
        """Plan an event that the developer's browser reports, or the backend, which knows the user but not the device."""
        if in_browser:
            self._sessions.act(at, developer.devices[0], act, delay_ms)
        else:
            self._sessions.timeline.plan(at, self._server.report, None, act, delay_ms)

    def integrate(self, developer: Developer, at: int) -> None:
        """Create a test key, try it, and plan to go live."""
        random = self._random
        token = self._create_key(developer, at, "test", developer.intent)
        if developer.intent == "stuck" and random() < 0.45:
            return
        soon = random() < 0.65
        first = at + 20_000 + int(self.spread(9 * MINUTE_MS, 1.2) if soon else self.spread(15 * HOUR_MS, 1.2))
        token.to_day = self._sessions.day_of(first) + 2 + int(random() * 6)
        self._traffic.start(token, first, refused=int(random() * 3.2) if random() < 0.3 else 0)
        if developer.intent in ("tinkers", "builds"):
            wait = HOUR_MS if self._of_giant(developer) else int(self.spread(1.3 * DAY_MS, 1.0))
            self._sessions.later(self._go_live, developer, first + 10 * MINUTE_MS + wait)

    def sell(self, company: Company, at: int) -> None:
        """A contract without a sign-up: the backend makes a key for a company, and nobody knows whose calls they are."""
        token = self._cast.token(None, company, "production", "builds")
        token.identifiers = "key" if self._random() < 0.5 else "key+company"
        fields = {"api_key": token.key, "properties": {"environment": "production"}}
        self._sessions.timeline.plan(at, self._server.report, company, Act("event", "API Key Created", "", "", fields))
        self._traffic.start(token, at + HOUR_MS + int(self._random() * 3 * DAY_MS))

    def spread(self, median: float, sigma: float) -> float:
        """A log-normal draw."""
        random = self._random
        return median * exp(sigma * 1.732 * (random() + random() + random() + random() - 2))

    def _of_giant(self, developer: Developer) -> bool:
        return developer.company is not None and developer.company is self.giant

    def _create_key(self, developer: Developer, at: int, environment: str, intent: str) -> Token:
        token = self._cast.token(developer, developer.company, environment, intent)
        properties = {"environment": environment, "technology": developer.sdk.technology}
        act = Act("event", "API Key Created", developer.user_id, "", {"api_key": token.key, "properties": properties})
        late = int((0.3 + 6 * self._random()) * DAY_MS) if developer.late_key else 0
        in_browser = not late and developer.linked(at) and self._random() < 0.7
        self.report(developer, at, act, in_browser=in_browser, delay_ms=late)
        return token

    def _go_live(self, developer: Developer, at: int) -> None:
        company, random = developer.company, self._random
        if developer.intent == "builds" and random() < 0.25:
            self._traffic.start(self._create_key(developer, at - MINUTE_MS, "development", "tries"), at)
        token = self._create_key(developer, at, "production", developer.intent)
        first = at + MINUTE_MS + int(self.spread(25 * MINUTE_MS, 1.3))
        if self._of_giant(developer):
            token.messages, token.connections, token.hours = token.calls / 3, 0.1, catalog.ROUND_THE_CLOCK
            token.segment = False
        elif company and not company.has_key:
            company.has_key = True
            if len(company.members) > 1 and self._shared_keys.next() == "shared":
                token.identifiers = "key+user"
        self._traffic.start(token, first, giant=self._of_giant(developer))
        if developer.intent == "tinkers":
            token.to_day = self._sessions.day_of(first) + 2 + int(-20 * log(1 - random()))
        elif random() < 0.6:
            token.to_day = self._sessions.day_of(first) + 4 + int(-40 * log(1 - random()))
        developer.quiet_from_day = max(developer.quiet_from_day, token.to_day)
        if developer.intent == "builds" and random() < 0.35:
            self._sessions.later(self._subscribe, developer, at + int((2 + 25 * random()) * DAY_MS))
        if random() < 0.1:
            self._sessions.later(self._advocate, developer, at + int((3 + 25 * random()) * DAY_MS))

    def _subscribe(self, developer: Developer, at: int) -> None:
        plan = "business" if self._random() < 0.2 else "startup"
        properties = {"plan": plan, "amount": 499 if plan == "business" else 49, "currency": "USD"}
        act = Act("event", "Subscription Started", developer.user_id, "", {"properties": properties})
        self._sessions.timeline.plan(at, self._server.report, developer.company, act)

    def _advocate(self, developer: Developer, at: int) -> None:
        name = "Referral Sent" if self._random() < 0.7 else "Integration Published"
        fields = {"properties": {"technology": developer.sdk.technology}}
        act = Act("event", name, developer.user_id, "", fields)
        self.report(developer, at, act, in_browser=developer.linked(at))
