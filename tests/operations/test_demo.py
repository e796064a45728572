"""The demo, as a person runs it, and how everything ends with it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka.runtime import Missing, availability, jars_directory
from deploy.local.process.supervision import PROBE_SECONDS
from tests.conftest import JARS_HOME, free_port
from tests.support.scraped import asked, until

pytestmark = pytest.mark.slow
LINUX = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to see all processes")
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
        "FIRSTCALL_METRICS_PORT": str(free_port()),
        "COLUMNS": "160",
    }


def needs_kafka() -> None:
    found = availability(JARS_HOME)
    if isinstance(found, Missing):
        pytest.skip(f"no Kafka: {found.reason}")


def firstcall(variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.cli", *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)


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


def processes_of(data_dir: Path) -> dict[int, str]:
    """The command lines of all processes that run for a data directory, by process id."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            variables = (process / "environ").read_bytes().split(b"\0")
            if str(data_dir) in command or f"FIRSTCALL_DATA_DIR={data_dir}".encode() in variables:
                found[int(process.name)] = command
    return found


@contextmanager
def up(variables: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`firstcall up`, once it is up."""
    command = [sys.executable, "-m", "deploy.cli", "up"]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, env=variables, start_new_session=True, **streams) as running:
        try:
            assert running.stdout is not None
            printed = ""
            while "Ctrl-C ends all" not in printed:
                line = running.stdout.readline()
                assert line, f"it ended: {printed}"
                printed += line
            yield running
        finally:
            running.kill()


def test_without_kafka_the_same_job_runs_in_one_process(variables, tmp_path, monkeypatch):
    """Called from any directory, it ends with commands that work there."""
    monkeypatch.chdir(tmp_path)
    printed = demo(variables, "--in-process")
    assert "No Kafka: --in-process was given. The same processors and sink run in this process." in printed
    for table in (
        "Funnel: companies",
        "Activation",
        "Weekly active",
        "Time to first call",
        "Concentration",
        "Refused messages",
    ):
        assert table in printed
    (advised,) = re.findall(r"^  (.* query campaigns)  ", printed, re.MULTILINE)
    assert "FIRSTCALL_DATA_DIR=data/demo " in advised
    usual = {name: value for name, value in variables.items() if name != "FIRSTCALL_DATA_DIR"}
    answer = subprocess.run(advised, shell=True, env=usual, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout


def test_a_file_is_imported_without_kafka_into_a_directory_that_is_not_there_yet(variables, tmp_path):
    file = tmp_path / "events.ndjson"
    file.write_text('{"name": "Signed Up", "time": "2026-01-05T10:00:00Z", "user_id": "ann"}\n')
    imported = firstcall(variables, "import", "--in-process", str(file))
    assert imported.returncode == 0, imported.stderr
    counted = firstcall(variables, "query", "--sql", "SELECT count() FROM signups", "-f", "csv")
    assert counted.stdout.splitlines()[-1] == "1"
    again = firstcall(variables, "import", "--in-process", str(file))
    assert again.returncode == 1
    assert "holds 1 profile rows already; give an empty database, as that of another FIRSTCALL_DATA_DIR" in again.stderr


@pytest.mark.kafka
def test_kafka_workers_and_one_process_come_to_the_same_numbers(variables):
    needs_kafka()
    alone = numbers(demo(variables, "--in-process"))
    assert numbers(demo(variables)) == alone
    assert numbers(demo(variables, "--workers", "2")) == alone


@pytest.mark.kafka
@LINUX
def test_services_of_another_data_directory_are_never_taken_for_ones_own(variables, tmp_path):
    needs_kafka()
    other = variables | {"FIRSTCALL_DATA_DIR": str(tmp_path / "other")}
    with up(variables):
        refused = {command: firstcall(other, command) for command in ("migrate", "sink", "generate", "up")}
        query = firstcall(other, "query", "--sql", "SELECT count() FROM events", "-f", "csv")
        own = firstcall(variables, "query", "--sql", "SELECT count() FROM events", "-f", "csv")
    assert "no embedded ClickHouse runs for " in refused["migrate"].stderr
    assert "no local Kafka runs for " in refused["sink"].stderr
    assert "no local Kafka runs for " in refused["generate"].stderr
    assert "is taken by something else" in refused["up"].stderr
    assert {done.returncode for done in refused.values()} == {1}
    assert (query.returncode, "`firstcall migrate` creates it" in query.stderr) == (1, True)
    assert (own.returncode, own.stdout.splitlines()[-1]) == (0, "0")


@pytest.mark.kafka
@LINUX
def test_ctrl_c_ends_all_that_was_started(variables, tmp_path):
    needs_kafka()
    with up(variables) as running:
        assert len(processes_of(tmp_path / "data")) >= 5, "itself, Kafka, ClickHouse, worker, sink"
        running.send_signal(signal.SIGINT)
        assert running.wait(120) == 130
    assert processes_of(tmp_path / "data") == {}


@pytest.mark.kafka
@LINUX
def test_nothing_outlives_a_killed_parent(variables, tmp_path):
    needs_kafka()
    with up(variables) as running:
        running.kill()
    end = time.monotonic() + 60
    while processes_of(tmp_path / "data") and time.monotonic() < end:
        time.sleep(0.2)
    assert processes_of(tmp_path / "data") == {}


def process_of(data_dir: Path, command_end: str) -> int | None:
    """The process that runs a command, not the one that ends it with its parent."""
    for process, command in processes_of(data_dir).items():
        if command.rstrip().endswith(command_end) and "end_with_parent.py" not in command:
            return process
    return None


def line_with(running: subprocess.Popen[str], what: str) -> str:
    """The next line that it prints with a text."""
    assert running.stdout is not None
    while what not in (line := running.stdout.readline()):
        assert line, f"it ended without a word of {what}"
    return line


def shown_at(running: subprocess.Popen[str], name: str) -> str:
    """Where a process shows its metrics and health."""
    found = re.search(rf"{name} (http://\S+?)(?:,|$)", line_with(running, "/metrics, /healthz, /readyz:").strip())
    assert found is not None
    return found[1]


@pytest.mark.kafka
@LINUX
def test_a_killed_worker_is_started_again_and_a_broker_that_ends_is_named_and_ends_all(variables, tmp_path):
    needs_kafka()
    data = tmp_path / "data"
    with up(variables) as running:
        url = shown_at(running, "worker-1")
        killed = process_of(data, "deploy.cli worker")
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        assert "worker-1 has ended with code 137; starting it again in 1 s (1 of 5 times in 10 minutes)" in line_with(
            running, "worker-1 has ended"
        )
        until(lambda: asked(url, "/readyz")[0] == 200, "the worker is not back")
        assert process_of(data, "deploy.cli worker") != killed
        java = process_of(data, "server.properties")
        assert java is not None
        os.kill(java, signal.SIGKILL)
        assert "Kafka has ended with code 137" in line_with(running, "Kafka has ended")
        assert running.wait(120) == 1
    assert processes_of(data) == {}


@pytest.mark.long
@pytest.mark.kafka
@LINUX
def test_a_sink_that_stands_still_is_ended_and_started_again(variables, tmp_path):
    needs_kafka()
    data = tmp_path / "data"
    with up(variables) as running:
        url = shown_at(running, "sink")
        until(lambda: asked(url, "/readyz")[0] == 200, "the sink is not ready")
        # So that it was seen to be healthy.
        time.sleep(2 * PROBE_SECONDS)
        stopped = process_of(data, "deploy.cli sink")
        assert stopped is not None
        os.kill(stopped, signal.SIGSTOP)
        began = time.monotonic()
        assert "sink hangs (no answer: timed out); ending it" in line_with(running, "sink hangs")
        assert "sink has ended with code 137; starting it again in 1 s" in line_with(running, "sink has ended")
        assert time.monotonic() - began < 60
        until(lambda: asked(url, "/readyz")[0] == 200, "the sink is not back")
        running.send_signal(signal.SIGINT)
        assert running.wait(120) == 130
