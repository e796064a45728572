"""The funnel, who is stuck, first calls, activation, cohorts and weekly figures: views and queries against the reference."""

from __future__ import annotations

from deploy.simulator import INTERNAL_DOMAIN, Population
from schemas.config.definitions import build
from sinks.definition_rows import write_definitions
from streams.topology import source_of
from tests.conftest import NOW_MS
from tests.support.audited import load
from tests.support.journey_numbers import journeys_differences
from tests.support.reference import Record, compute
from tests.support.worlds import SECRETS
from tests.support.worlds.apart import definitions_for, together, world_of


def test_nasty_worlds_have_the_journeys_that_the_reference_computes(client, address):
    seeds = range(12)
    definitions = definitions_for(seeds)
    records = together([world_of(seed) for seed in seeds], seed=1)
    load(address, records, definitions)
    write_definitions(client, definitions)
    assert journeys_differences(client, compute(records, definitions, SECRETS), definitions, ways=2) == []


def test_a_population_has_the_journeys_that_the_reference_computes(client, address):
    definitions = build({"internal": {"email_domains": [INTERNAL_DOMAIN]}})
    population = Population(seed=5, target_events=5_000)
    records = [Record(source_of(topic), value, NOW_MS) for topic, value in population.messages()]
    load(address, records, definitions)
    write_definitions(client, definitions)
    assert journeys_differences(client, compute(records, definitions, SECRETS), definitions) == []
