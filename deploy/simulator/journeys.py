"""The journeys of the simulated developers: first visit, sign-up, company, everyday work, and when they fall silent."""

from __future__ import annotations

from random import Random

from deploy.simulator import catalog
from deploy.simulator.adoption import Adoption
from deploy.simulator.browser_events import Act
from deploy.simulator.catalog import DIRECT
from deploy.simulator.people import Casting, Company, Developer, Device, Mix
from deploy.simulator.sessions import Sessions
from deploy.simulator.stamps import DAY_MS, HOUR_MS, MINUTE_MS

#: A first visit may lie so many days before the sign-up.
LONGEST_LEAD_DAYS = 40


class Journeys:
    """Lets developers sign up and act. Everything they do is planned on the day it happens, from the agenda."""

    def __init__(self, sessions: Sessions, adoption: Adoption, cast: Casting, rng: Random) -> None:
        self._sessions = sessions
        self._adoption = adoption
        self._cast = cast
        self._random = rng.random
        shares = {"solo": 62, "joiner": 5, "startup": 17, "champion": 11, "sales": 3.5, "employee": 1.5}
        self._parties = Mix(shares, rng.random)
        self._companies: list[Company] = []

    def recruit(self, day: int, people: int) -> int:
        """Make those who start to sign up on `day`, about `people` of them, and put their first visits on the agenda."""
        made = 0
        while made < people:
            kind = self._parties.next() if self._adoption.giant else "startup"
            made += self._party(kind, day, people - made)
        return made

    def _party(self, kind: str, day: int, most: int) -> int:
        """People who come together, at most so many. Returns how many."""
        random, cast, adoption = self._random, self._cast, self._adoption
        if kind == "sales":
            self._sessions.later(self._buy, cast.company(), self._sessions.moment(day, 0))
            return 0
        if kind in ("solo", "joiner", "employee"):
            intent = {"solo": "", "joiner": "builds", "employee": "tinkers"}[kind]
            self._arrive(cast.developer(kind, intent=intent), day)
            return 1
        company = cast.company()
        colleagues = min(most - 1, int(random() ** 2 * 3.4) + (kind == "champion"))
        if adoption.giant is None:
            adoption.giant, company.plan, company.employees, colleagues = company, "business", 2400, min(most - 1, 3)
        integrates = kind == "startup" or colleagues == 0
        self._arrive(cast.developer("founder", company, "builds" if integrates else "leaves"), day)
        for i in range(colleagues):
            # Of the invited, the first does the work if the founder does not.
            invited = cast.developer("invited", company, "builds" if i == 0 and not integrates else "")
            company.invited.append(invited)
        return 1 + colleagues

    def _arrive(self, developer: Developer, day: int) -> None:
        """Choose the moment of the sign-up, and of a first visit before it."""
        sessions, random = self._sessions, self._random
        signs_up = sessions.moment(day, developer.country.offset_minutes, catalog.EVENING_HOURS)
        share = random()
        if developer.role != "employee" and share > 0.6:
            lead = 1 + int(random() * (3 if share < 0.85 else LONGEST_LEAD_DAYS - 1))
            first = sessions.moment(max(0, day - lead), developer.country.offset_minutes, catalog.EVENING_HOURS)
            if first < signs_up - HOUR_MS:
                sessions.later(self._look_around, developer, first)
                if random() < 0.4:
                    sessions.later(self._look_around, developer, first + (signs_up - first) // 2)
        sessions.later(self._sign_up, developer, signs_up)

    def _look_around(self, developer: Developer, at: int) -> None:
        origin, developer.origin = developer.origin, DIRECT
        self._sessions.visit(developer.devices[0], at, origin)

    # -- accounts --------------------------------------------------------------------------------------------------

    def _sign_up(self, developer: Developer, at: int) -> None:
        sessions, random, company = self._sessions, self._random, developer.company
        device, invited = developer.devices[0], developer.role == "invited"
        # A late link must not appear in this session, so it carries no session token either.
        on_time = developer.late_link in ("on_time", "alias_call")
        session = sessions.session_token(device) if on_time else ""
        origin = catalog.INVITATION if invited else developer.origin
        pages = [catalog.INVITE, catalog.SIGN_UP]
        if not invited:
            pages = [*sessions.reading(3), catalog.PRICING, catalog.SIGN_UP]
        at = sessions.browse(device, at, pages, origin, session=session)
        developer.signed_up = at
        self._register(developer, device, session, at)
        if company:
            if invited:
                accepted = Act("event", "Invitation Accepted", developer.user_id, session, {})
                self._adoption.report(developer, at + 400, accepted, in_browser=on_time)
            wait = 15_000 if invited or random() < 0.7 else int(random() * 3 * DAY_MS)
            sessions.later(self._join, developer, at + wait)
            if not invited:
                sessions.later(self._invite, developer, at + 10 * MINUTE_MS + int(random() ** 2 * 4 * DAY_MS))
        if developer.intent != "leaves":
            self._adoption.integrate(developer, at + 20_000 + int(self._adoption.spread(90_000, 1.0)))
        self._stay(developer, at)
        if developer.role == "joiner":
            sessions.later(self._join, developer, at + int((4 + 20 * random()) * DAY_MS))
        if developer.second_user_id:
            sessions.later(self._second_account, developer, at + int((3 + 20 * random()) * DAY_MS))

    def _register(self, developer: Developer, device: Device, session: str, at: int, user_id: str = "") -> None:
        """Plan the identification and the `Signed Up` of an account."""
        sessions, technology, link = self._sessions, developer.sdk.technology, developer.late_link
        user_id = user_id or developer.user_id
        plan = developer.company.plan if developer.company else "free"
        traits = {"email": developer.email, "country": developer.country.code, "technology": technology, "plan": plan}
        identify = Act("identify", "", user_id, session, {"traits": traits})
        if link == "alias_call":
            sessions.act(at, device, Act("merge", "", user_id, session, {"previous_id": device.anonymous_id}))
        elif link == "late_arrival":
            sessions.act(at, device, identify, delay_ms=int((0.5 + 9 * self._random()) * DAY_MS))
        elif link == "on_time":
            sessions.act(at, device, identify)
        properties = {
            "technology": technology,
            "method": self._cast.pick(("password", "github", "google")),
            "plan": plan,
        }
        signed_up = Act("event", "Signed Up", user_id, session, {"properties": properties})
        if link in ("on_time", "alias_call") and self._random() < 0.8:
            sessions.act(at + 150, device, signed_up)
        else:
            self._adoption.report(developer, at + 150, signed_up, in_browser=False)

    def _second_account(self, developer: Developer, at: int) -> None:
        """Sign up once more, by another way to log in, on another device; the two accounts are merged days later."""
        sessions, device, user_id = self._sessions, developer.devices[-1], developer.second_user_id
        at = sessions.browse(device, at, [*sessions.reading(2), catalog.SIGN_UP])
        self._register(developer, device, "", at, user_id)
        at = sessions.browse(device, at + 5_000, [self._cast.pick(catalog.DASHBOARD_PAGES)], user_id=user_id)
        sessions.later(self._merge, developer, at + int((0.1 + 8 * self._random()) * DAY_MS))

    def _merge(self, developer: Developer, at: int) -> None:
        act = Act("merge", "", developer.user_id, "", {"previous_id": developer.second_user_id})
        self._adoption.report(developer, at, act, in_browser=self._random() < 0.5)

    # -- companies -------------------------------------------------------------------------------------------------

    def _join(self, developer: Developer, at: int) -> None:
        """Become a member of the company that one founded or was invited to, or of one that came before."""
        company = developer.company
        if company is None:
            if not self._companies:
                return
            company = developer.company = self._cast.pick(tuple(self._companies[-200:]))
        if not company.members:
            self._companies.append(company)
        company.members.append(developer)
        traits = {"name": company.name, "plan": company.plan, "employees": company.employees}
        act = Act("group", "", developer.user_id, "", {"company_id": company.id, "traits": traits})
        self._adoption.report(developer, at, act, in_browser=developer.linked(at))

    def _invite(self, developer: Developer, at: int) -> None:
        company, until = developer.company, self._sessions.timeline.until
        if company is None:
            return
        for colleague in company.invited:
            fields = {"properties": {"role": "developer"}, "company_id": company.id}
            act = Act("event", "Invitation Sent", developer.user_id, "", fields)
            self._adoption.report(developer, at, act, in_browser=developer.linked(at))
            accepts = at + 3 * MINUTE_MS + int(self._random() ** 3 * 5 * DAY_MS)
            self._sessions.later(self._sign_up, colleague, min(accepts, max(at, until - HOUR_MS)))
            at += 20_000

    def _buy(self, company: Company, at: int) -> None:
        self._companies.append(company)
        self._adoption.sell(company, at)

    # -- everyday --------------------------------------------------------------------------------------------------

    def _stay(self, developer: Developer, at: int) -> None:
        stays = {"leaves": 4, "stuck": 6, "tries": 9}.get(developer.intent, 16)
        developer.quiet_from_day = self._sessions.day_of(at) + stays
        wait = self._pause()
        if developer.late_link == "late_login":
            wait = int((2 + 10 * self._random()) * DAY_MS)
        self._sessions.later(self._work, developer, at + wait)

    def _work(self, developer: Developer, at: int) -> None:
        """A session in the dashboard; on a device or in a session that is new, it starts before the login."""
        sessions, random, pick = self._sessions, self._random, self._cast.pick
        first_login = developer.late_link == "late_login"
        if first_login:
            developer.late_link = "on_time"
        elif not developer.linked(at):
            sessions.later(self._work, developer, at + DAY_MS)
            return
        device = developer.devices[0] if first_login or random() < 0.7 else developer.devices[-1]
        session, user_id = sessions.session_token(device), developer.user_id
        if first_login or random() < 0.4:
            origin = self._cast.origin() if random() < 0.2 else DIRECT
            at = sessions.browse(device, at, sessions.reading(2), origin, session=session)
            sessions.act(at, device, Act("identify", "", user_id, session, {"traits": {"email": developer.email}}))
        pages = [pick(catalog.DASHBOARD_PAGES), *(pick(catalog.DOCS_PAGES) for _ in range(int(random() * 3)))]
        at = sessions.browse(device, at + 2_000, pages, user_id=user_id, session=session)
        following = at + self._pause()
        if sessions.day_of(following) < developer.quiet_from_day:
            sessions.later(self._work, developer, following)

    def _pause(self) -> int:
        """From one session in the dashboard to the next, in ms."""
        return 5 * HOUR_MS + int(self._random() ** 1.5 * 9 * DAY_MS)
