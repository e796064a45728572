"""What the simulated vendor does to be found: talks, tutorials, events and articles, each about one technology."""

from __future__ import annotations

from random import Random
from typing import Final

from deploy.simulator.stamps import DAY_MS, HOUR_MS, Event, Stamps
from deploy.simulator.timeline import Timeline

#: So much is held a week on average by a vendor with so many sign-ups; a smaller one holds less.
A_WEEK: Final = 4
LARGE: Final = 400
#: At most so much is held a day.
SLOTS: Final = 2
SPEAKERS: Final = ("devrel-ada", "devrel-kofi")
KINDS: Final = ("Talk Given", "Tutorial Published", "Event Held", "Content Published")
TECHNOLOGIES: Final = ("node", "python", "go", "java", "php", "ruby")
#: It is entered into the vendor's calendar, and sent from there, so long after it began.
SENT_AFTER_MS: Final = HOUR_MS


class Outreach:
    """Plans outreach in working hours of working days. Whom it brings is left to the sign-ups: there is no effect."""

    def __init__(self, timeline: Timeline, stamps: Stamps, rng: Random, people: int) -> None:
        self._timeline = timeline
        self._stamps = stamps
        self._random = rng.random
        self._chance = A_WEEK / (5 * SLOTS) * min(1.0, people / LARGE)

    def plan_day(self, day: int, weekday: int) -> None:
        """Plan what is held on `day`; Monday is weekday 0."""
        if weekday > 4:
            return
        for _ in range(SLOTS):
            if self._random() < self._chance:
                at = self._timeline.start + day * DAY_MS + 8 * HOUR_MS + int(self._random() * 9 * HOUR_MS)
                kind, technology = self._pick(KINDS), self._pick(TECHNOLOGIES)
                self._timeline.plan(at, self._write, self._pick(SPEAKERS), (kind, technology), SENT_AFTER_MS)

    def _write(self, time: int, _: int, speaker: str, what: tuple[str, str]) -> Event:
        name, technology = what
        return {
            "message_id": self._stamps.message_id(),
            "time": self._stamps.time(time),
            "source": "web",
            "name": name,
            "user_id": speaker,
            "properties": {"technology": technology, "title": f"Realtime messaging with {technology}"},
        }

    def _pick(self, choices: tuple[str, ...]) -> str:
        return choices[int(self._random() * len(choices))]
