"""The command `firstcall migrate`."""

from __future__ import annotations

from deploy.cli.terminal import out, settings_or_exit


def migrate() -> None:
    """Create topics, tables and views, or bring them up to date. Running it again changes nothing.

    Example: `FIRSTCALL_CLICKHOUSE=http://user:password@clickhouse:8123/firstcall firstcall migrate`
    """
    from deploy.stack.stack import Stack

    settings_or_exit()
    with Stack(out) as stack:
        stack.create_tables()
        stack.create_topics()
