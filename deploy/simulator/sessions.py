"""What happens in a browser: sessions of pages, ad clicks, and those who only ever pass by: visitors, crawlers, a scraper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from deploy.simulator import catalog
from deploy.simulator.browser_events import Act, BrowserEvents, View, campaign_context
from deploy.simulator.catalog import DIRECT, Origin, Page
from deploy.simulator.people import Casting, Device
from deploy.simulator.stamps import DAY_MS, MINUTE_MS
from deploy.simulator.timeline import Timeline

#: Anonymous visitors who never sign up, for each developer who does.
VISITORS_PER_DEVELOPER = 2.6
#: Crawler visits, for each developer.
CRAWLS_PER_DEVELOPER = 0.4
#: Pages that the scraper reads each day, for each developer of the population: past the limit of an alias in a large one.
SCRAPED_PER_DEVELOPER = 0.012


class Sessions:
    """Plans browser sessions, and keeps the agenda of what is to be planned on a later day."""

    def __init__(self, timeline: Timeline, browser: BrowserEvents, cast: Casting, rng: Random, *, days: int) -> None:
        self.timeline = timeline
        self._browser = browser
        self.cast = cast
        self.random = rng.random
        self._agenda: list[list[tuple[Callable[[Any, int], None], Any, int]]] = [[] for _ in range(days)]
        self._scraper = cast.device(user_agent="python-httpx/0.28.1")
        self._scraper.native = False
        self._owed = {"visitors": 0.0, "crawls": 0.0, "pages": 0.0}

    # -- time ----------------------------------------------------------------------------------------------------------

    def moment(self, day: int, offset_minutes: int, hours: tuple[int, ...] = catalog.OFFICE_HOURS) -> int:
        """A time on `day`, in ms, at an hour when people of that time zone are about."""
        minute = (self.cast.pick(hours) - offset_minutes) % 1440
        return self.timeline.start + day * DAY_MS + minute * MINUTE_MS + int(self.random() * MINUTE_MS)

    def later(self, act: Callable[[Any, int], None], subject: Any, at: int) -> None:
        """Have `act(subject, at)` planned when the day of `at` comes; never, if that is after the end."""
        day = (at - self.timeline.start) // DAY_MS
        if 0 <= day < len(self._agenda):
            self._agenda[day].append((act, subject, at))

    def plan_day(self, day: int) -> None:
        """Plan what the agenda holds for `day`, including what that adds to it."""
        for act, subject, at in self._agenda[day]:
            act(subject, at)
        self._agenda[day] = []

    def day_of(self, at: int) -> int:
        return (at - self.timeline.start) // DAY_MS

    # -- sessions ------------------------------------------------------------------------------------------------------

    def act(self, at: int, device: Device, detail: Act, delay_ms: int = 0) -> None:
        """Plan one browser event that is no page view."""
        self.timeline.plan(at, self._browser.act, device, detail, delay_ms)

    def browse(
        self,
        device: Device,
        at: int,
        pages: Sequence[Page],
        origin: Origin = DIRECT,
        *,
        user_id: str = "",
        session: str = "",
    ) -> int:
        """Plan a session of page views that starts at `at`, with the click that led to it. Returns when it is over, in ms."""
        random, plan, view = self.random, self.timeline.plan, self._browser.view
        campaign = origin.campaign
        if campaign and campaign.medium in catalog.ADVERTISED_MEDIA:
            properties = {"campaign": campaign.name, "creative": campaign.content}
            fields = {"properties": properties, "campaign": campaign_context(campaign)}
            self.act(at - 1_200, device, Act("event", "Ad Clicked", user_id, session, fields))
        for page in pages:
            late = self.timeline.lateness() if random() < 0.006 else 0
            plan(at, view, device, View(page, origin, user_id, session), late)
            origin = DIRECT
            at += 4_000 + int(random() ** 2 * 200_000)
        return at

    def reading(self, most: int) -> list[Page]:
        """A landing page and up to `most` pages of the docs."""
        pick = self.cast.pick
        pages = int(self.random() * (most + 1))
        return [pick(catalog.LANDING_PAGES), *(pick(catalog.DOCS_PAGES) for _ in range(pages))]

    def session_token(self, device: Device) -> str:
        """The token of a new session, where the site keeps one."""
        if not (device.keeps_sessions or device.native):
            return ""
        return f"ses_{self.cast.bits(64):016x}"

    def visit(self, device: Device, at: int, origin: Origin) -> None:
        """An anonymous session; now and then somebody reads an article to its end or comes from an event."""
        at = self.browse(device, at, self.reading(4), origin, session=self.session_token(device))
        if self.random() < 0.06:
            name = "Content Viewed" if self.random() < 0.7 else "Event Attended"
            content = self.cast.pick(("scaling-websockets", "webinar-presence", "meetup-may"))
            self.act(at, device, Act("event", name, "", "", {"properties": {"content": content}}))

    # -- those who pass by -----------------------------------------------------------------------------------------

    def plan_strangers(self, day: int, developers: float) -> None:
        """Plan the visitors and automated readers of `day`, in proportion to the `developers` who sign up on it."""
        for _ in range(self._due("visitors", developers * VISITORS_PER_DEVELOPER)):
            country = self.cast.pick(catalog.COUNTRIES)
            self._pass_by(self.cast.device(country), self.moment(day, country.offset_minutes, catalog.EVENING_HOURS))
        for _ in range(self._due("crawls", developers * CRAWLS_PER_DEVELOPER)):
            crawler = self.cast.device(user_agent=self.cast.pick(catalog.CRAWLERS))
            self.browse(crawler, self.moment(day, 0, catalog.ROUND_THE_CLOCK), self.reading(3))

    def scrape(self, day: int, developers: int) -> None:
        """Plan the pages that the scraper, whose user agent is no bot's, reads on `day`."""
        for _ in range(self._due("pages", developers * SCRAPED_PER_DEVELOPER)):
            view = View(self.cast.pick(catalog.DOCS_PAGES), DIRECT, "", "")
            self.timeline.plan(self.moment(day, 0, catalog.ROUND_THE_CLOCK), self._browser.view, self._scraper, view)

    def _due(self, what: str, more: float) -> int:
        self._owed[what] += more
        due = int(self._owed[what])
        self._owed[what] -= due
        return due

    def _pass_by(self, device: Device, at: int) -> None:
        self.visit(device, at, self.cast.origin())
        if self.random() < 0.3:
            self.later(self._pass_by, device, at + int((0.02 + self.random() ** 2 * 25) * DAY_MS))
