"""Log lines: one form for all, and only what someone should read."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from deploy import logs
from schemas.configuration import load_settings


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """Configure with settings, and read the lines logged since."""
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def configured(**given: Any) -> list[dict[str, Any]]:
        if given:
            logs.configure(load_settings(**given))
            return []
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    yield configured
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def test_lines_of_structlog_and_of_the_standard_library_have_one_form(lines):
    lines(log_format="json")
    structlog.get_logger("firstcall.sink").info("rows written", rows=3)
    logging.getLogger("elsewhere").warning("careful: %s", "hot")
    ours, theirs = lines()
    assert (ours["event"], ours["rows"], ours["level"], ours["logger"]) == ("rows written", 3, "info", "firstcall.sink")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("careful: hot", "warning", "elsewhere")
    assert ours["at"].endswith("Z")


def test_what_libraries_say_in_passing_is_left_out(lines):
    lines(log_format="json")
    logging.getLogger("faust.worker").info("a banner")
    logging.getLogger("aiokafka.consumer").warning("this matters")
    assert [line["event"] for line in lines()] == ["this matters"]


def test_the_level_is_the_setting(lines):
    lines(log_format="json", log_level="ERROR")
    log = structlog.get_logger("firstcall.streams")
    log.warning("not now")
    log.error("now")
    assert [line["event"] for line in lines()] == ["now"]


def test_an_exception_is_one_line(lines):
    lines(log_format="json")
    try:
        raise ValueError("no")
    except ValueError:
        structlog.get_logger("firstcall.sink").exception("failed")
    (line,) = lines()
    assert "ValueError: no" in line["exception"]
