"""When clocks change and holidays are, and what monitors conclude in these weeks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from deploy.alerts.calendar import Calendars, clock_changes, holiday_hours
from schemas.config.monitors import Calendar
from streams.alerting.clock_changes import ClockChange, align
from streams.alerting.monitor import Memory, MonitorState, Opened, Rules, Transition, expectation, step
from streams.alerting.series import ALL, DAY, WEEK, Series
from tests.benchmarks.alert_worlds import PAST, World, office_world

RULES = Rules(level_hours=7200)
SHIFTS = pytest.mark.parametrize("shift", [1, -1], ids=["spring", "autumn"])


def hour(text: str) -> int:
    """The number of the hour that ends at a UTC time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) // 3600


# The calendar


@pytest.mark.parametrize(
    ("time_zone", "changes"),
    [
        ("Europe/Berlin", [("2026-03-29T01:00", 1), ("2026-10-25T01:00", -1)]),
        ("America/New_York", [("2026-03-08T07:00", 1), ("2026-11-01T06:00", -1)]),
        ("Australia/Sydney", [("2026-04-04T16:00", -1), ("2026-10-03T16:00", 1)]),
        # By half an hour, in the middle of an hour of UTC in autumn.
        ("Australia/Lord_Howe", [("2026-04-04T15:00", -1), ("2026-10-03T16:00", 1)]),
        ("Asia/Kolkata", []),
    ],
)
def test_the_clocks_of_a_zone_change_when_they_do(time_zone, changes):
    found = list(clock_changes(time_zone, range(2026, 2027)))
    assert found == [ClockChange(hour(at), shift) for at, shift in changes]


@pytest.mark.parametrize(
    ("time_zone", "first", "last"),
    [
        ("Europe/Berlin", "2026-10-02T23:00", "2026-10-03T22:00"),
        # Midnight is half past an hour of UTC: both parts of an hour count.
        ("Asia/Kolkata", "2026-10-02T19:00", "2026-10-03T19:00"),
    ],
)
def test_a_holiday_is_from_local_midnight_to_midnight(time_zone, first, last):
    found = set(holiday_hours(Calendar(time_zone=time_zone, holidays="DE"), [2026]))
    near = {each for each in found if abs(each - hour("2026-10-03T12:00")) <= 2 * DAY}
    assert near == set(range(hour(first), hour(last) + 1))


def test_a_part_of_a_country_has_holidays_of_its_own():
    found = {
        holidays: set(holiday_hours(Calendar(time_zone="Europe/Berlin", holidays=holidays), [2026]))
        for holidays in ("DE", "DE-BE", None)
    }
    assert hour("2026-03-08T12:00") in found["DE-BE"] - found["DE"]
    assert found[None] == set()


def test_the_rules_follow_the_year_of_the_hour():
    calendars = Calendars([Calendar(time_zone="Europe/Berlin", holidays="DE"), Calendar(time_zone="America/New_York")])
    of_2026 = calendars.applied(RULES, hour("2026-12-31T23:00"))
    assert ClockChange(hour("2026-10-25T01:00"), -1) in of_2026.clock_changes
    assert ClockChange(hour("2026-11-01T06:00"), -1) in of_2026.clock_changes
    assert hour("2027-01-01T12:00") in of_2026.holidays
    of_2028 = calendars.applied(RULES, hour("2028-01-15T00:00"))
    assert ClockChange(hour("2027-10-31T01:00"), -1) in of_2028.clock_changes
    assert ClockChange(hour("2026-10-25T01:00"), -1) not in of_2028.clock_changes
    assert of_2028.level_hours == RULES.level_hours


# The series across a change


def office(shift: int, *, elsewhere: float = 0.0, drop: float = 0.0, seed: int = 1, a_day: float = 5000) -> World:
    return office_world(seed, a_day=a_day, shift=shift, elsewhere=elsewhere, drop=drop)


def moved_share(world: World, place: int) -> float:
    """The part of the counts before the change that `align` moves, by the last hours before it."""
    series = world.until(place)[ALL]
    (change,) = world.clock_changes
    at = len(series.counts) - (series.until - change.hour)
    before, aligned = series.counts[:at], align(series, [change]).series.counts[:at]
    moved = np.roll(before, -change.shift) - before
    # The hours at both ends come from other weeks.
    return float(((aligned - before) * moved)[2:-2].sum() / (moved**2)[2:-2].sum())


@SHIFTS
@pytest.mark.parametrize("elsewhere", [0.0, 0.5, 1.0])
def test_the_share_that_moved_is_estimated_from_the_shape(shift, elsewhere):
    assert moved_share(office(shift, elsewhere=elsewhere), PAST + 6 * DAY) == pytest.approx(1 - elsewhere, abs=0.1)


@SHIFTS
@pytest.mark.parametrize("elsewhere", [0.0, 1.0])
def test_a_drop_is_no_move(shift, elsewhere):
    assert moved_share(office(shift, elsewhere=elsewhere, drop=0.5), PAST + 8 * DAY) == pytest.approx(
        1 - elsewhere, abs=0.12
    )


