"""A private certificate authority, and what it signs, by openssl: as an operator would."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Certificate:
    """Its files, all PEM. `both`: key and certificate in one, as Kafka reads them."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Signs certificates in a folder. `file` is what clients trust."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl to make certificates with")
        self._folder = folder
        self._name = name
        self.file = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        subject = ["-subj", f"/CN={name}", "-days", "2"]
        usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        _openssl("req", "-x509", *_NEW_KEY, "-keyout", self._key, "-out", self.file, *subject, *usage)

    def sign(self, name: str, alternatives: str) -> Certificate:
        """A certificate of a name. `alternatives`: what it is valid for, as in `DNS:localhost,IP:127.0.0.1`."""
        made = Certificate(*(self._folder / f"{self._name}-{name}.{ending}" for ending in ("pem", "key", "both")))
        named = ["-subj", f"/CN={name}", "-days", "2", "-addext", f"subjectAltName={alternatives}"]
        signed: list[str | Path] = [
            "-CA",
            self.file,
            "-CAkey",
            self._key,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]
        _openssl("req", "-x509", *_NEW_KEY, "-keyout", made.key, "-out", made.certificate, *named, *signed)
        made.both.write_text(made.key.read_text() + made.certificate.read_text())
        return made


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
