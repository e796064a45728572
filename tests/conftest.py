"""The services that tests share: a real broker and a real ClickHouse engine, started once, and names that keep tests apart.

FIRSTCALL_TEST_KAFKA (host:port) and FIRSTCALL_TEST_CLICKHOUSE (http://user:password@host:port) name other servers.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import hypothesis
import pytest
import yaml
from clickhouse_connect.driver import Client

from deploy.local.clickhouse import LocalClickHouse
from deploy.local.kafka.broker import LocalBroker
from deploy.local.kafka.runtime import Missing, availability, jars_directory, resolve_jars
from deploy.simulator import Population
from schemas.config.sources import PREFIX, TEST_PREFIX
from schemas.errors import DeploymentError
from sinks.clickhouse import Address, connect
from sinks.migrations import migrate
from streams.topology import source_of
from tests.faults.services import small_disk
from tests.support.reference import Record
from tests.support.tables import empty_tables, fresh_database

# A shared machine may stall any example, so none has a deadline.
# `make test` takes the same examples each time, so that a failure is due to the change; `make laws` takes others by its seed.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True)
hypothesis.settings.register_profile(
    "many", deadline=None, max_examples=int(os.environ.get(f"{TEST_PREFIX}WORLDS", "10000"))
)
hypothesis.settings.load_profile("default")

ROOT = Path(__file__).resolve().parents[1]
#: The timestamp of simulated records: after all of their events.
NOW_MS = 1_790_000_000_000
#: Kafka's jars stay where `make demo` keeps them: fetched once for both.
JARS_HOME = ROOT / ".firstcall"


@functools.cache
def docker_answers() -> bool:
    """Whether a Docker engine answers."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env()
        client.ping()
        client.close()
    except DockerException:
        return False
    return True


#: The ClickHouse that each test with the fixture `clickhouse` runs on. One that nothing can start here is not collected.
CLICKHOUSES = ["embedded"]
if f"{TEST_PREFIX}CLICKHOUSE" in os.environ or docker_answers():
    CLICKHOUSES.append("server")


def free_port() -> int:
    """A port on loopback that nothing listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pytest_configure(config: pytest.Config) -> None:
    """Let SIGTERM unwind the tests as Ctrl-C does. Fetch Kafka's jars once, before the processes that share the work start."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = availability(JARS_HOME)
    if f"{TEST_PREFIX}KAFKA" in os.environ or hasattr(config, "workerinput") or isinstance(found, Missing):
        return
    if found.kind == "java":
        with contextlib.suppress(DeploymentError):
            resolve_jars(jars_directory(JARS_HOME))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs on Kafka."""
    for item in items:
        if "broker" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was skipped, one line for each reason."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", ())
        if isinstance(report.longrepr, tuple)
    )
    for reason, tests in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped {tests} {'test' if tests == 1 else 'tests'}: {reason}", yellow=True)
    if "server" not in CLICKHOUSES:
        line = f"not run on a ClickHouse server: no Docker engine answers, and {TEST_PREFIX}CLICKHOUSE is not set"
        terminalreporter.write_line(line, yellow=True)


@pytest.fixture(scope="session", autouse=True)
def _settings_of_no_one() -> Iterator[None]:
    """Remove the developer's own settings from the environment of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Kafka broker, shared by all tests of the session: each uses its own topics and groups (`unique`)."""
    given = os.environ.get(f"{TEST_PREFIX}KAFKA")
    if given:
        yield given
        return
    found = availability(JARS_HOME)
    if isinstance(found, Missing):
        pytest.skip(f"no Kafka: {found.reason}")
    running = LocalBroker(tmp_path_factory.mktemp("kafka"), jars=jars_directory(JARS_HOME))
    try:
        running.start()
    except DeploymentError as error:
        pytest.skip(f"no Kafka: {error}")
    yield running.bootstrap
    running.stop()


@pytest.fixture(scope="session", params=CLICKHOUSES)
def clickhouse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a ClickHouse without its database, as `http://user:password@host:port`, shared by all tests."""
    if request.param == "embedded":
        with LocalClickHouse(tmp_path_factory.mktemp("clickhouse")) as running:
            yield running.url
        return
    given = os.environ.get(f"{TEST_PREFIX}CLICKHOUSE")
    if given:
        yield given.rstrip("/")
        return
    yield from _clickhouse_server()


def _clickhouse_server() -> Iterator[str]:
    """The server of compose.yaml, in a container that is removed at the end."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import HttpWaitStrategy

    image = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]["clickhouse"]["image"]
    container = (
        DockerContainer(image)
        .with_envs(CLICKHOUSE_USER="firstcall", CLICKHOUSE_PASSWORD="firstcall")
        .with_exposed_ports(8123)
        .waiting_for(HttpWaitStrategy(8123, "/ping").with_startup_timeout(120))
    )
    with container as running:
        host = running.get_container_host_ip().replace("localhost", "127.0.0.1")
        yield f"http://firstcall:firstcall@{host}:{running.get_exposed_port(8123)}"


@pytest.fixture
def unique() -> str:
    """A name that no other test uses: for topic prefixes, groups, databases."""
    return f"t{uuid4().hex[:12]}"


@pytest.fixture
def database(clickhouse: str, unique: str) -> Iterator[str]:
    """The address of a fresh database with all tables and views."""
    url = f"{clickhouse}/{unique}"
    address = Address.parse(url)
    migrate(address)
    yield url
    client = connect(address, database="default")
    client.command(f"DROP DATABASE `{unique}`")
    client.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of the test's own."""
    with small_disk(tmp_path / "disk", megabytes=1_000) as directory:
        yield directory


@pytest.fixture
def clickhouse_service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalClickHouse]:
    """A ClickHouse of the test's own, to be broken, on the test's own disk if it has one. Always at the same port."""
    home = request.getfixturevalue("disk") if "disk" in request.fixturenames else tmp_path
    with LocalClickHouse(home / "clickhouse", free_port()) as running:
        yield running


@pytest.fixture
def kafka_service(broker: str, tmp_path: Path) -> Iterator[LocalBroker]:
    """A broker of the test's own, to be broken. Always at the same port. Skipped where there is no Kafka for `broker`."""
    del broker
    if isinstance(availability(JARS_HOME), Missing):
        pytest.skip("no Kafka that the test may break")
    with LocalBroker(tmp_path / "kafka", free_port(), jars=jars_directory(JARS_HOME)) as running:
        yield running


@pytest.fixture(scope="session")
def simulated() -> list[Record]:
    """The records of a simulated population, unusual events among them, in the order of their arrival."""
    population = Population(seed=3, target_events=6_000)
    return [Record(source_of(topic), value, NOW_MS) for topic, value in population.messages()]


@pytest.fixture(scope="module")
def address(clickhouse: str) -> Iterator[Address]:
    """A database with all tables and views, for the tests of one file."""
    with fresh_database(clickhouse) as address:
        yield address


@pytest.fixture(scope="module")
def connected(address: Address) -> Iterator[Client]:
    """A client of that database, which keeps its rows."""
    with connect(address) as client:
        yield client


@pytest.fixture
def client(connected: Client) -> Client:
    """A client of that database, with all rows removed."""
    empty_tables(connected)
    return connected
