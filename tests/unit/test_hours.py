"""Bitmaps of hours against plain sets of hours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.facts.hours import HOUR_MS, Hours, changed_days, coverage_edges, hour_of, single, union

HOURS = st.sets(st.integers(400_000, 400_900), max_size=12)


def bitmap(hours: set[int]) -> Hours | None:
    packed: Hours | None = None
    for hour in hours:
        packed = single(hour) if packed is None else union(packed, single(hour))
    return packed


def covered(hours: set[int], window: int) -> set[int]:
    return {hour + i for hour in hours for i in range(window)}


def test_an_hour_is_named_by_its_end_and_holds_it() -> None:
    # (9:00, 10:00] is hour 10: its last millisecond is 10:00:00.000.
    assert hour_of(10 * HOUR_MS) == 10
    assert hour_of(10 * HOUR_MS + 1) == 11
    assert hour_of(10 * HOUR_MS - 1) == 10


@given(HOURS, HOURS)
def test_union_is_that_of_sets(a: set[int], b: set[int]) -> None:
    assert bitmap(a | b) == (union(x, y) if (x := bitmap(a)) and (y := bitmap(b)) else bitmap(a) or bitmap(b))


@given(HOURS)
def test_union_with_a_part_is_the_same_object(hours: set[int]) -> None:
    whole = bitmap(hours)
    for hour in hours:
        assert whole is not None
        assert union(whole, single(hour)) is whole


@given(HOURS, HOURS, st.sampled_from([1, 24, 168, 672]))
def test_edges_sum_up_to_the_change_of_membership(before: set[int], after: set[int], window: int) -> None:
    # hours active      . # . . . . #
    # windows of 3      . # # # . . # # #
    # edges             . + . . - . + . . -
    edges = coverage_edges(bitmap(before), bitmap(after), window)
    old, new = covered(before, window), covered(after, window)
    value = 0
    for hour in range(399_990, 400_900 + window + 2):
        value += edges.get(hour, 0)
        assert value == (hour in new) - (hour in old)
    assert 0 not in edges.values()


@given(HOURS, HOURS)
def test_changed_days_have_the_hours_that_begin_in_them(before: set[int], after: set[int]) -> None:
    expected: dict[int, int] = {}
    for hour in before ^ after:
        day = (hour - 1) // 24
        expected[day] = sum(1 << (h - 1) % 24 for h in after if (h - 1) // 24 == day)
    assert changed_days(bitmap(before), bitmap(after)) == expected


@pytest.mark.parametrize("hours", [10, 24 * 365])
def test_a_bitmap_takes_one_bit_an_hour(hours: int) -> None:
    packed = union(single(480_000), single(480_000 + hours))
    assert len(packed.bits) <= hours // 8 + 4
