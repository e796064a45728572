"""A worker that ends when any thread but that of its Kafka client seeks: `python -m tests.support.workers.strict worker`."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from typing import Any

from aiokafka.consumer.fetcher import Fetcher

from deploy.cli.main import main

WRONG_THREAD = 7

start: Any = Fetcher.__init__
seek_to: Any = Fetcher.seek_to


def _started(self: Any, *args: Any, **options: Any) -> None:
    self.thread = threading.get_ident()
    start(self, *args, **options)


def _strictly(self: Any, *args: Any) -> None:
    if threading.get_ident() != self.thread:
        faulthandler.dump_traceback(file=sys.stderr)
        os._exit(WRONG_THREAD)
    seek_to(self, *args)


if __name__ == "__main__":
    Fetcher.__init__ = _started
    Fetcher.seek_to = _strictly
    main()
