"""Compares the views and queries of usage with the reference, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import isclose
from typing import Any, Final

from clickhouse_connect.driver import Client

from deploy.queries.catalog import ask, bind, find_query
from schemas.config.definitions import Definitions
from tests.support.contract_reader import EPOCH, ms, optional_ms, rows
from tests.support.reference import Published, usage
from tests.support.reference.usage import DAY, HOUR

_CONCENTRATION: Final = "toUnixTimestamp64Milli(hour), level, window_hours, calls, subjects, largest, largest_calls, largest_share, herfindahl"
_GROWTH: Final = (
    "SELECT segment, segment_value, metric, level, toUnixTimestamp64Milli(hour), value, week_before, growth_percent"
    " FROM growth WHERE toHour(hour) = 0 AND (value != 0 OR week_before != 0)"
)
_RISKS: Final = "level, definition, subject_id, company_id, at_risk_since, entered_at, last_use_hour, days_silent"
_POWER: Final = "level, definition, subject_id, company_id, active_days, of_days, last_day"


def usage_differences(client: Client, published: Published, definitions: Definitions, moments: int = 6) -> list[str]:
    """One line for each number that is not as the reference has it; empty if all agree. The rows are reconciled already.

    What is asked as of a time is asked at so many moments, beside the latest event.
    """
    last = usage.latest(published)
    backs = (17 * DAY + 7 * HOUR, 0, HOUR // 2, 5 * HOUR + 1, 3 * DAY, last % DAY)
    times = [last - back for back in backs[:moments] if last > back]
    return [
        *_concentration(client, published, times),
        *_growth(client, published),
        *_churn(client, published, definitions, times),
        *_power(client, published, definitions, times),
        *_by_day(client, published),
        *_accounts(client, published, definitions),
    ]


def answer(client: Client, name: str, **given: str) -> list[dict[str, Any]]:
    """The rows of a named query."""
    query = find_query(name)
    values = bind(query, given)
    found = ask(client, query.sql, values)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def text(time: int) -> str:
    """A time (ms) as a parameter of a query."""
    moment = datetime.fromtimestamp(0, tz=UTC) + timedelta(milliseconds=time)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{time % 1000:03d}"


def _differing(what: str, wanted: dict[Any, Any], found: dict[Any, Any]) -> Iterator[str]:
    for key in wanted.keys() | found.keys():
        if not _same(wanted.get(key), found.get(key)):
            yield f"{what} {key!r}: expected {wanted.get(key)!r}, not {found.get(key)!r}"


def _same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, tuple) and isinstance(found, tuple) and len(wanted) == len(found):
        return all(_same(*pair) for pair in zip(wanted, found, strict=True))
    if isinstance(wanted, float) and isinstance(found, float):
        return isclose(wanted, found, rel_tol=1e-9)
    return bool(wanted == found)


def _concentration(client: Client, published: Published, times: list[int]) -> Iterator[str]:
    found = {tuple(row[:3]): row[3:] for row in rows(client, f"SELECT {_CONCENTRATION} FROM concentration")}
    wanted = {key: _with_share(one) for key, one in usage.concentration_by_midnight(published).items()}
    yield from _differing("concentration", wanted, found)
    calls = usage.production_calls(published)
    for time in [None, *times]:
        asked = {"at": "" if time is None else text(time)}
        answered = rows(client, f"SELECT {_CONCENTRATION} FROM concentration_at(at = {{at:String}})", asked)
        hour = usage.hour_at(published, time)
        expected = {(hour, *key): _with_share(one) for key, one in usage.concentration(calls, hour).items()}
        yield from _differing(
            f"concentration_at {asked['at']}", expected, {tuple(row[:3]): row[3:] for row in answered}
        )


def _with_share(one: usage.Concentration) -> tuple[Any, ...]:
    return (*one[:4], one.largest_calls / one.calls, one.herfindahl)


def _growth(client: Client, published: Published) -> Iterator[str]:
    found: dict[tuple[Any, ...], dict[int, Any]] = {}
    for segment, value, metric, level, hour, *numbers in rows(client, _GROWTH):
        found.setdefault((segment, value, metric, level), {})[hour] = tuple(numbers)
    for series, wanted in usage.growth(published):
        answered = found.pop(series, {})
        # The view ends where no more can have happened.
        until = max(usage.latest(published), *answered, 0)
        expected = {
            hour: numbers for hour, numbers in wanted.items() if hour <= until and hour % DAY == 0 and any(numbers)
        }
        yield from _differing(
            f"growth {series}", {hour: _grown(*numbers) for hour, numbers in expected.items()}, answered
        )
    yield from (f"growth {series}: unexpected" for series in found)


def _grown(now: int, before: int) -> tuple[int, int, float | None]:
    return now, before, 100 * (now / before - 1) if before else None


def _churn(client: Client, published: Published, definitions: Definitions, times: list[int]) -> Iterator[str]:
    for time in [None, *times]:
        at = "" if time is None else text(time)
        found = {
            usage.Risk(ids[0], ids[1], ids[2], ids[3], ms(since), optional_ms(entered), optional_ms(last_use), silent)
            for *ids, since, entered, last_use, silent in rows(
                client, f"SELECT {_RISKS} FROM churn_risks_at(at = {{at:String}})", {"at": at}
            )
        }
        yield from _unlike(f"churn_risks_at {at}", usage.churn_risks(published, definitions, time), found)
    if rows(client, f"SELECT {_RISKS} FROM churn_risks EXCEPT SELECT {_RISKS} FROM churn_risks_at(at = '')"):
        yield "churn_risks: not churn_risks_at(at = '')"


def _power(client: Client, published: Published, definitions: Definitions, times: list[int]) -> Iterator[str]:
    for time in [None, *times]:
        at = "" if time is None else text(time)
        found = {
            usage.Power(rest[0], rest[1], rest[2], rest[3], rest[4], rest[5], (day - EPOCH.date()).days)
            for *rest, day in rows(client, f"SELECT {_POWER} FROM power_users_at(at = {{at:String}})", {"at": at})
        }
        yield from _unlike(f"power_users_at {at}", usage.power_users(published, definitions, time), found)
    if rows(client, f"SELECT {_POWER} FROM power_users EXCEPT SELECT {_POWER} FROM power_users_at(at = '')"):
        yield "power_users: not power_users_at(at = '')"


def _unlike(what: str, wanted: set[Any], found: set[Any]) -> Iterator[str]:
    yield from (f"{what}: missing {row!r}" for row in wanted - found)
    yield from (f"{what}: unexpected {row!r}" for row in found - wanted)


def _largest(published: Published, place: str) -> list[str]:
    """Those with the most calls, the least, and one between."""
    calls: dict[str, int] = {}
    for call in published.calls:
        subject = getattr(call, place)
        if subject:
            calls[subject] = calls.get(subject, 0) + 1
    ranked = sorted(calls, key=lambda subject: (calls[subject], subject))
    return sorted({ranked[0], ranked[len(ranked) // 2], ranked[-1]}) if ranked else []


def _by_day(client: Client, published: Published) -> Iterator[str]:
    # Where nothing counts, there must be no row either.
    days = [call.time // DAY for call in published.calls] or [usage.latest(published) // DAY]
    period = {"from": text(min(days) * DAY), "to": text((max(days) + 1) * DAY)}
    asked: list[dict[str, str]] = [{}, {"environment": "test"}]
    asked += [{"company": company} for company in _largest(published, "company")]
    asked += [{"developer": developer} for developer in _largest(published, "developer")]
    for given in asked:
        wanted = {
            day: (calls, refused, failed, developers, tokens, list(sdks))
            for day, (calls, refused, failed, _, developers, tokens, sdks) in usage.use_by_day(
                published, **given
            ).items()
        }
        answered = answer(client, "usage", **given, **period)
        found = {
            (row["day"] - EPOCH.date()).days: tuple(
                row[name] for name in ("calls", "client_errors", "server_errors", "developers", "tokens", "sdks")
            )
            for row in answered
        }
        if sorted(found) != list(range(min(days), max(days) + 1)):
            yield f"usage {given}: not every day of the period"
        yield from _differing(f"usage {given}", wanted, {day: cells for day, cells in found.items() if cells[0]})


def _accounts(client: Client, published: Published, definitions: Definitions) -> Iterator[str]:
    risks, power = usage.churn_risks(published, definitions), usage.power_users(published, definitions)
    for level, profiles in (("company", published.companies), ("developer", published.developers)):
        for subject in _largest(published, level):
            answered = answer(client, "account", **{level: subject})
            if subject not in profiles or len(answered) != 1:
                yield f"account {level} {subject}: {len(answered)} rows"
                continue
            row, profile = answered[0], profiles[subject]
            today = usage.latest(published) // DAY
            recent = [
                cells
                for day, cells in usage.use_by_day(published, **{level: subject}).items()
                if today - 28 < day <= today
            ]
            wanted = {
                "stage": ([name for name in definitions.stages if name in profile["stages"]] or [""])[-1],
                "activations": sorted(profile["activations"]),
                "churn_risks": sorted(one.definition for one in risks if (one.level, one.subject) == (level, subject)),
                "power_user": sorted(one.definition for one in power if (one.level, one.subject) == (level, subject)),
                "calls": sum(cells[0] for cells in recent),
                "client_errors": sum(cells[1] for cells in recent),
                "server_errors": sum(cells[2] for cells in recent),
                "sdks": sorted({sdk for cells in recent for sdk in cells[6]}),
            }
            yield from _differing(f"account {level} {subject}", wanted, {name: row[name] for name in wanted})
