"""The command `firstcall version`."""

from __future__ import annotations

import importlib.metadata

from deploy.cli.terminal import out

DEPENDENCIES = ("faust-streaming", "confluent-kafka", "kafka-python", "clickhouse-connect", "chdb-core", "rocksdict")


def version() -> None:
    """Print the versions of Firstcall and of what its numbers depend on.

    Example: `firstcall version`
    """
    for name in ("firstcall", *DEPENDENCIES):
        out.plain(f"{'' if name == 'firstcall' else '  '}{name} {importlib.metadata.version(name)}")
