"""The command `firstcall clickhouse`."""

from __future__ import annotations

from deploy.cli.terminal import out, settings_or_exit


def clickhouse() -> None:
    """Serve the embedded ClickHouse on loopback, from the data directory, for any ClickHouse client that speaks HTTP.

    Example: `FIRSTCALL_CLICKHOUSE_PORT=8123 firstcall clickhouse`
    """
    from deploy.local.clickhouse import serve

    settings = settings_or_exit()
    serve(
        settings.data_dir,
        settings.clickhouse_port,
        on_ready=lambda url: out.plain(f"ClickHouse serves at {url}. Ctrl-C ends it."),
    )
