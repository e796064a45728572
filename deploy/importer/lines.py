"""Reads lines from files and standard input."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from schemas.errors import ConfigurationError

STDIN = "-"


class LineRef(NamedTuple):
    """Where a line stands. `file` is empty when there is only one."""

    file: str
    number: int

    def __str__(self) -> str:
        return f"{self.file} line {self.number}".lstrip()


class InputFiles:
    """Files of lines, read one after the other. Those that end in .gz are decompressed, and `-` is standard input.

    `size` is the sum of their bytes on disk, None with standard input. `problem` is empty, or why a file broke off.
    Raises ConfigurationError for a file that cannot be opened.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._sizes = [_size(name) for name in names]
        self.size = None if STDIN in names else sum(self._sizes)
        self.problem = ""
        self._bytes_before = 0
        self._open: BinaryIO | None = None

    @property
    def position(self) -> int:
        """How many bytes have been read of `size`."""
        return self._bytes_before + (self._open.seek(0, os.SEEK_CUR) if self._open else 0)

    def lines(self) -> Iterator[tuple[LineRef, bytes]]:
        """Yield each line with its place. Ends at the first file that cannot be read to its end."""
        for name, size in zip(self._names, self._sizes, strict=True):
            file, number = name if len(self._names) > 1 else "", 0
            try:
                with self._opened(name) as lines:
                    for number, line in enumerate(lines, 1):
                        yield LineRef(file, number), line
            except (OSError, EOFError, zlib.error) as error:
                self.problem = f"{name} cannot be read after line {number}: {error}"
                return
            self._bytes_before += size

    @contextmanager
    def _opened(self, name: str) -> Iterator[Iterable[bytes]]:
        if name == STDIN:
            yield sys.stdin.buffer
            return
        with Path(name).open("rb") as file:
            self._open = file
            try:
                yield gzip.GzipFile(fileobj=file) if name.endswith(".gz") else file
            finally:
                self._open = None


def _size(name: str) -> int:
    if name == STDIN:
        return 0
    try:
        with Path(name).open("rb") as file:
            return os.fstat(file.fileno()).st_size
    except OSError as error:
        raise ConfigurationError(f"{name}: {error.strerror}") from None
