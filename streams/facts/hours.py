"""Hours of activity as bitmaps, and the rolling windows that follow from them.

An hour is counted from 1970 and named by its end: an event at `t` belongs to hour `ceil(t)`, because a window that
ends at hour `h` is `(h - W, h]`. In a bitmap, bit `i` stands for hour `base + i`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

#: Lengths of the trailing windows, in hours: a day, a week, four weeks.
WINDOWS_HOURS = (24, 168, 672)


class Hours(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A set of hours. `base` is a multiple of 24; `bits` is little-endian, without trailing zero bytes."""

    base: int
    bits: bytes


def hour_of(time_ms: int) -> int:
    """The number of the hour that ends at or after `time_ms`."""
    return -(-time_ms // HOUR_MS)


def day_of(time_ms: int) -> int:
    """The UTC calendar day of `time_ms`, in days since 1970."""
    return time_ms // DAY_MS


def single(hour: int) -> Hours:
    return _pack(hour - hour % 24, 1 << hour % 24)


def union(a: Hours, b: Hours) -> Hours:
    """Both sets together; `a` itself where `b` adds nothing."""
    base = a.base if a.base <= b.base else b.base  # noqa: FURB136 - half the cost of min
    left = int.from_bytes(a.bits, "little") << (a.base - base)
    both = left | int.from_bytes(b.bits, "little") << (b.base - base)
    return a if both == left else _pack(base, both)


def changed_days(before: Hours | None, after: Hours | None) -> dict[int, int]:
    """The days on which the sets differ, as {day since 1970: mask after}: bit i is the hour that begins at i o'clock.

    An hour is named by its end here and by its begin in what is published, hence the shift by one.
    """
    if before == after:
        return {}
    base = min(x.base for x in (before, after) if x is not None) - 24
    old, new = _bits_from(before, base) >> 1, _bits_from(after, base) >> 1
    changed: dict[int, int] = {}
    for hour in _ones(old ^ new):
        changed[(base + hour) // 24] = new >> (hour - hour % 24) & 0xFFFFFF
    return changed


def coverage_edges(before: Hours | None, after: Hours | None, window_hours: int) -> dict[int, int]:
    """How a subject's membership in the windows of one length changes, as {hour: +1 or -1 steps}.

    A subject active in hour `b` belongs to the windows that end at `b ... b + W - 1`. The running sum of the steps
    over hours is the change in membership: 0 everywhere where nothing changed.
    """
    if before == after:
        return {}
    base = min(x.base for x in (before, after) if x is not None)
    old, new = _covered(before, base, window_hours), _covered(after, base, window_hours)
    steps: dict[int, int] = {}
    # A step up where a covered hour follows an uncovered one, a step down where it is the other way round.
    for sign, covered in ((-1, old), (1, new)):
        other = new if sign < 0 else old
        starts, ends = covered & ~(covered << 1), ~covered & (covered << 1)
        other_starts, other_ends = other & ~(other << 1), ~other & (other << 1)
        for hour in _ones(starts & ~other_starts):
            steps[base + hour] = steps.get(base + hour, 0) + sign
        for hour in _ones(ends & ~other_ends):
            steps[base + hour] = steps.get(base + hour, 0) - sign
    return {hour: step for hour, step in steps.items() if step}


def _covered(hours: Hours | None, base: int, window_hours: int) -> int:
    """The hours at which the window is not empty: every bit smeared over `window_hours` places by doubling."""
    bits = _bits_from(hours, base)
    if not bits:
        return 0
    reach = 1
    while reach * 2 <= window_hours:
        bits |= bits << reach
        reach *= 2
    return bits | bits << (window_hours - reach)


def _bits_from(hours: Hours | None, base: int) -> int:
    return 0 if hours is None else int.from_bytes(hours.bits, "little") << (hours.base - base)


def _ones(bits: int) -> Iterator[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def _pack(base: int, bits: int) -> Hours:
    return Hours(base, bits.to_bytes((bits.bit_length() + 7) // 8, "little"))
