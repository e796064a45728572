"""After a rebuild the new generation runs: by itself under `up`, or as others have started it elsewhere."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local.kafka.runtime import Missing, availability, jars_directory
from deploy.rebuild import generations
from deploy.services import topics
from schemas.config.definitions import Definitions, build
from schemas.config.settings import Settings
from sinks.clickhouse import Address, connect
from sinks.definition_rows import recorded
from tests.conftest import JARS_HOME, ROOT, free_port
from tests.operations.test_rebuild import (
    ACTIVATED,
    AFTER,
    BEFORE,
    Deployment,
    arrived,
    deployment,
    records,
    write_before,
)
from tests.support.contract_reader import rows

__all__ = ["deployment", "records"]

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
WITHIN_SECONDS = 150.0
EVENTS = "SELECT count() FROM events"


class Machine:
    """One machine with `firstcall up`, its broker and its embedded ClickHouse."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(
            data_dir=directory / "data",
            broker_port=free_port(),
            clickhouse_port=free_port(),
            metrics_port=free_port(),
            config=directory / "f.yaml",
        )
        self.config = directory / "f.yaml"
        self.config.write_text("internal: {email_domains: [example.org]}\n")
        self.log = directory / "up.log"
        names = ("data_dir", "broker_port", "clickhouse_port", "metrics_port", "config")
        self._variables = {f"FIRSTCALL_{name.upper()}": str(getattr(self.settings, name)) for name in names}
        jars = jars_directory(JARS_HOME)
        if jars.exists():
            shared = jars_directory(self.settings.data_dir)
            shared.parent.mkdir(parents=True)
            shared.symlink_to(jars)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(self._command(arguments), cwd=ROOT, env=self._environment(), stdout=log, stderr=log)

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            self._command(arguments),
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with connect(Address.parse(self.settings.served_address)) as client:
            return rows(client, query)

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "deploy.cli", *arguments]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self._variables}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    found = availability(JARS_HOME)
    if isinstance(found, Missing):
        pytest.skip(f"no Kafka: {found.reason}")
    machine = Machine(tmp_path)
    up = machine.start("up")
    try:
        wait(lambda: "Producers write to" in machine.log.read_text() or up.poll() is not None)
        assert up.poll() is None, machine.log.read_text()
        yield machine
        assert up.poll() is None, machine.log.read_text()
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(60)


def wait(reached: Callable[[], object]) -> None:
    end = time.monotonic() + WITHIN_SECONDS
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.5)


def test_what_is_up_changes_over_by_itself_and_goes_on(machine):
    sent = _sent(machine.run("generate", "--developers", "25", "--days", "12", "--seed", "3"))
    wait(lambda: machine.rows("SELECT count() FROM event_rows")[0][0])
    wait(lambda: "0 records behind" in machine.run("doctor", "lag"))
    before = machine.rows(ACTIVATED)
    machine.config.write_text(
        "usage: successful_call\nactivations:\n  first_call: {levels: [developer, company], anchor: signup, all: [{count: successful_call, at_least: 4}]}\n  messages: {levels: [company], anchor: signup, all: [{count: message, at_least: 2}]}\n  three_days: {levels: [developer], anchor: signup, all: [{distinct_days: production_call, at_least: 2}]}\n"
    )
    output = machine.run("rebuild", "--yes")
    assert "changes over within seconds" in output
    assert machine.rows(ACTIVATED) != before
    assert generations.live(machine.settings) == 2
    wait(lambda: "Generation 2 takes over" in machine.log.read_text())
    had = machine.rows(EVENTS)[0][0]
    assert sent
    machine.run("generate", "--developers", "25", "--days", "12", "--seed", "4")
    wait(lambda: machine.rows(EVENTS)[0][0] > had)
    wait(lambda: machine.run("doctor", "lag").count("0 records behind") == 2)
    machine.run("audit")
    another = "firstcall-staging-fold_aliases-changelog"
    with topics.administration(machine.settings) as client:
        client.create_topics({another: {"num_partitions": 1, "replication_factor": 1}})
        machine.run("rebuild", "--drop-old", "--yes")
        left = [name for name in client.list_topics() if re.match(r"firstcall-(?!g2-|alerts)", name)]
    assert left == [another], "the state of a deployment whose name begins alike"
    assert machine.rows("SELECT count() FROM event_rows") == [(0,)]
    assert machine.rows(EVENTS)[0][0] > had


def test_worker_and_sink_that_others_run_are_waited_for(deployment: Deployment, records):
    write_before(deployment, records)
    deployment.pipeline.feed(records)
    deployment.define(AFTER)
    code, output = deployment.run("migrate", generation=2)
    assert code == 0, output
    running = [deployment.start(name, generation=2, log_format="json") for name in ("worker", "sink")]
    try:
        code, output = deployment.run("rebuild", "--elsewhere", "--yes", generation=2)
        assert code == 0, output
        assert "Run worker, sink and alerts with FIRSTCALL_GENERATION=2 from now on" in output
        with deployment.of(1) as served, deployment.of(2) as own:
            assert rows(served, ACTIVATED) == rows(own, ACTIVATED) != []
        assert [process.poll() for process in running] == [None, None]
    finally:
        for process in running:
            process.terminate()
            process.communicate(timeout=60)
    assert deployment.run("sink", config=_of(deployment, BEFORE), generation=1)[0] == 1


def test_begun_under_other_definitions_it_starts_over_in_a_generation_of_its_own(deployment: Deployment, records):
    write_before(deployment, records)
    deployment.pipeline.feed(records)
    deployment.define(AFTER)
    first = deployment.start("rebuild", "--yes")
    wait(lambda: arrived(deployment, 2))
    first.kill()
    first.communicate()
    again = build({"usage": "successful_call"})
    deployment.define(again)
    code, output = deployment.run("rebuild", "--yes")
    assert code == 0, output
    assert "Generation 2, begun under other definitions and never live, is removed." in output
    assert generations.live(deployment.settings) == 3
    with deployment.of(1) as served:
        assert rows(served, "EXISTS DATABASE {name:Identifier}", {"name": f"{served.database}_g2"}) == [(0,)]
        record = recorded(served)
    assert record is not None
    assert record.fingerprint == again.fingerprint()
    with topics.administration(deployment.settings) as client:
        assert not [name for name in client.list_topics() if f"{deployment.settings.app_id}-g2-" in name]


def _of(deployment: Deployment, definitions: Definitions) -> Path:
    deployment.define(definitions)
    return deployment.config


def _sent(output: str) -> int:
    found = re.search(r"Sent ([\d,]+) messages", output)
    return int(found[1].replace(",", "")) if found else 0
