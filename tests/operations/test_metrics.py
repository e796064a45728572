"""What worker, sink and alerts show while they run for real: the right numbers, and all that the alert rules go by."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.config.definitions import load
from tests.conftest import free_port
from tests.support.pipeline import Pipeline, running
from tests.support.scraped import Scrape, asked, metrics_of, until
from tests.support.worlds import REJECTS, SECRETS, journey

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
#: Where it is if it is not on the path.
GIVEN = "FIRSTCALL_TEST_PROMTOOL"


# Rules


@pytest.fixture(scope="module")
def promtool() -> str:
    program = os.environ.get(GIVEN) or shutil.which("promtool")
    if program is None:
        pytest.skip(f"no promtool: install Debian's prometheus, or name the program in {GIVEN}")
    return program


@pytest.mark.parametrize("check", [["check", "rules", "rules.yml"], ["check", "config", "prometheus.yml"]])
def test_prometheus_takes_the_rules_and_the_configuration(promtool, check):
    done = subprocess.run([promtool, *check], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_and_is_silent_when_it_should(promtool):
    done = subprocess.run(
        [promtool, "test", "rules", "rules_test.yml"], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: rule["alert"])
def test_each_alert_has_a_test_of_both_a_severity_a_summary_and_an_entry_in_the_runbook(alert):
    name = alert["alert"]
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text())["tests"]
    cases = [one for test in tests for one in test["alert_rule_test"] if one["alertname"] == name]
    assert {bool(one["exp_alerts"]) for one in cases} == {True, False}
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["runbook_url"] == f"deploy/docs/RUNBOOK.md#{name.lower()}"
    entry = re.search(
        rf"^## {name}\n(.+?)(?=^## |\Z)",
        (ROOT / "deploy" / "docs" / "RUNBOOK.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert entry is not None
    assert "- Look:" in entry[1]
    assert "- Do:" in entry[1]


def test_the_runbook_has_entries_of_alerts_only():
    headings = re.findall(r"^## (\w+)$", (ROOT / "deploy" / "docs" / "RUNBOOK.md").read_text(), re.MULTILINE)
    assert headings == [rule["alert"] for rule in ALERTS]


# Processes


@contextmanager
def process(role: str, pipeline: Pipeline, database: str, directory: Path) -> Iterator[str]:
    """A sink or alerts beside the pipeline's worker, and where it shows itself."""
    port = free_port()
    variables = {
        "FIRSTCALL_KAFKA": pipeline.settings.brokers,
        "FIRSTCALL_CLICKHOUSE": database,
        "FIRSTCALL_CONFIG": str(pipeline.settings.config),
        "FIRSTCALL_TOPIC_PREFIX": pipeline.settings.topic_prefix,
        "FIRSTCALL_APP_ID": pipeline.settings.app_id,
        "FIRSTCALL_SECRETS": ",".join(secret.decode() for secret in SECRETS),
        "FIRSTCALL_DATA_DIR": str(directory / role),
        "FIRSTCALL_METRICS_PORT": str(port),
    }
    with (directory / f"{role}.log").open("wb") as log:
        command = [sys.executable, "-m", "deploy.cli", role]
        child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **variables}, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        assert child.wait(60) == 0, (directory / f"{role}.log").read_text()[-3000:]


def await_ready(url: str) -> None:
    until(lambda: asked(url, "/readyz")[0] == 200, f"{url} is not ready")


def used_in_rules() -> set[str]:
    text = " ".join(rule["expr"] for rule in RULES)
    return set(re.findall(r"(?<![:\w])(?:firstcall|process)_\w+", text))


