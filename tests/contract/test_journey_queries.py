"""The queries of the funnel and of weeks on small stories, and on databases with nothing, one event, or one huge company."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.queries import catalog
from schemas.config.definitions import build
from sinks.definition_rows import write_definitions
from tests.support.audited import load
from tests.support.journey_numbers import moment, rows_of
from tests.support.worlds import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY,
    api_call,
    invitation_sent,
    key_created,
    page_viewed,
    record,
    signed_up,
    subscription_started,
)

SHIPPED = build({})
OF_JOURNEYS = (
    *("funnel", "stuck", "stuck-stages", "ttfc", "activation"),
    *("cohorts", "cohort-activation", "active", "paying", "kpis"),
)
WEEK = 7 * DAY


def ask(client, name: str, **given: str) -> list[dict[str, Any]]:
    """The rows of a named query, times in ms."""
    query = catalog.find_query(name)
    values = catalog.bind(query, given)
    return rows_of(client, query.sql, values)


@pytest.fixture
def load_story(client, address):
    """Loads a story, under the shipped definitions."""

    def run(*messages: Any) -> None:
        write_definitions(client, SHIPPED)
        load(address, [record(message) for message in messages], SHIPPED)

    return run


#          Mon          Tue        Wed   next Mon 00:00   next Mon 10:00
#  ann     docs         sign-up    call  call (0 ms)      -                call after a day
#  bob     call, sign-up                                  call             call ten minutes before the sign-up
#  cleo    docs                                           sign-up          stands there
TWO_WEEKS = (
    page_viewed(MONDAY + HOUR, "/docs", anonymous_id="a"),
    signed_up(MONDAY + DAY, anonymous_id="a", user_id="ann", company_id="acme"),
    api_call(MONDAY + 2 * DAY, user_id="ann", api_key="sk_live_ann"),
    api_call(MONDAY + WEEK, user_id="ann", api_key="sk_live_ann"),
    api_call(MONDAY + HOUR, user_id="bob", api_key="sk_live_bob"),
    signed_up(MONDAY + HOUR + 10 * MINUTE, user_id="bob"),
    api_call(MONDAY + WEEK + 10 * HOUR, user_id="bob", api_key="sk_live_bob"),
    page_viewed(MONDAY + HOUR, "/docs", user_id="cleo"),
    signed_up(MONDAY + WEEK + 10 * HOUR, user_id="cleo"),
)


def test_a_step_of_the_funnel_has_its_drop_and_its_time(client, load_story):
    load_story(*TWO_WEEKS)
    found = {row["stage"]: row for row in ask(client, "funnel")}
    assert [found[stage]["entered"] for stage in ("visit", "docs", "signup", "key", "first_call")] == [2, 2, 3, 0, 2]
    assert (found["visit"]["dropped"], found["docs"]["dropped"], found["key"]["dropped"]) == (None, 0, 3)
    assert found["key"]["dropped_percent"] == 100
    # Ann took 23 hours from the docs to the sign-up, cleo a week and nine hours: the median lies between.
    assert found["signup"]["median_minutes"] == pytest.approx((23 + 7 * 24 + 9) / 2 * 60)
    assert found["first_call"]["percent_of_first"] == 50


def test_a_stage_that_was_entered_out_of_order_counts_but_has_no_time(client, load_story):
    load_story(
        invitation_sent(MONDAY, user_id="u"),
        subscription_started(MONDAY + DAY, user_id="u"),
        subscription_started(MONDAY, user_id="v"),
        invitation_sent(MONDAY + HOUR, user_id="v"),
    )
    (step,) = (row for row in ask(client, "funnel") if row["stage"] == "advocate")
    assert (step["percent_of_previous"], step["out_of_order"], step["median_minutes"]) == (100, 1, 60)


def test_stuck_is_the_furthest_stage_and_not_the_last_one_entered(client, load_story):
    load_story(
        key_created(MONDAY, user_id="u", api_key="sk_live_1"),
        signed_up(MONDAY + HOUR, user_id="u"),
        page_viewed(MONDAY + 5 * HOUR, "/", user_id="u"),
    )
    (row,) = ask(client, "stuck")
    assert (row["subject_id"], row["stage"], row["next_stage"]) == ("u", "key", "first_call")
    assert (row["since"], row["waiting_hours"]) == (MONDAY, 5)
    assert ask(client, "stuck", hours="5.1") == []
    (earlier,) = (row for row in ask(client, "stuck-stages", at=moment(MONDAY + 2 * HOUR)) if row["at_stage"])
    assert (earlier["stage"], earlier["median_waiting_hours"], earlier["percent_of_entered"]) == ("key", 2, 100)


def test_a_call_before_the_sign_up_is_a_negative_time_to_first_call(client, load_story):
    load_story(*TWO_WEEKS)
    (developers,) = ask(client, "ttfc", level="developer")
    assert (developers["signed_up"], developers["called"], developers["called_before_signup"]) == (3, 2, 1)
    assert developers["median_minutes"] == (24 * 60 - 10) / 2
    assert (developers["called_within_5_minutes"], developers["percent_within_5_minutes"]) == (1, 50)
    weekly = ask(client, "ttfc", level="developer", by="week")
    assert [(row["signup_week"], row["signed_up"]) for row in weekly] == [(MONDAY, 2), (MONDAY + WEEK, 1)]


def test_the_first_moment_of_a_monday_is_of_the_week_before(client, load_story):
    load_story(*TWO_WEEKS)
    cohorts = {(row["signup_week"], row["week_number"]): row for row in ask(client, "cohorts")}
    # Ann's call at Monday 00:00:00.000 is of her first week; bob's ten hours later is of a week that is not over.
    assert [cohorts[MONDAY, number]["active"] for number in (0, 1)] == [2, None]
    assert cohorts[MONDAY, 0]["size"] == 2
    assert (cohorts[MONDAY + WEEK, 0]["signups_complete"], cohorts[MONDAY + WEEK, 0]["active"]) == (False, None)
    over = {
        row["week_number"]: row
        for row in ask(client, "cohorts", at=moment(MONDAY + 2 * WEEK))
        if row["signup_week"] == MONDAY
    }
    assert (over[1]["active"], over[1]["active_percent"]) == (1, 50)


def test_cohorts_and_weekly_use_agree_with_the_rolling_counts_on_mondays(client, load_story):
    load_story(*TWO_WEEKS)
    for metric, expected in (
        ("signups", "SELECT signup_week AS week, level, count() AS n FROM signups GROUP BY ALL"),
        (
            "active_developers",
            "SELECT week, level, count() AS n FROM weekly_use WHERE level = 'developer' GROUP BY ALL",
        ),
        ("active_companies", "SELECT week, level, count() AS n FROM weekly_use WHERE level = 'company' GROUP BY ALL"),
    ):
        counted = rows_of(
            client,
            "SELECT hour, level, value FROM rolling_counts WHERE metric = {metric:String} AND window_hours = 168"
            " AND segment = '' AND toDayOfWeek(hour) = 1 AND toHour(hour) = 0 AND value != 0",
            {"metric": metric},
        )
        weeks = {(row["week"] + WEEK, row["level"], row["n"]) for row in rows_of(client, expected)}
        assert weeks
        assert weeks == {(row["hour"], row["level"], row["value"]) for row in counted if row["hour"] <= max(weeks)[0]}


def test_weekly_active_is_the_rolling_count_of_the_hour_with_which_its_weeks_end(client, load_story):
    load_story(*TWO_WEEKS)
    counted = rows_of(
        client, "SELECT hour, metric, value FROM rolling_counts WHERE window_hours = 168 AND segment = ''"
    )
    values = {(row["hour"], row["metric"]): row["value"] for row in counted}
    # The latest event is bob's call, at ten o'clock sharp: it is of the hour that ends then.
    for row in ask(client, "active"):
        for metric in ("active_tokens", "active_developers", "active_companies"):
            assert row[metric] == values.get((row["week_end"], metric), 0), row
    assert (row["week_end"], row["active_developers"], row["developers_growth_percent"]) == (
        MONDAY + WEEK + 10 * HOUR,
        2,
        100,
    )
    before = {
        row["week_end"]: row["active_developers"] for row in ask(client, "active", at=moment(MONDAY + WEEK + 9 * HOUR))
    }
    assert before == {MONDAY + WEEK + 9 * HOUR: 1, MONDAY + 9 * HOUR: 1}


def test_a_figure_of_a_week_that_is_not_over_is_unknown(client, load_story):
    load_story(*TWO_WEEKS)
    figures = {(row["week"], row["kpi"]): row for row in ask(client, "kpis")}
    assert figures[MONDAY, "newcomers"]["value"] == 2
    assert figures[MONDAY, "weekly_active"]["value"] == 2
    assert figures[MONDAY, "newcomers_signed_up_percent"]["value"] is None
    assert figures[MONDAY + WEEK, "weekly_active"]["value"] is None
    later = {(row["week"], row["kpi"]): row for row in ask(client, "kpis", at=moment(MONDAY + 3 * WEEK))}
    signed_up_in_time = later[MONDAY, "newcomers_signed_up_percent"]
    assert (signed_up_in_time["numerator"], signed_up_in_time["denominator"]) == (1, 2)
    assert (later[MONDAY + WEEK, "weekly_active"]["value"], later[MONDAY + WEEK, "newcomers"]["value"]) == (1, 0)


def test_the_funnel_is_the_configured_one_and_a_stage_may_be_of_one_level_only(client):
    stages = {
        "used": {"phase": "adoption", "selector": "call"},
        "regular": {"phase": "advocacy", "activation": {"developer": "three_days"}},
        "signup": {"phase": "awareness", "selector": "sign_up"},
        "first_call": {"phase": "advocacy", "selector": "successful_call"},
    }
    definitions = build({"stages": stages})
    write_definitions(client, definitions)
    assert [row["stage"] for row in ask(client, "funnel")] == ["used", "regular", "signup", "first_call"]
    assert [row["stage"] for row in ask(client, "funnel", level="company")] == ["used", "signup", "first_call"]
    (used,) = rows_of(client, "SELECT next_stage FROM funnel_stages WHERE level = 'company' AND stage = 'used'")
    assert used["next_stage"] == "signup"


# Nothing, one event, one huge company


@pytest.mark.parametrize("configured", [False, True])
def test_an_empty_database_has_funnels_of_nobody_and_no_weeks(client, configured):
    if configured:
        write_definitions(client, SHIPPED)
    found = {name: ask(client, name) for name in OF_JOURNEYS}
    assert [row["entered"] for row in found["funnel"]] == [0] * (8 if configured else 0)
    assert {name for name, rows in found.items() if rows} <= {"funnel", "stuck-stages", "activation"}


def test_one_event_gives_rows_without_invented_dates(client, load_story):
    load_story(page_viewed(MONDAY + HOUR, "/", anonymous_id="a"))
    for name in OF_JOURNEYS:
        for row in ask(client, name):
            times = [
                value
                for column, value in row.items()
                if column in ("week", "week_end", "signup_week", "since", "last_active")
            ]
            assert all(MONDAY - WEEK <= time <= MONDAY + WEEK for time in times), (name, row)
    assert [row["entered"] for row in ask(client, "funnel")] == [1, 0, 0, 0, 0, 0, 0, 0]
    assert [(row["subject_id"], row["waiting_hours"]) for row in ask(client, "stuck")] == [("anonymous_id:a", 0)]


def test_a_company_of_20_000_developers_counts_once_and_its_developers_each(client):
    write_definitions(client, SHIPPED)
    stages = f"map('signup', toDateTime64('{moment(MONDAY + HOUR)}', 3, 'UTC'), 'first_call', toDateTime64('{moment(MONDAY + 2 * HOUR)}', 3, 'UTC'))"
    seen = f"toDateTime64('{moment(MONDAY + HOUR)}', 3, 'UTC') AS first_seen, first_seen + 86400 AS last_active, {stages} AS stages, 1 AS version"
    columns = "level, id, kind, company_id, first_seen, last_active, stages, version"
    client.command(
        f"INSERT INTO profile_rows ({columns}) SELECT 'developer', 'u' || toString(number), 'user', if(number = 0, '', 'huge'), {seen} FROM numbers(20001)"
    )
    client.command(f"INSERT INTO profile_rows ({columns}) SELECT 'company', 'huge', 'company', '', {seen}")
    client.command(
        "INSERT INTO activity_rows (level, id, environment, day, hours, version)"
        f" SELECT level, id, 'production', toDate('{moment(MONDAY)[:10]}'), 4, 1 FROM profile_rows"
    )
    by_company = {row["segment_value"]: row for row in ask(client, "ttfc", level="developer", segment="company")}
    assert {company: row["called"] for company, row in by_company.items()} == {"": 1, "huge": 20_000}
    assert {row["signed_up"] for row in ask(client, "ttfc", level="company")} == {1}
    assert [row["entered"] for row in ask(client, "funnel", company="huge") if row["stage"] == "first_call"] == [20_000]
    assert len(ask(client, "stuck", limit="30000")) == 20_001
    (cohort,) = ask(client, "cohorts", at=moment(MONDAY + WEEK), weeks="0")
    assert (cohort["size"], cohort["active"], cohort["active_percent"]) == (20_001, 20_001, 100)
