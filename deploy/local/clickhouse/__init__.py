"""The embedded ClickHouse: one process owns a directory and serves it on loopback as a ClickHouse server would."""

from deploy.local.clickhouse.service import LocalClickHouse, serve

__all__ = ["LocalClickHouse", "serve"]
