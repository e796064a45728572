"""What is published wrongly is named by the audit, and by the command with its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from clickhouse_connect.driver import Client
from typer.testing import CliRunner, Result

from deploy.audit import audit
from deploy.cli.main import app
from sinks.clickhouse import Address, connect
from sinks.migrations import load_migrations, migrate
from tests.support.audited import differences, load, unproven, working_tables
from tests.support.worlds import (
    MINUTE,
    MONDAY,
    api_call,
    group,
    journey,
    merge,
    page_viewed,
    record,
    signed_up,
    small_definitions,
    talk_given,
)

DEFINITIONS = small_definitions()


@pytest.fixture
def tamper(client: Client, address: Address) -> Callable[[str, str, str], None]:
    """Changes columns of published rows that a condition names, in newer rows."""
    load(
        address,
        [
            *journey().records,
            record(signed_up(MONDAY, user_id="old", company_id="globex", message_id="s9")),
            record(merge(MONDAY + MINUTE, "old", "new", message_id="m9")),
            record(group(MONDAY + 2 * MINUTE, "new", "acme", message_id="g9")),
            record(api_call(MONDAY + 3 * MINUTE, api_key="k9", company_id="umbrella", message_id="c9")),
            record(
                page_viewed(MONDAY + 4 * MINUTE, user_id="new", context={"sdk": "Acme-Python/2.1"}, message_id="p9")
            ),
            record(page_viewed(MONDAY, session_token="s9", anonymous_id="a9", message_id="v9")),
            record(page_viewed(MONDAY, session_token="s9", message_id="w9")),
            record(talk_given(MONDAY, message_id="t9")),
        ],
        DEFINITIONS,
    )

    def change(table: str, condition: str, columns: str) -> None:
        assert client.query(f"SELECT 1 FROM {table} FINAL WHERE {condition} LIMIT 1").result_rows
        client.command(
            f"INSERT INTO {table} SELECT * REPLACE (version + 1 AS version, {columns})"
            f" FROM (SELECT * FROM {table} FINAL WHERE {condition} ORDER BY ALL LIMIT 1)"
        )

    return change


DEVELOPER = "level = 'developer' AND id = 'new'"


#: (table, condition, columns, published, verdict)
TAMPERINGS = [
    ("profile_rows", DEVELOPER, "mapUpdate(stages, map('signup', toDateTime64('2026-02-01', 3, 'UTC'))) AS stages", "developers: stages", "differ"),
    ("profile_rows", DEVELOPER, "mapFilter((k, v) -> false, stages) AS stages", "developers: stages", "differ"),
    ("profile_rows", DEVELOPER, "'visitor' AS kind", "developers: kind", "differ"),
    ("profile_rows", DEVELOPER, "'initech' AS company_id", "developers: company", "differ"),
    ("profile_rows", DEVELOPER, "first_seen - toIntervalMillisecond(1) AS first_seen", "developers: first seen", "differ"),
    ("profile_rows", DEVELOPER, "last_active - toIntervalMillisecond(1) AS last_active", "developers: last active", "differ"),
    ("profile_rows", DEVELOPER, "last_active + toIntervalHour(1) AS last_active", "developers: last active", "differ"),
    ("profile_rows", DEVELOPER, "true AS is_internal", "developers: internal", "differ"),
    ("profile_rows", DEVELOPER, "1 AS is_deleted", "developers", "missing"),
    ("profile_rows", DEVELOPER, "'stranger' AS id", "developers", "surplus"),
    ("profile_rows", "level = 'developer' AND notEmpty(first_touch)", "map('campaign', 'other') AS first_touch", "developers: first touch", "differ"),
    ("profile_rows", "level = 'developer' AND notEmpty(first_touch)", "first_touch_at + toIntervalMillisecond(1) AS first_touch_at", "developers: first touch", "differ"),
    ("profile_rows", DEVELOPER, "map('technology', 'ruby') AS segments", "developers: segments", "differ"),
    ("profile_rows", DEVELOPER, "mapUpdate(segments, map('plan', 'free')) AS segments", "developers: segments", "differ"),
    ("profile_rows", "level = 'company' AND notEmpty(segments)", "map() AS segments", "companies: segments", "differ"),
    ("profile_rows", "level = 'company' AND empty(activations)", "1 AS is_deleted", "companies", "missing"),
    ("profile_rows", "level = 'company' AND notEmpty(stages)", "mapApply((k, v) -> (k, v + toIntervalMillisecond(1)), stages) AS stages", "companies: stages", "differ"),
    ("profile_rows", "level = 'developer' AND notEmpty(activations)", "map() AS activations", "activations of developers", "missing"),
    ("profile_rows", DEVELOPER, "map('first_call', toDateTime64('2026-02-01', 3, 'UTC')) AS activations", "activations of developers", "surplus"),
    ("profile_rows", "level = 'developer' AND notEmpty(activations)", "mapApply((k, v) -> (k, v + toIntervalMillisecond(1)), activation_anchors) AS activation_anchors", "activations of developers", "differ"),
    ("identity_rows", "alias_kind = 'anonymous_id'", "1 AS is_deleted", "identities", "missing"),
    ("identity_rows", "alias_kind = 'anonymous_id'", "'stranger' AS alias", "identities", "surplus"),
    ("identity_rows", "alias_kind = 'anonymous_id'", "arrayMap(t -> t + toIntervalMillisecond(1), developer_from) AS developer_from", "identities", "differ"),
    ("identity_rows", "alias = 'old'", "['old'] AS developer_ids", "identities", "differ"),
    ("identity_rows", "alias_kind = 'api_key' AND company_id != ''", "'initech' AS company_id", "identities", "differ"),
    ("identity_rows", "alias = 's9'", "'another' AS device_id", "identities", "differ"),
    ("identity_rows", "alias = 's9'", "device_from + toIntervalMillisecond(1) AS device_from", "identities", "differ"),
    ("identity_rows", "alias_kind = 'anonymous_id'", "true AS is_bot", "automated traffic", "surplus"),
    ("identity_rows", "alias_kind = 'anonymous_id'", "true AS is_bot_with_key", "automated traffic", "surplus"),
    ("touch_rows", "is_touch", "time - 1 AS time", "touches", "differ"),
    ("touch_rows", "is_touch", "'another' AS message_id, 1 AS event_hash", "touches", "surplus"),
    ("touch_rows", "is_outreach", "time - 1 AS time", "outreach", "differ"),
    ("touch_rows", "is_outreach", "'another' AS message_id, 1 AS event_hash", "outreach", "surplus"),
    ("usage_rows", "is_deleted = 0", "events + 1 AS events", "usage by day", "differ"),
    ("usage_rows", "successes > 0", "successes - 1 AS successes", "usage by day", "differ"),
    ("usage_rows", "notEmpty(hours)", "mapApply((hour, uses) -> (toUInt8(23 - hour), uses), hours) AS hours", "usage by day", "differ"),
    ("usage_rows", "is_deleted = 0", "latency_us + 1 AS latency_us", "usage by day", "differ"),
    ("usage_rows", "is_deleted = 0", "1 AS is_deleted", "usage by day", "missing"),
    ("usage_rows", "is_deleted = 0", "'Another' AS name", "usage by day", "surplus"),
    ("activity_rows", "level = 'token'", "0 AS hours", "activity of tokens", "missing"),
    ("activity_rows", "level = 'developer'", "bitXor(hours, 16777215) AS hours", "activity of developers", "differ"),
    ("activity_rows", "level = 'company'", "'initech' AS id", "activity of companies", "surplus"),
    ("rolling_rows", "delta > 0", "delta + 1 AS delta", "rolling counts", "differ"),
    ("rolling_rows", "delta > 0", "toInt64(0) AS delta", "rolling counts", "missing"),
    ("rolling_rows", "delta > 0", "'another' AS scope, hour + toIntervalHour(7777) AS hour", "rolling counts", "surplus"),
]  # fmt: skip


def rounds() -> list[list[tuple[str, ...]]]:
    """Tamperings that one audit can distinguish: of one verdict, each with something else that is published."""
    found: list[list[tuple[str, ...]]] = []
    for tampering in TAMPERINGS:
        *_, published, verdict = tampering
        for others in found:
            if all(other[-1] == verdict and other[-2] != published for other in others):
                others.append(tampering)
                break
        else:
            found.append([tampering])
    return found


@pytest.mark.parametrize("tamperings", rounds(), ids=lambda tamperings: tamperings[0][-1])
def test_wrong_rows_are_named(tamperings, tamper, address):
    for table, condition, columns, *_ in tamperings:
        tamper(table, condition, columns)
    wrong = differences(audit(address, DEFINITIONS))
    assert set(wrong) == {published for *_, published, _ in tamperings}
    for *_, published, verdict in tamperings:
        for difference in wrong[published]:
            assert difference.verdict == verdict
            assert difference.expected != difference.found
            assert verdict != "surplus" or difference.expected == ""
            assert verdict != "missing" or difference.found == ""


def test_wrong_counts_are_named_with_their_segment(tamper, address):
    of_python = "segment = 'technology' AND segment_value = 'python' AND level = 'developer'"
    tamper("rolling_rows", f"metric = 'signups' AND {of_python} AND delta = 1", "toInt64(2) AS delta")
    tamper("rolling_rows", f"metric = 'matured:three_days' AND {of_python} AND delta = 1", "toInt64(0) AS delta")
    tamper("rolling_rows", f"metric = 'matured:first_call' AND {of_python} AND delta = 1", "'cobol' AS segment_value")
    (wrong,) = [finding for finding in audit(address, DEFINITIONS).findings if finding.wrong]
    # A moment comes into each of three windows and falls out of it.
    assert (wrong.surplus, wrong.missing, wrong.differ) == (6, 6, 6)
    month = {
        f"matured:first_call developer technology cobol {hours} h, 2026-02-02 00:00:00.000" for hours in (24, 168, 672)
    }
    assert month <= {each.id for each in wrong.differences}
    assert {each[1:] for each in wrong.differences if each.id in month} == {("surplus", "", "change of 1")}


@pytest.mark.parametrize(
    ("published", "change"),
    [
        ("touches", "NOT is_content AS is_content"),
        ("outreach", "'Talk Cancelled' AS name"),
        ("outreach", "map('technology', 'cobol') AS segments"),
    ],
)
def test_every_field_of_a_touch_or_outreach_is_compared(tamper, address, published, change):
    tamper("touch_rows", "is_outreach" if published == "outreach" else "is_touch", change)
    wrong = differences(audit(address, DEFINITIONS))
    assert sorted(each.verdict for each in wrong.pop(published)) == ["missing", "surplus"]
    assert wrong == {}


def test_touches_and_outreach_that_are_not_there_are_missing(tamper, client, address):
    client.command("TRUNCATE TABLE touch_rows")
    wrong = differences(audit(address, DEFINITIONS))
    assert {name: {each.verdict for each in found} for name, found in wrong.items()} == {
        "touches": {"missing"},
        "outreach": {"missing"},
    }


def test_usage_that_the_sink_has_yet_to_count_is_no_difference(client, address):
    load(address, [record(page_viewed(MONDAY, anonymous_id="a"))], DEFINITIONS)
    client.command(
        "INSERT INTO reconciliation_rows SELECT min(reconciled_at) - 60, max(number) + 1 FROM reconciliation_rows"
    )
    client.command("TRUNCATE TABLE usage_rows")
    found = audit(address, DEFINITIONS)
    assert (found.wrong, unproven(found)) == (0, {"usage by day": 1})


def test_of_many_differences_the_first_are_shown_and_all_are_counted(client, address):
    load(address, [record(page_viewed(MONDAY, anonymous_id=f"a{place:02}")) for place in range(20)], DEFINITIONS)
    client.command("TRUNCATE TABLE profile_rows")
    (finding,) = [finding for finding in audit(address, DEFINITIONS).findings if finding.wrong]
    assert (finding.published, finding.missing) == ("developers", 20)
    assert [each.id for each in finding.differences] == [f"anonymous_id:a{place:02}" for place in range(5)]


def test_the_working_tables_are_gone_however_an_audit_ends(client, address):
    def interrupt(number: int, total: int, title: str) -> None:
        assert working_tables(client) > 0
        if number == 9:
            raise KeyboardInterrupt

    load(address, journey().records, DEFINITIONS)
    with pytest.raises(KeyboardInterrupt):
        audit(address, DEFINITIONS, progress=interrupt)
    assert working_tables(client) == 0
    audit(address, DEFINITIONS)
    assert working_tables(client) == 0


# The command


def command(*arguments: str, clickhouse: str, data_dir: Any) -> Result:
    environment = {"FIRSTCALL_CLICKHOUSE": clickhouse, "FIRSTCALL_DATA_DIR": str(data_dir), "COLUMNS": "120"}
    return CliRunner().invoke(app, ["audit", *arguments], env=environment)


def test_the_command_prints_that_all_agrees_or_what_does_not(clickhouse, client, address, tmp_path, monkeypatch):
    monkeypatch.setattr("deploy.cli.audit.definitions_of", lambda _: DEFINITIONS)
    load(address, journey().records, DEFINITIONS)
    given = {"clickhouse": f"{clickhouse}/{address.database}", "data_dir": tmp_path}
    agrees = command(**given)
    assert agrees.exit_code == 0, agrees.output
    assert "Everything published agrees with the events" in agrees.output
    client.command("TRUNCATE TABLE identity_rows")
    differs = command(**given)
    assert differs.exit_code == 1
    assert "identities" in differs.output
    assert "differences between what is published and the events" in differs.output
    printed = command("--format", "json", **given)
    assert printed.exit_code == 1
    found = json.loads(printed.stdout)
    assert found["agrees"] is False
    (wrong,) = [finding for finding in found["findings"] if finding["missing"]]
    assert wrong["published"] == "identities"
    assert wrong["differences"][0].keys() == {"id", "verdict", "expected", "found"}


def test_what_cannot_be_audited_ends_with_code_2(clickhouse, unique, tmp_path):
    away = command(clickhouse="http://127.0.0.1:1/firstcall", data_dir=tmp_path)
    assert (away.exit_code, "ClickHouse at http://127.0.0.1:1/firstcall" in away.output) == (2, True)
    absent = command(clickhouse=f"{clickhouse}/{unique}", data_dir=tmp_path)
    assert (absent.exit_code, "firstcall migrate" in absent.output) == (2, True)
    wrong = command("--format", "xml", clickhouse=f"{clickhouse}/{unique}", data_dir=tmp_path)
    assert wrong.exit_code == 2


def test_a_database_that_is_not_migrated_to_the_end_is_reported(clickhouse, unique, tmp_path):
    old = Address.parse(f"{clickhouse}/{unique}")
    migrations = load_migrations()
    migrate(old, migrations=migrations[:-1])
    result = command(clickhouse=f"{clickhouse}/{unique}", data_dir=tmp_path)
    with connect(old, database="default") as client:
        client.command(f"DROP DATABASE `{unique}`")
    assert result.exit_code == 2
    assert migrations[-1].file_name in result.output
    assert "firstcall migrate" in result.output
