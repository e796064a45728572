"""Log lines: one form for all, and only what someone should read."""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from deploy.cli import logs
from schemas.config.loading import load_settings

ROOT = Path(__file__).resolve().parents[2]
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


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
    structlog.get_logger("firstcall.sink").info("rows_written", rows=3)
    logging.getLogger("elsewhere").warning("careful: %s", "hot")
    ours, theirs = lines()
    assert (ours["event"], ours["rows"], ours["level"], ours["logger"]) == ("rows_written", 3, "info", "firstcall.sink")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("careful: hot", "warning", "elsewhere")
    assert ours["at"].endswith("Z")


def test_lines_of_libraries_at_level_info_are_left_out(lines):
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


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_secret_that_slips_into_a_line_is_blacked_out(form, capsys, lines, tmp_path):
    hmac, retired, sasl = "hmac-secret-0123456789", "retired-secret-0123456", 'sa"sl-password'
    lines(
        log_format=form,
        data_dir=tmp_path,
        secrets=hmac,
        retired_secrets=retired,
        kafka_options={
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "PLAIN",
            "sasl_username": "firstcall",
            "sasl_password": sasl,
        },
        clickhouse="http://firstcall:click%40house@host:8123/firstcall",
    )
    for word in (hmac, retired, sasl, "click@house", "click%40house"):
        log = logging.getLogger("aiokafka")
        log.error("refused: %s", word)
        try:
            raise ValueError(f"cannot log in with {word}")
        except ValueError:
            structlog.get_logger("firstcall.streams").exception("failed", password=word)
    printed = capsys.readouterr().err
    assert printed.count("********") >= 15
    for part in ("0123456789", "sl-password", "house@", "click"):
        assert part not in printed


def test_a_generated_secret_is_blacked_out_too(lines, capsys, tmp_path):
    (tmp_path / "secret").write_text("generated-0123456789\nsecond-0123456789abc\n")
    lines(log_format="json", data_dir=tmp_path)
    logging.getLogger("elsewhere").error("generated-0123456789 and second-0123456789abc")
    assert "0123456789" not in capsys.readouterr().err


def logged_events() -> Iterator[tuple[str, ast.Call]]:
    """Every call of a logger in streams, sinks and deploy."""
    for path in sorted(each for layer in ("streams", "sinks", "deploy") for each in (ROOT / layer).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if (
                isinstance(node, ast.Call)
                and isinstance(called, ast.Attribute)
                and ast.unparse(called.value) in ("log", "self.log")
                and called.attr in LEVELS
            ):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_events_are_snake_case_and_carry_their_values_as_fields():
    wrong = [
        place
        for place, call in logged_events()
        if len(call.args) != 1
        or (isinstance(event := call.args[0], ast.Constant) and not re.fullmatch(r"[a-z]+(_[a-z]+)*", str(event.value)))
    ]
    assert wrong == []
