"""Documents: every command in them runs as it is written, every link leads somewhere, and pages are short.

Commands of `console` blocks run in the order of the pages against one deployment, which `firstcall up` runs.
"""

from __future__ import annotations

import gzip
import os
import re
import shlex
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import typer
from confluent_kafka import Producer

from deploy.cli.main import app
from deploy.local.kafka.runtime import Missing, availability, jars_directory
from deploy.services import groups, topics
from deploy.services.groups import consumed_topics
from schemas.config.settings import Settings
from tests.conftest import JARS_HOME, free_port

ROOT = Path(__file__).resolve().parents[2]
GUIDE = sorted((ROOT / "deploy" / "docs").glob("*.md"))
#: With the most lines that each may have.
PAGES = {
    ROOT / "README.md": 90,
    **dict.fromkeys([*GUIDE, ROOT / "tests" / "README.md", ROOT / "deploy" / "README.md"], 120),
}
LINKED = [*PAGES, *(ROOT / folder / "README.md" for folder in ("schemas", "sinks", "streams", "streams/alerting"))]
FAULTS = ROOT / "tests" / "faults" / "FAULTS.md"
LINKED += [FAULTS, ROOT / "CHANGELOG.md"]

#: Commands that do not run here, by how they begin.
NOT_RUN = {
    "docker": "no Docker engine is assumed; test_deploy_files.py checks the compose file",
    "cosign": "needs a registry",
    "make": "make demo and the proofs are long; their targets are checked",
    "firstcall up": "the fixture runs it, beside all others",
    "FIRSTCALL_GENERATION=2": "a second rebuild would take as long as the first; test_rebuild_takes_over.py runs these",
}
#: Commands that wait for `firstcall up` to do something.
RETRIED = {"firstcall rebuild --drop-old"}
#: Commands that end with another exit code than 0, as their pages show.
EXIT_CODES = {
    "firstcall config check firstcall.yaml": 2,
    "firstcall config diff new.yaml": 1,
    "firstcall dead-letters replay --reason wrong_time": 1,
    "firstcall dead-letters replay --reason wrong_time --dry-run": 1,
}


@dataclass(frozen=True)
class Command:
    """A command of a page, without its comment, and the output that the page shows."""

    page: str
    text: str
    output: str


