"""Compares the named queries that are asked on top of other views with the reference, cell by cell: for dashboards, and for the monitors."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from statistics import median_high
from typing import Any, Final
from urllib.parse import urlsplit

from clickhouse_connect.driver import Client

from schemas.config.definitions import Definitions
from tests.support.contract_reader import EPOCH, ms
from tests.support.reference import Published, attribution, usage
from tests.support.reference.calls import Call
from tests.support.reference.subjects import DAY, HOUR, LEVELS, MINUTE, Subject, subjects
from tests.support.usage_contract import answer, text

#: Rows that are asked for.
MANY: Final = "10000000"
#: Segments of the numbers of monitors. Companies are not compared by company.
SEGMENTS: Final = {"developer": ("source", "company", "technology"), "company": ("source", "technology")}

Counts = dict[tuple[str, str, int], tuple[int, int]]


def query_differences(client: Client, published: Published, definitions: Definitions) -> list[str]:
    """One line for each row that is not as the reference has it; empty if all agree. The rows are reconciled already."""
    found = subjects(published)
    return [
        *_activations(client, found, definitions),
        *_conversion(client, found),
        *_first_calls(client, found),
        *_tokens(client, published),
        *_campaigns(client, published),
        *_attribution(client, published),
        *_risks_and_power(client, published, definitions),
        *_growth(client, published),
        *_concentration(client, published),
        *_top_companies(client, published),
        *_usage(client, published),
        *_journeys(client, published),
        *_copies(client, published),
    ]


# What the monitors look at


def _activations(client: Client, found: list[Subject], definitions: Definitions) -> Iterator[str]:
    for name, definition in definitions.activations.items():
        for level in definition.levels:
            reached = [
                (one, one.activations[name], True) for one in found if one.level == level and name in one.activations
            ]
            wanted = {key: (count, 0) for key, (count, _) in _by_hour(reached).items()}
            given = {"level": level, "definition": name, "segments": ",".join(SEGMENTS[level])}
            yield from _unlike("hourly-activations", given, wanted, _hourly(client, "hourly-activations", given))


def _conversion(client: Client, found: list[Subject]) -> Iterator[str]:
    for level in LEVELS:
        for minutes in (180, 7 * 24 * 60):
            decided = [
                (one, one.stages["signup"] + minutes * MINUTE)
                for one in found
                if one.level == level and "signup" in one.stages
            ]
            wanted = _by_hour((one, at, one.stages.get("first_call", at + 1) <= at) for one, at in decided)
            given = {"level": level, "within_minutes": str(minutes), "segments": ",".join(SEGMENTS[level])}
            yield from _unlike("hourly-conversion", given, wanted, _hourly(client, "hourly-conversion", given))


def _first_calls(client: Client, found: list[Subject]) -> Iterator[str]:
    """The usual time is the median of those until a week before the last, of two in the middle the greater."""
    for level in LEVELS:
        taken = [
            (one, one.stages["first_call"], one.stages["first_call"] - one.stages["signup"])
            for one in found
            if one.level == level and one.stages.keys() >= {"signup", "first_call"}
        ]
        taken = [(one, at, time) for one, at, time in taken if time >= 0]
        last = max((_hour(at) for _, at, _ in taken), default=0)
        past = [time for _, at, time in taken if _hour(at) <= last - 7 * DAY]
        usual = median_high(past) if past else 0
        for given, within in (({}, usual), ({"target_seconds": "3600.5"}, 3_600_500)):
            wanted = _by_hour((one, at, bool(within) and time <= within) for one, at, time in taken)
            asked = {"level": level, "segments": ",".join(SEGMENTS[level]), **given}
            yield from _unlike("hourly-first-calls", asked, wanted, _hourly(client, "hourly-first-calls", asked))


def _tokens(client: Client, published: Published) -> Iterator[str]:
    for environment in ("production", "test"):
        hours = Counter(
            hour + HOUR for level, _, where, hour in published.activity if (level, where) == ("token", environment)
        )
        wanted = {("", "", hour): (count, 0) for hour, count in hours.items()}
        given = {"environment": environment}
        yield from _unlike("hourly-tokens", given, wanted, _hourly(client, "hourly-tokens", given))


def _by_hour(moments: Iterable[tuple[Subject, int, bool]]) -> Counts:
    """How many succeeded of how many, by segment, value and END of the hour; `moments`: subject, when, whether it did."""
    found: dict[tuple[str, str, int], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for one, at, succeeded in moments:
        for segment in ("", *SEGMENTS[one.level]):
            key = (segment, one.segments.get(segment, "") if segment else "", _hour(at))
            count, trials = found[key]
            found[key] = (count + succeeded, trials + 1)
    return dict(found)


def _hourly(client: Client, name: str, given: dict[str, str]) -> Counts:
    return {
        (row["segment"], row["value"], ms(row["hour"])): (row["count"], row["trials"])
        for row in answer(client, name, **given)
    }


def _hour(at: int) -> int:
    """The end of the hour of a time. An hour includes its end."""
    return -(-at // HOUR) * HOUR


# What dashboards show


def _campaigns(client: Client, published: Published) -> Iterator[str]:
    wanted: dict[str, list[int]] = {}
    for profile in published.developers.values():
        if profile["is_internal"] or profile["is_bot"]:
            continue
        touch = profile["first_touch"]
        referrer = touch.get("referrer", "")
        referrer = urlsplit(referrer if "//" in referrer else f"//{referrer}").hostname or ""
        label = touch.get("campaign") or referrer or ("(none)" if profile["first_touch_at"] is None else touch["name"])
        counts = wanted.setdefault(label, [0, 0, 0, 0])
        for place, reached in enumerate(
            (True, *(name in profile["stages"] for name in ("signup", "first_call", "activated")))
        ):
            counts[place] += reached
    answered = answer(client, "campaigns", limit=MANY)
    found = {
        row["first_touch"]: [row[name] for name in ("developers", "signed_up", "called", "activated")]
        for row in answered
    }
    yield from _unlike("campaigns", {}, wanted, found)


def _attribution(client: Client, published: Published) -> Iterator[str]:
    touches, converted = attribution.touches_of(published), attribution.conversions(published)
    names = sorted({(one.level, one.name) for one in converted})
    all_credit = attribution.credit_of_touches(touches, converted, 7)
    for level, name in names:
        for model, by in zip(attribution.MODELS, ("campaign", "medium", "path", "name"), strict=True):
            parts: dict[str, list[Fraction]] = defaultdict(list)
            sharing: dict[str, set[str]] = defaultdict(set)
            for credit, part in all_credit.items():
                one = credit.conversion
                if (one.level, one.name, credit.model) == (level, name, model):
                    label = "(no touch)" if credit.time is None else dict(credit.fields).get(by) or "(none)"
                    parts[label].append(part)
                    sharing[label].add(one.subject)
            wanted = {label: (float(sum(each)), len(sharing[label])) for label, each in parts.items()}
            given = {"level": level, "conversion": name, "model": model, "by": by, "lookback": "7"}
            answered = answer(client, "attribution", **given, limit=MANY)
            found = {row["touch"]: (row["credit_of_conversions"], row["subjects_with_credit"]) for row in answered}
            yield from _unlike("attribution", given, wanted, found, _nearly(0.0051))


def _risks_and_power(client: Client, published: Published, definitions: Definitions) -> Iterator[str]:
    at = usage.latest(published) - 3 * DAY
    for name, reckoned in (
        ("churn-risk", usage.churn_risks(published, definitions, at)),
        ("power-users", usage.power_users(published, definitions, at)),
    ):
        companies = sorted({one.company for one in reckoned})
        for given in ({}, {"level": "developer"}, {"company": companies[-1] if companies else "nobody"}):
            wanted = Counter(
                (one.level, one.definition, one.subject, one.company)
                for one in reckoned
                if given.get("level", one.level) == one.level and given.get("company", one.company) == one.company
            )
            answered = answer(client, name, at=text(at), limit=MANY, **given)
            found = Counter((row["level"], row["definition"], row["subject"], row["company"]) for row in answered)
            yield from _unlike(name, given, wanted, found)


def _growth(client: Client, published: Published) -> Iterator[str]:
    """The weeks that end at the latest event, of each series of a whole week."""
    end = usage.hour_at(published, None)
    wanted: dict[tuple[str, str, str], dict[tuple[str, int], tuple[int, int]]] = defaultdict(dict)
    for (segment, value, metric, level), numbers in usage.growth(published):
        for back in range(3):
            week = end - back * 7 * DAY
            # A series ends where its last subject falls out; the weeks after it have none.
            now, before = (numbers.get(each, (0, 0))[0] for each in (week, week - 7 * DAY))
            if now or before:
                wanted[segment, metric, level][value, week] = now, before
    for (segment, metric, level), expected in wanted.items():
        given = {"segment": segment, "metric": metric, "level": level, "weeks": "3"}
        answered = answer(client, "growth", **given)
        found = {(row["value_of_segment"], ms(row["week_end"])): (row["value"], row["week_before"]) for row in answered}
        shown = {key: numbers for key, numbers in found.items() if any(numbers)}
        yield from _unlike("growth", given, expected, shown)


def _concentration(client: Client, published: Published) -> Iterator[str]:
    hour = usage.hour_at(published, None)
    reckoned = usage.concentration(usage.production_calls(published), hour)
    wanted = {
        key: (one.calls, one.subjects, one.largest, one.largest_calls / one.calls * 100, one.herfindahl)
        for key, one in reckoned.items()
    }
    found = {
        (row["level"], row["window_hours"]): (
            row["calls"],
            row["subjects"],
            row["largest"],
            row["largest_percent"],
            row["herfindahl"],
        )
        for row in answer(client, "concentration")
    }
    yield from _unlike("concentration", {}, wanted, found, _nearly(0.051))


def _top_companies(client: Client, published: Published) -> Iterator[str]:
    today = usage.latest(published) // DAY
    by_company: dict[str, list[Call]] = defaultdict(list)
    for call in published.calls:
        if call.company and call.environment == "production" and today - 28 < call.time // DAY <= today:
            by_company[call.company].append(call)
    total = sum(map(len, by_company.values()))
    wanted = {
        company: (
            len(calls),
            100 * len(calls) / total,
            100 * sum(call.outcome.status_class in (4, 5) for call in calls) / len(calls),
            len({call.developer for call in calls if not call.developer.startswith("api_key:")}),
            len({call.token for call in calls}),
            sorted({call.outcome.sdk for call in calls} - {""}),
        )
        for company, calls in by_company.items()
    }
    columns = ("calls", "calls_percent", "errors_percent", "developers", "tokens", "sdks")
    answered = answer(client, "top-companies", limit=MANY)
    found = {row["company"]: tuple(row[name] for name in columns) for row in answered}
    yield from _unlike("top-companies", {}, wanted, found, _nearly(0.051))


def _usage(client: Client, published: Published) -> Iterator[str]:
    """Shares and means; the counts under them are compared in `usage_contract`."""
    by_day: dict[int, list[Call]] = defaultdict(list)
    for call in published.calls:
        if call.environment == "production":
            by_day[call.time // DAY].append(call)
    if not by_day:
        return
    wanted = {
        day: (
            100 * sum(call.outcome.status_class in (4, 5) for call in calls) / len(calls),
            _mean(call.outcome.latency_us for call in calls),
        )
        for day, calls in by_day.items()
    }
    answered = answer(client, "usage", **{"from": text(min(by_day) * DAY), "to": text((max(by_day) + 1) * DAY)})
    found = {
        (row["day"] - EPOCH.date()).days: (row["errors_percent"], row["mean_latency_ms"])
        for row in answered
        if row["calls"]
    }
    yield from _unlike("usage", {}, wanted, found, _nearly(0.051))


def _mean(latencies: Iterable[int | None]) -> float | None:
    """In ms, of the known ones."""
    known = [latency for latency in latencies if latency is not None]
    return sum(known) / len(known) / 1000 if known else None


def _journeys(client: Client, published: Published) -> Iterator[str]:
    """The journeys of the subjects with the most and the fewest events: when each event was, and whose."""
    for level in LEVELS:
        times: dict[str, list[int]] = defaultdict(list)
        for resolved in published.events.values():
            times[resolved.company_id if level == "company" else resolved.developer_id].append(resolved.time)
        times.pop("", None)
        ranked = sorted(times, key=lambda subject: (len(times[subject]), subject))
        for subject in dict.fromkeys(ranked[:1] + ranked[-1:]):
            found = Counter(ms(row["time"]) for row in answer(client, "journey", **{level: subject}, limit=MANY))
            yield from _unlike("journey", {level: subject}, Counter(times[subject]), found)


def _copies(client: Client, published: Published) -> Iterator[str]:
    """Events whose copies disagree."""
    wanted = {identity: copies for identity, copies in published.copies.items() if copies[1] > 1}
    answered = answer(client, "disagreeing-copies", **{"from": "2000-01-01", "to": "2148-01-01"}, limit=MANY)
    found = {
        (row["message_id"], row["alias_kind"], row["alias"]): (ms(row["time"]), row["copies"])
        for row in answered
        if row["differ_in"]
    }
    yield from _unlike("disagreeing-copies", {}, wanted, found)


def _nearly(by: float) -> Callable[[Any, Any], bool]:
    """Whether two rows agree, numbers that a query rounds by so much."""

    def same(wanted: Any, found: Any) -> bool:
        if isinstance(wanted, tuple) and isinstance(found, tuple):
            return len(wanted) == len(found) and all(map(same, wanted, found))
        if isinstance(wanted, float) or isinstance(found, float):
            return wanted is not None and found is not None and abs(wanted - found) < by
        return bool(wanted == found)

    return same


def _unlike(
    name: str,
    given: dict[str, str],
    wanted: dict[Any, Any],
    found: dict[Any, Any],
    same: Callable[[Any, Any], bool] = lambda wanted, found: bool(wanted == found),
) -> Iterator[str]:
    for key in wanted.keys() | found.keys():
        if not same(wanted.get(key), found.get(key)):
            yield f"query {name} {given} {key!r}: expected {wanted.get(key)!r}, not {found.get(key)!r}"
