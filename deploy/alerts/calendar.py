"""When clocks change and public holidays are, as hours of a series: by the time zone database and the library `holidays`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from schemas.config.monitors import Calendar
from streams.alerting.clock_changes import ClockChange
from streams.alerting.monitor import Rules

_HOUR = timedelta(hours=1)


class Calendars:
    """The clock changes and holidays around the hours that are evaluated. Recomputed when the year of the hour changes."""

    def __init__(self, calendars: Sequence[Calendar]) -> None:
        self._calendars = calendars
        self._year: int | None = None
        self._changes: tuple[ClockChange, ...] = ()
        self._holidays: frozenset[int] = frozenset()

    def applied(self, rules: Rules, hour: int) -> Rules:
        """The rules with the clock changes and holidays of the year of an hour, the one before and the one after."""
        year = datetime.fromtimestamp(hour * 3600, UTC).year
        if year != self._year:
            years = range(year - 1, year + 2)
            # Zones that change at the same moment are one change: which share of people moved is estimated.
            self._changes = tuple(
                sorted({change for each in self._calendars for change in clock_changes(each.time_zone, years)})
            )
            self._holidays = frozenset(hour for each in self._calendars for hour in holiday_hours(each, years))
            self._year = year
        return replace(rules, clock_changes=self._changes, holidays=self._holidays)


def clock_changes(time_zone: str, years: range) -> Iterator[ClockChange]:
    """The changes of a zone in these UTC years. A change of part of an hour counts as an hour."""
    zone = ZoneInfo(time_zone)
    at, end = datetime(years.start, 1, 1, tzinfo=UTC), datetime(years.stop, 1, 1, tzinfo=UTC)
    offset = _offset(at, zone)
    while at < end:
        following = at + timedelta(days=1)
        if _offset(following, zone) != offset:
            # The first full hour with the new offset ends the last hour before the change.
            while _offset(at, zone) == offset:
                at += _HOUR
            moved = (_offset(at, zone) - offset) / _HOUR
            yield ClockChange(int(at.timestamp()) // 3600, round(moved) or (1 if moved > 0 else -1))
            offset = _offset(following, zone)
        at = following


def holiday_hours(calendar: Calendar, years: Collection[int]) -> Iterator[int]:
    """The hours of public holidays, each from local midnight to the next. An hour that is part of one counts as one."""
    if calendar.holidays is None:
        return
    from holidays import country_holidays  # Most configurations name no country.

    country, _, part = calendar.holidays.partition("-")
    zone = ZoneInfo(calendar.time_zone)
    for day in country_holidays(country, subdiv=part or None, years=years):
        # The number of an hour is that of its end.
        yield from range(_midnight(day, zone) // 3600 + 1, -(-_midnight(day + timedelta(days=1), zone) // 3600) + 1)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _midnight(day: date, zone: ZoneInfo) -> int:
    """Seconds since 1970."""
    return int(datetime.combine(day, time(), zone).timestamp())
