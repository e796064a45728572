"""Alerts from rows in a real ClickHouse to real receivers, through restarts and receivers that fail."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import orjson
import pytest
import yaml
from structlog.testing import capture_logs
from typer.testing import CliRunner

from deploy.alerts.alert import Alert
from deploy.alerts.channels import signature
from deploy.alerts.evaluator import Evaluator
from deploy.alerts.readings import read_longest_gap, read_newest, read_series
from deploy.alerts.watch import Watch
from deploy.cli.main import app
from deploy.queries.catalog import find_query
from schemas.config.definitions import build as build_definitions
from schemas.config.monitors import Monitors, SilenceMonitor, build
from sinks.clickhouse import Address, connect
from sinks.insert import RowInserter
from streams.alerting.series import ALL, DAY, HOUR_MS, WEEK, Scope

DEFINITIONS = build_definitions({})
#: A Monday, in hours since 1970; the newest hour that is closed.
NOW_HOUR = 491_064 + 10 * WEEK
SECRET = "a secret that both sides know"
WEEKS = 9


class Receiver:
    """An HTTP endpoint that keeps what it is sent, and answers with the next of `answers`, then with 200."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.refused = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.answers.pop(0) if receiver.answers else 200
                if status == 200:
                    receiver.got.append((dict(self.headers), body))
                else:
                    receiver.refused += 1
                self.send_response(status)
                self.end_headers()
                if status != 200:
                    # As some servers do.
                    self.wfile.write(f"Cannot POST {self.path}".encode())

            def log_message(self, format: str, *_: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def monitors(watch: dict[str, Any], **channels: Any) -> Monitors:
    return build({"watch": watch, "channels": channels, "late_minutes": 0}, DEFINITIONS)


ACTIVATIONS = {"activation": {"kind": "activations", "definition": "first_call", "segments": ["source"]}}


def time_text(at_ms: float) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}.{int(at_ms) % 1000:03d}"


def profile(number: int, at_ms: float, **fields: Any) -> bytes:
    """A developer who signed up a minute before his first call."""
    times = {"signup": time_text(at_ms - 60_000), "first_call": time_text(at_ms)}
    return orjson.dumps(
        {
            "level": "developer",
            "id": f"d{number}",
            "kind": "user",
            "stages": times,
            "activation_anchors": {"first_call": times["signup"]},
            "activations": {"first_call": times["first_call"]},
            "first_touch": {"source": "ads" if number % 3 else "docs"},
            "version": 1,
            **fields,
        }
    )


def activated(
    until: int, rate: float, *, weeks: int = WEEKS, drop_from: int | None = None, kept: float = 0.1
) -> list[bytes]:
    """Developers who were activated within the weeks before an hour, so many an hour; from an hour on, part of them."""
    chance = np.random.default_rng(1)
    rows: list[bytes] = []
    for hour in range(until - weeks * WEEK, until):
        here = rate * (kept if drop_from is not None and hour >= drop_from else 1.0)
        rows += [
            profile(len(rows) + number, (hour + float(chance.uniform(0.001, 1))) * HOUR_MS)
            for number in range(int(chance.poisson(here)))
        ]
    return rows


def fill(address: Address, table: str, rows: list[bytes]) -> None:
    writer = RowInserter(address)
    assert writer.write(table, rows) == []
    writer.close()


def rows(address: Address, sql: str) -> list[dict[str, Any]]:
    client = connect(address)
    found = list(client.query(sql).named_results())
    client.close()
    return found


def delivered(watch: Watch) -> None:
    """Wait until all channels have delivered everything."""
    while not watch.dispatch.idle():
        time.sleep(0.01)
    watch.write_deliveries()


@pytest.fixture
def address(database: str) -> Address:
    return Address.parse(database)


@pytest.fixture
def dropped(address: Address) -> Address:
    """A database in which activations are down to a tenth for ten hours."""
    fill(address, "profile_rows", activated(NOW_HOUR, 8.0, drop_from=NOW_HOUR - 10))
    return address


def test_an_empty_database_has_no_alerts_and_no_errors(address):
    watch = Watch(address, build({}, DEFINITIONS), None)
    evaluations = watch.check(NOW_HOUR * HOUR_MS)
    watch.stop()
    assert {evaluation.status.condition for evaluation in evaluations} == {"learning"}
    assert len(evaluations) == len(watch.monitors.watch)
    assert rows(address, "SELECT * FROM alerts") == []
    assert len(rows(address, "SELECT * FROM monitors")) == len(evaluations)


