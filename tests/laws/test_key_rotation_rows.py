"""What ClickHouse holds of keys whose secret was rotated: rows of either hash lead to the same developer and company."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from deploy.importer.in_process import InProcess
from schemas.config.loading import load_settings
from tests.conftest import ROOT
from tests.contract.test_read_contract import assert_equal
from tests.support.contract_reader import read_contract, rows, wire
from tests.support.rotation import (
    DEFINITIONS,
    NEWER,
    OLDEST,
    Reading,
    expected,
    hashed,
    normaliser,
    rotated_worlds,
    under_first_hashes,
)
from tests.support.tables import empty_tables
from tests.support.worlds import DAY, MONDAY, api_call, key_created, merge, record

GUIDE = ROOT / "deploy" / "docs" / "key-rotation.md"
KEY = "sk_live_1"
H1, H2 = hashed(KEY, OLDEST), hashed(KEY, NEWER)

#: A row of `Published.event_rows`: message id, alias kind, alias, developer, company, time.
EventRow = tuple[str, str, str, str, str, int]
Load = Callable[[Sequence[Reading]], None]


@pytest.fixture
def load(clickhouse, address) -> Load:
    """Runs records through the whole job in one process, each under the secrets that are configured when it comes."""

    def run(readings: Sequence[Reading]) -> None:
        job = InProcess(
            load_settings(clickhouse=f"{clickhouse}/{address.database}", secrets=OLDEST.decode()), DEFINITIONS, [OLDEST]
        )
        for one, secrets in readings:
            job._sink.normaliser = job._runner._normaliser = normaliser(secrets)
            topic = f"{one.topic}-events"
            job._waiting[topic].append((one.timestamp_ms, wire(one)))
            job._process(topic)
        job.finish()

    return run


def test_events_of_both_hashes_belong_to_the_same_developer_and_company(client, load):
    load(
        [
            (record(key_created(MONDAY, api_key=KEY, user_id="ada", company_id="acme")), (OLDEST,)),
            (record(api_call(MONDAY + DAY, api_key=KEY)), (OLDEST, NEWER)),
            (record(api_call(MONDAY + 2 * DAY, api_key=KEY)), (NEWER,)),
            (record(merge(MONDAY + 3 * DAY, "ada", "lovelace")), (NEWER,)),
        ]
    )
    resolved = "SELECT alias, developer_id, company_id FROM {} WHERE name = 'API Call' ORDER BY time"
    of_ada = [(H1, "lovelace", "acme"), (H2, "lovelace", "acme")]
    assert rows(client, resolved.format("events_resolved")) == of_ada
    assert rows(client, resolved.format("journey(developer = 'lovelace')")) == of_ada
    assert rows(client, "SELECT DISTINCT subject_id FROM activity WHERE level = 'token'") == [(H1,)]
    assert rows(
        client, "SELECT alias, first_hash FROM identity_rows FINAL WHERE alias_kind = 'api_key' ORDER BY 2"
    ) == [
        (H1, ""),
        (H2, H1),
    ]


def test_events_of_both_hashes_are_one_visitors_while_nobody_is_known(client, load):
    load(
        [
            (record(api_call(MONDAY + DAY, api_key=KEY, company_id="acme")), (NEWER,)),
            (record(api_call(MONDAY, api_key=KEY)), (OLDEST, NEWER)),
        ]
    )
    visitor = f"api_key:{H1}"
    wanted = [(H1, visitor, "acme"), (H2, visitor, "acme")]
    columns = "SELECT alias, developer_id, company_id FROM"
    assert rows(client, f"{columns} events_resolved ORDER BY time") == wanted
    assert rows(client, f"{columns} journey(developer = '{visitor}') ORDER BY time") == wanted
    assert rows(client, "SELECT id FROM developers") == [(visitor,)]


def test_the_documented_query_counts_the_keys_that_were_not_seen_since_the_secret_was_added(client, load):
    (sql,) = re.findall(r'firstcall query --sql "\n\s+(WITH later.*?)"\n', GUIDE.read_text(), re.DOTALL)
    sql = sql.replace("now() - INTERVAL 90 DAY", "'2026-01-01 00:00:00'").replace("2026-03-01", "2026-01-07")
    load(
        [
            *((record(api_call(MONDAY, api_key=key)), (OLDEST,)) for key in ("silent", "silent too", KEY)),
            (record(api_call(MONDAY + 4 * DAY, api_key=KEY)), (OLDEST, NEWER)),
        ]
    )
    assert rows(client, sql) == [(2,)]
    load_again = [(record(api_call(MONDAY + 5 * DAY, api_key=key)), (OLDEST, NEWER)) for key in ("silent", "new")]
    client.command("TRUNCATE TABLE profile_rows")
    load(load_again)
    assert rows(client, sql) == [(1,)]


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(world=rotated_worlds())
def test_any_world_under_any_secrets_is_in_the_views_as_the_reference_computes_it_with_one(client, load, world):
    empty_tables(client)
    records, keys, readings = world
    load(readings)
    wanted, found = expected(records, keys), under_first_hashes(read_contract(client), keys)
    # Copies of a user's event that were read under different names of its key are rows of their own, at their own times.
    wanted.event_rows, found.event_rows = first_rows(wanted.event_rows), first_rows(found.event_rows)
    assert_equal(wanted, found)


def test_copies_of_a_users_event_under_two_names_of_its_key_are_two_rows_of_one_event(client, load):
    call = api_call(MONDAY, api_key=KEY, user_id="ada", message_id="again")
    load([(record(call), (OLDEST,)), (record(call), (OLDEST, NEWER)), (record(call), (NEWER,))])
    assert rows(
        client, "SELECT api_key, developer_id FROM events_resolved ORDER BY api_key = {first:String}", {"first": H1}
    ) == [
        (H2, "ada"),
        (H1, "ada"),
    ]


def first_rows(found: set[EventRow]) -> set[EventRow]:
    """The earliest of the rows of each event that lead to the same developer and company."""
    earliest: dict[tuple[str, ...], EventRow] = {}
    for row in sorted(found, key=lambda row: row[-1]):
        earliest.setdefault(row[:-1], row)
    return set(earliest.values())
