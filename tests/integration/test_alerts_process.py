"""The process `firstcall alerts` on a real broker and a real ClickHouse: it finds a drop, publishes it, and ends when it is asked to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import yaml
from confluent_kafka import Consumer

from deploy.services import topics
from schemas.config.loading import load_settings
from sinks.clickhouse import Address
from streams.alerting.series import HOUR_MS
from tests.integration.test_alerts import ACTIVATIONS, activated, fill, rows


def test_the_process_sends_a_drop_once_through_a_kill_and_a_restart(
    broker, database, unique, tmp_path: Path, monkeypatch
):
    file = tmp_path / "firstcall.yaml"
    file.write_text(yaml.safe_dump({"monitors": {"watch": ACTIVATIONS, "late_minutes": 0}}))
    named = {
        "FIRSTCALL_KAFKA": broker,
        "FIRSTCALL_CLICKHOUSE": database,
        "FIRSTCALL_TOPIC_PREFIX": f"{unique}.",
        "FIRSTCALL_APP_ID": unique,
        "FIRSTCALL_CONFIG": str(file),
        "FIRSTCALL_DATA_DIR": str(tmp_path),
    }
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    with topics.administration(settings) as client:
        topics.ensure_topics(client, settings)
    address = Address.parse(database)
    now_hour = int(time.time() * 1000) // HOUR_MS
    fill(address, "profile_rows", activated(now_hour, 8.0, drop_from=now_hour - 10))
    command = [sys.executable, "-m", "deploy.cli", "alerts"]

    first = subprocess.Popen(command, env={**os.environ, **named})
    while not (found := rows(address, "SELECT alert_id, state FROM alerts")):
        assert first.poll() is None
        time.sleep(0.2)
    first.kill()
    first.wait()

    log = tmp_path / "second.log"
    with log.open("wb") as output:
        second = subprocess.Popen(command, env={**os.environ, **named}, stderr=output)
    reader = Consumer({"bootstrap.servers": broker, "group.id": f"{unique}-r", "auto.offset.reset": "earliest"})
    reader.subscribe([settings.topic("alerts")])
    message = None
    while message is None:
        assert second.poll() is None
        message = reader.poll(1.0)
    reader.close()
    assert orjson.loads(message.value() or b"")["alert_id"] == found[0]["alert_id"]
    assert len(rows(address, "SELECT alert_id FROM alerts")) == 1
    while b"alerts_started" not in log.read_bytes():
        assert second.poll() is None
        time.sleep(0.1)
    second.send_signal(signal.SIGTERM)
    assert second.wait() == 0
