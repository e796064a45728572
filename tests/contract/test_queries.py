"""The named queries on real tables, filled by the whole job in one process."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from typer.testing import CliRunner, Result

from deploy.cli.main import app
from deploy.importer.in_process import InProcess
from deploy.queries import catalog
from deploy.queries.known_names import _known
from schemas.config.definitions import build
from schemas.config.loading import load_settings
from schemas.config.settings import Settings
from schemas.errors import DeploymentError
from schemas.sql.named_queries import query_names, read_query
from sinks.clickhouse import Address, connect
from streams.topology import API_EVENTS, WEB_EVENTS
from tests.operations.test_cli import plain
from tests.support.contract_reader import rows

DEFINITIONS = build({})
SECRETS = [b"0123456789abcdef"]
MINUTE = 60


def at(day: int, seconds: int = 0) -> str:
    """A time in March 2026, at noon of the day and so many seconds later."""
    return f"2026-03-{day:02d}T{12 + seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}Z"


def web(name: str, time: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return WEB_EVENTS, {"name": name, "source": "web", "time": time, **fields}


def call(time: str, key: str, number: int = 0, **fields: Any) -> tuple[str, dict[str, Any]]:
    return API_EVENTS, {
        "name": "API Call",
        "source": "api",
        "time": time,
        "api_key": key,
        "message_id": f"{time}-{number}",
        **fields,
    }


#  day     1                        2      3      10                29
#  ann     docs (ad), sign-up, key  call   call   call              -         company acme; first call after 4 minutes
#  bob            sign-up           -      -      -                 -         company acme; never calls
#  visitor docs                     -      -      -                 docs
#  broken                                                           one message that is no event
EVENTS = [
    web(
        "Page Viewed",
        at(1),
        anonymous_id="laptop",
        properties={"path": "/docs/start"},
        context={"campaign": {"name": "spring"}},
    ),
    web("Signed Up", at(1, 10 * MINUTE), anonymous_id="laptop", user_id="ann", company_id="acme"),
    web("API Key Created", at(1, 11 * MINUTE), user_id="ann", api_key="sk_live_ann", company_id="acme"),
    *(call(at(1, 14 * MINUTE), "sk_live_ann", number, properties={"status": 200}) for number in range(3)),
    call(at(2), "sk_live_ann", properties={"status": 200}),
    call(at(3), "sk_live_ann", properties={"status": 200}),
    call(at(10), "sk_live_ann", properties={"status": 500}),
    web("Signed Up", at(1, 20 * MINUTE), user_id="bob", company_id="acme"),
    web("Page Viewed", at(1), anonymous_id="visitor", properties={"path": "/docs"}),
    web("Page Viewed", at(29), anonymous_id="visitor", properties={"path": "/docs"}),
    call(at(4), "sk_live_nobody", properties={"status": 200}),
    web("Page Viewed", at(5)),
]


@pytest.fixture
def settings(database: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("FIRSTCALL_CLICKHOUSE", database)
    settings = load_settings()
    process = InProcess(settings, DEFINITIONS, SECRETS)
    for topic, event in EVENTS:
        process.send(topic, None, json.dumps(event).encode())
    process.finish()
    return settings


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    client = connect(Address.parse(settings.clickhouse_address))
    yield client
    client.close()


def ask(client: Client, name: str, **given: str) -> list[dict[str, Any]]:
    query = catalog.find_query(name)
    values = catalog.bind(query, given)
    answer = catalog.ask(client, query.sql, values)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def firstcall(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"NO_COLOR": "1", "COLUMNS": "200"})


#: Names that nothing has, and the message about each.
MISTYPED = [
    (["funnel", "-p", "segment=tech"], "segment of query funnel: there is no segment 'tech'; did you mean 'technology'?"),
    (["funnel", "-p", "starting=singup"], "there is no stage 'singup'; did you mean 'signup'?"),
    (["paying", "-p", "stage=payng"], "there is no stage 'payng'; did you mean 'paying'?"),
    (["activation", "-p", "definition=three_day"], "there is no activation definition 'three_day'; did you mean 'three_days'?"),
    (["churn-risk", "-p", "definition=gone"], "there is no churn-risk definition 'gone'; did you mean 'gone_quiet'?"),
    (["attribution", "-p", "conversion=activated:first_cal"], "there is no conversion 'activated:first_cal'; did you mean 'activated:first_call'?"),
    (["growth", "-p", "metric=active_tokns"], "there is no metric 'active_tokns'; did you mean 'active_tokens'?"),
    (["growth", "-p", "segment=country"], "there is no segment that is counted hour by hour 'country'; there are channel, technology"),
    (["outreach", "-p", "segment=channel"], "there is no segment that is read from events 'channel'"),
    (["hourly-activations", "-p", "segments=source,sorce"], "segments of query hourly-activations: there is no segment 'sorce'; did you mean 'source'?"),
    (["funnel", "--company", "Acm"], "company of query funnel: there is no company 'Acm'; did you mean 'acme'?"),
    (["journey", "-p", "developer=nobody-of-ours"], "developer of query journey: there is no developer 'nobody-of-ours'"),
    (["active", "-p", "value=python"], "value of query active is that of a segment, which is not named"),
    (["hourly-activations", "-p", "value=summer"], "which is not named, as in -p segments=technology"),
    (["account", "--company", "acme", "-p", "developer=ann"], "query account takes either company or developer, not both"),
]  # fmt: skip


def test_a_name_that_nothing_has_is_reported_and_not_answered_with_nothing(settings):
    for arguments, message in MISTYPED:
        result = firstcall("query", *arguments, "--format", "json")
        assert (result.exit_code, message in plain(result.output)) == (2, True), result.output


def test_every_parameter_that_names_something_is_held_against_what_there_is(client):
    known = _known(client)
    for query in map(read_query, query_names()):
        for name, parameter in query.parameters.items():
            assert parameter.names in (None, *known, "companies", "developers"), (query.name, name)


def test_every_column_of_an_answer_is_described(client):
    for query in map(read_query, query_names()):
        values = catalog.bind(query, {"company": "acme"} if query.needs else {})
        described = [row[0] for row in rows(client, f"DESCRIBE ({query.sql})", values)]
        assert list(query.columns) == described, query.name


def test_before_the_first_event_nothing_is_known_and_every_name_is_let_through(database, monkeypatch):
    monkeypatch.setenv("FIRSTCALL_CLICKHOUSE", database)
    result = firstcall("query", "funnel", "-p", "starting=registered")
    assert (result.exit_code, "No rows" in plain(result.output)) == (0, True), result.output


def test_the_funnel_of_developers_has_visitors_at_its_top(client):
    entered = {row["stage"]: row["entered"] for row in ask(client, "funnel")}
    # ann; the visitor. bob and the key that nobody is known behind never saw a page.
    assert entered == {
        "visit": 2,
        "docs": 2,
        "signup": 2,
        "key": 1,
        "first_call": 2,
        "activated": 1,
        "paying": 0,
        "advocate": 0,
    }


def test_the_funnel_of_companies_counts_companies(client):
    rows = ask(client, "funnel", level="company")
    assert {row["stage"]: row["entered"] for row in rows} == {
        "visit": 1,
        "docs": 1,
        "signup": 1,
        "key": 1,
        "first_call": 1,
        "activated": 0,
        "paying": 0,
        "advocate": 0,
    }
    assert [row["percent_of_previous"] for row in rows][:3] == [None, 100, 100]


def test_activation_has_a_rate_of_those_whose_span_has_passed(client):
    found = {(row["level"], row["definition"]): row for row in ask(client, "activation")}
    three_days = found["developer", "three_days"]
    assert (
        three_days["anchored"],
        three_days["activated"],
        three_days["matured"],
        three_days["percent_of_matured"],
    ) == (2, 1, 2, 50)
    first_call = found["company", "first_call"]
    assert (first_call["anchored"], first_call["activated"], first_call["matured"]) == (1, 1, 0)
    assert set(found) == {
        ("developer", "first_call"),
        ("company", "first_call"),
        ("company", "messages"),
        ("developer", "three_days"),
    }


def test_activation_can_be_asked_as_of_an_earlier_time(client):
    found = {(row["level"], row["definition"]): row for row in ask(client, "activation", at="2026-03-02 00:00:00")}
    assert found["developer", "three_days"]["activated"] == 0
    assert found["developer", "first_call"]["activated"] == 1


def test_weekly_active_ends_with_the_latest_event(client):
    rows = ask(client, "active", at="2026-03-04 12:00:00")
    assert [
        (str(row["week_end"])[:16], row["active_tokens"], row["active_developers"], row["active_companies"])
        for row in rows
    ] == [
        ("2026-03-04 12:00", 2, 1, 1),
    ]
    # The week to the 15th has ann's call of the 10th; the week to the 29th, that of the latest event, has none.
    weeks = {str(row["week_end"])[:10]: row["active_tokens"] for row in ask(client, "active")}
    assert weeks["2026-03-15"] == 1
    assert weeks["2026-03-29"] == 0


def test_time_to_first_call_is_from_sign_up_to_the_first_successful_call(client):
    developers, companies = ask(client, "ttfc")
    assert (developers["level"], developers["signed_up"], developers["called"], developers["median_minutes"]) == (
        "developer",
        2,
        1,
        4,
    )
    assert developers["percent_within_5_minutes"] == 100
    assert (companies["level"], companies["called"], companies["p90_minutes"]) == ("company", 1, 4)


def test_concentration_is_of_companies_and_tokens(client):
    found = {row["level"]: row for row in ask(client, "concentration", at="2026-03-10 13:00", window_hours="672")}
    # Seven calls: six with ann's key, one with a key that nobody is known behind, which is of no company.
    assert (found["company"]["largest"], found["company"]["largest_percent"], found["company"]["herfindahl"]) == (
        "acme",
        100,
        1,
    )
    assert (found["token"]["subjects"], found["token"]["calls"]) == (2, 7)
    assert found["token"]["herfindahl"] == pytest.approx((36 + 1) / 49, abs=1e-4)
    days = ask(client, "concentration", **{"from": "2026-03-01"}, to="2026-03-05", level="token", window_hours="24")
    assert [(str(row["hour"])[8:10], row["calls"]) for row in days] == [("02", 3), ("03", 1), ("04", 1), ("05", 1)]


def test_usage_is_calls_and_errors_by_day_of_all_or_of_one(client):
    rows = ask(client, "usage", company="acme")
    assert [str(rows[0]["day"]), str(rows[-1]["day"]), len(rows)] == ["2026-02-28", "2026-03-29", 30]
    found = {str(row["day"])[-2:]: row for row in rows}
    assert {day: (row["calls"], row["server_errors"]) for day, row in found.items() if row["calls"]} == {
        "01": (3, 0),
        "02": (1, 0),
        "03": (1, 0),
        "10": (1, 1),
    }
    assert {(row["developers"], row["tokens"]) for row in found.values() if row["calls"]} == {(1, 1)}
    assert [row["calls"] for row in ask(client, "usage", developer="ann", **{"from": "2026-03-09"})][:2] == [0, 1]
    period = {"from": "2026-03-04", "to": "2026-03-05"}
    assert [(row["calls"], row["developers"]) for row in ask(client, "usage", **period)] == [(1, 0)]


def test_an_account_is_one_row(client):
    (row,) = ask(client, "account", company="acme")
    assert (row["stage"], row["calls"], row["tokens"]) == ("first_call", 3, 1)
    assert (row["calls_before"], row["server_errors"], row["churn_risks"]) == (3, 1, ["gone_quiet"])
    (row,) = ask(client, "account", developer="bob")
    assert (row["stage"], row["calls"], row["churn_risks"]) == ("signup", 0, ["no_call_after_signup"])


def test_top_companies_are_those_with_the_most_calls(client):
    (row,) = ask(client, "top-companies", **{"from": "2026-02-01"})
    assert (row["company"], row["calls"], row["errors_percent"], row["developers"]) == ("acme", 6, 16.67, 1)


def test_campaigns_show_what_first_touches_lead_to(client):
    found = {row["first_touch"]: row for row in ask(client, "campaigns")}
    assert (found["spring"]["signed_up"], found["spring"]["called"], found["spring"]["activated"]) == (1, 1, 1)


def test_a_journey_has_all_events_of_a_developer_whatever_alias_they_carried(client):
    rows = ask(client, "journey", developer="ann")
    assert [row["name"] for row in rows][:3] == ["Page Viewed", "Signed Up", "API Key Created"]
    assert [row["alias_kind"] for row in rows][:4] == ["anonymous_id", "user_id", "user_id", "api_key"]
    assert len(rows) == 9


def test_dead_letters_are_counted_by_reason(client):
    (row,) = ask(client, "dead-letters")
    assert (row["reason"], row["messages"]) == ("no_identifier", 1)


def test_every_query_runs_with_its_defaults(settings):
    for name in query_names():
        needs = read_query(name).needs
        result = firstcall("query", name, *(part for part in ("--company", "acme") if "company" in needs))
        assert result.exit_code == 0, (name, result.output)


def test_an_answer_comes_as_csv_and_as_json(settings):
    sql = "SELECT name, count() AS events FROM events GROUP BY name ORDER BY events DESC, name"
    rows = list(csv.DictReader(io.StringIO(firstcall("query", "--sql", sql, "-f", "csv").output)))
    assert rows[0] == {"name": "API Call", "events": "7"}
    lines = firstcall("query", "--sql", sql, "-f", "json").output.splitlines()
    assert [json.loads(line)["name"] for line in lines] == [row["name"] for row in rows]


def test_times_are_dates_times_or_so_long_before_the_latest_event(settings):
    def days(*arguments):
        lines = firstcall("query", "usage", "-f", "json", *arguments).output.splitlines()
        return [json.loads(line)["day"] for line in lines]

    assert days("--from", "2026-03-02", "--to", "2026-03-04T00:00:00Z") == ["2026-03-02", "2026-03-03"]
    assert days("--from", "2026-03-04T01:00:00+02:00", "--to", "2026-03-05") == ["2026-03-04"]
    # The latest event is of the 29th, at noon.
    assert days("--from", "2d") == ["2026-03-28", "2026-03-29"]
    assert days("--from", "1w", "--to", "144h") == ["2026-03-23"]


def test_a_company_and_a_time_are_options(settings):
    lines = firstcall("query", "account", "--company", "acme", "--at", "2026-03-02", "-f", "json").output.splitlines()
    assert [(row["id"], row["stage"], row["calls"]) for row in map(json.loads, lines)] == [("acme", "first_call", 4)]


def test_a_chart_has_a_bar_for_each_row(settings):
    shown = firstcall("query", "usage", "--from", "2026-03-01", "--to", "2026-03-04", "-f", "chart").output.splitlines()
    cells = [line.split()[:2] for line in shown]
    assert cells == [["day", "calls"], ["2026-03-01", "3"], ["2026-03-02", "1"], ["2026-03-03", "1"]]
    bars = [line.count("█") for line in shown[1:]]
    assert bars[0] > bars[-1] > 0
    own = firstcall("query", "--sql", "SELECT name, count() AS n FROM events GROUP BY name", "-f", "chart").output
    assert "API Call" in own
    assert "█" in own


def test_an_empty_answer_is_reported_and_leaves_pipes_clean(settings):
    arguments = ("query", "journey", "--company", "acme", "--from", "2030-01-01")
    assert "No rows" in firstcall(*arguments).stdout
    for form, out in (("json", ""), ("csv", 1)):
        result = firstcall(*arguments, "-f", form)
        assert "No rows" in result.stderr
        assert result.stdout == out or result.stdout.count("\n") == out


def test_parameters_are_bound_and_never_become_sql(settings):
    sql = "SELECT {what:String} AS given"
    result = firstcall("query", "--sql", sql, "-p", "what=x' OR 1 = 1 --", "-f", "json")
    assert json.loads(result.output) == {"given": "x' OR 1 = 1 --"}


def test_wrong_sql_is_reported_in_one_line(settings):
    result = firstcall("query", "--sql", "SELECT nothing FROM nowhere")
    assert result.exit_code == 1
    assert "nowhere" in result.output
    assert "Traceback" not in result.output


def test_the_job_in_one_process_wants_an_empty_database(settings):
    with pytest.raises(DeploymentError, match=r"holds [0-9]+ profile rows already"):
        InProcess(settings, DEFINITIONS, SECRETS)


def by_hour(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The rows of an hourly query of all subjects together: (hour, count, trials)."""
    return [(row["hour"], int(row["count"]), int(row["trials"])) for row in rows if not row["segment"]]


