"""The statistics of alerts, against scipy's distributions and against plain simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from streams.alerting import evidence
from streams.alerting.attribution import concentrate
from streams.alerting.baseline import Expectation, expect, habit_day, learn
from streams.alerting.evidence import DROPS, beta_binomial_cdf, recovery, since, weigh
from streams.alerting.series import ALL, DAY, HOUR_MS, WEEK, HourCount, Scope, Series, gather, largest
from streams.alerting.silence import listen
from streams.facts.hours import hour_of


def expectation(mean, observed, *, trials=None, day=0.0, week=0.0, reference=1e12) -> Expectation:
    """Of a week of which each hour is alike; with such a reference its mean is as good as known."""

    def whole(values):
        return np.broadcast_to(np.asarray(values, dtype=float), (WEEK,)).copy()

    return Expectation(
        whole(mean), whole(reference), whole(observed), None if trials is None else whole(trials), day, week
    )


def test_an_hour_ends_with_its_last_millisecond_included():
    assert [hour_of(at * HOUR_MS) for at in (1, 2)] == [1, 2]
    assert hour_of(HOUR_MS + 1) == 2


def test_hours_without_a_row_are_none():
    series = gather([HourCount(ALL, 10, 3), HourCount(ALL, 7, 1), HourCount(ALL, 4, 9)], 10, 5, shares=False)
    assert series[ALL].counts.tolist() == [0, 1, 0, 0, 3]


def test_of_each_segment_the_largest_values_are_kept_and_what_nearly_all_have_is_not():
    def series(total):
        return Series(1, np.array([float(total)]))

    of = {ALL: series(100), Scope("a", "x"): series(60), Scope("a", "y"): series(30), Scope("a", "z"): series(10)}
    of |= {Scope("b", "w"): series(99), Scope("b", "v"): series(1)}
    assert largest(of, 2) == [ALL, Scope("a", "x"), Scope("a", "y"), Scope("b", "v")]


@pytest.mark.parametrize("hours", [1, 5, 30])
@pytest.mark.parametrize("observed", [0.0, 2.0, 7.0])
def test_the_probability_of_a_count_is_the_negative_binomials(hours, observed):
    found = since(expectation(4.0, observed, week=0.05), hours)
    assert found is not None
    mean, shape = 4.0 * hours, 20.0
    assert found.probability == pytest.approx(
        stats.nbinom.cdf(observed * hours, shape, shape / (shape + mean)), rel=1e-6
    )


def test_the_probability_of_a_count_of_a_known_rate_is_poissons():
    found = since(expectation(4.0, 2.0), 6)
    assert found is not None
    assert found.probability == pytest.approx(stats.poisson.cdf(12, 24), rel=1e-3)


@pytest.mark.parametrize(("observed", "trials"), [(0, 10), (3, 10), (40, 200), (200, 200)])
def test_the_probability_of_a_share_is_the_beta_binomials(observed, trials):
    assert beta_binomial_cdf(observed, trials, 12.5, 30.0) == pytest.approx(
        stats.betabinom.cdf(observed, trials, 12.5, 30.0), rel=1e-9
    )


def test_the_ratio_of_counts_is_that_of_their_probabilities():
    of = expectation(4.0, 3.0, week=0.02)
    totals = evidence._Totals.of(of, 12)
    for row, drop in enumerate(DROPS):
        for hours in (1, 12):
            mean = 4.0 * hours
            ratio = stats.nbinom.logpmf(3 * hours, 50, 50 / (50 + mean * (1 - drop))) - stats.nbinom.logpmf(
                3 * hours, 50, 50 / (50 + mean)
            )
            assert totals.log_ratios(DROPS)[row, hours - 1] == pytest.approx(ratio, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("share", [False, True])
def test_without_a_change_each_start_weighs_one_on_average(share):
    """An e-value: its expectation, over all that can be observed, is 1."""
    if share:
        total = 0.0
        for k in range(31):
            totals = evidence._Totals.of(expectation(12.0, float(k), trials=30.0, week=0.02), 1)
            a, b = totals._beta(np.ones((1, 1)))
            total += stats.betabinom.pmf(k, 30, a[0, 0], b[0, 0]) * np.exp(totals.log_ratios(DROPS)[:, 0]).mean()
    else:
        total = 0.0
        for k in range(200):
            totals = evidence._Totals.of(expectation(12.0, float(k), week=0.02), 1)
            total += stats.nbinom.pmf(k, 50, 50 / 62) * np.exp(totals.log_ratios(DROPS)[:, 0]).mean()
    assert total == pytest.approx(1.0, rel=1e-3)


def test_looking_every_hour_finds_nothing_more_often_than_promised():
    """Counts of a known rate: the mean time to a false alarm is at least the level (here 200 hours)."""
    chance = np.random.default_rng(5)
    level, looked, alarms = 200.0, 20_000, 0
    counts = chance.poisson(4.0, looked + WEEK).astype(float)
    begin = 0
    for hour in range(1, looked):
        window = min(WEEK, hour - begin)
        padded = np.concatenate([np.zeros(WEEK - window), counts[hour - window : hour]])
        found = weigh(expectation(4.0, padded), hours=window)
        if found is not None and found.log_strength >= np.log(level):
            alarms, begin = alarms + 1, hour
    # 100 at most are promised; five standard deviations are left to chance.
    assert 0 < alarms <= 100 + 5 * 10


def test_the_start_of_a_drop_is_found_within_its_range():
    observed = np.full(WEEK, 20.0)
    observed[-10:] = 8.0
    found = weigh(expectation(20.0, observed))
    assert found is not None
    assert found.hours == 10
    assert found.hours_least <= 10 <= found.hours_most
    assert found.drop == pytest.approx(0.6)


def test_windows_of_less_than_the_minimum_volume_do_not_speak():
    of = expectation(1.0, 0.0)
    assert weigh(of, hours=5, minimum_expected=10) is None
    found = weigh(of, hours=12, minimum_expected=10)
    assert found is not None
    assert found.hours >= 10


def test_a_recovery_is_seen_and_when_it_began():
    observed = np.full(WEEK, 8.0)
    observed[-9:] = 20.0
    log_ratio, hours = recovery(expectation(20.0, observed), drop=0.6, hours=40, at_least=6)
    assert hours == 9
    assert log_ratio > np.log(1000)
    log_ratio, _ = recovery(expectation(20.0, 8.0), drop=0.6, hours=40, at_least=6)
    assert log_ratio < 0


def weekly(weeks, growth=0.0, base=10.0):
    """So many weeks of a smooth week, and the evaluated one, without chance."""
    at = np.arange((weeks + 1) * WEEK)
    return (
        base
        * (1 + 0.5 * np.sin(2 * np.pi * at / DAY))
        * np.where(at // DAY % 7 >= 5, 0.5, 1.0)
        * np.exp(growth * at / WEEK)
    )


def test_the_same_hours_of_past_weeks_predict_with_growth():
    counts = weekly(8, 0.03, 1000.0)
    series = Series(len(counts), counts)
    expected = expect(series, learn(series, weeks=8))
    assert expected.mean == pytest.approx(counts[-WEEK:], rel=0.02)


def test_decline_is_not_expected():
    counts = weekly(8, -0.05, 1000.0)
    series = Series(len(counts), counts)
    assert learn(series, weeks=8).growth == 0.0


def test_days_out_of_line_are_not_learned():
    counts = weekly(8)
    spoiled = counts.copy()
    spoiled[20 * DAY : 21 * DAY] *= 4
    spoiled[33 * DAY : 34 * DAY] *= 0.1
    series = Series(len(counts), spoiled)
    expected = expect(series, learn(series, weeks=8))
    assert expected.mean == pytest.approx(counts[-WEEK:], rel=1e-6)
    assert expected.day_variance == pytest.approx(0.0, abs=1e-6)


def test_days_that_vary_more_than_chance_make_the_prediction_less_sure():
    chance = np.random.default_rng(3)
    calm = weekly(8, base=40.0)
    restless = calm * np.repeat(np.exp(chance.normal(0, 0.2, len(calm) // DAY)), DAY)
    for rate, expected in ((calm, 0.0), (restless, 0.04)):
        counts = chance.poisson(rate).astype(float)
        found = learn(Series(len(counts), counts), weeks=8)
        assert found.day_variance == pytest.approx(expected, abs=0.02)


def test_who_is_counted_for_hours_counts_once():
    """
    a token    ·■■■■■·······   five hours in a row: the sum of a day varies by five times its mean
    """
    chance = np.random.default_rng(5)
    begun = chance.poisson(weekly(8, base=40.0))
    runs = np.convolve(begun, np.ones(5))[: len(begun)].astype(float)
    alone = chance.poisson(weekly(8, base=200.0)).astype(float)
    always = np.full(len(begun), 200.0)
    restless = alone * np.repeat(np.exp(chance.normal(0, 0.2, len(alone) // DAY)), DAY)

    def dispersion(counts, *, recurring=True):
        return learn(Series(len(counts), counts, recurring=recurring), weeks=8).dispersion[[0, DAY - 1]]

    # Of five hours that one is counted in: 1 + 2 (0.8 + 0.6 + 0.4 + 0.2), less at the ends of a day.
    assert dispersion(runs) == pytest.approx([1.0, 4.7], abs=1.0)
    assert dispersion(alone) == pytest.approx([1.0, 1.0], abs=0.3)
    assert list(dispersion(always)) == [1.0, 1.0]
    # Days that vary are distinguished from it.
    assert dispersion(restless)[1] < 2.0
    assert list(dispersion(runs, recurring=False)) == [1.0, 1.0]


def test_what_is_counted_four_times_weighs_as_much_as_once():
    once = expectation(np.full(WEEK, 30.0), np.full(WEEK, 24.0))
    four_times = replace(
        expectation(np.full(WEEK, 120.0), np.full(WEEK, 96.0)),
        reference=4 * once.reference,
        dispersion=np.full(DAY, 4.0),
    )
    light, heavy = weigh(once), weigh(four_times)
    assert light is not None
    assert heavy is not None
    assert heavy.log_strength == pytest.approx(light.log_strength)
    assert heavy.probability == pytest.approx(light.probability)
    assert heavy.expected == pytest.approx(4 * light.expected)


def test_hours_that_may_not_be_learned_are_not():
    counts = weekly(4)
    spoiled = counts.copy()
    spoiled[WEEK : 2 * WEEK] = 0
    usable = np.ones(len(counts))
    usable[WEEK : 2 * WEEK] = 0
    series = Series(len(counts), spoiled)
    expected = expect(series, learn(series, weeks=4, usable=usable), usable)
    assert expected.mean == pytest.approx(counts[-WEEK:])


def test_what_is_learned_changes_once_a_day():
    days = {habit_day(hour) for hour in range(1000, 1000 + 3 * DAY)}
    assert len(days) in (3, 4)
    assert all(day * DAY <= 1000 + 3 * DAY - WEEK + DAY for day in days)


def test_a_concentrated_drop_is_attributed_and_an_even_one_is_not():
    def found(observed, expected):
        return since(expectation(expected / 10, observed / 10), 10)

    scopes = {ALL: (100.0, 200.0), Scope("source", "ads"): (10.0, 100.0), Scope("source", "docs"): (90.0, 100.0)}
    concentration = concentrate({scope: found(*values) for scope, values in scopes.items()})
    assert concentration is not None
    assert concentration.scope == Scope("source", "ads")
    assert concentration.missing_share == pytest.approx(0.9)
    assert concentration.drop_elsewhere == pytest.approx(0.1)
    even = {ALL: (100.0, 200.0), Scope("source", "ads"): (48.0, 100.0), Scope("source", "docs"): (52.0, 100.0)}
    assert concentrate({scope: found(*values) for scope, values in even.items()}) is None


def test_a_gap_is_a_silence_when_neither_chance_nor_the_past_explains_it():
    of = expectation(60.0, 60.0)
    minute = 60_000

    def silence_after(gap_minutes, longest=0):
        return listen(
            of,
            hour=1000,
            newest=1000 * HOUR_MS,
            now=1000 * HOUR_MS + gap_minutes * minute,
            longest_gap_ms=longest * minute,
            least_gap_ms=10 * minute,
            false_alarms_per_month=0.05,
        )

    # One event a minute: a gap of g minutes has the probability exp(-g), and a month has 43,200 gaps.
    assert silence_after(12) is None
    silence = silence_after(14)
    assert silence is not None
    assert silence.times_a_month == pytest.approx(43_200 * np.exp(-14), rel=0.2)
    assert silence_after(14, longest=10) is None
    assert silence_after(16, longest=10) is not None
