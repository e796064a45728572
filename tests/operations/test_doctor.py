"""What `firstcall doctor` finds on real brokers and a real ClickHouse, well and unwell."""

from __future__ import annotations

import pytest

from deploy.doctor.checks import Finding, examine
from deploy.services import topics
from schemas.config.loading import load_settings
from schemas.config.settings import Settings
from streams.topology import TOPICS, WEB_EVENTS, Topic

SECRET = "0123456789abcdef"


@pytest.fixture
def settings(broker: str, database: str, unique: str, tmp_path) -> Settings:
    return load_settings(
        kafka=broker, topic_prefix=f"{unique}.", app_id=unique, clickhouse=database, secrets=SECRET, data_dir=tmp_path
    )


@pytest.fixture
def created(settings: Settings):
    with topics.administration(settings) as client:
        topics.ensure_topics(client, settings)
        yield
        topics.delete_topics(client, (settings.topic_prefix,))


def found(settings: Settings, *checks: str) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(settings, checks)}


def test_all_is_well_when_all_is_there(settings, created):
    findings = found(settings, "python", "configuration", "tools", "kafka", "lag", "clickhouse")
    assert {name: finding.verdict for name, finding in findings.items()} == dict.fromkeys(
        ["python", "configuration", "data", "secret", "kafka", "topics", "lag", "clickhouse", "tables"], "ok"
    )
    assert findings["topics"].detail == f"{len(TOPICS)} topics, 3 partitions"


def test_several_secrets_are_counted_and_not_shown(settings):
    several = load_settings(kafka=settings.kafka, secrets=f"{SECRET},{SECRET[::-1]}")
    (finding,) = [one for one in examine(several, ["configuration"]) if one.check == "secret"]
    assert (finding.verdict, finding.detail) == (
        "ok",
        "2 given; the first one hashes API keys, and keys are recognised by all of them",
    )


def test_a_missing_worker_and_sink_are_found(settings, created):
    findings = found(settings, "worker", "sink")
    assert findings["worker"] == Finding(
        "worker",
        "wrong",
        f"none in group {settings.app_id}",
        "start one with `firstcall worker`, or all with `firstcall up`",
    )
    assert findings["sink"].detail == f"none in group {settings.app_id}-sink"


def test_missing_topics_and_tables_are_found(settings):
    elsewhere = settings.model_copy(update={"clickhouse": None, "clickhouse_port": 1})
    assert found(settings, "kafka")["topics"].advice == "firstcall migrate"
    assert (
        found(elsewhere, "clickhouse")["clickhouse"].advice == "start it with `firstcall clickhouse` or `firstcall up`"
    )


def test_a_database_that_was_never_migrated_is_found(settings, clickhouse, unique):
    fresh = load_settings(clickhouse=f"{clickhouse}/{unique}x", secrets=SECRET)
    findings = found(fresh, "clickhouse")
    assert (findings["clickhouse"].verdict, findings["tables"].verdict, findings["tables"].advice) == (
        *("ok", "wrong"),
        "firstcall migrate",
    )


def test_a_wrong_number_of_partitions_is_found(settings):
    with topics.administration(settings) as client:
        topics.ensure_topics(client, settings.model_copy(update={"partitions": 2}), [Topic(WEB_EVENTS, "delete")])
        findings = [finding for finding in examine(settings, ["kafka"]) if finding.check == "topics"]
        topics.delete_topics(client, (settings.topic_prefix,))
    assert any("has 2 partitions, but FIRSTCALL_PARTITIONS is 3" in finding.detail for finding in findings)


def test_brokers_that_do_not_answer_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr("deploy.doctor.checks.REACHED_WITHIN_MS", 500)
    given = load_settings(kafka="127.0.0.1:1", data_dir=tmp_path)
    local = load_settings(broker_port=1, data_dir=tmp_path)
    assert found(given, "kafka")["kafka"].advice.startswith("check FIRSTCALL_KAFKA, ")
    assert found(local, "lag")["lag"].advice == "start the local broker with `firstcall broker` or `firstcall up`"
    assert found(local, "worker")["worker"].verdict == "wrong"
