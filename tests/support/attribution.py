"""Compares the views of touches, attribution and outreach with the reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from clickhouse_connect.driver import Client

from deploy.queries.catalog import ask, bind, find_query
from schemas.config.definitions import Definitions
from tests.support.contract_reader import ms, optional_ms, rows
from tests.support.reference import Published
from tests.support.reference import attribution as reference

FIELDS: Final = ("campaign", "content", "medium", "name", "path", "referrer", "source", "term")
#: Credit is counted in millionths of millionths.
PRECISION: Final = 2e-12


def attribution_differences(client: Client, published: Published, definitions: Definitions) -> list[str]:
    """A line for each difference; none if all agree."""
    touches = reference.touches_of(published)
    converted = reference.conversions(published)
    lines = _touch_differences(client, touches)
    lines += _differing(
        "conversions",
        Counter(converted),
        Counter(
            reference.Conversion(level, subject, name, ms(time))
            for level, subject, name, time in rows(
                client, "SELECT level, subject_id, conversion, converted_at FROM conversions"
            )
        ),
    )
    for lookback in (0, 1):
        lines += _credit_differences(client, touches, converted, lookback)
    lines += _signup_differences(client, touches, converted)
    for level in ("developer", "company"):
        lines += _outreach_differences(client, definitions, published, level)
    return lines


def _touch_differences(client: Client, touches: dict[tuple[str, str], list[reference.Touched]]) -> list[str]:
    wanted = Counter(
        (level, subject, one.time, one.fields, one.is_content, one.segments)
        for (level, subject), theirs in touches.items()
        for one in theirs
    )
    query = f"SELECT level, subject_id, touched_at, {', '.join(FIELDS)}, is_content, segments FROM touches"
    found = Counter(
        (level, subject, ms(time), _words(texts), is_content, tuple(sorted(segments.items())))
        for level, subject, time, *texts, is_content, segments in rows(client, query)
    )
    return _differing("touches", wanted, found)


def _credit_differences(
    client: Client,
    touches: dict[tuple[str, str], list[reference.Touched]],
    converted: list[reference.Conversion],
    lookback: int,
) -> list[str]:
    wanted = reference.credit_of_touches(touches, converted, lookback)
    found: dict[reference.Credit, float] = {}
    query = f"""
        SELECT level, subject_id, conversion, converted_at, model, touched_at, {", ".join(FIELDS)}, sum(credit)
        FROM attribution_within(lookback_days = {lookback}, level = '', conversion = '', model = '') GROUP BY ALL"""
    for level, subject, name, at, model, touched, *texts, credit in rows(client, query):
        conversion = reference.Conversion(level, subject, name, ms(at))
        found[reference.Credit(conversion, model, optional_ms(touched), _words(texts))] = float(credit)
    lines = []
    for key in wanted.keys() | found.keys():
        conversion = key.conversion
        expected, actual = float(wanted.get(key, 0)), found.get(key, 0.0)
        # What does not divide makes some parts greater by the smallest unit.
        if abs(expected - actual) > PRECISION * max(1, len(touches.get((conversion.level, conversion.subject), []))):
            lines.append(f"credit, {lookback} days: {key}: expected {expected}, not {actual}")
    unequal = rows(
        client,
        f"""SELECT level, subject_id, conversion, model, sum(credit) FROM attribution_within(lookback_days = {lookback}, level = '', conversion = '', model = '')
        GROUP BY ALL HAVING sum(credit) != 1""",
    )
    return lines + [f"credits do not add up to 1: {row}" for row in unequal]


def _signup_differences(
    client: Client,
    touches: dict[tuple[str, str], list[reference.Touched]],
    converted: list[reference.Conversion],
) -> list[str]:
    wanted = {
        (level, reference_day(week), *counts)
        for (level, week), counts in reference.before_signup(touches, converted).items()
    }
    found = {tuple(row[:5]) for row in answer(client, "content-before-signup")}
    return _differing("content before sign-up", Counter(wanted), Counter(found))


def _outreach_differences(client: Client, definitions: Definitions, published: Published, level: str) -> list[str]:
    lines = []
    for segment in ("technology", "country"):
        weeks = reference.outreach_weeks(published, definitions, level, segment)
        wanted = Counter((reference_day(week), value or "(none)", *counts) for (week, value), counts in weeks.items())
        answered = answer(client, "outreach", segment=segment, level=level)
        found = Counter((str(week), *rest) for week, *rest in answered)
        lines += _differing(f"outreach by {segment} and {level}", wanted, found)
        last = max((one["last_active"] or 0 for one in published.developers.values()), default=0)
        series = reference.lag_correlations(weeks, last)
        lagged = {(value, lag): (n, r) for value, lag, n, r in series}
        answered = answer(client, "outreach-lag", segment=segment, level=level)
        lags = {(value, lag): (n, r) for value, lag, n, r in answered}
        for key in lagged.keys() | lags.keys():
            (pairs, r), (other_pairs, other_r) = lagged.get(key, (None, None)), lags.get(key, (None, None))
            equal = other_r is None if r is None else other_r is not None and abs(r - other_r) <= 1e-4
            if pairs != other_pairs or not equal:
                lines.append(f"lag {segment} {level} {key}: expected {pairs, r}, not {other_pairs, other_r}")
    return lines


def answer(client: Client, name: str, **given: str) -> list[tuple[Any, ...]]:
    """The rows of a named query."""
    query = find_query(name)
    values = bind(query, given)
    return list(ask(client, query.sql, values).rows)


def reference_day(time: int) -> str:
    """The UTC day of a time, as text."""
    from streams.normalise.clock import text

    return text(time)[:10]


def _words(texts: Iterable[str]) -> reference.Fields:
    return tuple((field, text) for field, text in zip(FIELDS, texts, strict=True) if text)


def _differing(what: str, wanted: Mapping[Any, int], found: Mapping[Any, int]) -> list[str]:
    return [
        f"{what}: {key!r}: expected {wanted.get(key, 0)} times, not {found.get(key, 0)}"
        for key in wanted.keys() | found.keys()
        if wanted.get(key, 0) != found.get(key, 0)
    ]
