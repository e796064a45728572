"""What is run is what was pinned: Python packages by hash, jars by hash, actions of nobody else."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from deploy.local.kafka.runtime import jars_directory, jars_resolved, resolve_jars, wrong_jars
from schemas.errors import DeploymentError
from tests.conftest import JARS_HOME

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


@pytest.fixture
def jars() -> Path:
    found = jars_directory(JARS_HOME)
    if not jars_resolved(found):
        pytest.skip("Kafka's jars have not been fetched")
    return found


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_hashes_and_comes_from_the_index(name):
    entries = re.split(r"\n(?=[a-zA-Z0-9])", re.sub(r"^#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE))
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", entry), entry[:60]
        assert "--hash=sha256:" in entry, entry[:60]
    assert not re.search(r"(git\+|https?://|file:|-e )", "".join(entries))


def test_hashes_are_required_wherever_the_lock_is_installed():
    for file in (ROOT / "Makefile", DEPLOY / "Dockerfile"):
        for line in file.read_text().splitlines():
            if "pip install" in line and ".lock" in line:
                assert "--require-hashes" in line, line


def test_the_audit_looks_at_both_locks_and_leaves_nothing_out():
    recipe = (ROOT / "Makefile").read_text().partition("\naudit-dependencies:\n")[2].partition("\n\n")[0]
    audits = [line for line in recipe.splitlines() if "bin/pip-audit" in line]
    assert [line.split()[-1] for line in audits] == ["requirements.lock", "requirements-dev.lock"]
    assert all("--strict" in line for line in audits)


def test_kafka_s_jars_are_those_whose_hashes_are_known(jars):
    assert wrong_jars(jars) == []


def test_a_jar_that_is_another_one_is_named(jars, tmp_path):
    changed = tmp_path / "jars"
    changed.mkdir()
    for jar in jars.glob("*.jar"):
        (changed / jar.name).hardlink_to(jar)
    one = changed / "log4j-api-2.25.4.jar"
    content = one.read_bytes()
    one.unlink()
    assert wrong_jars(changed) == [one.name]
    one.write_bytes(content + b"more")
    (changed / "another.jar").write_bytes(b"")
    assert wrong_jars(changed) == ["another.jar", one.name]


def test_jars_that_maven_brings_and_nobody_knows_are_not_run(tmp_path, monkeypatch):
    # A Maven that has been had: it brings a jar of the right name.
    tool = tmp_path / "bin" / "mvn"
    tool.parent.mkdir()
    tool.write_text(
        '#!/bin/sh\nfor word in "$@"; do case "$word" in -DoutputDirectory=*) '
        'echo bad > "${word#-DoutputDirectory=}/kafka_2.13-4.3.0.jar";; esac; done\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    with pytest.raises(DeploymentError, match=r"other jars than jars.sha256 names: .*kafka_2.13-4.3.0.jar.*not run"):
        resolve_jars(tmp_path / "jars")
    assert not jars_resolved(tmp_path / "jars")
