"""The errors of Firstcall. Each message names what is wrong, where, and what to do; nobody needs a traceback.

    FirstcallError
    ├── ConfigurationError      settings, definitions, monitors or a named query cannot be used
    ├── DeploymentError         something that runs is missing, refuses, or is not what this process needs
    │   └── ClickHouseError     (sinks.clickhouse adds UnavailableError and StatementError)
    ├── FencedError             this process may have lost its partitions to another one, and ends
    └── StateError              state or an internal message cannot be worked on as it is

What a producer sent wrongly is no error but a value: `schemas.event.Rejected`.
"""

from __future__ import annotations


class FirstcallError(Exception):
    """Root of all errors of Firstcall."""


class ConfigurationError(FirstcallError):
    """Configuration that cannot be used. A line for each problem: file, line, column, field, what to write instead."""


class DeploymentError(FirstcallError):
    """Kafka, ClickHouse, a local service or a process is missing, refuses, or is in another state than needed."""


class ClickHouseError(DeploymentError):
    """ClickHouse or its tables cannot be used. The text names the address, never the password."""


class FencedError(FirstcallError):
    """The process may not write any more: it lost its lease, its place as the only writer, or its clock. Start it again."""


class StateError(FirstcallError):
    """State or an internal message is damaged, or was written under other definitions, secrets or versions."""
