"""A simulated population of developers: the events of `firstcall generate` and of the demo.

The same options give the same bytes on any machine, at any time, with any version of Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, islice
from math import exp
from random import Random
from typing import BinaryIO

import orjson

from deploy.simulator import catalog, malformed
from deploy.simulator.adoption import Adoption
from deploy.simulator.browser_events import BrowserEvents
from deploy.simulator.journeys import LONGEST_LEAD_DAYS, Journeys
from deploy.simulator.outreach import Outreach
from deploy.simulator.people import Casting
from deploy.simulator.server_events import ServerEvents
from deploy.simulator.sessions import Sessions
from deploy.simulator.stamps import DAY_MS, Event, Stamps
from deploy.simulator.timeline import Timeline
from deploy.simulator.traffic import Traffic

DEFAULT_UNTIL = datetime(2026, 6, 1, tzinfo=UTC)
INTERNAL_DOMAIN = catalog.INTERNAL_DOMAIN
#: The share of events that are sent twice.
DUPLICATES = 0.01
TOPICS = {"web": "web-events", "api": "api-events"}


def events_per_developer(days: int) -> float:
    """How many events there are for each developer, visitors and all else included; measured."""
    return 12 + 4.6 * float(days**0.8)


def _rng(seed: int, part: str) -> Random:
    """A generator for one part of the simulation, so that parts do not disturb each other."""
    return Random(f"{seed}:{part}")  # noqa: S311 - reproducible, not secret


@dataclass(frozen=True)
class Population:
    """Options of a population, and its events.

    `developers` sign up over `days` whole UTC days that end at `until`. With `target_events`, the volume of API calls is
    scaled so that exactly so many events come out (the web side of the developers is a lower bound), and the number of
    developers follows from it unless given. `bad` messages that are no events come on top.
    Raises ValueError for options that make no population.
    """

    seed: int = 1
    developers: int | None = None
    days: int = 60
    until: datetime = DEFAULT_UNTIL
    target_events: int | None = None
    bad: int = 0

    def __post_init__(self) -> None:
        if self.until.tzinfo is None or self.until.timestamp() % 86_400:
            raise ValueError(f"until must be the start of a day in UTC, not {self.until.isoformat()}")
        if self.days < 1:
            raise ValueError(f"days must be at least 1, not {self.days}")
        if self.developers is None:
            by_events = (self.target_events or 0) / events_per_developer(self.days)
            object.__setattr__(self, "developers", max(1, round(by_events)) if self.target_events else 1000)
        if self.people < 1 or self.bad < 0 or (self.target_events is not None and self.target_events < 1):
            raise ValueError("developers and target_events must be at least 1, bad at least 0")

    @property
    def people(self) -> int:
        return self.developers or 0

    @property
    def expected_events(self) -> int:
        """About how many events there are (exactly, with a target), faulty messages aside. For a progress bar."""
        return self.target_events or round(self.people * events_per_developer(self.days))

    def messages(self) -> Iterator[tuple[str, bytes]]:
        """Every message with its topic, as JSON in bytes, near the order of event time; the `bad` ones evenly spread among them.

        Each call starts at the beginning.
        """
        dumps, topics = orjson.dumps, TOPICS
        if not self.bad:
            for event in self._exactly():
                yield topics[event["source"]], dumps(event)
            return
        faulty = malformed.messages(self.bad, _rng(self.seed, "faults"), self.until.year)
        apart = self.expected_events // (self.bad + 1) + 1
        for number, event in enumerate(self._exactly(), 1):
            yield topics[event["source"]], dumps(event)
            if number % apart == 0:
                yield from islice(faulty, 1)
        yield from faulty

    def write_ndjson(self, file: BinaryIO, on_progress: Callable[[int], None] | None = None) -> int:
        """Write every message as a line. `on_progress` is called after each 1,000. Returns the number of lines."""
        lines = 0
        messages = self.messages()
        while batch := [value for _, value in islice(messages, 1000)]:
            batch.append(b"")
            file.write(b"\n".join(batch))
            lines += len(batch) - 1
            if on_progress:
                on_progress(len(batch) - 1)
        return lines

    def _exactly(self) -> Iterator[Event]:
        return islice(self._simulate(), self.target_events)

    def _simulate(self) -> Iterator[Event]:
        """Plan and write day after day. What is held: the live actors, and the plan of one day."""
        days, people, target = self.days, self.people, self.target_events

        stamps = Stamps(_rng(self.seed, "stamps"))
        timeline = Timeline(self._start, days, stamps, _rng(self.seed, "timeline"))
        cast = Casting(_rng(self.seed, "people"))
        server = ServerEvents(stamps, _rng(self.seed, "servers"))
        sessions = Sessions(
            timeline, BrowserEvents(stamps, _rng(self.seed, "browsers")), cast, _rng(self.seed, "sessions"), days=days
        )
        traffic = Traffic(timeline, server, _rng(self.seed, "traffic"))
        journeys = Journeys(
            sessions,
            Adoption(sessions, server, traffic, cast, _rng(self.seed, "adoption")),
            cast,
            _rng(self.seed, "journeys"),
        )
        outreach = Outreach(timeline, stamps, _rng(self.seed, "outreach"), people)
        traffic.start(cast.monitor(), self._start + DAY_MS // 3)
        signed_up, come_up = self._sign_ups(), self._volume()
        recruited = 0
        for day in range(days):
            # Who signs up in some weeks may come for a first look today.
            for ahead in range(day + LONGEST_LEAD_DAYS if day else 0, min(day + LONGEST_LEAD_DAYS + 1, days)):
                recruited += journeys.recruit(ahead, round(people * signed_up[ahead]) - recruited)
            sessions.plan_day(day)
            sessions.plan_strangers(day, people * (signed_up[day] - (signed_up[day - 1] if day else 0)))
            sessions.scrape(day, people)
            outreach.plan_day(day, self._weekday(day))
            if target is None:
                traffic.plan_day(day, None)
            else:
                traffic.plan_day(day, round((target * come_up[day] - timeline.planned) / (1 + DUPLICATES)))
            copies = int(timeline.waiting(day) * DUPLICATES)
            if target is not None and day == days - 1:
                traffic.plan_exactly(day, int((target - timeline.planned) / (1 + DUPLICATES)))
                copies = max(0, target - timeline.planned)
            yield from timeline.emit(day, copies)

    @property
    def _start(self) -> int:
        return int(self.until.timestamp() * 1000) - self.days * DAY_MS

    def _weekday(self, day: int) -> int:
        return (self._start // DAY_MS + day + 3) % 7

    def _sign_ups(self) -> list[float]:
        """For each day, the share of all developers who have signed up by its end: growing, by weekday, with a launch."""
        launch = self.days // 3
        weights = [
            (1 + 1.2 * day / self.days + (1.5 * exp((launch - day) / 3) if day >= launch else 0))
            * catalog.WEB_WEEK[self._weekday(day)]
            for day in range(self.days)
        ]
        return [share / sum(weights) for share in accumulate(weights)]

    def _volume(self) -> list[float]:
        """For each day, the share of all events that have come up by its end; measured on populations without a target."""
        weights = [
            ((day + 1) ** 1.87 - day**1.87) * (1.0 if self._weekday(day) < 5 else 0.68) for day in range(self.days)
        ]
        return [share / sum(weights) for share in accumulate(weights)]
