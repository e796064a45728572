"""The table of refusals in the documentation is complete: each reason is produced by an example, and no other exists."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from schemas.config.definitions import load
from schemas.event import Rejected
from streams import processors
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.normalise.normaliser import Normaliser
from tests.conftest import NOW_MS
from tests.support.worlds import SECRETS

ROOT = Path(__file__).resolve().parents[2]
NORMALISER = Normaliser(load(), SECRETS)

#: Reasons that need more than a message of an input topic: who was erased, what ClickHouse refuses, an internal topic, hundreds of
#: refusals.
TESTED_ELSEWHERE = {"erased", "row_refused", "not_an_update", "more"}


def event(**fields: Any) -> bytes:
    return json.dumps({"name": "Signed Up", "user_id": "u1"} | fields).encode()


def deep(levels: int) -> Any:
    return {"a": deep(levels - 1)} if levels else 1


EXAMPLES = [
    ("empty", "", b""),
    ("empty", "", b"[]"),
    ("empty", "batch", b'{"batch": []}'),
    ("not_json", "", b"{broken"),
    ("not_an_object", "", b"12"),
    ("not_an_object", "[1]", b'[{"name": "x", "user_id": "u1"}, 2]'),
    ("too_large", "", event(properties={"x": "y" * 1_000_000})),
    ("too_large", "batch", json.dumps({"batch": [1] * 10_001}).encode()),
    ("too_large", "context", json.dumps({"batch": [{}], "context": {"x": "y" * 10_000}}).encode()),
    ("too_deep", "", b"[" * 2_000 + b"]" * 2_000),
    ("too_deep", "context", json.dumps({"batch": [{}], "context": deep(600)}).encode()),
    *(("too_deep", field, event(**{field: deep(21)})) for field in ("properties", "context", "traits")),
    ("too_deep", "[0].properties", b"[" + event(properties=deep(21)) + b"]"),
    ("unknown_type", "type", event(type="imagine")),
    *(("wrong_type", field, event(**{field: [1]})) for field in ("user_id", "properties", "name")),
    ("wrong_type", "batch[0]", b'{"batch": [{"batch": []}]}'),
    ("wrong_type", "response.status", b'{"request": {"uri": "/"}, "response": {"status": "x"}}'),
    ("wrong_value", "source", event(source="tv")),
    ("missing", "name", event(name="")),
    ("missing", "previous_id", event(type="merge")),
    ("missing", "user_id", event(type="merge", previous_id="u0", user_id=None, anonymous_id="a1")),
    ("missing", "company_id", event(type="group")),
    ("no_identifier", "", event(user_id=None)),
    ("no_identifier", "batch[0]", b'{"batch": [{"name": "x"}]}'),
    ("too_long", "anonymous_id", event(anonymous_id="x" * 513)),
    ("too_long", "name", event(name="x" * 201)),
    ("too_long", "request.uri", json.dumps({"request": {"uri": "x" * 4_001}}).encode()),
    *(("reserved", field, event(**{field: "api_key:x"})) for field in ("user_id", "company_id", "previous_id")),
    ("wrong_time", "time", event(time="yesterday")),
    ("wrong_time", "request.time", b'{"request": {"time": "x"}, "response": {"status": 1}, "user_id": "u1"}'),
    ("future", "time", event(time="2036-01-01T00:00:00Z")),
    ("ancient", "time", event(time="1999-01-01T00:00:00Z")),
    ("secret", "user_id", event(user_id="sk_live_abcd1234")),
]


def documented() -> dict[str, str]:
    """Reason: the fields that the documentation names."""
    text = (ROOT / "schemas" / "INPUT.md").read_text("utf-8")
    section = text.split("## What is refused")[1].split("## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| (.+) \|$", section, re.MULTILINE)
    return {reason: fields for reason, fields, _ in rows}


def in_code() -> set[str]:
    """Every text that is given to `Rejected` as its reason, and those that have names."""
    reasons: set[str] = set()
    for folder in ("streams", "sinks"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Rejected":
                    reasons |= {str(node.args[0].value)} if isinstance(node.args[0], ast.Constant) else set()
    return reasons


def test_the_table_names_exactly_the_reasons_that_there_are():
    assert set(documented()) == {reason for reason, _, _ in EXAMPLES} | TESTED_ELSEWHERE
    assert in_code() <= set(documented())


@pytest.mark.parametrize(("reason", "field", "message"), EXAMPLES, ids=lambda value: str(value)[:30])
def test_each_reason_is_given_with_its_field_and_ends_in_a_dead_letter(reason, field, message):
    refused = [one for one in NORMALISER(message, source="web", recorded_at=NOW_MS) if isinstance(one, Rejected)]
    assert (reason, field) in [(one.reason, one.field) for one in refused]
    named = documented()[reason]
    own = field.rpartition("].")[2]
    assert "any" in named or "the " in named or not own or f"`{own}`" in named or own.endswith("]")
    letters = processors.normalise_events(
        CompiledDefinitions(load()), NORMALISER, "web-events", "web", [(2, 7, NOW_MS, message)]
    )
    rows = [json.loads(letter.value) for letter in letters if letter.topic == "dead-letters"]
    assert (reason, field) in [(row["reason"], row["field"]) for row in rows]
    assert {(row["topic"], row["partition"], row["offset"]) for row in rows} == {("web-events", 2, 7)}
    assert all(row["detail"] for row in rows)
