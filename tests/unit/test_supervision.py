"""Starting again what has ended: how often, how soon, and when not."""

from __future__ import annotations

import time
from pathlib import Path

from deploy.local.process.children import Children
from deploy.local.process.supervision import COUNTED_SECONDS, PAUSES_SECONDS, Restarts, Supervision


def test_pauses_grow_and_then_it_is_given_up():
    restarts = Restarts()
    assert tuple(restarts.pause(now) for now in range(len(PAUSES_SECONDS))) == PAUSES_SECONDS
    assert restarts.pause(10) is None


def test_old_restarts_do_not_count():
    restarts = Restarts()
    for now in range(len(PAUSES_SECONDS)):
        restarts.pause(now)
    assert restarts.pause(COUNTED_SECONDS + 2.5) == PAUSES_SECONDS[2]


def test_a_process_that_ends_is_started_again_after_a_pause_and_reported_in_one_line(tmp_path: Path):
    reported: list[str] = []
    children = Children(tmp_path, {})
    children.start("one", "version")
    supervision = Supervision(children, reported.append)
    (child,) = children.running
    first = child.process
    first.wait(30)
    assert supervision.check() is None
    assert reported == [
        f"one has ended with code 0; starting it again in 1 s (1 of 5 times in 10 minutes); log: {tmp_path / 'one.log'}"
    ]
    while child.process is first:
        assert supervision.check() is None
        time.sleep(0.1)
    child.process.wait(30)
    assert child.log.read_text().count("firstcall 0.1.0") == 2, "the log goes on"
    children.stop()


def test_a_process_that_was_given_something_wrong_is_given_up_at_once(tmp_path: Path):
    children = Children(tmp_path, {"FIRSTCALL_PARTITIONS": "many"})
    children.start("one", "worker")
    (child,) = children.running
    child.process.wait(30)
    given_up = Supervision(children, print).check()
    assert given_up is not None
    assert given_up.process.exit_code == 2
    assert "FIRSTCALL_PARTITIONS='many'" in given_up.process.last_log_lines()
    children.stop()