def test_one_developer_and_one_event_are_no_alert(address):
    fill(address, "profile_rows", [profile(1, (NOW_HOUR - 2 * WEEK) * HOUR_MS)])
    event = {
        "message_id": "m",
        "time": NOW_HOUR * HOUR_MS - WEEK * HOUR_MS,
        "source": "web",
        "type": "event",
        "name": "Page Viewed",
    }
    fill(address, "event_rows", [orjson.dumps(event | {"received_at": event["time"], "anonymous_id": "a"})])
    watch = Watch(address, build({}, DEFINITIONS), None)
    for hour in range(3):
        assert len(watch.check((NOW_HOUR + hour) * HOUR_MS)) == len(watch.monitors.watch)
    watch.stop()
    assert rows(address, "SELECT * FROM alerts") == []


def test_a_drop_is_a_row_and_a_message_and_is_sent_with_where_since_when_and_how_improbable(dropped, receiver):
    published: list[Alert] = []
    channels = {
        "own": {"kind": "webhook", "url": receiver.url, "secret": SECRET},
        "growth": {"kind": "slack", "url": receiver.url},
    }
    watch = Watch(dropped, monitors(ACTIVATIONS, **channels), published.append)
    watch.check(NOW_HOUR * HOUR_MS)
    delivered(watch)
    watch.stop()
    (row,) = rows(dropped, "SELECT * FROM alerts")
    assert (row["state"], row["monitor"], row["level"], row["stage"]) == (
        "firing",
        "activation",
        "developer",
        "first_call",
    )
    assert row["probability"] < 1e-6
    assert row["drop"] > 0.7
    assert abs(
        row["started_at"] - datetime.fromtimestamp((NOW_HOUR - 10) * 3600, UTC).replace(tzinfo=None)
    ) <= timedelta(hours=1)
    assert row["delivered_to"] == ["growth", "own"]
    assert [alert.alert_id for alert in published] == [row["alert_id"]]
    signed = next((headers, body) for headers, body in receiver.got if "X-Firstcall-Signature" in headers)
    headers, body = signed
    assert headers["X-Firstcall-Signature"] == signature(SECRET.encode(), headers["X-Firstcall-Timestamp"], body)
    assert headers["Idempotency-Key"] == f"{row['alert_id']}:firing"
    sent = json.loads(body)
    assert set(sent) == set(row) - {"delivered_to"}
    assert sent["summary"] == row["summary"]
    slack = json.loads(next(body for headers, body in receiver.got if "X-Firstcall-Signature" not in headers))
    assert "Activations 'first_call' of developers" in slack["text"]


def test_the_query_of_an_alert_shows_the_hours_it_is_about(dropped):
    watch = Watch(dropped, monitors(ACTIVATIONS), None)
    watch.check(NOW_HOUR * HOUR_MS)
    watch.stop()
    import shlex

    from deploy.queries.catalog import ask, bind, find_query

    (row,) = rows(dropped, "SELECT query FROM alerts")
    program, command, name, *options = shlex.split(row["query"])
    assert (program, command) == ("firstcall", "query")
    query = find_query(name)
    given = dict(option.split("=", 1) for option in options if option != "-p")
    client = connect(dropped)
    values = bind(query, given)
    assert ask(client, query.sql, values).rows
    client.close()


def test_a_restart_sends_nothing_again(dropped, receiver):
    config = monitors(ACTIVATIONS, own={"kind": "webhook", "url": receiver.url})
    for minute in range(3):
        watch = Watch(dropped, config, None, now_ms=lambda: NOW_HOUR * HOUR_MS)
        watch.check(NOW_HOUR * HOUR_MS + minute * 60_000)
        watch.check(NOW_HOUR * HOUR_MS + minute * 60_000)
        delivered(watch)
        watch.stop()
    assert len(receiver.got) == 1
    assert len(rows(dropped, "SELECT * FROM alerts")) == 1


def test_a_state_that_was_lost_gives_the_same_alert_and_no_second_message(dropped, receiver):
    """A crash after the rows and before the state: the hour is evaluated again."""
    config = monitors(ACTIVATIONS, own={"kind": "webhook", "url": receiver.url})
    for _ in range(2):
        watch = Watch(dropped, config, None, now_ms=lambda: NOW_HOUR * HOUR_MS)
        watch.check(NOW_HOUR * HOUR_MS)
        delivered(watch)
        watch.stop()
        client = connect(dropped)
        client.command("TRUNCATE TABLE monitor_rows")
        client.close()
    assert len(receiver.got) == 1


