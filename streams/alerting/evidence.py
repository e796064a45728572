"""How strongly the last hours speak for a drop. Evaluating it every hour raises no more false alarms than the level allows.

For each hour s at which a drop may have begun and each size d it may have, the likelihood ratio of "dropped by d since s" to "no change"
is an e-value: without a change its expectation is 1. Their sum over all s, averaged over d, is a Shiryaev-Roberts statistic: without
a change it grows by 1 an hour in expectation, so the mean time to its first passage over a level c is at least c hours
(Pollak 1985; e-detectors: Shin, Ramdas, Rinaldo 2024), however often one looks. An average of such statistics over several
series, all subjects and their segments, is one again, so more segments need no further correction.

Counts are Poisson given a rate that is known up to a gamma distribution (so negative binomial); shares are binomial given a share
known up to a beta distribution. Nothing is ever taken to be normal. A subject may be counted in several successive hours, so the
counts of these hours are not independent. Therefore observed and expected are divided by the dispersion of their sum (a
quasi-likelihood; McCullagh and Nelder 1989, 9.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from streams.alerting.baseline import Expectation
from streams.alerting.series import DAY, WEEK, Array

#: Sizes of a drop that are looked for, all equally likely beforehand.
DROPS: Final = np.array([0.2, 0.35, 0.5, 0.7, 0.9])


@dataclass(frozen=True)
class Evidence:
    """The evidence in the last week's hours of one series.

    `log_strength`: logarithm of the statistic. `hours`: how long the drop lasts by the likeliest start, `hours_least` and
    `hours_most` by the 90 % of starts that are likeliest; over `hours`: `observed` and `expected` (of a share: of `trials`), `drop` (0.3:
    30 % fewer), and `probability` of so few or fewer without a change.
    """

    log_strength: float
    hours: int
    hours_least: int
    hours_most: int
    observed: float
    expected: float
    trials: float | None
    drop: float
    probability: float


def weigh(expectation: Expectation, *, hours: int = WEEK, minimum_expected: float = 0.0) -> Evidence | None:
    """The evidence for a drop within the last `hours` hours (at most WEEK), or None when nothing is expected there.

    Windows in which less than `minimum_expected` is expected do not count.
    """
    totals = _Totals.of(expectation, hours)
    enough = totals.expected >= max(minimum_expected, 1e-9)
    if not enough.any():
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = totals.log_ratios(DROPS)
    ratios[:, ~enough] = -np.inf
    by_start = np.logaddexp.reduce(ratios, axis=0) - np.log(len(DROPS))
    strength = float(np.logaddexp.reduce(by_start))
    place = int(np.argmax(by_start))
    among = np.cumsum(np.exp(by_start - strength))
    least, most = int(np.searchsorted(among, 0.05)), int(np.searchsorted(among, 0.95))
    return totals.evidence(place, strength, (min(least, place), max(most, place)))


def since(expectation: Expectation, hours: int) -> Evidence | None:
    """The evidence in the last `hours` hours together, or None when nothing is expected of them."""
    totals = _Totals.of(expectation, hours)
    place = len(totals.expected) - 1
    return totals.evidence(place, 0.0, (place, place)) if totals.expected[place] > 0 else None


def recovery(expectation: Expectation, *, drop: float, hours: int, at_least: int = 1) -> tuple[float, int]:
    """How strongly the last hours, `at_least` to `hours` of them, speak for the usual level against a drop of that size.

    Returns the logarithm of the strongest likelihood ratio and for how many hours the recovery lasts by it.
    """
    totals = _Totals.of(expectation, hours)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = -totals.log_ratios(np.array([min(drop, 0.95)]))[0]
    ratios[totals.expected <= 0] = -np.inf
    ratios[: at_least - 1] = -np.inf
    likeliest = int(np.argmax(ratios))
    return float(ratios[likeliest]), likeliest + 1


@dataclass(frozen=True)
class _Totals:
    """Sums over the last 1, 2, 3, ... hours. `dispersion`: of each sum, its variance by chance over its mean."""

    observed: Array
    expected: Array
    trials: Array | None
    precision: Array
    dispersion: Array

    @classmethod
    def of(cls, expectation: Expectation, hours: int) -> _Totals:
        def backwards(values: Array) -> Array:
            return np.asarray(np.cumsum(values[::-1])[:hours])

        # Half an event: without any in the past, the relative variance of chance is large and finite.
        floor = 0.5
        length = np.arange(1, min(hours, WEEK) + 1)
        days = expectation.day_variance * np.minimum(1.0, DAY / length)
        dispersion = expectation.dispersion[np.minimum(length, DAY) - 1]
        chance = dispersion / np.maximum(backwards(expectation.reference), floor)
        return cls(
            observed=backwards(expectation.observed),
            expected=backwards(expectation.mean),
            trials=None if expectation.trials is None else backwards(expectation.trials),
            precision=1.0 / (np.maximum(days, 0.0) + expectation.week_variance + chance),
            dispersion=dispersion,
        )

    def log_ratios(self, drops: Array) -> Array:
        """Logarithms of the likelihood ratios of each drop (rows) over each window (columns) to no change."""
        kept = 1.0 - drops[:, None]
        if self.trials is None:
            # Negative binomial of mean m and shape r, at means (1 - d) m and m.
            r, m, observed = self.precision, self.expected / self.dispersion, self.observed / self.dispersion
            return np.asarray(observed * np.log(kept) - (observed + r) * (np.log1p(kept * m / r) - np.log1p(m / r)))
        a, b = self._beta(np.ones((1, 1)))
        a_dropped, b_dropped = self._beta(kept)
        missed = self.trials - self.observed
        return np.asarray(
            special.betaln(a_dropped + self.observed, b_dropped + missed)
            - special.betaln(a_dropped, b_dropped)
            - special.betaln(a + self.observed, b + missed)
            + special.betaln(a, b)
        )

    def _beta(self, kept: Array) -> tuple[Array, Array]:
        """Parameters of the beta distributions of the share, kept by so much, with the relative variance of the totals."""
        assert self.trials is not None
        # A share of 0 or 1 has no beta distribution.
        share = np.clip(kept * self.expected / np.maximum(self.trials, 1e-9), 1e-6, 1 - 1e-6)
        # At least 2, the weight of the uniform distribution: a variance that no beta distribution has knows nothing of the share.
        weight = np.maximum(self.precision * (1 - share) / share - 1.0, 2.0)
        return share * weight, (1 - share) * weight

    def evidence(self, place: int, log_strength: float, range_: tuple[int, int]) -> Evidence:
        observed, expected = float(self.observed[place]), float(self.expected[place])
        trials = None if self.trials is None else float(self.trials[place])
        return Evidence(
            log_strength=log_strength,
            hours=place + 1,
            hours_least=range_[0] + 1,
            hours_most=range_[1] + 1,
            observed=observed,
            expected=expected,
            trials=trials,
            drop=max(0.0, 1.0 - observed / expected),
            probability=self._probability(place),
        )

    def _probability(self, place: int) -> float:
        observed = float(self.observed[place])
        if self.trials is None:
            dispersion = float(self.dispersion[place])
            r, m = float(self.precision[place]), float(self.expected[place]) / dispersion
            return float(special.betainc(r, observed / dispersion + 1.0, r / (r + m)))
        a, b = (float(each[0, place]) for each in self._beta(np.ones((1, 1))))
        return beta_binomial_cdf(observed, float(self.trials[place]), a, b)


def beta_binomial_cdf(observed: float, trials: float, a: float, b: float) -> float:
    """Probability of at most `observed` successes of `trials`, whose share has the distribution Beta(a, b)."""
    k = np.arange(0, int(observed) + 1)
    log_terms = (
        special.gammaln(trials + 1)
        - special.gammaln(k + 1)
        - special.gammaln(trials - k + 1)
        + special.betaln(k + a, trials - k + b)
        - special.betaln(a, b)
    )
    return float(min(1.0, np.exp(np.logaddexp.reduce(log_terms))))
