"""What a process answers over HTTP: metrics, health, readiness."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest

from deploy.doctor.checks import examine
from deploy.local.process.status_server import MOST_CONNECTIONS, reached_at, show, url_of
from schemas.config.loading import load_settings
from schemas.errors import DeploymentError
from tests.conftest import free_port
from tests.support.scraped import asked, metrics_of


class Patient:
    """A process with given complaints."""

    def __init__(self) -> None:
        self.ill: list[str] = []
        self.idle: list[str] = []

    def unhealthy(self) -> list[str]:
        return self.ill

    def unready(self) -> list[str]:
        return self.ill + self.idle

    def facts(self) -> dict[str, Any]:
        return {"partitions": 3, "lag_events": 12}


@pytest.fixture
def patient() -> tuple[Patient, str]:
    patient = Patient()
    settings = load_settings(metrics_port=free_port())
    show(settings, "worker", patient)
    return patient, url_of(settings.metrics_host, settings.metrics_port)


def test_a_healthy_process_answers_200(patient):
    _, url = patient
    assert asked(url, "/healthz") == (200, {"healthy": True, "reasons": []})
    assert asked(url, "/readyz") == (200, {"ready": True, "reasons": [], "partitions": 3, "lag_events": 12})


def test_a_process_that_waits_is_healthy_and_not_ready_with_the_reason(patient):
    process, url = patient
    process.idle = ["waits for ClickHouse since 46 s: connection refused"]
    assert asked(url, "/healthz")[0] == 200
    status, body = asked(url, "/readyz")
    assert (status, body["ready"], body["reasons"]) == (503, False, process.idle)


def test_one_that_hangs_is_neither(patient):
    process, url = patient
    process.ill = ["the event loop has not turned for 50 s"]
    assert asked(url, "/healthz") == (503, {"healthy": False, "reasons": process.ill})
    assert asked(url, "/readyz")[0] == 503


def test_metrics_name_version_and_role(patient):
    _, url = patient
    scraped = metrics_of(url)
    assert scraped.sum("firstcall_build_info", role="worker", version="0.1.0") == 1
    assert "process_resident_memory_bytes" in scraped.names


def test_other_paths_and_methods_are_refused(patient):
    _, url = patient
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{url}/")
    with pytest.raises(urllib.error.HTTPError, match="501"):
        urllib.request.urlopen(f"{url}/metrics", data=b"{}")


def test_who_holds_many_connections_takes_no_more_threads(patient):
    _, url = patient
    place = (urlsplit(url).hostname, urlsplit(url).port)
    with ExitStack() as held:
        for _ in range(MOST_CONNECTIONS):
            held.enter_context(socket.create_connection(place, 10))
        with socket.create_connection(place, 10) as beyond:
            assert beyond.recv(1) == b"", "it is turned away"
    assert any(answers(url) for _ in range(100)), "it answers when they are gone"


def answers(url: str) -> bool:
    """Whether it answers; the threads of connections that are gone end one by one."""
    try:
        return asked(url, "/healthz")[0] == 200
    except OSError:
        time.sleep(0.1)
        return False


def test_a_port_that_is_taken_is_explained(patient):
    _, url = patient
    port = int(url.rpartition(":")[2])
    with pytest.raises(
        DeploymentError, match=f"port {port} on 127.0.0.1 cannot be listened on: .* FIRSTCALL_METRICS_PORT of its own"
    ):
        show(load_settings(metrics_port=port), "sink", Patient())


def test_nothing_listens_unless_it_is_asked_to_and_then_on_loopback():
    settings = load_settings()
    assert settings.metrics_port == 0
    assert settings.metrics_host == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "url"), [("0.0.0.0", "http://127.0.0.1:9"), ("::", "http://[::1]:9"), ("10.1.2.3", "http://10.1.2.3:9")]
)
def test_one_that_listens_everywhere_is_reached_on_loopback(host, url):
    assert url_of(reached_at(host), 9) == url


def test_doctor_shows_the_reasons_of_the_process(patient):
    process, url = patient
    settings = load_settings(metrics_port=int(url.rpartition(":")[2]))
    (finding,) = examine(settings, ["ready"])
    assert (finding.verdict, finding.detail) == ("ok", f"{url}: 12 messages behind on 3 partitions")
    process.idle = ["not running yet: recovering"]
    (finding,) = examine(settings, ["ready"])
    assert (finding.verdict, finding.detail.split(";")[0]) == ("wrong", "not running yet: recovering")
    (finding,) = examine(load_settings(metrics_port=free_port()), ["ready"])
    assert (finding.verdict, "refused" in finding.detail) == ("wrong", True)
