"""Changed definitions: all numbers are rebuilt beside the old ones, and shown when they are complete."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from clickhouse_connect.driver import Client

from deploy.rebuild import generations
from deploy.services import groups, topics
from deploy.simulator import Population
from schemas.config.definitions import Definitions, build
from schemas.config.settings import Settings
from sinks.clickhouse import Address, connect
from sinks.definition_rows import write_definitions
from sinks.migrations import migrate
from streams.topology import source_of
from tests.conftest import NOW_MS, ROOT
from tests.operations.test_cli import firstcall, plain
from tests.support.audited import load
from tests.support.contract_reader import read_contract, rows
from tests.support.pipeline import Pipeline
from tests.support.reference import Record, compute, differences
from tests.support.worlds import SECRETS

BEFORE = build({})
AFTER = build(
    {
        "usage": "successful_call",
        "activations": {
            "first_call": {
                "levels": ["developer", "company"],
                "anchor": "signup",
                "span_days": 7,
                "all": [{"count": "successful_call", "at_least": 3}],
            },
            "messages": {"levels": ["company"], "anchor": "signup", "all": [{"count": "message", "at_least": 2}]},
            "three_days": {
                "levels": ["developer"],
                "anchor": "signup",
                "all": [{"distinct_days": "production_call", "at_least": 2}],
            },
        },
    }
)
WITHIN_SECONDS = 120.0
VIEWS = ("developers", "companies", "activations", "activity", "rolling_counts", "identities", "usage", "dead_letters")
#: Different under the two definitions.
ACTIVATED = "SELECT * FROM activations ORDER BY ALL"


class Deployment:
    """Input topics on Kafka and a database that is made under `BEFORE`, as people have them."""

    def __init__(self, broker: str, name: str, database: str, directory: Path) -> None:
        self.pipeline = Pipeline(broker, name, directory, BEFORE, 2)
        self.config = directory / "definitions.yaml"
        self._directory = directory
        self._options = {**self.pipeline._options, "clickhouse": database, "data_dir": str(directory)}
        self.settings = Settings(**self._options)

    def define(self, definitions: Definitions) -> None:
        self.config.write_text(yaml.safe_dump(definitions.model_dump(mode="json"), sort_keys=False))

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        options = {f"FIRSTCALL_{name.upper()}": str(value) for name, value in {**self._options, **more}.items()}
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", *arguments],
            cwd=ROOT,
            env={**os.environ, **options},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **more: Any) -> tuple[int, str]:
        process = self.start(*arguments, **more)
        output, _ = process.communicate(timeout=WITHIN_SECONDS)
        return process.returncode, output

    def of(self, generation: int) -> Client:
        return connect(generations.address_of(self.settings, generation))


@pytest.fixture
def deployment(broker: str, unique: str, clickhouse: str, tmp_path: Path) -> Iterator[Deployment]:
    database = f"{clickhouse}/{unique}"
    migrate(Address.parse(database))
    found = Deployment(broker, unique, database, tmp_path)
    yield found
    with connect(Address.parse(database), database="default") as client:
        for (name,) in rows(client, "SHOW DATABASES"):
            if name.startswith(unique):
                client.command(f"DROP DATABASE `{name}`")


@pytest.fixture(scope="module")
def records() -> list[Record]:
    population = Population(seed=5, target_events=1_500, bad=5)
    return [Record(source_of(topic), value, NOW_MS) for topic, value in population.messages()]


def write_before(deployment: Deployment, records: list[Record]) -> None:
    """Let the first generation's tables be what its streams made of the records."""
    load(Address.parse(deployment.settings.served_address), records, BEFORE)
    with deployment.of(1) as client:
        write_definitions(client, BEFORE)


def wait(reached: Callable[[], object]) -> None:
    end = time.monotonic() + WITHIN_SECONDS
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.1)


def arrived(deployment: Deployment, generation: int) -> bool:
    """Whether a generation has any events in ClickHouse."""
    if generations.own_record(generations.address_of(deployment.settings, generation)) is None:
        return False
    with deployment.of(generation) as client:
        return bool(rows(client, "SELECT 1 FROM event_rows LIMIT 1"))