def test_what_was_not_delivered_before_a_restart_is_after_it(dropped, receiver):
    config = monitors(ACTIVATIONS, own={"kind": "webhook", "url": receiver.url})
    receiver.answers = [503] * 100
    watch = Watch(dropped, config, None, now_ms=lambda: NOW_HOUR * HOUR_MS, first_retry_seconds=0.01)
    watch.check(NOW_HOUR * HOUR_MS)
    while not receiver.refused:
        time.sleep(0.01)
    watch.stop()
    assert rows(dropped, "SELECT delivered_to FROM alerts") == [{"delivered_to": []}]
    receiver.answers = []
    watch = Watch(dropped, config, None, now_ms=lambda: NOW_HOUR * HOUR_MS)
    watch.check(NOW_HOUR * HOUR_MS)
    delivered(watch)
    watch.stop()
    assert len(receiver.got) == 1
    assert rows(dropped, "SELECT delivered_to FROM alerts") == [{"delivered_to": ["own"]}]


def test_neither_logs_nor_an_empty_file_give_a_secret_of_a_channel_away(dropped, receiver, tmp_path):
    receiver.answers = [500]
    empty = tmp_path / "empty"
    empty.touch()
    config = monitors(
        ACTIVATIONS,
        failing={"kind": "slack", "url": f"{receiver.url}/T0-SECRET"},
        unsigned={"kind": "webhook", "url": receiver.url, "secret_file": str(empty)},
    )
    with capture_logs() as logs:
        watch = Watch(dropped, config, None, first_retry_seconds=0.01)
        watch.check(NOW_HOUR * HOUR_MS)
        while not receiver.got or "fewer than 16" not in str(logs):
            time.sleep(0.01)
        watch.stop()
    assert "HTTP 500: (the answer repeats the address)" in str(logs)
    assert "SECRET" not in str(logs)
    assert len(receiver.got) == 1, "nothing is sent unsigned that is to be signed"


def test_a_receiver_that_fails_is_tried_again_and_holds_up_nobody(dropped, receiver):
    other = Receiver()
    receiver.answers = [500, 503, 429, 404]
    config = monitors(
        ACTIVATIONS,
        failing={"kind": "webhook", "url": receiver.url},
        gone={"kind": "webhook", "url": "http://127.0.0.1:9/"},
        well={"kind": "webhook", "url": other.url},
    )
    watch = Watch(dropped, config, None, first_retry_seconds=0.01)
    watch.check(NOW_HOUR * HOUR_MS)
    while not (other.got and receiver.got):
        time.sleep(0.01)
    watch.stop()
    other.close()
    assert receiver.refused == 4
    assert len(receiver.got) == len(other.got) == 1
    assert rows(dropped, "SELECT delivered_to FROM alerts") == [{"delivered_to": ["failing", "well"]}]


def test_a_recovery_resolves_the_alert_under_the_same_id(dropped, receiver):
    config = monitors(ACTIVATIONS, own={"kind": "webhook", "url": receiver.url})
    watch = Watch(dropped, config, None)
    watch.check(NOW_HOUR * HOUR_MS)
    again = activated(NOW_HOUR + DAY, 8.0, weeks=1)
    wanted = [row for row in again if json.loads(row)["stages"]["first_call"] > time_text(NOW_HOUR * HOUR_MS)]
    fill(dropped, "profile_rows", [orjson.dumps(json.loads(row) | {"id": f"again{n}"}) for n, row in enumerate(wanted)])
    watch.check((NOW_HOUR + DAY) * HOUR_MS)
    delivered(watch)
    watch.stop()
    (row,) = rows(dropped, "SELECT * FROM alerts")
    assert (row["state"], row["reason"]) == ("resolved", "recovered")
    assert row["ended_at"] >= datetime.fromtimestamp((NOW_HOUR - 1) * 3600, UTC).replace(tzinfo=None)
    posted = [json.loads(body) for _, body in receiver.got]
    # The recovery may overtake the drop only while that is not delivered.
    assert posted[-1]["state"] == "resolved"
    assert {each["alert_id"] for each in posted} == {row["alert_id"]}


def test_a_drop_of_all_that_is_deeper_in_a_segment_names_it(address):
    made = [json.loads(row) for row in activated(NOW_HOUR, 12.0)]
    start = time_text((NOW_HOUR - 10) * HOUR_MS)
    kept = [
        row
        for row in made
        if row["stages"]["first_call"] < start or (row["first_touch"]["source"] == "docs" and int(row["id"][1:]) % 2)
    ]
    fill(address, "profile_rows", [orjson.dumps(row) for row in kept])
    evaluator = Evaluator(monitors(ACTIVATIONS), {})
    client = connect(address)
    evaluator.check("activation", client, NOW_HOUR * HOUR_MS)
    client.close()
    (alert,) = evaluator.carried["activation"].pending
    assert (alert.segment, alert.value) == ("source", "ads")
    assert "source = ads" in alert.summary


