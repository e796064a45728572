"""Finds what can run the local broker on this machine: Kafka's jars on Java, or its official image on Docker."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from schemas.errors import DeploymentError

OLDEST_JAVA: Final = 17
FETCHED_WITHIN_SECONDS: Final = 900.0

_POM: Final = Path(__file__).resolve().parent / "pom.xml"
#: Of every jar that the POM leads to, as `sha256sum` writes it.
_HASHES: Final = _POM.parent / "jars.sha256"


@dataclass(frozen=True)
class Available:
    """The local broker can run here. `detail` names Kafka's version and what runs it, for the operator."""

    kind: Literal["java", "docker"]
    detail: str


@dataclass(frozen=True)
class Missing:
    """The local broker cannot run here. One line each: why, and what to do."""

    reason: str
    what_to_do: str


def kafka_version() -> str:
    found = re.search(r"<kafka.version>([^<]+)</kafka.version>", _POM.read_text())
    assert found is not None, "pom.xml pins a version of Kafka"
    return found[1]


def availability(data_dir: Path, *, jars: Path | None = None) -> Available | Missing:
    """What would run the local broker. Its jars are in `jars`, by default in the data directory.

    Nothing is fetched, so the first start may still find that Maven's repository is out of reach.
    """
    java = find_java()
    missing: list[str] = []
    if isinstance(java, str):
        missing.append(java)
    elif jars_resolved(jars or jars_directory(data_dir)) or shutil.which("mvn"):
        return Available("java", f"Apache Kafka {kafka_version()} on Java {java.version}")
    else:
        missing.append("Maven, which fetches Kafka's jars, is not installed")
    engine = _docker_engine()
    if engine is not None:
        return Available("docker", f"Apache Kafka {kafka_version()}, its official image, on Docker {engine}")
    return Missing(
        f"{' and '.join(missing)}, and no Docker engine answers",
        f"install Java {OLDEST_JAVA} or newer and Maven, or start Docker, or name a broker in FIRSTCALL_KAFKA",
    )


def jars_directory(data_dir: Path) -> Path:
    """The folder of Kafka's jars, for all brokers of a data directory."""
    return data_dir / "kafka" / f"jars-{kafka_version()}"


def resolve_jars(directory: Path) -> None:
    """Fetch Kafka's jars into a directory by Maven, some 50 MB, unless they are there. Raises DeploymentError."""
    if jars_resolved(directory):
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise DeploymentError("Maven, which fetches Kafka's jars, is not installed; install it, or set FIRSTCALL_KAFKA")
    directory.parent.mkdir(parents=True, exist_ok=True)
    # The folder is moved into place when it is complete: half the jars must never be used.
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="fetching-") as fetched:
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={fetched}", "-DincludeScope=runtime"]
        try:
            run = subprocess.run(
                [maven, "-q", "-B", "--strict-checksums", "-Dstyle.color=never", "-f", str(_POM), *goal],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=FETCHED_WITHIN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DeploymentError(
                "Maven did not fetch Kafka's jars in time; see whether its repository answers"
            ) from None
        if run.returncode:
            reason = next((line for line in run.stdout.splitlines() if "[ERROR]" in line), run.stderr.strip()[-300:])
            raise DeploymentError(f"Maven could not fetch Kafka's jars: {reason.replace('[ERROR] ', '').strip()}")
        wrong = wrong_jars(Path(fetched))
        if wrong:
            raise DeploymentError(
                f"Maven brought other jars than {_HASHES.name} names: {', '.join(wrong)}; they are not run. Remove them from Maven's own "
                "repository, ~/.m2, and check which repository its settings name"
            )
        Path(fetched).chmod(0o755)
        with suppress(OSError):  # another process was first
            Path(fetched).rename(directory)
            Path(fetched).mkdir()


def wrong_jars(directory: Path) -> list[str]:
    """The jars of a directory that have no known name and hash, and those that are missing."""
    known = {name: digest for digest, name in (line.split() for line in _HASHES.read_text().splitlines())}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in directory.glob("*.jar")}
    return sorted(name for name in known.keys() | found.keys() if known.get(name) != found.get(name))


@dataclass(frozen=True)
class Java:
    """A Java that is new enough for Kafka."""

    path: str
    version: int


def find_java() -> Java | str:
    """The Java of JAVA_HOME, else the one on the path; or the reason that there is none."""
    home = os.environ.get("JAVA_HOME")
    path = shutil.which("java", path=f"{home}/bin") if home else None
    path = path or shutil.which("java")
    if path is None:
        return "Java is not installed"
    shown = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(?:1\.)?(\d+)', shown.stderr + shown.stdout)
    if shown.returncode or found is None:
        return f"{path} does not run"
    version = int(found[1])
    return Java(path, version) if version >= OLDEST_JAVA else f"Java {version} is too old"


def _docker_engine() -> str | None:
    """The version of the Docker engine that answers, if any does."""
    if shutil.which("docker") is None:
        return None
    try:
        asked = subprocess.run(
            ["docker", "info", "--format", "{{.ServerVersion}}"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return asked.stdout.strip() or None if asked.returncode == 0 else None


def jars_resolved(directory: Path) -> bool:
    return (directory / f"kafka_2.13-{kafka_version()}.jar").exists()
