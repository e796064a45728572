"""The demo, as a person runs it, and how everything ends when it is told to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.broker import Missing, availability, jars_directory
from tests.conftest import JARS_HOME, free_port

pytestmark = pytest.mark.slow
OPTIONS = ["--developers", "25", "--days", "12", "--seed", "3", "--bad", "5"]


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """A deployment of its own, with the jars that are there already."""
    jars = jars_directory(JARS_HOME)
    if jars.exists():
        shared = jars_directory(tmp_path / "data")
        shared.parent.mkdir(parents=True)
        shared.symlink_to(jars)
    return {
        **os.environ,
        "FIRSTCALL_DATA_DIR": str(tmp_path / "data"),
        "FIRSTCALL_BROKER_PORT": str(free_port()),
        "FIRSTCALL_CLICKHOUSE_PORT": str(free_port()),
        "COLUMNS": "160",
    }


def needs_kafka() -> None:
    found = availability(JARS_HOME)
    if isinstance(found, Missing):
        pytest.skip(f"no Kafka: {found.reason}")


def demo(variables: dict[str, str], *more: str) -> str:
    command = [sys.executable, "-m", "deploy.cli", "demo", *OPTIONS, *more]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def numbers(printed: str) -> str:
    """All tables, without where a refused message lies, which depends on how it came."""
    tables = printed[printed.index("Funnel: developers") : printed.index("Refused messages")]
    refused = re.findall(r"│ (\w+) +│ (\w*) +│ +(\d+) │", printed[printed.index("Refused messages") :])
    return tables + "\n".join(" ".join(row) for row in refused)


def processes_of(data_dir: Path) -> list[str]:
    """The command lines of all processes that have to do with a directory."""
    shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if str(data_dir) in line]


def test_without_kafka_the_same_job_runs_in_one_process(variables):
    printed = demo(variables, "--in-process")
    assert "No Kafka: --in-process was given. The same stages and sink run in this process." in printed
    for table in (
        "Funnel: companies",
        "Activation",
        "Weekly active",
        "Time to first call",
        "Concentration",
        "Refused messages",
    ):
        assert table in printed


@pytest.mark.kafka
def test_kafka_workers_and_one_process_come_to_the_same_numbers(variables):
    needs_kafka()
    alone = numbers(demo(variables, "--in-process"))
    assert numbers(demo(variables)) == alone
    assert numbers(demo(variables, "--workers", "2")) == alone


@pytest.mark.kafka
def test_ctrl_c_ends_all_that_was_started(variables, tmp_path):
    needs_kafka()
    command = [sys.executable, "-m", "deploy.cli", "up"]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True, start_new_session=True) as running:
        assert running.stdout is not None
        printed = ""
        for line in running.stdout:
            printed += line
            if "Ctrl-C ends all" in line:
                break
        assert "Ctrl-C ends all" in printed
        running.send_signal(signal.SIGINT)
        assert running.wait(90) == 130
    assert processes_of(tmp_path / "data") == []


@pytest.mark.kafka
def test_nothing_outlives_a_killed_parent(variables, tmp_path):
    needs_kafka()
    command = [sys.executable, "-m", "deploy.cli", "up"]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True, start_new_session=True) as running:
        assert running.stdout is not None
        assert any("Ctrl-C ends all" in line for line in running.stdout)
        running.kill()
    end = time.monotonic() + 60
    while processes_of(tmp_path / "data") and time.monotonic() < end:
        time.sleep(0.2)
    assert processes_of(tmp_path / "data") == []