def test_what_is_still_to_come_is_not_evaluated(address):
    """The hour is over, but not everything sent until then has arrived."""
    fill(address, "profile_rows", activated(NOW_HOUR - 10, 8.0))
    watch = Watch(address, monitors(ACTIVATIONS), None)
    watch.check((NOW_HOUR - 10) * HOUR_MS + HOUR_MS - 1)
    watch.stop()
    assert rows(address, "SELECT * FROM alerts") == []


def test_shares_are_of_those_whose_time_has_run_out(address):
    minute = 60_000
    start = (NOW_HOUR - 5) * HOUR_MS
    signup = {"signup": time_text(start)}
    fill(
        address,
        "profile_rows",
        [
            profile(1, 0, stages=signup | {"key": time_text(start + 30 * minute)}),
            profile(2, 0, stages=signup | {"key": time_text(start + 61 * minute)}),
            profile(3, 0, stages=signup),
            profile(4, 0, stages=signup, is_internal=True),
        ],
    )
    config = monitors({"step": {"kind": "conversion", "from": "signup", "to": "key", "within_minutes": 60}})
    client = connect(address)
    series = read_series(client, config.watch["step"], NOW_HOUR, 2)[ALL]
    client.close()
    assert series.trials is not None
    place = len(series.counts) - 1 - 4
    assert (series.counts[place], series.trials[place]) == (1, 3)
    assert series.trials.sum() == 3


def test_first_calls_are_compared_with_the_usual_median(address):
    hour = NOW_HOUR - 2 * WEEK
    usual = [10, 20, 30]
    slow = [25, 300, 300]
    fill(
        address,
        "profile_rows",
        [
            profile(
                n,
                0,
                stages={
                    "signup": time_text((at + 0.5) * HOUR_MS - seconds * 1000),
                    "first_call": time_text((at + 0.5) * HOUR_MS),
                },
            )
            for n, (at, seconds) in enumerate([*((hour, s) for s in usual), *((NOW_HOUR - 1, s) for s in slow)])
        ],
    )
    config = monitors({"slower": {"kind": "time_to_first_call"}})
    client = connect(address)
    series = read_series(client, config.watch["slower"], NOW_HOUR, 2)[ALL]
    client.close()
    assert series.trials is not None
    assert (series.counts[-1], series.trials[-1]) == (0, 3)
    assert series.counts.sum() == 2


def test_tokens_are_counted_in_the_hour_that_ends_after_them(address):
    day = NOW_HOUR // DAY - 1
    row = {
        "level": "token",
        "environment": "production",
        "day": str(datetime.fromtimestamp(day * 86_400, UTC).date()),
        "hours": 0b11,
        "version": 1,
    }
    fill(address, "activity_rows", [orjson.dumps(row | {"id": token}) for token in ("a", "b")])
    client = connect(address)
    series = read_series(client, monitors({"t": {"kind": "active_tokens"}}).watch["t"], NOW_HOUR, 2)[ALL]
    client.close()
    found = np.flatnonzero(series.counts) + NOW_HOUR - len(series.counts) + 1
    assert found.tolist() == [day * DAY + 1, day * DAY + 2]
    assert series.counts.sum() == 4


def event(number: int, at: int, source: str) -> bytes:
    fields = {"message_id": f"{source}{number}", "type": "event", "name": "API Call", "anonymous_id": "a"}
    return orjson.dumps(fields | {"time": at, "received_at": at, "source": source})


def test_an_event_at_the_full_hour_is_of_the_hour_that_ends_with_it_whatever_comes_next_to_it(address):
    end = NOW_HOUR * HOUR_MS
    fill(address, "event_rows", [event(n, end + after, "web") for n, after in enumerate((-1, 0, 1, 2))])
    query = find_query("hourly-events")
    client = connect(address)
    answer = client.query(query.sql, {"source": "web", "from": "", "to": ""}).named_results()
    found = [(row["hour"].replace(tzinfo=UTC).timestamp(), row["count"], row["longest_gap_seconds"]) for row in answer]
    client.close()
    assert found == [(end / 1000, 2, 0), (end / 1000 + 3600, 2, 0.001)]


