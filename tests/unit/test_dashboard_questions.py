"""The benchmark of the read side leaves nothing out."""

from __future__ import annotations

import re

import pytest

from schemas.sql.named_queries import query_names, read_query
from sinks.migrations import load_migrations
from tests.benchmarks.dashboard_questions import QUESTIONS
from tests.benchmarks.queries import variants

VIEWS = [migration.name for migration in load_migrations() if " VIEW " in migration.sql]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_asked(view):
    assert any(re.search(rf"FROM {view}\b", sql) for sql in QUESTIONS.values()), f"no question reads {view}"


@pytest.mark.parametrize("name", query_names())
def test_every_named_query_is_asked(name):
    assert list(variants(read_query(name)))