def commands(page: Path) -> list[Command]:
    found = []
    for block in re.findall(r"^ *```console\n(.*?)^ *```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", textwrap.dedent(block), flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            size = next(size for size in range(1, len(lines) + 1) if is_whole("\n".join(lines[:size])))
            text = re.sub(r"\s+# .*", "", "\n".join(lines[:size])).rstrip()
            found.append(Command(page.name, text, "\n".join(lines[size:])))
    return found


def is_whole(text: str) -> bool:
    """Whether no quotation is open at the end."""
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True


def runs(command: Command) -> bool:
    return not command.text.startswith(tuple(NOT_RUN))


COMMANDS = [command for page in [ROOT / "README.md", *GUIDE] for command in commands(page)]
#: A command that several pages show runs once. The order of pages matters: the erasure comes before the rebuild.
FIRST_USES = [
    command for number, command in enumerate(COMMANDS) if command.text not in {one.text for one in COMMANDS[:number]}
]


# Pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_short(page):
    assert len(page.read_text("utf-8").splitlines()) <= PAGES[page]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_every_page_is_in_the_index():
    index = (ROOT / "deploy" / "docs" / "README.md").read_text("utf-8")
    assert [page.name for page in GUIDE if page.name != "README.md" and f"({page.name})" not in index] == []


def test_every_file_and_folder_of_deploy_is_listed():
    listed = set(re.findall(r"`([\w.\-]+)/?`", (ROOT / "deploy" / "README.md").read_text("utf-8")))
    names = {path.name for path in (ROOT / "deploy").iterdir()}
    assert names - listed - {"README.md", "docs", "__init__.py", "__pycache__", ".env", "secrets"} == set()


def test_every_test_file_that_is_named_exists():
    named = {
        (page.name, name)
        for page in [*PAGES, FAULTS]
        for name in re.findall(r"\btest_[\w*]+\.py", page.read_text("utf-8"))
    }
    assert sorted((page, name) for page, name in named if not list((ROOT / "tests").rglob(name))) == []


def test_every_make_target_exists():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = " ".join(page.read_text("utf-8") for page in LINKED)
    assert set(re.findall(r"`make ([a-z][\w-]*)", texts)) <= targets
    assert {shlex.split(one.text)[1] for one in COMMANDS if one.text.startswith("make ")} <= targets


def test_every_metric_that_is_named_exists():
    source = (ROOT / "schemas" / "metrics.py").read_text("utf-8")
    names = set().union(*(re.findall(r"\bfirstcall_[a-z]\w+", page.read_text("utf-8")) for page in GUIDE))
    names -= {"firstcall_migrator", "firstcall_writer", "firstcall_reader", "firstcall_admin", "firstcall_g2"}
    assert len(names) > 20
    assert sorted(name for name in names if f'"{re.sub("_(total|info)$", "", name)}"' not in source) == []


def test_what_the_runbook_searches_in_logs_is_logged():
    folders = [ROOT / folder for folder in ("streams", "sinks", "deploy")]
    source = "\n".join(path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py"))
    text = (ROOT / "deploy" / "docs" / "RUNBOOK.md").read_text("utf-8")
    searches = re.findall(r"logs [a-z ]+\| grep (?:-[AE] )?(?:\d+ )?('[^']+'|\w+)", text)
    assert len(searches) > 5
    terms = {term for search in searches for term in re.split(r"[|()'\"]", search) if term}
    assert sorted(term for term in terms if term not in source) == []


def test_every_option_that_is_named_exists():
    """Commands in running text, as `firstcall doctor --quiet`."""
    wrong = []
    for page in [ROOT / "README.md", *GUIDE]:
        for text in re.findall(r"`firstcall ([^`]+)`", page.read_text("utf-8")):
            try:
                check_options(shlex.split(text))
            except (ValueError, AssertionError) as error:
                wrong.append(f"{page.name}: firstcall {text}: {error}")
    assert wrong == []


def check_options(words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    assert not hasattr(command, "commands") or words in ([], ["..."]), "no such command"
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("-") and word != "-"} <= options


# Commands


class Receiver(BaseHTTPRequestHandler):
    """Takes every alert."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Running:
    """A deployment in a folder of its own, as someone has who follows the pages."""

    def __init__(self, folder: Path, receiver: str) -> None:
        self.folder = folder
        self.brokers, self._clickhouse = f"127.0.0.1:{(port := free_port())}", free_port()
        self._variables = {
            **os.environ,
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "FIRSTCALL_BROKER_PORT": str(port),
            "FIRSTCALL_CLICKHOUSE_PORT": str(self._clickhouse),
            "FIRSTCALL_CONFIG": "running.yaml",
            "COLUMNS": "120",
        }
        self.settings = Settings(kafka=self.brokers, secrets="x" * 32)
        self._exported = ""
        self._write_files(receiver)

    def _write_files(self, receiver: str) -> None:
        program = self.folder / "bin" / "firstcall"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m deploy.cli "$@"\n')
        program.chmod(0o755)
        jars = jars_directory(JARS_HOME)
        shared = jars_directory(self.folder / ".firstcall")
        shared.parent.mkdir(parents=True)
        shared.symlink_to(jars)
        # README.md looks at what the demo left.
        (self.folder / ".firstcall" / "demo").symlink_to(".")
        (self.folder / "deploy").mkdir()
        (self.folder / "deploy" / ".env.example").write_text("CLICKHOUSE_PASSWORD=\n")
        (self.folder / "running.yaml").write_text(
            f"monitors: {{channels: {{pager: {{kind: alertmanager, url: '{receiver}'}}}}}}\n"
        )
        (self.folder / "firstcall.yaml").write_text(WRONG)
        (self.folder / "new.yaml").write_text(CHANGED)
        (self.folder / "api-logs").mkdir()
        for name in ("segment-export.ndjson.gz", "export.ndjson.gz", "api-logs/1.gz"):
            (self.folder / name).write_bytes(gzip.compress("".join(f"{line}\n" for line in EVENTS).encode()))

    def start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-c", f"{self._exported}exec {command}"],
            cwd=self.folder,
            env=self._variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: Command) -> tuple[int, str]:
        """Run a command as it stands and answer its questions with yes."""
        if command.text.startswith("export "):
            self._exported = f"{command.text}; "
        for _ in range(20 if command.text in RETRIED else 1):
            done = self._bash(command.text)
            if done.returncode == 0:
                break
            time.sleep(1)
        return done.returncode, done.stdout

    def _bash(self, text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", self._exported + text],
            cwd=self.folder,
            env=self._variables,
            input="y\n" * 3,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def begin_page(self) -> None:
        self._exported = ""
        self.await_idle()

    def send_in_order(self, values: list[str]) -> None:
        """Write to the first partition of `web-events`, which is empty."""
        producer = Producer({"bootstrap.servers": self.brokers})
        for value in values:
            producer.produce("web-events", value, partition=0)
        assert producer.flush(30) == 0

    def await_idle(self) -> None:
        """Wait until worker and sink have acknowledged everything."""
        end = time.monotonic() + 60
        with topics.administration(self.settings) as client:
            while any(lag.records for lag in groups.lags(client, consumed_topics(self.settings))):
                assert time.monotonic() < end, "the deployment is behind"
                time.sleep(0.3)


#: The mistake that README.md shows.
WRONG = "usage: production_cal\n"
CHANGED = "usage: successful_call\n"
EVENTS = [
    '{"name": "Signed Up", "time": "2026-01-05T10:00:00Z", "user_id": "u-1842", "company_id": "acme"}',
    '{"name": "API Key Created", "time": "2026-01-05T10:05:00Z", "user_id": "u-1842", "api_key": "sk_live_docs1"}',
    '{"name": "API Call", "source": "api", "time": "2026-01-05T11:00:00Z", "api_key": "sk_live_docs1", "properties": {"status": 200}}',
    '{"name": "Signed Up", "time": "2026-01-06T10:00:00Z", "user_id": "u-2", "company_id": "acme"}',
]
#: The message at offset 12 of partition 0 is refused.
REFUSED = '{"name": "Signed Up", "user_id": "u-3", "time": "yesterday"}'


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    found = availability(JARS_HOME)
    if isinstance(found, Missing):
        pytest.skip(f"no Kafka: {found.reason}")
    receiver = HTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=receiver.serve_forever, daemon=True).start()
    deployment = Running(tmp_path_factory.mktemp("documents"), f"http://127.0.0.1:{receiver.server_port}")
    up = deployment.start("firstcall up")
    try:
        assert up.stdout is not None
        printed = ""
        while "Ctrl-C ends all" not in printed:
            line = up.stdout.readline()
            assert line, f"it ended: {printed}"
            printed += line
        deployment.send_in_order([*EVENTS, *EVENTS, *EVENTS, REFUSED])
        yield deployment
    finally:
        up.terminate()
        up.wait(60)
        receiver.shutdown()


PAGES_WITH_COMMANDS = dict.fromkeys(command.page for command in FIRST_USES if runs(command))


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS)
def test_every_command_runs_as_it_is_written(deployment, page):
    deployment.begin_page()
    for command in FIRST_USES:
        if command.page == page and runs(command):
            code, printed = deployment.run(command)
            assert code == EXIT_CODES.get(command.text, 0), f"$ {command.text}\n{printed}"
            if not command.text.startswith("firstcall query"):
                assert command.output in printed


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_first_query_has_the_answer_of_the_demo(tmp_path):
    (first,) = [command for command in COMMANDS if command.text == "firstcall query funnel -p level=developer"]
    variables = {**os.environ, "FIRSTCALL_DATA_DIR": str(tmp_path), "COLUMNS": "120"}
    variables |= {name: str(free_port()) for name in ("FIRSTCALL_BROKER_PORT", "FIRSTCALL_CLICKHOUSE_PORT")}
    program = [sys.executable, "-m", "deploy.cli"]
    subprocess.run([*program, "demo", "--in-process"], env=variables, capture_output=True, check=True)
    variables["FIRSTCALL_DATA_DIR"] = str(tmp_path / "demo")
    done = subprocess.run(
        [*program, *shlex.split(first.text)[1:]], env=variables, capture_output=True, text=True, check=True
    )
    assert [line.rstrip() for line in done.stdout.splitlines()] == first.output.splitlines()
