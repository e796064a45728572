"""The actors of the simulated population: developers, their devices and companies, and the tokens of their apps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from deploy.simulator import catalog
from deploy.simulator.catalog import Country, Origin, Sdk
from deploy.simulator.stamps import DAY_MS

T = TypeVar("T")
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


class Mix:
    """Draws names by share, evenly spread: after n draws each name came up close to n times its share.

    A plain weighted draw would leave rare kinds out of a small population.
    """

    def __init__(self, shares: Mapping[str, float], random: Callable[[], float]) -> None:
        total = sum(shares.values())
        self._shares = {name: share / total for name, share in shares.items()}
        self._random = random
        self._due = {name: random() * 0.5 for name in shares}

    def next(self) -> str:
        """The name that is most overdue."""
        due = self._due
        for name, share in self._shares.items():
            due[name] += share * (0.5 + self._random())
        chosen = max(due, key=due.__getitem__)
        due[chosen] -= 1.0
        return chosen


@dataclass(slots=True, eq=False)
class Device:
    """A browser profile. `skew_ms` is how far its clock is ahead of the true one; `native` ones report in native JSON."""

    anonymous_id: str
    user_agent: str
    ip: str
    locale: str
    skew_ms: int = 0
    native: bool = False
    keeps_sessions: bool = False


@dataclass(slots=True, eq=False)
class Company:
    """A customer. `members` are those who have joined, `invited` those who will be asked to."""

    id: str
    name: str
    plan: str
    employees: int
    members: list[Developer] = field(default_factory=list)
    invited: list[Developer] = field(default_factory=list)
    has_key: bool = False


@dataclass(slots=True, eq=False)
class Developer:
    """A person. `intent` is how far they will go, `late_link` how their identification comes late (or `on_time`)."""

    user_id: str
    email: str
    country: Country
    sdk: Sdk
    devices: list[Device]
    intent: str
    origin: Origin
    role: str = "solo"
    company: Company | None = None
    second_user_id: str = ""
    late_link: str = "on_time"
    late_key: bool = False
    signed_up: int = 0
    quiet_from_day: int = 0

    def linked(self, at: int) -> bool:
        """Whether events from the developer's device may carry the user id at `at` (ms)."""
        if self.late_link == "late_arrival":
            return at > self.signed_up + 10 * DAY_MS
        return self.late_link != "late_login"


@dataclass(slots=True, eq=False)
class Token:
    """An API key in use by one app: how often, how, and which other identifiers its calls carry.

    `identifiers`: `key`, `key+company`, or `key+user` (calls name one of the company's members). Rates are per active day.
    """

    key: str
    environment: str
    identifiers: str
    company: Company | None
    context: dict[str, Any]
    hours: tuple[int, ...]
    offset_minutes: int
    weekday: float
    weekend: float
    calls: float
    messages: float
    connections: float
    failing: bool
    segment: bool
    explicit_environment: bool
    from_day: int = 0
    to_day: int = 1_000_000

    def usual_day(self) -> float:
        """How many API events an active day brings on average."""
        return self.calls + self.messages + self.connections