@SHIFTS
def test_the_hours_before_a_change_lie_where_they_lie_now(shift):
    world = office(shift)
    aligned = align(world.until(PAST + 2 * WEEK)[ALL], world.clock_changes).series.counts
    at = len(aligned) - 2 * WEEK - 1
    before, after = aligned[at - WEEK : at], aligned[at : at + WEEK]
    assert len(before) == len(after) == WEEK
    # Each hour is open, or closed, in both weeks.
    assert ((before > 60) == (after > 60)).mean() > 0.98


def test_at_the_edge_of_a_change_the_hours_are_those_of_the_week_before():
    counts = np.arange(3.0 * WEEK)
    for shift in (1, -1):
        aligned = align(Series(3 * WEEK, counts), [ClockChange(3 * WEEK - 1, shift)]).series.counts
        at = 3 * WEEK - 1
        assert aligned[at] == counts[at]
        # No hour since the change: half is taken to have moved.
        assert aligned[at - 2] == counts[at - 2] + shift / 2
        source = counts[at - WEEK] if shift > 0 else counts[at - 2]
        assert aligned[at - 1] == (counts[at - 1] + source) / 2


def test_until_the_share_is_known_the_least_is_expected():
    world = office(1)
    at_first = align(world.until(PAST + DAY - 1)[ALL], world.clock_changes).least
    later = align(world.until(PAST + 2 * WEEK)[ALL], world.clock_changes).least
    assert (at_first[:-DAY] == 1).all()
    # Of the first hour of work nothing is sure if nobody, or everybody, may have moved.
    assert at_first[-DAY:].min() < 0.2
    assert later.min() > 0.7


def test_a_change_outside_of_the_series_or_in_its_first_week_moves_nothing():
    counts = np.random.default_rng(1).poisson(20, 4 * WEEK).astype(float)
    series = Series(4 * WEEK, counts)
    for at in (-5, 0, WEEK // 2, 4 * WEEK, 5 * WEEK):
        aligned = align(series, [ClockChange(at, 1)])
        assert (aligned.series.counts == counts).all()
        assert (aligned.least == 1).all()


def test_within_a_day_the_estimate_stays():
    """A restart in any hour learns the same habits."""
    world = office(1)
    shares = {moved_share(world, PAST + 3 * DAY + place) for place in range(DAY)}
    assert max(shares) - min(shares) < 1e-9


# Monitors


def run(world: World, rules: Rules, places: int) -> list[tuple[int, Opened]]:
    """Each opened incident, with the place of the hour after which it is found."""
    state, memory, found = MonitorState(), Memory(), []
    for place in range(world.start, world.start + places):
        done: Transition = step(state, rules, world.until(place), memory)
        state = done.state
        if isinstance(done.change, Opened):
            found.append((place, done.change))
    return found


def with_calendar(world: World) -> Rules:
    return replace(RULES, clock_changes=world.clock_changes, holidays=world.holidays)


@SHIFTS
@pytest.mark.parametrize("elsewhere", [0.0, 0.5])
def test_the_fortnight_after_a_change_has_no_incident(shift, elsewhere):
    world = office(shift, elsewhere=elsewhere, a_day=1000)
    assert run(world, with_calendar(world), 2 * WEEK) == []
    assert len(run(world, RULES, 2 * WEEK)) > 1


@SHIFTS
def test_a_drop_by_half_after_a_change_is_found(shift):
    world = office(shift, drop=0.5, a_day=1000)
    assert world.incident is not None
    (found,) = run(world, with_calendar(world), WEEK)
    # Within the next working day.
    assert world.incident[0] <= found[0] <= world.incident[0] + 3 * DAY


def test_a_holiday_is_no_incident_and_is_not_learned():
    world = office_world(3, a_day=5000, holidays=2)
    assert run(world, with_calendar(world), 4 * WEEK) == []
    assert run(world, RULES, 4 * WEEK) != []
    later = [each for each in world.holidays if PAST < each <= PAST + 3 * WEEK]
    # A week after the holiday, its hours are not among those that predict.
    until = max(later) + WEEK
    series = world.until(until - 1)[ALL]
    cleared = replace(series, counts=series.counts.copy())
    at = len(series.counts) - 1 - WEEK
    cleared.counts[at - 20 : at + 1] = 0.0
    rules = with_calendar(world)
    (_, expected), (_, without) = (
        expectation(MonitorState(), rules, ALL, each, Memory()) for each in (series, cleared)
    )
    assert expected is not None
    assert without is not None
    assert (expected.mean == without.mean).all()
    assert expected.mean[-1 - 12] > 0


def test_nothing_is_concluded_from_the_hours_of_a_holiday():
    world = office_world(3, a_day=5000, holidays=2)
    last = max(each for each in world.holidays if each > PAST)
    _, expected = expectation(MonitorState(), with_calendar(world), ALL, world.until(last - 1)[ALL], Memory())
    assert expected is not None
    assert (expected.mean[-DAY:] == 0).all()
    assert (expected.observed[-DAY:] == 0).all()
