"""The front matter of named queries."""

from __future__ import annotations

import pytest

from deploy.queries import catalog
from schemas.errors import ConfigurationError
from schemas.sql import named_queries
from schemas.sql.named_queries import parse_query


def test_a_mistake_in_a_front_matter_names_the_file_and_the_field():
    sql = "-- title: One\n-- topic: usage\n-- parameters:\n--   at: {typ: Time}\n-- columns: {one: a number}\nSELECT 1 AS one\n"
    with pytest.raises(ConfigurationError) as raised:
        parse_query("one", sql)
    assert str(raised.value) == (
        "one.sql cannot be used:\nparameters.at.typ: there is no such field; did you mean 'type'?"
    )


def test_a_query_is_found_by_opening_its_file_alone(monkeypatch):
    opened = []
    monkeypatch.setattr(named_queries, "parse_query", lambda name, _: opened.append(name))
    catalog.find_query("funnel")
    with pytest.raises(ConfigurationError):
        catalog.find_query("../migrations/001_migrations")
    assert opened == ["funnel"]
