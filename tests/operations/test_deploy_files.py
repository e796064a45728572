"""The files of a deployment hang together: whatever one of them names is there, and is what it is called."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from deploy.cli.main import app
from deploy.doctor.checks import CHECKS
from deploy.local.kafka.runtime import kafka_version
from schemas.config.loading import load_settings
from schemas.config.settings import Settings
from schemas.config.sources import variable
from tests.integration.test_clickhouse_users import ROLES

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE_TEXT = (DEPLOY / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("firstcall")]
#: Whose address each service has: of a user of clickhouse-users.sql, or of nobody.
CLICKHOUSE_ROLES = {
    "migrate": "migrator",
    "worker": "",
    "sink": "writer",
    "alerts": "writer",
    "firstcall": "reader",
    "operator": "migrator",
}
USERS_SCRIPT = DEPLOY / "clickhouse-users.sh"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

KNOWN_VARIABLES = {variable(name) for name in Settings.model_fields}
KNOWN_VARIABLES |= {f"{name}_FILE" for name in KNOWN_VARIABLES}
COMMANDS = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
INTERPOLATION = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def example_variables() -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / ".env.example").read_text(), re.MULTILINE))


def write_secrets(directory: Path) -> dict[str, str]:
    """Write the secrets of compose.yaml, by the commands of its head; the passwords of ClickHouse's users, by role."""
    [made] = re.findall(r"^#   (for role in .*)$", COMPOSE_TEXT, re.MULTILINE)
    commands = f"mkdir secrets && openssl rand -hex 32 > secrets/api_key_secrets\n{made}\nmv secrets/* ."
    subprocess.run(["sh", "-euc", commands], cwd=directory, check=True)
    files = {file.name.removeprefix("clickhouse_"): file for file in directory.glob("clickhouse_*")}
    return {role: str(urlsplit(file.read_text().strip()).password) for role, file in files.items()}


def run_users_script(secrets: Path) -> subprocess.CompletedProcess[str]:
    """Run the script of the service `clickhouse-users` on a folder with secrets and a `clickhouse-client`."""
    environment = {"PATH": f"{secrets}:{os.environ['PATH']}", "SECRETS": str(secrets)}
    return subprocess.run(["sh", str(USERS_SCRIPT)], env=environment, capture_output=True, text=True, check=False)


def instructions(name: str) -> list[str]:
    """The arguments of all instructions of a name in the Dockerfile, continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", DOCKERFILE)
    return re.findall(rf"^{name} (.+)$", joined, re.MULTILINE)


# compose.yaml


def test_compose_follows_the_specification():
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_and_the_example_name_the_same_variables():
    assert {name for name, _, _ in INTERPOLATION.findall(COMPOSE_TEXT)} == set(example_variables())


def test_defaults_of_compose_are_those_of_the_example():
    example = example_variables()
    for name, kind, default in INTERPOLATION.findall(COMPOSE_TEXT):
        if kind == "-":
            assert default == example[name], name
        else:
            assert (kind, example[name]) == ("?", ""), f"{name} has no default, so the example leaves it empty"


def test_compose_sets_only_settings_that_exist():
    for name in OURS:
        assert set(SERVICES[name]["environment"]) <= KNOWN_VARIABLES


@pytest.mark.parametrize("service", OURS)
def test_the_settings_of_each_service_are_accepted(service, monkeypatch, tmp_path):
    example = example_variables()
    write_secrets(tmp_path)
    for name, value in SERVICES[service]["environment"].items():
        given = INTERPOLATION.sub(lambda found: example[found[1]], str(value))
        monkeypatch.setenv(name, given.replace("/run/secrets", str(tmp_path)))
    monkeypatch.setenv("FIRSTCALL_CONFIG", str(DEPLOY / example["FIRSTCALL_CONFIG"]))
    settings = load_settings()
    assert settings.kafka == "kafka:9092"
    if role := CLICKHOUSE_ROLES[service]:
        assert settings.clickhouse_shown == f"http://firstcall_{role}@clickhouse:8123/firstcall"
    else:
        assert settings.clickhouse is None


def test_services_reach_each_other_by_name():
    listeners = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert "INTERNAL://kafka:9092" in listeners
    assert "--host clickhouse " in USERS_SCRIPT.read_text()


def test_each_service_is_a_clickhouse_user_of_its_own_and_holds_no_other_secret():
    assert set(CLICKHOUSE_ROLES) == set(OURS)
    for name, role in CLICKHOUSE_ROLES.items():
        service = SERVICES[name]
        assert service["secrets"] == ["api_key_secrets", *([f"clickhouse_{role}"] if role else [])], name
        assert not any("password" in str(value).lower() for value in service["environment"].values()), name
    assert SERVICES["clickhouse"]["environment"]["CLICKHOUSE_USER"] == "firstcall_admin"


def test_the_users_of_compose_have_the_passwords_of_their_addresses(tmp_path):
    """By a `clickhouse-client` that writes down its arguments: the server is Docker's."""
    passwords = write_secrets(tmp_path)
    assert set(passwords) == set(ROLES)
    client = tmp_path / "clickhouse-client"
    client.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {tmp_path}/arguments\ncat > {tmp_path}/statements\n")
    client.chmod(0o755)
    done = run_users_script(tmp_path)
    assert done.returncode == 0, done.stderr
    arguments = (tmp_path / "arguments").read_text().splitlines()
    for role, password in passwords.items():
        assert f"--param_{role}_hash={sha256(password.encode()).hexdigest()}" in arguments
    assert (tmp_path / "statements").read_text() == (DEPLOY / "clickhouse-users.sql").read_text()
    assert not any(password in " ".join(arguments) for password in passwords.values())


