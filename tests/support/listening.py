"""What processes listen on, and what of them anyone on the machine can see, from /proc."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

PROC = Path("/proc")
LINUX = pytest.mark.skipif(not (PROC / "self" / "net" / "tcp").exists(), reason="needs /proc to see all processes")
_LISTENS = "0A"


def tree_of(pid: int) -> list[int]:
    """A process and all that come from it."""
    children = [int(child) for child in (PROC / str(pid) / "task" / str(pid) / "children").read_text().split()]
    return [pid, *(found for child in children for found in tree_of(child))]


def command_line(pid: int) -> str:
    """What every user of the machine can read of a process."""
    return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()


def bound(pids: list[int]) -> dict[int, str]:
    """The addresses that processes listen on, by port."""
    own = {inode for pid in pids for inode in _sockets(pid)}
    return {port: address for inode, address, port in _listening() if inode in own}


def owner_of(port: int) -> int:
    """The process that listens on a port."""
    inodes = {inode for inode, _, at in _listening() if at == port}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and inodes & set(_sockets(int(entry.name))):
            return int(entry.name)
    raise AssertionError(f"nobody listens on {port}")


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    found = ipaddress.ip_address(address)
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def _sockets(pid: int) -> Iterator[str]:
    with suppress(OSError):
        for descriptor in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    yield target[8:-1]


def _listening() -> Iterator[tuple[str, str, int]]:
    for table in ("tcp", "tcp6"):
        for line in (PROC / "self" / "net" / table).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == _LISTENS:
                host, port = local.split(":")
                # Words of four bytes, each in the order of the machine.
                raw = b"".join(bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8))
                yield rest[5], str(ipaddress.ip_address(raw)), int(port, 16)
