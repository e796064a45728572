"""Where a drop concentrates: in which value of which segment more is missing than its share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scipy import special

from streams.alerting.evidence import Evidence
from streams.alerting.series import ALL, Scope

#: A concentration is reported when it is so improbable for a drop that is the same everywhere, all segments considered.
REPORTED_BELOW: Final = 0.01


@dataclass(frozen=True)
class Concentration:
    """A drop of all that is deeper in one scope.

    `missing_share`: part of what is missing in all that is missing here; `drop` here and `drop_elsewhere`. `probability` of so few
    here if the drop were the same everywhere, times the number of scopes looked at.
    """

    scope: Scope
    missing_share: float
    drop: float
    drop_elsewhere: float
    probability: float


def concentrate(found: Mapping[Scope, Evidence]) -> Concentration | None:
    """The scope in which a drop of all concentrates most, or None when it is about the same everywhere.

    `found` holds the evidence of all scopes over the same hours. Given how many there are in all, those of one scope are binomial
    if the drop is the same everywhere, and the exact test is on that.
    """
    everywhere = found.get(ALL)
    if everywhere is None or everywhere.expected <= everywhere.observed:
        return None
    best: Concentration | None = None
    for scope, here in found.items():
        if scope == ALL or not 0 < here.expected < everywhere.expected:
            continue
        share = here.expected / everywhere.expected
        chance = float(special.bdtr(min(here.observed, everywhere.observed), int(everywhere.observed), share))
        probability = min(1.0, chance * (len(found) - 1))
        if probability < REPORTED_BELOW and (best is None or probability < best.probability):
            best = Concentration(
                scope=scope,
                missing_share=min(1.0, (here.expected - here.observed) / (everywhere.expected - everywhere.observed)),
                drop=here.drop,
                drop_elsewhere=max(
                    0.0, 1 - (everywhere.observed - here.observed) / (everywhere.expected - here.expected)
                ),
                probability=probability,
            )
    return best
