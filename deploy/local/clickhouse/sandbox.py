"""Confines this process to a directory by Linux's Landlock, whatever statements the engine runs.

`sql_policy` cannot see all SQL in advance: it hides in strings, in settings, and in the queries of dictionaries.
Landlock denies this process all other files (Linux 5.19 or newer) and connections (6.7 or newer).
On other systems `sql_policy` is the only protection.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from deploy.local.process.child_process import CODE

#: The same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_GET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1
_NO_NEW_PRIVILEGES: Final = 38
#: From this version on a file may be moved between folders, and truncating one is a right of its own.
_OLDEST_VERSION: Final = 3
_VERSION_OF_NETWORK: Final = 4
_VERSION_OF_DEVICES: Final = 5

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIRECTORY = (1 << bit for bit in range(4))
_REMOVE_DIRECTORY, _REMOVE_FILE, _MAKE_DIRECTORY, _MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_MAKE_LINK, _REFER, _TRUNCATE, _CONTROL_DEVICE = 1 << 12, 1 << 13, 1 << 14, 1 << 15
_EVERYTHING: Final = (1 << 15) - 1
_LISTEN, _CONNECT = 1, 2

_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
# No right to execute: this process starts no program.
_READ: Final = _READ_FILE | _READ_DIRECTORY
_OWN: Final = (
    *(_READ_FILE, _READ_DIRECTORY, _WRITE_FILE, _TRUNCATE, _REFER),
    *(_REMOVE_DIRECTORY, _REMOVE_FILE, _MAKE_DIRECTORY, _MAKE_FILE, _MAKE_LINK),
)

#: Libraries, time zones, and the machine's memory and processors. Not all of `/proc/self`: it contains the environment.
_OF_THE_SYSTEM: Final = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/localtime"),
    *("/etc/ld.so.cache", "/dev/null", "/dev/urandom", "/sys/devices/system/cpu", "/sys/fs/cgroup"),
    *("/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/loadavg", "/proc/uptime", "/proc/sys/vm"),
    # The engine reads the auxiliary vector here. Without the file it searches the memory behind the environment, which Python has
    # moved, and crashes while it is loaded.
    "/proc/self/auxv",
    *("/proc/self/maps", "/proc/self/status", "/proc/self/statm", "/proc/self/limits", "/proc/self/mounts"),
)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("directory", ctypes.c_int32))


def confine(directory: Path) -> bool:
    """Restrict this thread and its later threads to reading and writing one directory, without new connections.

    Call it before any other thread starts: Landlock does not restrict the threads that exist.

    Open files stay open; Python's own files and the system's libraries stay readable. It cannot be undone.
    Returns whether the kernel supports it. Raises OSError when a kernel that does refuses.
    """
    version = landlock_version()
    if version < _OLDEST_VERSION:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    handled = _EVERYTHING | (_CONTROL_DEVICE if version >= _VERSION_OF_DEVICES else 0)
    ruleset = _Ruleset(handled, _LISTEN | _CONNECT if version >= _VERSION_OF_NETWORK else 0)
    # An older kernel rejects the second number.
    size = ctypes.sizeof(ruleset) if version >= _VERSION_OF_NETWORK else 8
    rules = _checked(libc.syscall(_CREATE_RULESET, ctypes.byref(ruleset), size, 0))
    try:
        _allow(libc, rules, [directory], sum(_OWN))
        _allow(libc, rules, _readable(), _READ)
        _allow(libc, rules, [Path("/dev/null")], _READ_FILE | _WRITE_FILE)
        _checked(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        _checked(libc.syscall(_RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)
    return True


def landlock_version() -> int:
    """The version of Landlock in the kernel; 0 if it has none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, 0, _GET_VERSION)))


def _readable() -> Iterator[Path]:
    """The files that Python and the engine still load."""
    yield from (Path(path) for path in _OF_THE_SYSTEM)
    yield from {Path(prefix) / "lib" for prefix in (sys.prefix, sys.base_prefix)}
    yield from {Path(place) for place in sys.path if Path(place).name in {"site-packages", "dist-packages"}}
    # Not the whole checkout: it may contain `.firstcall` with its secrets.
    yield from (CODE / package for package in ("schemas", "streams", "sinks", "deploy"))


def _allow(libc: ctypes.CDLL, rules: int, paths: Iterable[Path], access: int) -> None:
    for path in paths:
        with suppress(FileNotFoundError):
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = _PathBeneath(access if path.is_dir() else access & _OF_FILES, opened)
                _checked(libc.syscall(_ADD_RULE, rules, _RULE_PATH_BENEATH, ctypes.byref(rule), 0))
            finally:
                os.close(opened)


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the process cannot be confined: {os.strerror(number)}")
    return answer
