"""A real Prometheus Alertmanager takes our alerts, and resolves them when they end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.alerts.alert import Alert, resolved, trial
from deploy.alerts.dispatch import Dispatch
from schemas.config.definitions import build as build_definitions
from schemas.config.monitors import build
from tests.conftest import free_port

#: Where it is if it is not on the path under the name it has in Debian or in Prometheus' own archives.
GIVEN = "FIRSTCALL_TEST_ALERTMANAGER"
CONFIGURATION = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an Alertmanager without receivers."""
    program = os.environ.get(GIVEN) or shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        pytest.skip(f"no Alertmanager: install Debian's prometheus-alertmanager, or name the program in {GIVEN}")
    home: Path = tmp_path_factory.mktemp("alertmanager")
    (home / "alertmanager.yml").write_text(CONFIGURATION)
    port = free_port()
    arguments = (
        f"--config.file={home / 'alertmanager.yml'}",
        f"--storage.path={home}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    )
    with (home / "log").open("wb") as output:
        process = subprocess.Popen([program, *arguments], stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            assert process.poll() is None, (home / "log").read_text()
            try:
                urllib.request.urlopen(f"{url}/-/ready").close()
                break
            except OSError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


def known(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/api/v2/alerts") as answer:
        found: list[dict[str, Any]] = json.load(answer)
        return found


def deliver(url: str, alert: Alert) -> None:
    channels = build(
        {"channels": {"pager": {"kind": "alertmanager", "url": url, "labels": {"team": "platform"}}}},
        build_definitions({}),
    ).channels
    delivered: list[str] = []
    dispatch = Dispatch(channels, lambda _, channel, __: delivered.append(channel))
    dispatch.post(alert)
    while not delivered:
        time.sleep(0.01)
    dispatch.stop()


def test_it_takes_an_alert_and_its_end(alertmanager):
    now = int(time.time() * 1000)
    firing = msgspec.structs.replace(
        trial(now), state="firing", monitor="activation", kind="activations", level="developer", stage="first_call",
        segment="source", value="ads", summary="down 40 %", drop=0.4, ended_at=None,
    )  # fmt: skip
    deliver(alertmanager, firing)
    deliver(alertmanager, firing)
    (got,) = known(alertmanager)
    assert got["labels"] == {
        "alertname": "FirstcallDrop",
        "alert_id": firing.alert_id,
        "monitor": "activation",
        "kind": "activations",
        "level": "developer",
        "stage": "first_call",
        "segment": "source",
        "value": "ads",
        "team": "platform",
    }
    assert got["annotations"]["summary"] == "down 40 %"
    assert got["status"]["state"] == "active"
    deliver(alertmanager, resolved(firing, "recovered", now - 1000, now))
    assert known(alertmanager) == []
