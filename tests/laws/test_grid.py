"""Web by API, developer by company: each of the sixteen cells is a story, fed to the streams and compared in the views."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deploy.importer.in_process import InProcess
from schemas.config.definitions import load
from schemas.config.settings import Settings
from sinks.clickhouse import connect
from tests.support import grid
from tests.support.contract_reader import read_contract, wire
from tests.support.grid import BEYOND, GRID, KNOWN, Story, shown
from tests.support.reference import compute, differences
from tests.support.streams_in_memory import InMemoryStreams
from tests.support.tables import empty_tables, fresh_database
from tests.support.worlds import SECRETS

DEFINITIONS = load()
CELLS = [(web, api) for web in KNOWN for api in KNOWN]
STORIES: dict[str, Callable[[], Story]] = {
    **{
        f"web knows {web}, API knows {api}: {GRID[web, api].__name__.replace('_', ' ')}": GRID[web, api]
        for web, api in CELLS
    },
    **{name.replace("_", " "): story for name, story in BEYOND.items()},
}
every_story = pytest.mark.parametrize("story_of", STORIES.values(), ids=STORIES)


@pytest.fixture(scope="module")
def tables(clickhouse):
    """A database, and a client of it."""
    with fresh_database(clickhouse) as address, connect(address) as client:
        yield f"{clickhouse}/{address.database}", client


def test_the_grid_has_a_story_for_each_cell_and_is_drawn_with_it():
    assert set(GRID) == set(CELLS)
    drawn = " ".join((grid.__doc__ or "").split())
    assert all(word in drawn for story in GRID.values() for word in story.__name__.split("_"))


@every_story
def test_the_streams_publish_developers_companies_and_links(story_of):
    story = story_of()
    for delivered in (story.records, story.records[::-1], [*story.records, *story.records]):
        for batch in (1, len(delivered)):
            streams = InMemoryStreams(DEFINITIONS, partitions=3)
            streams.feed(delivered, batch=batch)
            published = streams.published()
            assert shown(published) == (story.developers, story.companies, story.links)
            expected = compute(story.records, DEFINITIONS, SECRETS)
            published.events, published.event_rows = expected.events, expected.event_rows
            assert differences(expected, published) == []


@every_story
def test_the_views_hold_the_same_and_the_owner_of_each_event(story_of, tables):
    story, (url, client) = story_of(), tables
    empty_tables(client)
    process = InProcess(Settings(clickhouse=url), DEFINITIONS, SECRETS)
    for record in story.records:
        process.send(f"{record.topic}-events", None, wire(record))
    process.finish()
    published = read_contract(client)
    assert {
        event[0]: (owner.developer_id, owner.company_id) for event, owner in published.events.items()
    } == story.owners
    assert shown(published) == (story.developers, story.companies, story.links)
    assert differences(compute(story.records, DEFINITIONS, SECRETS), published) == []