@pytest.mark.parametrize("address", ["", "secret", "http://firstcall_reader:abc@clickhouse:8123/firstcall"])
def test_a_secret_that_is_no_address_of_its_user_is_refused(tmp_path, address):
    write_secrets(tmp_path)
    (tmp_path / "clickhouse_writer").write_text(address)
    done = run_users_script(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("clickhouse_writer holds no address of its user; write http://firstcall_writer:")


@pytest.mark.parametrize("service", OURS)
def test_each_service_runs_a_command_that_exists(service):
    assert SERVICES[service]["command"][0] in COMMANDS
    healthcheck = SERVICES[service]["healthcheck"]
    if not healthcheck.get("disable"):
        _, program, command, *arguments = healthcheck["test"]
        assert (program, command) == ("firstcall", "doctor")
        assert set(arguments) - {"--quiet"} <= set(CHECKS)


def test_what_a_service_waits_for_can_come_true():
    for service in SERVICES.values():
        for name, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert SERVICES[name]["healthcheck"]["test"]
            else:
                assert (condition["condition"], SERVICES[name]["restart"]) == ("service_completed_successfully", "no")


@pytest.mark.parametrize("service", [name for name, service in SERVICES.items() if service["restart"] != "no"])
def test_whatever_stays_up_is_restarted_checked_and_bounded(service):
    service = SERVICES[service]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]
    assert service["stop_grace_period"]
    assert service["logging"]["options"]["max-size"]


def test_images_are_of_a_version():
    for service in SERVICES.values():
        name, _, tag = service["image"].partition(":")
        assert tag, name
        assert tag != "latest", name


def test_images_are_of_the_versions_that_the_tests_run_on():
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka_version()}"
    engine = ".".join(version("chdb-core").split(".")[:2])
    assert SERVICES["clickhouse"]["image"] == f"clickhouse/clickhouse-server:{engine}"
    assert {SERVICES[name]["image"] for name in OURS} == {f"firstcall:{PROJECT['version']}"}


def test_only_loopback_is_published():
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_our_services_have_no_rights():
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_all_that_services_use_is_declared_and_there():
    for service in SERVICES.values():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        assert {config["source"] for config in service.get("configs", [])} <= set(COMPOSE["configs"])
        named = [volume.split(":")[0] for volume in service.get("volumes", []) if ":" in volume]
        assert set(named) <= set(COMPOSE["volumes"])
        if "build" in service:
            context = (DEPLOY / service["build"]["context"]).resolve()
            assert context == ROOT
            assert (context / service["build"]["dockerfile"]).is_file()
    assert (DEPLOY / example_variables()["FIRSTCALL_CONFIG"]).is_file()


def test_a_secret_is_mounted_where_the_setting_looks():
    for name in OURS:
        service = SERVICES[name]
        named = [value for value in service["environment"].values() if str(value).startswith("/run/secrets/")]
        assert named == [f"/run/secrets/{secret}" for secret in service["secrets"]], name
        assert service["environment"]["FIRSTCALL_CONFIG"] == service["configs"][0]["target"]
    script = SERVICES["clickhouse-users"]
    assert script["command"][-1] in {config["target"] for config in script["configs"]}
    assert script["secrets"] == [f"clickhouse_{role}" for role in ROLES]


def test_nothing_secret_is_kept_in_the_repository():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert ".env" in ignored
    assert "deploy/secrets/" in ignored
    assert example_variables()["API_KEY_SECRETS"].startswith("./secrets/")
    assert all("./secrets/" in secret["file"] for secret in COMPOSE["secrets"].values())


# Dockerfile


