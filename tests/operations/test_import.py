"""Importing an export: what is sent where under which key, and what is reported of the rest."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message
from typer.testing import CliRunner, Result

from deploy.cli.main import app
from deploy.services import topics
from schemas.config.loading import load_settings
from schemas.config.settings import Settings
from streams.topology import API_EVENTS, WEB_EVENTS
from tests.support.kafka_log import records

API_KEY = "sk_live_0123456789"
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def settings(broker: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    given = {
        "KAFKA": broker,
        "TOPIC_PREFIX": f"{unique}.",
        "APP_ID": unique,
        "SECRETS": SECRET,
        "DATA_DIR": str(tmp_path),
    }
    for name, value in given.items():
        monkeypatch.setenv(f"FIRSTCALL_{name}", value)
    settings = load_settings()
    with topics.administration(settings) as client:
        topics.ensure_topics(client, settings)
        yield settings
        topics.delete_topics(client, (settings.topic_prefix,))


def page(**fields: Any) -> dict[str, Any]:
    return {"name": "Page Viewed", "source": "web", "anonymous_id": "a1", "time": "2026-01-02T03:04:05Z", **fields}


def call(**fields: Any) -> dict[str, Any]:
    return {"name": "API Call", "source": "api", "api_key": API_KEY, "time": "2026-01-02T03:04:05Z", **fields}


def segment(**fields: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": "Signed Up",
        "messageId": "m",
        "userId": "u1",
        "timestamp": "2026-01-02T03:04:05Z",
        **fields,
    }


def run_import(*arguments: str, lines: list[Any] | None = None) -> Result:
    stdin = (
        None if lines is None else "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    )
    return CliRunner().invoke(app, ["import", *arguments], input=stdin)


def received(settings: Settings, topic: str) -> list[Message]:
    """All records of a topic, in no order over partitions."""
    return list(records(settings.brokers, settings.topic(topic)))


def test_events_go_to_the_topic_of_their_source_as_they_are(settings):
    result = run_import("-", lines=[page(), call(), segment(), ""])
    assert result.exit_code == 0, result.output
    assert "Sent 3 messages: 1 to api-events, 2 to web-events." in result.output
    (api,) = received(settings, API_EVENTS)
    assert json.loads(api.value() or b"") == call()
    assert sorted(
        json.loads(record.value() or b"").get("name", "Signed Up") for record in received(settings, WEB_EVENTS)
    ) == ["Page Viewed", "Signed Up"]


def test_events_without_a_source_go_where_the_option_names(settings):
    assert run_import("-", "--source", "api", lines=[segment(), page()]).exit_code == 0
    assert len(received(settings, API_EVENTS)) == 1
    assert len(received(settings, WEB_EVENTS)) == 1


def test_messages_are_keyed_by_alias_and_never_by_an_api_key(settings):
    run_import(
        "-", lines=[page(), call(), segment(), {"type": "batch", "batch": [segment(userId="u1"), segment(userId="u2")]}]
    )
    keys = [record.key() for topic in (WEB_EVENTS, API_EVENTS) for record in received(settings, topic)]
    assert sorted(key for key in keys if key and not key.startswith(b"api_key:")) == [b"anonymous_id:a1", b"user_id:u1"]
    assert keys.count(None) == 1, "a batch of two people's events lies anywhere"
    (hashed,) = [key for key in keys if key and key.startswith(b"api_key:")]
    assert API_KEY.encode() not in hashed


def test_lines_that_are_no_events_are_named_by_their_numbers(settings):
    result = run_import("-", lines=[page(), "{broken", "[1, 2]", {"name": "Nobody"}, call()])
    assert result.exit_code == 1
    assert "Sent 3 messages" in result.output
    assert (
        "2 lines are no JSON objects and were sent as they came, each to become a dead letter:\n  line 2: "
        in result.output
    )
    assert "\n  line 3: not a JSON object\n" in result.output
    assert "1 event will be refused" in result.output
    assert "  no_identifier: 1, first in line 4\n" in result.output


def test_a_line_that_no_topic_takes_does_not_hold_up_the_others(settings):
    """What is too large for an event alone is sent: it becomes a dead letter."""
    large, hopeless = (page(anonymous_id=f"{size}", properties={"x": "y" * size}) for size in (1_200_000, 17_000_000))
    result = run_import("-", lines=[page(anonymous_id="a"), large, hopeless, page(anonymous_id="c")])
    assert result.exit_code == 1
    assert "1 messages did not arrive" in result.output
    sent = {json.loads(record.value() or b"")["anonymous_id"] for record in received(settings, WEB_EVENTS)}
    assert sent == {"a", "1200000", "c"}


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_may_be_gzipped(packed, settings, tmp_path):
    path = tmp_path / ("export.ndjson" + (".gz" if packed else ""))
    data = "".join(json.dumps(page(message_id=str(number))) + "\n" for number in range(2_500)).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    result = run_import(str(path))
    assert result.exit_code == 0, result.output
    assert "Sent 2,500 messages: 2,500 to web-events." in result.output
    assert len(received(settings, WEB_EVENTS)) == 2_500


def test_lines_of_several_files_are_named_with_their_file(settings, tmp_path):
    files = [tmp_path / name for name in ("a.ndjson", "b.ndjson")]
    for file in files:
        file.write_text(json.dumps(page(anonymous_id=file.name)) + "\n{broken\n")
    result = run_import(*map(str, files))
    assert result.exit_code == 1
    assert "Sent 2 messages: 2 to web-events." in result.output
    assert [f"  {file} line 2: " in result.output for file in files] == [True, True]


def test_a_file_that_breaks_off_is_named_and_the_lines_before_are_sent(settings, tmp_path):
    path = tmp_path / "export.ndjson.gz"
    path.write_bytes(gzip.compress((json.dumps(page()) + "\n").encode() * 10_000)[:-20])
    result = run_import(str(path))
    assert result.exit_code == 1
    assert f"{path} cannot be read after line " in result.output
    assert len(received(settings, WEB_EVENTS)) > 0


def test_a_missing_topic_is_reported_before_anything_is_sent(settings, monkeypatch, unique):
    monkeypatch.setenv("FIRSTCALL_TOPIC_PREFIX", f"{unique}-elsewhere.")
    result = run_import("-", lines=[page()])
    assert result.exit_code == 1
    assert f"topic {unique}-elsewhere.web-events missing; create it with `firstcall migrate`" in result.output


def test_no_broker_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("FIRSTCALL_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("FIRSTCALL_DATA_DIR", str(tmp_path))
    result = run_import("-", lines=[page()])
    assert result.exit_code == 1
    assert "Kafka: " in result.output
    assert "`firstcall doctor` shows what is wrong" in result.output
