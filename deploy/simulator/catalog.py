"""What the simulated vendor looks like: Firstcall's imaginary realtime-messaging API, its site, campaigns and customers.

Every address uses names and networks that are reserved for examples. Weights are whole numbers, relative to each other.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

T = TypeVar("T")

SITE = "https://www.firstcall.example"
INTERNAL_DOMAIN = "firstcall.example"


class Campaign(NamedTuple):
    """The UTM fields of a link that someone paid or planned for."""

    source: str
    medium: str
    name: str
    term: str
    content: str


class Page(NamedTuple):
    path: str
    title: str


class Origin(NamedTuple):
    """Where a visit comes from; both parts may be empty (typed address, bookmark)."""

    campaign: Campaign | None
    referrer: str


class Sdk(NamedTuple):
    """A client library, as the API sees it: `{}` in the user agent takes the version."""

    technology: str
    user_agent: str
    versions: tuple[str, ...]


class Country(NamedTuple):
    """A country with the offset of its wall clock from UTC, in minutes."""

    code: str
    offset_minutes: int
    locale: str


class Route(NamedTuple):
    """An API operation; latency in milliseconds."""

    method: str
    path: str
    status: int
    latency_ms: int


def spread(*weighted: tuple[int, T]) -> tuple[T, ...]:
    """Each item repeated by its weight, so that one uniform index draws by weight."""
    return tuple(item for weight, item in weighted for _ in range(weight))


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def by_minute(*hour_weights: int) -> tuple[int, ...]:
    """1,440 minutes of the local day; one uniform index draws a minute by the weight of its hour."""
    total = sum(hour_weights)
    minutes: list[int] = []
    done = 0
    for hour, weight in enumerate(hour_weights):
        first, done = round(1440 * done / total), done + weight
        slots = round(1440 * done / total) - first
        minutes.extend(hour * 60 + i * 60 // slots for i in range(slots))
    return tuple(minutes)


OFFICE_HOURS = by_minute(2, 1, 1, 1, 1, 1, 2, 5, 12, 20, 24, 23, 16, 18, 23, 23, 21, 16, 11, 9, 9, 8, 6, 4)
EVENING_HOURS = by_minute(6, 3, 2, 1, 1, 1, 1, 2, 4, 6, 7, 7, 7, 7, 8, 8, 9, 11, 14, 19, 23, 24, 19, 12)
ROUND_THE_CLOCK = by_minute(12, 10, 9, 9, 9, 10, 12, 15, 19, 22, 23, 23, 22, 23, 23, 22, 21, 20, 20, 20, 20, 19, 17, 14)

#: Monday to Sunday.
WEB_WEEK = (1.0, 1.1, 1.12, 1.08, 0.92, 0.48, 0.5)
API_WEEK = (1.02, 1.06, 1.07, 1.05, 1.0, 0.82, 0.8)

CAMPAIGNS = spread(
    (7, Campaign("google", "cpc", "realtime-api-search", "websocket api", "variant-a")),
    (5, Campaign("google", "cpc", "realtime-api-search", "push messages api", "variant-b")),
    (4, Campaign("google", "cpc", "python-chat", "python chat backend", "variant-a")),
    (4, Campaign("linkedin", "paid-social", "scale-your-events", "", "cto-carousel")),
    (3, Campaign("reddit", "paid-social", "webdev-launch", "", "promoted-post")),
    (4, Campaign("newsletter", "email", "monthly-digest", "", "tutorial-link")),
    (3, Campaign("youtube", "video", "build-a-chat", "", "description-link")),
    (2, Campaign("devconf", "event", "booth-2026", "", "qr-code")),
)
ADVERTISED_MEDIA = frozenset({"cpc", "paid-social"})
REFERRERS = spread(
    (10, "https://www.google.com/"),
    (3, "https://duckduckgo.com/"),
    (5, "https://stackoverflow.com/questions/tagged/websocket"),
    (3, "https://news.ycombinator.com/item?id=40000001"),
    (3, "https://www.reddit.com/r/webdev/"),
    (3, "https://dev.to/t/realtime"),
    (2, "https://blog.partner.example/realtime-apis-compared"),
)
INVITATION = Origin(None, "https://mail.example/")
DIRECT = Origin(None, "")

HOME = Page("/", "Realtime messaging for developers")
PRICING = Page("/pricing", "Pricing")
SIGN_UP = Page("/signup", "Create an account")
INVITE = Page("/invite", "Join your team")
LANDING_PAGES = spread(
    (5, HOME),
    (3, Page("/use-cases/chat", "Chat")),
    (2, Page("/use-cases/live-dashboards", "Live dashboards")),
    (3, Page("/blog/scaling-websockets", "Scaling WebSockets")),
    (2, Page("/blog/presence-in-ten-lines", "Presence in ten lines")),
    (5, Page("/docs/quickstart", "Quickstart")),
)
DOCS_PAGES = spread(
    (8, Page("/docs/quickstart", "Quickstart")),
    (4, Page("/docs/authentication", "Authentication")),
    (4, Page("/docs/channels", "Channels")),
    (3, Page("/docs/presence", "Presence")),
    (3, Page("/docs/webhooks", "Webhooks")),
    (3, Page("/docs/api/messages", "Messages API")),
    (2, Page("/docs/errors", "Errors and limits")),
    (2, Page("/docs/sdks/python", "Python SDK")),
    (2, Page("/docs/sdks/node", "Node.js SDK")),
    (1, Page("/docs/sdks/go", "Go SDK")),
)
DASHBOARD_PAGES = spread(
    (5, Page("/dashboard", "Overview")),
    (3, Page("/dashboard/keys", "API keys")),
    (3, Page("/dashboard/logs", "Request logs")),
    (1, Page("/dashboard/billing", "Billing")),
    (1, Page("/dashboard/team", "Team")),
)

SDKS = spread(
    (9, Sdk("node", "firstcall-node/{} (Node.js 22)", ("4.2.0", "4.3.1", "5.0.0"))),
    (8, Sdk("python", "firstcall-python/{} (CPython 3.12)", ("2.3.1", "2.4.0", "2.4.1"))),
    (4, Sdk("go", "firstcall-go/{} (go1.24)", ("1.8.0", "1.9.2"))),
    (3, Sdk("java", "firstcall-java/{} (21.0.4)", ("3.0.2", "3.1.0"))),
    (3, Sdk("php", "firstcall-php/{} (8.3)", ("1.4.0",))),
    (2, Sdk("ruby", "firstcall-ruby/{} (3.3)", ("1.2.1",))),
    (2, Sdk("curl", "curl/{}", ("8.5.0", "8.9.1"))),
)
ROUTES = spread(
    (10, Route("POST", "/v1/messages", 202, 24)),
    (7, Route("POST", "/v1/channels/{channel}/events", 200, 18)),
    (4, Route("GET", "/v1/channels", 200, 12)),
    (3, Route("GET", "/v1/channels/{channel}/presence", 200, 15)),
    (2, Route("POST", "/v1/tokens", 201, 31)),
    (1, Route("DELETE", "/v1/channels/{channel}", 204, 22)),
)
FAILURES = spread((5, 429), (4, 400), (2, 404), (2, 500), (2, 503))
REFUSALS = spread((3, 401), (1, 403))

COUNTRIES = spread(
    (14, Country("US", -300, "en-US")),
    (5, Country("US", -480, "en-US")),
    (3, Country("IN", 330, "en-IN")),
    (4, Country("DE", 120, "de-DE")),
    (4, Country("GB", 60, "en-GB")),
    (3, Country("BR", -180, "pt-BR")),
    (2, Country("FR", 120, "fr-FR")),
    (1, Country("JP", 540, "ja-JP")),
    (2, Country("NG", 60, "en-NG")),
    (1, Country("AU", 600, "en-AU")),
)
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
BROWSERS = spread(
    (6, f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/136.0.0.0 Safari/537.36"),
    (6, f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT} Chrome/136.0.0.0 Safari/537.36"),
    (3, "Mozilla/5.0 (X11; Linux x86_64; rv:138.0) Gecko/20100101 Firefox/138.0"),
    (2, f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) {_WEBKIT} Mobile/15E148"),
)
CRAWLERS = spread(
    (4, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
    (2, "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"),
    (1, f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} HeadlessChrome/136.0.0.0 Safari/537.36"),
)
MONITOR = "Pingdom.com_bot_version_1.4"

FIRST_NAMES = words("ada amir bea chen dora eli femi gita hugo ines jun kofi lena olu")
COMPANY_HEADS = words("acorn bright cobalt delta ember fjord gable harbor iris juniper kite lumen")
COMPANY_TAILS = words("works labs chat pay health games logistics media cloud desk")
PLANS = spread((6, "free"), (3, "startup"), (1, "business"))