@pytest.mark.long
def test_killed_and_begun_again_it_shows_the_numbers_as_if_the_new_definitions_had_always_held(deployment, records):
    """
    generation 1 served  ├───────────────────────────────────┤
    rebuild in 2              ├──── killed   ├─── again ─────┤
    generation 2 served                                      ├──
    """
    write_before(deployment, records)
    deployment.pipeline.feed(records)
    with deployment.of(1) as served:
        served.command("INSERT INTO alert_rows (alert_id, monitor, version) VALUES ('a1', 'm', 1)")
        before = rows(served, ACTIVATED)
        deployment.define(AFTER)

        first = deployment.start("rebuild", "--yes")
        wait(lambda: arrived(deployment, 2))
        assert rows(served, ACTIVATED) == before
        first.send_signal(signal.SIGKILL)
        first.communicate()
        assert generations.live(deployment.settings) == 1
        assert rows(served, ACTIVATED) == before

        code, output = deployment.run("rebuild", "--yes")
        assert code == 0, output
        assert "It was begun before and goes on where it was." in output
        assert generations.live(deployment.settings) == 2
        with deployment.of(2) as own:
            expected, actual = compute(records, AFTER, SECRETS), read_contract(own)
            actual.events, sent = expected.events, {row[0] for row in expected.event_rows}
            actual.event_rows = {row for row in actual.event_rows if row[0] in sent}
            assert differences(expected, actual) == []
            for view in VIEWS:
                assert rows(served, f"SELECT * FROM {view} ORDER BY ALL") == rows(
                    own, f"SELECT * FROM {view} ORDER BY ALL"
                )
        assert rows(served, ACTIVATED) != before
        assert rows(served, "SELECT alert_id FROM alerts") == [("a1",)]
        assert rows(served, "SELECT count() FROM dead_letters") == [(5,)]

    code, output = deployment.run("rebuild", "--yes", generation=2)
    assert code == 2
    assert "The definitions have not changed" in output


def refused(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, *arguments: str, **more: Any) -> tuple[int, str]:
    """Exit code and output of a command that changes nothing."""
    for name, value in {**deployment._options, **more}.items():
        monkeypatch.setenv(f"FIRSTCALL_{name.upper()}", str(value))
    result = firstcall(*arguments)
    return result.exit_code, plain(result.output)


def test_it_shows_its_plan_and_refuses_what_cannot_be_meant(deployment, records, monkeypatch):
    with deployment.of(1) as client:
        write_definitions(client, BEFORE)
    deployment.pipeline.feed(records[:50])
    deployment.define(BEFORE)
    web = deployment.settings.topic("web-events")

    code, output = refused(deployment, monkeypatch, "rebuild")
    assert (code, "The definitions have not changed" in output) == (2, True), output

    deployment.define(AFTER)
    code, output = refused(deployment, monkeypatch, "sink")
    assert (code, "made under other definitions" in output) == (1, True)
    assert f"({BEFORE.fingerprint()}) than the configured ones ({AFTER.fingerprint()})" in output

    code, output = refused(deployment, monkeypatch, "rebuild", "--dry-run")
    assert code == 0, output
    assert (
        f"Definitions: {AFTER.fingerprint()}; the numbers that are served were made under {BEFORE.fingerprint()}."
        in output
    )
    assert f"messages of {web}, from the very first." in output
    assert (
        f"Writes generation 2: database {Address.parse(deployment.settings.served_address).database}_g2, 9 topics"
        in output
    )

    with topics.administration(deployment.settings) as admin:
        ranges = groups.ranges_of(admin, [web])
        lost = next(at for at, (_, end) in ranges.items() if end > 1)
        admin.delete_records({lost: 2})
    code, output = refused(deployment, monkeypatch, "rebuild", "--dry-run")
    assert (code, "2 before them are not there any more" in output) == (2, True)
    assert "The input topics have lost their beginning" in output
    assert refused(deployment, monkeypatch, "rebuild", "--dry-run", "--allow-truncated")[0] == 0

    code, output = refused(deployment, monkeypatch, "rebuild", "--elsewhere")
    assert (code, "Run worker and sink with FIRSTCALL_GENERATION=2" in output) == (1, True)
    assert refused(deployment, monkeypatch, "rebuild", "x.ndjson")[0] == 2
    assert generations.own_record(generations.address_of(deployment.settings, 2)) is None
