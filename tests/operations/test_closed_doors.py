"""What listens does so on loopback; what is secret shows up nowhere: not in what is printed, nor in lists of processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli.main import app
from deploy.local.clickhouse import LocalClickHouse
from deploy.local.process import status_server
from schemas.config.loading import load_settings
from tests.conftest import free_port
from tests.support.listening import LINUX, bound, command_line, is_loopback, owner_of, tree_of

HMAC, RETIRED, SASL, CLICKHOUSE = (
    "hmac-0123456789abcdef",
    "retired-0123456789abc",
    "sasl-hunter22-word",
    "click-hunter22-word",
)
SECRETS = (HMAC, RETIRED, SASL, CLICKHOUSE)
STARTS_WITHIN_SECONDS = 120.0

pytestmark = LINUX


class Idle:
    """Vitals of a process without reasons or facts."""

    def unhealthy(self) -> list[str]:
        return []

    def unready(self) -> list[str]:
        return []

    def facts(self) -> dict[str, str]:
        return {}


# Listening


def test_the_local_broker_listens_on_loopback(broker):
    if "FIRSTCALL_TEST_KAFKA" in os.environ:
        pytest.skip("the broker is not ours")
    addresses = bound([owner_of(int(broker.rpartition(":")[2]))])
    assert len(addresses) == 2, "for clients, and for itself"
    assert all(map(is_loopback, addresses.values())), addresses


def test_the_embedded_clickhouse_listens_on_loopback_and_knows_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("FIRSTCALL_SECRETS", HMAC)
    with LocalClickHouse(tmp_path) as served:
        pid = owner_of(served.port)
        assert bound([pid]) == {served.port: "127.0.0.1"}
        assert "FIRSTCALL" not in Path(f"/proc/{pid}/environ").read_text()
        assert HMAC not in command_line(pid)


def test_metrics_are_shown_on_loopback(tmp_path):
    port = free_port()
    status_server.show(load_settings(metrics_port=port, data_dir=tmp_path), "worker", Idle())
    assert bound([os.getpid()])[port] == "127.0.0.1"


def test_loopback_addresses_are_recognised():
    assert all(map(is_loopback, ("127.0.0.1", "::1", "::ffff:127.0.0.1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "::ffff:0.0.0.0")))


# Secrets


def variables(tmp_path: Path, kafka: str, clickhouse: str) -> dict[str, str]:
    return {
        "FIRSTCALL_KAFKA": kafka,
        "FIRSTCALL_CLICKHOUSE": clickhouse,
        "FIRSTCALL_SECRETS": HMAC,
        "FIRSTCALL_RETIRED_SECRETS": RETIRED,
        "FIRSTCALL_DATA_DIR": str(tmp_path / "data"),
    }


@pytest.mark.parametrize(
    "command",
    [
        ["config", "show"],
        ["config", "show", "--format", "json"],
        ["doctor", "configuration", "clickhouse", "tools"],
        ["query", "funnel"],
        ["migrate"],
        ["audit"],
        ["sink"],
        ["alerts", "--once"],
    ],
    ids=" ".join,
)
def test_no_command_prints_a_secret_when_all_is_away(command, tmp_path):
    login = {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": SASL}
    given = variables(tmp_path, "127.0.0.1:1", f"http://acme:{CLICKHOUSE}@127.0.0.1:1/x")
    # What is wrong with the login is found before anything waits: there is no such file.
    login["ssl_ca_file"] = str(tmp_path / "none.pem")
    done = CliRunner().invoke(
        app, command, env={**given, "FIRSTCALL_KAFKA_OPTIONS": json.dumps(login), "NO_COLOR": "1"}
    )
    output = done.output + done.stderr + repr(done.exception)
    assert bool(done.exit_code) == (command[0] != "config"), output
    assert len(output) > 40
    for secret in SECRETS:
        assert secret not in output


@pytest.mark.parametrize(
    "wrong",
    [
        {"FIRSTCALL_CLICKHOUSE": f"tcp://acme:{CLICKHOUSE}@host:9000"},
        {"FIRSTCALL_CLICKHOUSE": f"http://acme:{CLICKHOUSE}@host:99999/x"},
        {"FIRSTCALL_CLICKHOUSE": f"http://acme:{CLICKHOUSE}@host/x?password={CLICKHOUSE}"},
        {"FIRSTCALL_SECRETS": f"short,{HMAC}"},
        {"FIRSTCALL_KAFKA_OPTIONS": f'{{"sasl_password": "{SASL}"}}'},
        {"FIRSTCALL_KAFKA_OPTIONS": f'{{"sasl_password": "{SASL}"'},
        {"FIRSTCALL_KAFKA_OPTIONS": f'{{"sasl_passwort": "{SASL}"}}'},
    ],
)
def test_no_setting_that_is_refused_shows_a_secret(wrong, tmp_path):
    given = variables(tmp_path, "127.0.0.1:1", "http://127.0.0.1:1/x") | wrong
    done = CliRunner().invoke(app, ["doctor", "python"], env=given)
    output = done.output + done.stderr + repr(done.exception)
    assert done.exit_code == 2
    assert next(iter(wrong)) in output
    for secret in SECRETS:
        assert secret not in output


@pytest.mark.parametrize("field", ["secrets", "clickhouse", "kafka_options"])
def test_each_secret_can_be_a_file(field, tmp_path, monkeypatch):
    options = {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": SASL}
    texts = {"secrets": HMAC, "clickhouse": f"http://acme:{CLICKHOUSE}@host:1/x", "kafka_options": json.dumps(options)}
    file = tmp_path / "mounted"
    file.write_text(f"{texts[field]}\n")
    monkeypatch.setenv(f"FIRSTCALL_{field.upper()}_FILE", str(file))
    settings = load_settings(data_dir=tmp_path)
    read = {
        "secrets": [each.get_secret_value() for each in settings.secrets],
        "clickhouse": settings.clickhouse_address,
        "kafka_options": settings.kafka_options.for_librdkafka().get("sasl.password"),
    }
    assert read[field] == {"secrets": [HMAC], "clickhouse": texts["clickhouse"], "kafka_options": SASL}[field]
    assert not any(secret in repr(settings) for secret in SECRETS)


@pytest.mark.long
@pytest.mark.kafka
def test_nothing_that_up_starts_shows_a_secret_or_listens_elsewhere(broker, tmp_path):
    with LocalClickHouse(tmp_path / "clickhouse") as served:
        given = variables(tmp_path, broker, f"{served.url.replace('//', f'//acme:{CLICKHOUSE}@')}/x")
        given |= {"FIRSTCALL_TOPIC_PREFIX": "closed.", "FIRSTCALL_APP_ID": "closed", "FIRSTCALL_LOG_LEVEL": "debug"}
        output = tmp_path / "up.log"
        with output.open("wb") as log:
            command = [sys.executable, "-m", "deploy.cli", "up"]
            up = subprocess.Popen(command, env={**os.environ, **given}, stdout=log, stderr=log)
        try:
            ends = time.monotonic() + STARTS_WITHIN_SECONDS
            while "Ctrl-C ends all" not in output.read_text():
                assert up.poll() is None and time.monotonic() < ends, output.read_text()
                time.sleep(0.2)
            pids = tree_of(up.pid)
            assert len(pids) > 3, "up, worker, sink, alerts"
            # Each shows its metrics; what watches the numbers is not waited for.
            while len(addresses := bound(tree_of(up.pid))) < 3:
                assert up.poll() is None and time.monotonic() < ends, output.read_text()
                time.sleep(0.2)
            assert all(map(is_loopback, addresses.values())), addresses
            seen = "".join(command_line(pid) for pid in pids)
            assert re.search(r"deploy\.cli\s+worker", seen)
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(60)
        logs = [output, *(tmp_path / "data").rglob("*.log")]
        assert len(logs) >= 3
        for text in (seen, *(path.read_text() for path in logs)):
            for secret in SECRETS:
                assert secret not in text
