"""Facts are a join-semilattice, and every cut is safe: what was cut away could never have mattered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.facts.facts import NOTHING, TOUCHES_KEPT, Cuts, Facts, grew, join, join_all
from streams.facts.hours import DAY_MS, hour_of, single

CUTS = Cuts(counted={0: 2, 1: 3}, days={2: 2}, latest=frozenset({1}))
TIMES = st.integers(1_767_571_200_000, 1_767_571_200_000 + 5 * DAY_MS)


@st.composite
def one_event(draw: st.DrawFn) -> Facts:
    time, event = draw(TIMES), draw(st.integers(1, 9))
    moment = (time, event)
    return Facts(
        first_seen=time,
        last_active=time,
        firsts={draw(st.integers(0, 2)): time},
        counted={i: [moment] for i in draw(st.sets(st.sampled_from([0, 1])))},
        days={2: {time // DAY_MS: time}} if draw(st.booleans()) else {},
        hours={draw(st.sampled_from(["production", "test"])): single(hour_of(time))} if draw(st.booleans()) else {},
        touches=[(time, event, {"source": draw(st.sampled_from("ab"))})] if draw(st.booleans()) else [],
        internal=draw(st.sampled_from([False, False, True])),
        segments={i: (time, draw(st.sampled_from("ab"))) for i in draw(st.sets(st.sampled_from([0, 1])))},
    )


EVENTS = st.lists(one_event(), max_size=12)


@given(EVENTS, st.randoms())
def test_any_order_and_any_grouping_join_to_the_same(events: list[Facts], random: object) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    middle = len(shuffled) // 2
    left, right = join_all(shuffled[:middle], CUTS), join_all(shuffled[middle:], CUTS)
    assert join(left, right, CUTS) == join_all(events, CUTS) == join(right, left, CUTS)


@given(EVENTS)
def test_joining_again_changes_nothing_and_returns_the_same_facts(events: list[Facts]) -> None:
    total = join_all(events, CUTS)
    for part in events:
        assert join(total, part, CUTS) is total
        assert grew(part, total, CUTS)
    assert join(total, NOTHING, CUTS) is total


@given(EVENTS, EVENTS)
def test_facts_grew_only_if_they_hold_all_that_was_known(known: list[Facts], new: list[Facts]) -> None:
    before = join_all(known, CUTS)
    assert grew(before, join_all(known + new, CUTS), CUTS)
    after = join_all(new, CUTS)
    assert grew(before, after, CUTS) == (join(before, after, CUTS) == after)


@given(EVENTS)
def test_facts_stay_within_their_bounds(events: list[Facts]) -> None:
    total = join_all(events, CUTS)
    assert all(len(moments) <= CUTS.counted[selector] for selector, moments in total.counted.items())
    assert all(len(times) <= CUTS.days[selector] for selector, times in total.days.items())
    assert len(total.touches) <= TOUCHES_KEPT


def test_a_copy_with_an_earlier_time_moves_its_event_and_makes_room_for_none() -> None:
    # K = 2:  1@5 2@6 | 1@3  ->  1@3 2@6, and never 1@3 1@5.
    a = Facts(counted={0: [(5, 1), (6, 2)]})
    assert join(a, Facts(counted={0: [(3, 1)]}), CUTS).counted == {0: [(3, 1), (6, 2)]}
