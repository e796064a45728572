"""A monitor from hour to hour: it opens, holds, closes, and gives the same again for the same hours."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from streams.alerting.monitor import (
    Closed,
    Memory,
    MonitorState,
    Opened,
    Rules,
    expectation,
    incident_id,
    step,
    weights_of,
)
from streams.alerting.series import ALL, DAY, WEEK, Scope, Series, up_to
from tests.benchmarks.alert_worlds import PAST, world

RULES = Rules(level_hours=10_000)
ADS, DOCS = Scope("source", "ads"), Scope("source", "docs")


def run(counts, rules=RULES, start=PAST, state=None, trials=None):
    """The changes as (hour, change), and the last state, of hours of counts by scope."""
    if not isinstance(counts, dict):
        counts = {ALL: counts}
    whole = {
        scope: Series(len(each), np.asarray(each, dtype=float), None if trials is None else trials[scope])
        for scope, each in counts.items()
    }
    state, memory, changes = state or MonitorState(), Memory(), []
    for hour in range(start + 1, len(counts[ALL]) + 1):
        done = step(state, rules, up_to(whole, hour), memory)
        state = done.state
        if done.change:
            changes.append((hour, done.change))
    return changes, state


def steady(weeks, rate=20.0, seed=1):
    return np.random.default_rng(seed).poisson(rate, weeks * WEEK).astype(float)


#  past (8 weeks)      | evaluated
#  ~20 an hour         | 20 .. 20  8 .. 8  20 .. 20
#                                 ^ +50    ^ +80
def dip(first=50, last=80, to=0.4):
    counts = steady(10)
    at = np.arange(len(counts))
    inside = (at >= PAST + first) & (at < PAST + last)
    counts[inside] = np.random.default_rng(2).poisson(20 * to, inside.sum())
    return counts


def test_a_drop_opens_once_holds_and_closes_when_things_are_as_usual():
    changes, _ = run(dip())
    (opened_at, opened), (closed_at, closed) = changes
    assert isinstance(opened, Opened)
    assert isinstance(closed, Closed)
    assert closed.reason == "recovered"
    incident = opened.incident
    assert incident.started_earliest <= PAST + 50 <= incident.started_latest
    assert PAST + 50 < opened_at <= PAST + 60
    assert PAST + 80 < closed_at <= PAST + 95
    assert abs(closed.ended - (PAST + 80)) <= 3
    assert incident.drop > 0.3
    assert incident.probability < 1e-4


def test_it_holds_through_an_hour_that_looks_well():
    counts = dip()
    counts[PAST + 70] = 25
    assert [type(change) for _, change in run(counts)[0]] == [Opened, Closed]


def test_the_hours_of_a_drop_are_not_expected_again():
    counts = np.concatenate([dip(), steady(3, seed=7)])
    assert len(run(counts)[0]) == 2


def test_a_drop_that_lasts_is_accepted_as_the_new_level():
    counts = np.concatenate([steady(9), steady(6, rate=8.0, seed=3)])
    changes, state = run(counts)
    assert [type(change) for _, change in changes] == [Opened, Closed]
    closed = changes[1][1]
    assert isinstance(closed, Closed)
    assert closed.reason == "accepted"
    assert state.incident is None
    # From the new level on, the next drop is one again.
    further = np.concatenate([counts, steady(1, rate=2.0, seed=4)])
    assert isinstance(run(further, start=len(counts), state=state)[0][0][1], Opened)


def test_a_drop_of_a_segment_that_is_watched_no_more_changes_nothing_of_the_others():
    ads, docs = steady(10, 40.0, 4), steady(10, 60.0, 5)
    ads[PAST + 50 :] = 0
    whole = {ALL: ads + docs, ADS: ads, DOCS: docs}
    until = PAST + 80
    changes, state = run({scope: each[:until] for scope, each in whole.items()})
    assert [type(change) for _, change in changes] == [Opened]
    changes, state = run({ALL: docs}, start=until, state=state)
    assert [change.reason for _, change in changes] == ["withdrawn"]
    assert state.level_from == 0
    weeks, expected = expectation(state, RULES, ALL, Series(len(docs), docs, None), Memory())
    assert expected is not None
    assert weeks > 6


def test_after_a_restart_in_any_hour_the_same_is_found_with_the_same_id():
    counts = dip()
    whole, _ = run(counts)
    ids = [incident_id("m", change.incident) for _, change in whole]
    assert len(set(ids)) == 1
    for cut in (PAST + 40, PAST + 56, PAST + 75, PAST + 90):
        before, state = run(counts[:cut])
        carried = msgspec.json.decode(msgspec.json.encode(state), type=MonitorState)
        assert carried == state
        after, _ = run(counts, start=cut, state=carried)
        assert before + after == whole


def test_an_hour_that_is_evaluated_again_from_the_same_state_gives_the_same_incident():
    counts = dip()
    (opened_at, opened), *_ = run(counts)[0]
    _, state = run(counts[: opened_at - 1])
    again = [run(counts[:opened_at], start=opened_at - 1, state=state)[0] for _ in range(2)]
    assert again[0] == again[1] == [(opened_at, opened)]


def test_too_few_weeks_find_nothing():
    counts = np.concatenate([steady(1), np.zeros(WEEK)])
    assert run(counts, start=DAY) == ([], run(counts, start=DAY)[1])


@pytest.mark.parametrize("counts", [np.zeros(3 * WEEK), np.eye(1, 5 * WEEK, 1000)[0]])
def test_nothing_or_one_event_is_no_drop(counts):
    assert run(counts, start=1)[0] == []


def test_no_series_at_all_is_learning():
    assert step(MonitorState(), RULES, {}, Memory()).status.condition == "learning"


def test_a_volume_below_the_minimum_is_no_drop():
    # Less than one in ten hours: a week without any is what happens.
    counts = np.concatenate([steady(8, rate=0.02), np.zeros(WEEK)])
    assert run(counts)[0] == []


def test_a_drop_below_the_minimum_is_not_found():
    counts = steady(10, rate=5000.0)
    counts[PAST + 50 :] *= 0.92
    assert run(counts)[0] == []


def test_a_drop_in_one_segment_is_found_in_that_segment():
    ads, docs = steady(10, 5.0, 4), steady(10, 60.0, 5)
    ads[PAST + 50 : PAST + 90] = 0
    changes, _ = run({ALL: ads + docs, ADS: ads, DOCS: docs})
    opened = changes[0][1]
    assert isinstance(opened, Opened)
    assert opened.incident.scope == ADS
    # As seldom as by all that was looked at: a drop in one of several segments comes more often by chance than one in all.
    found = opened.incident.log_strength
    only = step(MonitorState(), RULES, up_to({ALL: Series(len(ads), ads, None)}, changes[0][0]), Memory()).status.now
    assert only is not None
    assert np.log(RULES.level_hours) <= found < only.log_strength


def test_the_weights_of_all_scopes_are_one():
    assert sum(weights_of({ALL: 1, ADS: 1, DOCS: 1}).values()) == pytest.approx(1)
    assert weights_of({ALL: 1}) == {ALL: 1.0}


def test_a_fall_of_a_share_is_found_though_more_try():
    chance = np.random.default_rng(6)
    tried = chance.poisson(20, 10 * WEEK).astype(float)
    share = np.full(10 * WEEK, 0.5)
    tried[PAST + 50 :] *= 2
    share[PAST + 50 :] = 0.3
    counts = chance.binomial(tried.astype(int), share).astype(float)
    changes, _ = run({ALL: counts}, trials={ALL: tried})
    assert isinstance(changes[0][1], Opened)
    assert PAST + 50 < changes[0][0] < PAST + 80


def test_the_worlds_have_what_they_declare():
    for shape in ("sudden", "segment", "outage"):
        made = world(7, a_day=5000, shape=shape, drop=0.8)
        assert made.incident is not None
        first, last = made.incident
        counts = made.counts[made.incident_scope]
        assert counts[first : min(last, first + WEEK)].mean() < 0.5 * counts[first - WEEK : first].mean()


def expected_rate(state, counts, rules):
    series = Series(len(counts), counts)
    _, expected = expectation(state, rules, ALL, series, Memory())
    assert expected is not None
    return expected.mean


def test_while_a_drop_lasts_its_own_hours_are_not_learned():
    rules = Rules(level_hours=10_000, weeks=2)
    counts = np.concatenate([steady(9), steady(1, rate=5.0, seed=3), steady(1, rate=5.0, seed=4)])[: -2 * DAY]
    changes, state = run(counts, rules)
    assert [type(change) for _, change in changes] == [Opened]
    assert expected_rate(state, counts, rules).mean() == pytest.approx(20, rel=0.05)


def test_after_a_drop_its_hours_are_not_learned_either():
    rules = Rules(level_hours=10_000, weeks=2)
    counts = np.concatenate([dip(first=10, last=120, to=0.2)[: PAST + WEEK], steady(1, seed=8)])
    changes, state = run(counts, rules)
    assert [type(change) for _, change in changes] == [Opened, Closed]
    assert expected_rate(state, counts, rules)[20:110].mean() == pytest.approx(20, rel=0.07)


def test_habits_of_values_that_are_gone_are_dropped():
    memory = Memory()
    series = {ALL: Series(PAST, steady(8)), ADS: Series(PAST, steady(8)), DOCS: Series(PAST, steady(8))}
    step(MonitorState(), RULES, series, memory)
    assert memory.scopes == {ALL, ADS, DOCS}
    memory.keep_only({ALL, ADS})
    assert memory.scopes == {ALL, ADS}