class Casting:
    """Makes actors. Draws only on `rng.random` and `rng.getrandbits`, which every Python version computes alike."""

    def __init__(self, rng: Random) -> None:
        self.random = rng.random
        self.bits = rng.getrandbits
        self.intents = Mix({"leaves": 16, "stuck": 7, "tries": 26, "tinkers": 22, "builds": 29}, self.random)
        self.links = Mix({"on_time": 88, "late_login": 4, "late_arrival": 5, "alias_call": 3}, self.random)
        self.identifiers = Mix({"key": 80, "key+company": 20}, self.random)
        self.clocks = Mix({"right": 95, "wrong": 5}, self.random)
        self.collectors = Mix({"segment": 86, "native": 14}, self.random)
        self.lone_devices = Mix({"own": 96.5, "shared": 3.5}, self.random)
        self.accounts = Mix({"one": 98, "two": 2}, self.random)
        self.key_events = Mix({"on_time": 93, "late": 7}, self.random)
        self.key_formats = Mix({"prefixed": 96, "plain": 4}, self.random)
        self.reporters = Mix({"native": 96, "segment": 4}, self.random)
        self._last_device: Device | None = None

    def pick(self, items: tuple[T, ...]) -> T:
        return items[int(self.random() * len(items))]

    def text(self, length: int) -> str:
        bits = self.bits(5 * length)
        return "".join(_LETTERS[bits >> 5 * i & 31] for i in range(length))

    def device(self, country: Country | None = None, user_agent: str = "") -> Device:
        """A device; one in twenty has a wrong clock: minutes or hours off, or set to another year."""
        random = self.random
        skew = 0
        if self.clocks.next() == "wrong":
            size = random()
            skew = int((size - 0.5) * 4 * 3_600_000) if size < 0.8 else -int((300 + 1200 * size) * 86_400_000)
        return Device(
            anonymous_id=f"{self.bits(64):016x}{self.bits(64):016x}",
            user_agent=user_agent or self.pick(catalog.BROWSERS),
            ip=f"198.{18 + self.bits(1)}.{self.bits(8)}.{self.bits(8)}",
            locale=(country or self.pick(catalog.COUNTRIES)).locale,
            skew_ms=skew,
            native=self.collectors.next() == "native",
            keeps_sessions=random() < 0.6,
        )

    def origin(self) -> Origin:
        """Where a first visit comes from: a campaign, a site that links here, or nowhere."""
        kind = self.random()
        if kind < 0.36:
            campaign = self.pick(catalog.CAMPAIGNS)
            return Origin(campaign, "https://www.google.com/" if campaign.source == "google" else "")
        return Origin(None, self.pick(catalog.REFERRERS)) if kind < 0.8 else catalog.DIRECT

    def company(self) -> Company:
        word = self.pick(catalog.COMPANY_HEADS) + self.pick(catalog.COMPANY_TAILS)
        return Company(
            f"{word}-{self.text(4)}", word.capitalize(), self.pick(catalog.PLANS), int(2 + 400 * self.random() ** 4)
        )

    def developer(self, role: str, company: Company | None = None, intent: str = "") -> Developer:
        """A person who will sign up. Some sit at the device of the one made before them."""
        random = self.random
        country, name = self.pick(catalog.COUNTRIES), self.pick(catalog.FIRST_NAMES)
        domain = f"{company.id}.example" if company else "mail.example"
        if role == "employee":
            domain = catalog.INTERNAL_DOMAIN
        devices = [self.device(country)]
        if self.lone_devices.next() == "shared" and self._last_device is not None:
            devices = [self._last_device]
        elif random() < 0.35:
            devices.append(self.device(country))
        self._last_device = devices[0]
        developer = Developer(
            user_id=f"usr_{self.text(10)}",
            email=f"{name}.{self.text(4)}@{domain}",
            country=country,
            sdk=self.pick(catalog.SDKS),
            devices=devices,
            intent=intent or self.intents.next(),
            origin=self.origin(),
            role=role,
            company=company,
            late_link="on_time" if role == "employee" else self.links.next(),
            late_key=self.key_events.next() == "late",
        )
        if role == "solo" and self.accounts.next() == "two":
            developer.second_user_id = f"usr_{self.text(10)}"
            developer.devices = [*devices[:1], self.device(country)]
        return developer

    def token(self, owner: Developer | None, company: Company | None, environment: str, intent: str) -> Token:
        """A key and the app that uses it; how much depends on what its owner is up to."""
        random = self.random
        sdk = owner.sdk if owner else self.pick(catalog.SDKS)
        country = owner.country if owner else self.pick(catalog.COUNTRIES)
        plain = environment != "development" and self.key_formats.next() == "plain"
        prefix = {"production": "sk_live", "test": "sk_test", "development": "sk_dev"}[environment]
        weekday, weekend, calls, hours = 0.5, 0.3, 4.0, catalog.EVENING_HOURS
        if environment == "production" and intent == "tinkers":
            weekday, weekend, calls = 0.22 + 0.3 * random(), 0.3 + 0.4 * random(), 2.5
        elif environment == "production":
            size = random()
            weekday, weekend, calls, hours = 0.9, 0.35, 2.5 + 16 * size**4, catalog.OFFICE_HOURS
            if size > 0.6:
                weekday, weekend, hours = 1.0, 0.95, catalog.ROUND_THE_CLOCK
        talks = environment == "production" and random() < (0.65 if company else 0.25)
        context: dict[str, Any] = {
            "user_agent": sdk.user_agent.format(self.pick(sdk.versions)),
            "sdk": sdk.technology,
            "ip": f"198.{18 + self.bits(1)}.{self.bits(8)}.{self.bits(8)}",
            "country": country.code,
        }
        return Token(
            key=f"fc_{self.text(24)}" if plain else f"{prefix}_fc_{self.text(24)}",
            environment=environment,
            identifiers=self.identifiers.next() if company else "key",
            company=company,
            context=context,
            hours=hours,
            offset_minutes=country.offset_minutes,
            weekday=weekday,
            weekend=weekend,
            calls=calls,
            messages=0.5 + 7 * random() ** 2 if talks else 0.0,
            connections=0.2 + 0.8 * random() if talks else 0.0,
            failing=intent == "stuck",
            segment=self.reporters.next() == "segment",
            explicit_environment=plain or random() < 0.3,
        )

    def monitor(self) -> Token:
        """The key of an uptime check: traffic whose user agent is a bot's."""
        token = self.token(None, None, "production", "builds")
        token.context["user_agent"] = catalog.MONITOR
        token.weekday = token.weekend = 1.0
        token.calls, token.messages, token.connections = 4.0, 0.0, 0.0
        return token
