"""Serves a directory in the foreground: `python -m deploy.local.clickhouse --data DIRECTORY --port PORT`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.local.clickhouse.service import DEFAULT_PORT, serve
from schemas.errors import DeploymentError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.clickhouse", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data directory, as FIRSTCALL_DATA_DIR")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port on loopback; 0 for a free one")
    parser.add_argument("--for-pid", type=int, help="process that uses the directory; its number is recorded there")
    parser.add_argument("--run", default="", help="name of this run for that process")
    given = parser.parse_args()
    try:
        serve(given.data, given.port, for_pid=given.for_pid, run=given.run, on_ready=_print_url)
    except DeploymentError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _print_url(url: str) -> None:
    print(f"ClickHouse serves at {url}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
