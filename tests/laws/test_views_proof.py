"""The long proof of the read side, run by `make views`: every number of every view, of 90 days of 50,000 developers, equals the reference."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from functools import partial

import pytest

from deploy.audit import audit
from deploy.importer.in_process import InProcess
from deploy.simulator import Population
from schemas.config.definitions import build
from schemas.config.loading import load_settings
from schemas.config.sources import TEST_PREFIX
from streams.topology import source_of
from tests.conftest import NOW_MS
from tests.support.attribution import attribution_differences
from tests.support.audited import differences as audit_differences
from tests.support.contract_reader import read_contract
from tests.support.contract_reader import usage_differences as counts_that_differ
from tests.support.journey_numbers import journeys_differences
from tests.support.query_numbers import query_differences
from tests.support.reference import Record, compute, differences
from tests.support.usage_contract import usage_differences
from tests.support.worlds import SECRETS

pytestmark = [pytest.mark.long, pytest.mark.timeout(7_200)]

DEVELOPERS = int(os.environ.get(f"{TEST_PREFIX}DEVELOPERS", "50000"))
#: 60 events are the least of a developer in 90 days, and his share of the visitors who never sign up; the rest are calls.
EVENTS = 70 * DEVELOPERS
DEFINITIONS = build({"internal": {"email_domains": ["firstcall.example"]}})


def messages() -> Iterator[tuple[str, bytes]]:
    return Population(seed=7, developers=DEVELOPERS, days=90, target_events=EVENTS, bad=20).messages()


def test_every_number_of_every_view_equals_the_reference(clickhouse, address, client, capsys) -> None:
    began = time.perf_counter()
    # Millions of objects are kept to the end: looking for those that are not takes longer each time.
    gc.disable()

    def show(what: str) -> None:
        with capsys.disabled():
            print(f"{time.perf_counter() - began:6.0f} s  {what}", flush=True)

    settings = load_settings(clickhouse=f"{clickhouse}/{address.database}", secrets=SECRETS[0].decode())
    job = InProcess(settings, DEFINITIONS, SECRETS)
    for topic, value in messages():
        job.send(topic, None, value)
    job.finish()
    show(f"{EVENTS:,} events of {DEVELOPERS:,} developers are in ClickHouse")
    records = (Record(source_of(topic), value, NOW_MS) for topic, value in messages())
    published = compute(records, DEFINITIONS, SECRETS)
    show(f"the reference has {len(published.developers):,} developers, {len(published.companies):,} companies")

    wrong: dict[str, list[object]] = {}
    views = read_contract(client)
    views.events = published.events
    sent = {row[0] for row in published.event_rows}
    views.event_rows = {row for row in views.event_rows if row[0] in sent}
    wrong["the read contract"] = [*differences(published, views)]
    show("compared: profiles, identities, activity, rolling counts, events")
    for title, found in (
        ("funnel, stuck, time to first call, cohorts, weeks, KPIs", journeys_differences),
        ("touches, attribution, outreach", attribution_differences),
        # At two moments: the reference goes through all calls for each.
        ("what monitors look at, attribution, growth, top companies, journeys", query_differences),
        ("usage, concentration, churn risk, power users, accounts", partial(usage_differences, moments=2)),
    ):
        wrong[title] = [*found(client, published, DEFINITIONS)]
        show(f"compared: {title}")
    wrong["usage by day"] = [*counts_that_differ(client)]
    wrong["audit"] = [*audit_differences(audit(address, DEFINITIONS)).values()]
    show("audited")
    assert not {title: lines[:10] for title, lines in wrong.items() if lines}