def test_a_deployment_shows_what_it_does(broker: str, unique: str, tmp_path: Path, database: str) -> None:
    story = journey()
    rejects = [record for record, _, _ in REJECTS]
    with (
        running(broker, unique, tmp_path, load()) as pipeline,
        process("sink", pipeline, database, tmp_path) as sink,
        process("alerts", pipeline, database, tmp_path) as alerts,
    ):
        worker = pipeline.url("worker-1")
        pipeline.feed([*rejects, *story.records])
        fed = len(rejects) + len(story.records)
        for url in (worker, sink, alerts):
            await_ready(url)
        until(
            lambda: metrics_of(worker).sum("firstcall_messages_read_total", processor="normalise_events") >= fed,
            "unread",
        )
        pipeline.await_idle()
        letters = pipeline.rows().rows("dead-letters")
        written = {"dead_letter_rows": len(letters)}
        until(
            lambda: metrics_of(sink).sum("firstcall_sink_rows_total", table="dead_letter_rows") >= len(letters),
            "unwritten",
        )
        until(lambda: asked(sink, "/readyz")[1]["lag_events"] == 0, "the sink is behind")
        until(lambda: metrics_of(worker).sum("firstcall_state_rows", table="fold_aliases") > 0, "not measured")
        until(lambda: metrics_of(alerts).sum("firstcall_ready") == 1, "the alerts are not ready")
        shown = {role: metrics_of(url) for role, url in (("worker", worker), ("sink", sink), ("alerts", alerts))}
    check_worker(shown["worker"], fed, [letter["reason"] for letter in letters])
    check_sink(shown["sink"], written, f"{unique}.web-events")
    assert shown["alerts"].sum("firstcall_monitors_evaluated_timestamp_seconds") > 0
    for role, scrape in shown.items():
        assert scrape.sum("firstcall_build_info", role=role) == 1
        assert scrape.sum("firstcall_ready") == 1
        assert all(help_ for name, help_ in scrape.helps.items() if name.startswith("firstcall")), (
            "its help is a sentence"
        )
    # Of a channel that is not configured, and of a row that was not refused, there is nothing to show: only the name.
    named = set().union(*(scrape.names for scrape in shown.values()))
    named |= {f"{name}{end}" for scrape in shown.values() for name in scrape.helps for end in ("", "_total")}
    assert used_in_rules() - named == set()
    assert {"firstcall_sink_retries_total", "firstcall_rebalances_total"} <= named
    assert not any(name.startswith("firstcall_sink") for name in shown["worker"].names | shown["alerts"].names)


def check_worker(shown: Scrape, fed: int, reasons: list[str]) -> None:
    assert shown.sum("firstcall_messages_read_total", processor="normalise_events") == fed
    for reason in set(reasons):
        assert shown.sum("firstcall_dead_letters_total", reason=reason) == reasons.count(reason)
    assert shown.sum("firstcall_dead_letters_total") == len(reasons)
    for stage in ("normalise_events", "fold_aliases", "fold_developers", "fold_companies"):
        assert shown.sum("firstcall_batch_seconds_count", processor=stage) > 0
    for table in ("fold_aliases", "fold_developers", "fold_companies"):
        assert shown.sum("firstcall_state_rows", table=table) > 0
        assert shown.sum("firstcall_state_bytes", table=table) > 0
    assert shown.sum("firstcall_messages_sent_total") > 0
    assert shown.sum("firstcall_partitions") == 16, "three of five topics, and the single one of merges"
    assert shown.sum("firstcall_rebalances_total") >= 1


def check_sink(shown: Scrape, written: dict[str, int], topic: str) -> None:
    for table, number in written.items():
        assert shown.sum("firstcall_sink_rows_total", table=table) == number
    events = shown.sum("firstcall_sink_rows_total", table="event_rows")
    assert events > 0
    assert shown.sum("firstcall_visible_seconds_count", topic=topic) > 0
    assert shown.sum("firstcall_visible_seconds_bucket", topic=topic, le="+Inf") == shown.sum(
        "firstcall_visible_seconds_count", topic=topic
    )
    assert shown.sum("firstcall_sink_batches_total") == shown.sum("firstcall_sink_write_seconds_count") > 0
    assert shown.sum("firstcall_reconciled_timestamp_seconds") > 0
    assert shown.sum("firstcall_clickhouse_unavailable_seconds") == 0