def test_a_source_that_falls_silent_is_alerted_within_minutes_and_until_events_come_again(address, receiver):
    minute = 60_000
    stop = NOW_HOUR * HOUR_MS - 20 * minute

    times = range(NOW_HOUR * HOUR_MS - 5 * WEEK * HOUR_MS, NOW_HOUR * HOUR_MS, minute)
    fill(address, "event_rows", [event(n, at, "web") for n, at in enumerate(times)])
    fill(address, "event_rows", [event(n, at, "api") for n, at in enumerate(times) if at <= stop])
    config = monitors(
        {source: {"kind": "silence", "source": source} for source in ("web", "api")},
        own={"kind": "webhook", "url": receiver.url},
    )
    watch = Watch(address, config, None)
    watch.check(stop + 9 * minute)
    assert rows(address, "SELECT * FROM alerts") == []
    watch.check(NOW_HOUR * HOUR_MS)
    (row,) = rows(address, "SELECT * FROM alerts")
    assert (row["monitor"], row["state"]) == ("api", "firing")
    assert row["probability"] < 1e-6
    # One event is not yet a source that is back.
    fill(address, "event_rows", [event(10**9, NOW_HOUR * HOUR_MS + minute, "api")])
    fill(address, "event_rows", [event(10**9 + n, NOW_HOUR * HOUR_MS + n * minute, "web") for n in range(9)])
    watch.check(NOW_HOUR * HOUR_MS + 2 * minute)
    assert rows(address, "SELECT state FROM alerts") == [{"state": "firing"}]
    fill(address, "event_rows", [event(10**9 + n, NOW_HOUR * HOUR_MS + n * minute, "api") for n in (2, 3, 4)])
    watch.check(NOW_HOUR * HOUR_MS + 5 * minute)
    delivered(watch)
    watch.stop()
    assert rows(address, "SELECT state FROM alerts") == [{"state": "resolved"}]
    client = connect(address)
    silence = config.watch["api"]
    assert isinstance(silence, SilenceMonitor)
    assert read_longest_gap(client, silence, NOW_HOUR, 8) == minute
    assert read_newest(client, "nobody", 0, NOW_HOUR * HOUR_MS) is None
    client.close()


def test_segments_are_counted_beside_all(dropped):
    client = connect(dropped)
    series = read_series(client, monitors(ACTIVATIONS).watch["activation"], NOW_HOUR, 8)
    client.close()
    assert set(series) == {ALL, Scope("source", "ads"), Scope("source", "docs")}
    parts = sum(each.counts for scope, each in series.items() if scope != ALL)
    assert np.array_equal(parts, series[ALL].counts)


def test_an_alert_whose_monitor_is_gone_is_withdrawn(dropped, receiver):
    channel = {"kind": "webhook", "url": receiver.url}
    for watched in (ACTIVATIONS, {"tokens": {"kind": "active_tokens"}}):
        watch = Watch(dropped, monitors(watched, own=channel), None, now_ms=lambda: NOW_HOUR * HOUR_MS)
        watch.check(NOW_HOUR * HOUR_MS)
        delivered(watch)
        watch.stop()
    assert rows(dropped, "SELECT state, reason FROM alerts") == [{"state": "resolved", "reason": "withdrawn"}]
    assert [json.loads(body)["state"] for _, body in receiver.got] == ["firing", "resolved"]


def test_the_command_prints_the_status_of_each_monitor_and_tries_the_channels(dropped, database, receiver, tmp_path):
    file = tmp_path / "firstcall.yaml"
    file.write_text(
        yaml.safe_dump(
            {"monitors": {"watch": ACTIVATIONS, "channels": {"own": {"kind": "webhook", "url": receiver.url}}}}
        )
    )
    environment = {"FIRSTCALL_CLICKHOUSE": database, "FIRSTCALL_CONFIG": str(file), "COLUMNS": "200"}
    at = f"{datetime.fromtimestamp(NOW_HOUR * 3600 + 900, UTC):%Y-%m-%dT%H:%M}"
    printed = CliRunner().invoke(app, ["alerts", "--once", "--at", at], env=environment)
    assert printed.exit_code == 0, printed.output
    assert "dropped" in printed.output
    assert "Activations 'first_call' of developers are down" in printed.output
    assert rows(dropped, "SELECT * FROM alerts") == []
    tried = CliRunner().invoke(app, ["alerts", "--test"], env=environment)
    assert tried.exit_code == 0, tried.output
    assert json.loads(receiver.got[0][1])["monitor"] == "test"
    wrong = CliRunner().invoke(app, ["alerts"], env=environment | {"FIRSTCALL_CONFIG": str(tmp_path / "none.yaml")})
    assert wrong.exit_code == 2
