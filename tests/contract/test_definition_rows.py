"""The configuration as views find it in ClickHouse."""

from __future__ import annotations

from schemas.config.definitions import build
from sinks.definition_rows import SECTIONS, plain_sections, recorded, write_definitions
from tests.support.contract_reader import rows

ENTRIES = f"SELECT section, name FROM definitions WHERE section IN {SECTIONS} ORDER BY section, position"


def test_the_views_find_every_entry_of_the_configuration_in_its_order(client):
    definitions = build({})
    write_definitions(client, definitions)
    entries = rows(client, ENTRIES)
    assert entries == [(section, name) for section in sorted(SECTIONS) for name in getattr(definitions, section)]
    parts = "JSONExtractString(definition, 'phase'), JSONExtractString(definition, 'selector')"
    docs = rows(client, f"SELECT {parts} FROM definitions WHERE section = 'stages' AND name = 'docs'")
    assert docs == [("consideration", "docs_page")]


def test_what_is_configured_no_more_goes_and_the_same_is_not_written_again(client):
    write_definitions(client, build({}))
    fewer = build({"power_users": {"daily": {"levels": ["developer"], "active_days": 7, "of_days": 7}}})
    write_definitions(client, fewer)
    version = rows(client, "SELECT max(version) FROM definition_rows")
    write_definitions(client, fewer)
    assert rows(client, "SELECT max(version) FROM definition_rows") == version
    wanted = "SELECT name FROM definitions WHERE section = 'power_users'"
    assert rows(client, wanted) == [("daily",)]


def test_all_that_numbers_were_made_under_can_be_read_back_but_for_who_is_internal(client, address):
    definitions = build({"internal": {"email_domains": ["example.com"]}})
    write_definitions(client, definitions)
    found = recorded(client)
    assert found is not None
    assert found == (address.database, definitions.fingerprint(), plain_sections(definitions))
    assert rows(client, "SELECT count() FROM definitions WHERE definition LIKE '%example.com%'") == [(0,)]
    assert recorded(client, own=True) == found