def test_all_that_the_image_is_made_of_is_there_and_sent():
    sent = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source for line in instructions("COPY") if not line.startswith("--from") for source in line.split()[:-1]}
    assert copied == sent
    for source in copied:
        assert (ROOT / source).exists(), source


def test_the_image_is_not_root_and_names_known_settings():
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", instructions("USER")[-1])
    assert set(re.findall(r"FIRSTCALL_\w+", DOCKERFILE)) <= KNOWN_VARIABLES


def test_the_image_runs_a_supported_python():
    for image in instructions("FROM"):
        found = re.match(r"python:(\d+\.\d+)-slim", image)
        assert found, image
        assert found[1] in SpecifierSet(PROJECT["requires-python"])


def test_the_image_leaves_its_health_to_those_who_know_the_role():
    """A worker has no ClickHouse, and a sink waits for it: neither is unwell without."""
    assert instructions("HEALTHCHECK") == []


# What is installed


def locked(name: str) -> dict[str, str]:
    """Versions by package, of entries that have hashes."""
    entries = re.findall(
        r"^([A-Za-z0-9_.-]+)==(\S+)( ;[^\\]*)? \\\n +--hash=sha256:[0-9a-f]{64}",
        (ROOT / name).read_text(),
        re.MULTILINE,
    )
    return {f"{canonicalize_name(package)}{marker.strip()}": found for package, found, marker in entries}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_hashes_and_no_address(name):
    text = (ROOT / name).read_text()
    assert len(locked(name)) == len(re.findall(r"^[A-Za-z0-9]", text, re.MULTILINE))
    assert "://" not in text


def test_both_locks_agree():
    for name, found in locked("requirements.lock").items():
        assert locked("requirements-dev.lock")[name] == found


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("requirements.lock", PROJECT["dependencies"]),
        ("requirements-dev.lock", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]),
    ],
)
def test_the_lock_has_all_that_the_project_asks_for(name, wanted):
    found = locked(name)
    for requirement in map(Requirement, wanted):
        if requirement.name != PROJECT["name"]:
            # A package may be there once for each version of Python.
            versions = [
                version
                for name, version in found.items()
                if name.partition(";")[0] == canonicalize_name(requirement.name)
            ]
            assert versions, str(requirement)
            assert all(version in requirement.specifier for version in versions), str(requirement)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (built,) = Path(folder).glob("*.whl")
    return built


def test_the_wheel_holds_all_files_of_the_four_folders_in_one_package(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    folders = ("schemas", "streams", "sinks", "deploy")
    paths = [path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    ignored = {
        path for path in paths if {"__pycache__", "secrets", "launcher"} & set(path.parts) or path.name == ".env"
    }
    assert {f"firstcall/{path}" for path in paths if path not in ignored} - held == set()
    assert {name.split("/")[0] for name in held} == {"firstcall", "firstcall-0.1.0.dist-info"}
    assert {"firstcall/__init__.py", "firstcall/__main__.py"} <= held


@pytest.mark.slow
def test_the_installed_wheel_runs_without_the_checkout(wheel, tmp_path):
    """In a folder whose own `deploy` would be imported first, by processes that are started too."""
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    (elsewhere / "deploy").mkdir(parents=True)
    (elsewhere / "deploy" / "__init__.py").write_text("raise RuntimeError('another deploy')")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(installed)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTCALL_")}

    def firstcall(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "firstcall", *arguments],
            cwd=elsewhere,
            env={**variables, "PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "firstcall 0.1.0" in firstcall("version")
    assert "activated" in firstcall("demo", "--in-process", "--developers", "20", "--days", "30")


def test_no_secret_of_a_deployment_gets_into_a_wheel_or_an_image(tmp_path):
    """As in an image's build: without .gitignore, beside the secrets that the compose file wants."""
    copy = tmp_path / "copy"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in tracked.splitlines():
        if name.split("/")[0] in ("schemas", "streams", "sinks", "deploy", "pyproject.toml", "README.md", "LICENSE"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    own = (
        "deploy/secrets/api_key_secrets",
        "deploy/secrets/clickhouse_writer",
        "deploy/.env",
        "deploy/.firstcall/secret",
    )
    for name in own:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("hunter22")
    for target in ("wheel", "sdist"):
        build = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(tmp_path)]
        subprocess.run(build, cwd=copy, capture_output=True, check=True)
    (wheel,), (sdist,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        held = [*zipfile.ZipFile(wheel).namelist(), *packed.getnames()]
    assert [name for name in held if name.endswith("/deploy/compose.yaml")]
    assert [name for name in held if any(name.endswith(each) for each in own)] == []
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    assert {"deploy/secrets", "**/.env", "**/.firstcall"} <= set(ignored[ignored.index("!deploy") :])


def test_ci_runs_what_a_developer_runs():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text()
