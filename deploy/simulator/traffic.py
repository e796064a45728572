"""The API use of the simulated apps: who is active on which day, how often, and the one app that outgrows all others."""

from __future__ import annotations

from random import Random

from deploy.simulator import catalog
from deploy.simulator.people import Token
from deploy.simulator.server_events import ServerEvents
from deploy.simulator.stamps import DAY_MS, MINUTE_MS, Writer
from deploy.simulator.timeline import Timeline

#: The share of API use that belongs to the one popular app.
GIANT_SHARE = 0.22
#: Of every 1,000 calls, how many wait in an app that is offline.
_LATE_PER_MILLE = 6


class Traffic:
    def __init__(self, timeline: Timeline, server: ServerEvents, rng: Random) -> None:
        self._timeline = timeline
        self._server = server
        self._random = rng.random
        self._tokens: list[Token] = []
        self._giants: list[Token] = []

    def start(self, token: Token, first: int, *, refused: int = 0, giant: bool = False) -> None:
        """Let an app make its first call at `first` (ms), after `refused` attempts with a wrong key, and go on from there.

        A `giant` token takes its share of all use instead of a volume of its own.
        """
        random, timeline, server = self._random, self._timeline, self._server
        time = first - refused * 30_000
        for _ in range(refused):
            timeline.plan(time, server.call, token, 401)
            time += 4_000 + int(random() * 20_000)
        time = first
        for _ in range(1 + int(random() * 5)):
            timeline.plan(time, server.call, token, 0)
            time += 2_000 + int(random() ** 2 * 600_000)
        token.from_day = (first - timeline.start) // DAY_MS + 1
        (self._giants if giant else self._tokens).append(token)

    def plan_day(self, day: int, target: int | None) -> None:
        """Plan the API events of `day`: as many as come naturally, or about `target`."""
        random = self._random
        weekday = (self._timeline.start // DAY_MS + day + 3) % 7
        season = catalog.API_WEEK[weekday]
        weekend = weekday > 4
        self._tokens = [token for token in self._tokens if token.to_day > day]
        active = [
            (token, season * (0.4 + 1.2 * random()))
            for token in self._tokens
            if token.from_day <= day and random() < (token.weekend if weekend else token.weekday)
        ]
        volume = sum(token.usual_day() * factor for token, factor in active)
        giants = [token for token in self._giants if token.from_day <= day]
        if giants:
            volume /= 1 - GIANT_SHARE
        scale = 1.0 if target is None else max(0, target) / volume if volume else 0.0
        for token, factor in active:
            self._plan_token(token, day, factor * scale)
        for token in giants:
            # One app of the giant's is the popular one; its others are small beside it.
            part = 1 - 0.1 * (len(giants) - 1) if token is giants[0] else 0.1
            self._plan_token(token, day, scale * volume * GIANT_SHARE * part / token.usual_day())

    def plan_exactly(self, day: int, more: int) -> None:
        """Plan `more` further calls of any apps in use, so that a total comes out exactly."""
        users = self._giants or self._tokens
        for i in range(more if users else 0):
            self._plan(users[i % len(users)], day, 1, self._server.call)

    def _plan_token(self, token: Token, day: int, factor: float) -> None:
        random, server = self._random, self._server
        # An app that is active on a day calls at least once; the fraction of a call is made by chance.
        self._plan(token, day, max(1, int(token.calls * factor + random())), server.call)
        if token.messages:
            self._plan(token, day, int(token.messages * factor + random()), server.message)
            self._plan(token, day, int(token.connections * factor + random()), server.connection)

    def _plan(self, token: Token, day: int, count: int, write: Writer) -> None:
        random, plan, hours = self._random, self._timeline.plan, token.hours
        midnight = self._timeline.start + day * DAY_MS
        offset = token.offset_minutes
        for _ in range(count):
            minute = (hours[int(random() * 1440)] - offset) % 1440
            chance = random()
            late = self._timeline.lateness() if chance * 1_000_000 % 1000 < _LATE_PER_MILLE else 0
            plan(midnight + minute * MINUTE_MS + int(chance * 60_000), write, token, 0, late)
