"""The embedded ClickHouse: a process that serves a data directory on loopback over ClickHouse's HTTP interface.

A request goes through these files:
    http_server    routes, statuses, headers, streaming
    request        URL, form and body -> QueryRequest; compression: Content-Encodings; statement: SQL as far as needed
    disk_guard     refuses writes while the disk is nearly full
    execution      settings, sessions, external tables, INSERT data; sql_policy: statements that reach outside are refused
    engine         the chDB engine and its connections; configuration: limits and grants; errors: ClickHouse's codes
Around them:
    service        the process: start, stop, signals
    sandbox        Landlock: the process reads and writes its directory only
"""

from deploy.local.clickhouse.service import LocalClickHouse, serve

__all__ = ["LocalClickHouse", "serve"]