def fetched(client: Client, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(sql).result_rows]


#: The end of the hour of a time: 10:00:00.000 is of the hour that ends then.
HOUR = "toDateTime64(ceil(toUnixTimestamp64Milli({}) / 3600000) * 3600, 3, 'UTC')"


def test_the_monitors_read_the_numbers_of_the_views(client):
    hour = HOUR.format("activated_at")
    activated = fetched(
        client,
        f"SELECT {hour} AS h, count(), 0 FROM activations WHERE level = 'developer' AND definition = 'first_call' GROUP BY h ORDER BY h",
    )
    assert activated == by_hour(ask(client, "hourly-activations"))
    assert len(activated) == 1

    hour = HOUR.format("signup_at + toIntervalMinute(180)")
    converted = fetched(
        client,
        f"SELECT {hour} AS h, countIf(first_call_at <= signup_at + toIntervalMinute(180)), count() FROM developers"
        " WHERE signup_at IS NOT NULL AND NOT is_internal AND NOT is_bot GROUP BY h ORDER BY h",
    )
    assert converted == by_hour(ask(client, "hourly-conversion"))
    assert sum(trials for _, _, trials in converted) == 2

    hour = HOUR.format("first_call_at")
    called = fetched(
        client,
        f"SELECT {hour} AS h, countIf(time_to_first_call_seconds <= 3600), count() FROM developers"
        " WHERE time_to_first_call_seconds >= 0 AND NOT is_internal AND NOT is_bot GROUP BY h ORDER BY h",
    )
    assert called == by_hour(ask(client, "hourly-first-calls", target_seconds="3600"))
    assert len(called) == 1

    active = fetched(
        client,
        "SELECT hour + toIntervalHour(1) AS h, count(), 0 FROM activity"
        " WHERE level = 'token' AND environment = 'production' GROUP BY h ORDER BY h",
    )
    assert active == by_hour(ask(client, "hourly-tokens"))
    assert len(active) >= 4


@pytest.mark.parametrize("source", ["web", "api"])
def test_events_by_hour_are_those_that_were_received(client, source):
    hour = HOUR.format("received_at")
    expected = fetched(
        client, f"SELECT {hour} AS h, count(), 0 FROM events WHERE source = '{source}' GROUP BY h ORDER BY h"
    )
    assert expected == by_hour(ask(client, "hourly-events", source=source))
    assert expected
