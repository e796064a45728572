"""How long a worker takes to come back to much state: `make recovery ALIASES=1000000`.

The aliases are visitors with an event each, which the worker has folded before.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from deploy.local.kafka.broker import LocalBroker
from deploy.local.kafka.runtime import jars_directory
from deploy.local.process.children import unwinding_signals
from schemas.config.definitions import load
from tests.conftest import JARS_HOME
from tests.support.pipeline import Pipeline
from tests.support.reference import Record
from tests.support.worlds import MONDAY

PATIENCE_SECONDS: Final = 3_600.0


def signups(aliases: int) -> Iterator[Record]:
    """An event of each of so many visitors: the least that makes an alias."""
    for number in range(aliases):
        event = {
            "type": "track",
            "event": "Signed Up",
            "messageId": f"m{number}",
            "anonymousId": f"visitor-{number:08d}",
            "timestamp": "2026-01-05T00:00:00Z",
        }
        yield Record("web", orjson.dumps(event), MONDAY)


def drained(pipeline: Pipeline) -> float:
    """Seconds until all is worked on."""
    began = time.monotonic()
    while True:
        acknowledged, left = pipeline.progress()
        if acknowledged and not left:
            return time.monotonic() - began
        assert time.monotonic() - began < PATIENCE_SECONDS, (acknowledged, left)
        time.sleep(0.2)


def back_again(pipeline: Pipeline) -> float:
    """Seconds from the start of the worker until it has worked on an event that came meanwhile."""
    began = time.monotonic()
    pipeline.start("worker-1")
    pipeline.feed(signups(1))
    drained(pipeline)
    return time.monotonic() - began


def megabytes(directory: Path) -> float:
    """What the files in it hold."""
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file()) / 1e6


def main() -> None:
    """Print the table of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aliases", type=int, default=1_000_000)
    aliases = parser.parse_args().aliases
    with (
        tempfile.TemporaryDirectory() as place,
        LocalBroker(Path(place), jars=jars_directory(JARS_HOME)) as broker,
    ):
        pipeline = Pipeline(broker.bootstrap, "recovery", Path(place), load(), 3)
        try:
            pipeline.start("worker-1")
            began = time.monotonic()
            pipeline.feed(signups(aliases))
            drained(pipeline)
            print(f"{aliases:,} aliases: built in {time.monotonic() - began:.0f} s")
            pipeline.kill("worker-1", signal.SIGTERM)
            state = pipeline.state("worker-1")
            print(f"state on disk: {megabytes(state):,.0f} MB")
            print(f"after SIGTERM, with local state: {back_again(pipeline):.1f} s")
            pipeline.kill("worker-1")
            print(
                f"after kill -9, with local state: {back_again(pipeline):.1f} s, of them up to 8 s for the group to notice"
            )
            pipeline.kill("worker-1", signal.SIGTERM)
            shutil.rmtree(state)
            print(f"without local state: {back_again(pipeline):.1f} s")
        finally:
            pipeline.stop()


if __name__ == "__main__":
    with unwinding_signals():
        main()
