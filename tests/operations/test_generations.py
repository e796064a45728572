"""Which tables dashboards read: all views change over together, what no rebuild makes is kept, and interruptions do no harm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver import Client

from deploy.rebuild import generations, history, removal, steps, view_switch
from deploy.rebuild.plan import Plan
from deploy.stack.stack import Stack
from deploy.stack.terminal import Terminal
from schemas.config.definitions import build
from schemas.config.loading import load_settings
from schemas.config.settings import Settings
from schemas.errors import ConfigurationError, DeploymentError
from sinks.clickhouse import Address, connect
from sinks.definition_rows import write_definitions
from sinks.migrations import load_migrations, migrate
from tests.support.contract_reader import rows

BEFORE = build({})
AFTER = build({"usage": "successful_call"})
#: Parameters of views that take no empty text.
GIVEN = {"weeks": "8", "lookback_days": "0", "segment": "'technology'", "level": "'developer'"}
VIEWS = sorted(migration.name for migration in load_migrations() if " VIEW " in migration.sql)


@pytest.fixture
def deployed(clickhouse: str, unique: str, tmp_path: Path) -> Iterator[Settings]:
    """Two generations with tables, the first of which is live."""
    settings = Settings(clickhouse=f"{clickhouse}/{unique}", data_dir=tmp_path)
    for generation, definitions in ((1, BEFORE), (2, AFTER)):
        migrate(generations.address_of(settings, generation))
        with of(settings, generation) as client:
            write_definitions(client, definitions)
            client.command(
                "INSERT INTO dead_letter_rows (topic, partition, offset, reason, detail)"
                f" VALUES ('x', 0, 0, 'not_json', 'u{generation}')"
            )
    yield settings
    with connect(Address.parse(settings.served_address), database="default") as client:
        for (name,) in rows(client, "SHOW DATABASES"):
            if name.startswith(unique):
                client.command(f"DROP DATABASE `{name}`")


def of(settings: Settings, generation: int) -> Client:
    return connect(generations.address_of(settings, generation))


def plan(**given: object) -> Plan:
    values: dict[str, Any] = {
        "before": 1,
        "after": 2,
        "live": None,
        "definitions": AFTER,
        "continues": False,
        "abandoned": (),
        "messages": {},
    }
    return Plan(**{**values, **given})


def readings(database: str) -> list[str]:
    """A query of each view, those with parameters included, by its full name."""
    found = []
    for migration in load_migrations():
        if migration.name in VIEWS:
            names = sorted(set(re.findall(r"\{(\w+):\w+\}", migration.sql)))
            given = f"({', '.join(f'{name} = {GIVEN.get(name, repr(str()))}' for name in names)})" if names else ""
            found.append(f"SELECT * FROM `{database}`.{migration.name}{given}")
    return found


def shown(client: Client) -> list[tuple[str]]:
    return rows(client, "SELECT detail FROM dead_letters")


def test_every_view_can_be_read_by_who_is_in_another_database(deployed):
    with connect(Address.parse(deployed.served_address), database="default") as elsewhere:
        served = Address.parse(deployed.served_address).database
        for live in (1, 2):
            for reading in readings(served):
                elsewhere.query(reading)
            assert rows(elsewhere, f"SELECT detail FROM `{served}`.dead_letters") == [(f"u{live}",)]
            view_switch.switch_views(deployed, 2)


def test_views_of_the_same_database_show_the_tables_of_another_generation(deployed):
    described = "SELECT table, name, type, comment FROM system.columns WHERE database = {database:String} AND table IN {views:Array(String)} ORDER BY ALL"
    with of(deployed, 1) as served:
        before = rows(served, described, {"database": served.database, "views": VIEWS})
        assert (generations.live(deployed), shown(served)) == (1, [("u1",)])
        assert view_switch.switch_views(deployed, 2) is True
        assert (generations.live(deployed), shown(served)) == (2, [("u2",)])
        assert rows(served, described, {"database": served.database, "views": VIEWS}) == before
        own = (
            "SELECT name FROM system.tables WHERE database = {served:String} AND position(as_select, {name:String}) > 0"
        )
        assert rows(served, own, {"served": served.database, "name": f"{served.database}."}) == []
        assert len(rows(served, own, {"served": served.database, "name": f"{served.database}_g2."})) > len(VIEWS) / 2
        assert view_switch.switch_views(deployed, 2) is False
        assert [name for (name,) in rows(served, "SHOW DATABASES") if name.startswith(served.database)] == [
            served.database,
            f"{served.database}_g2",
        ]


def test_a_change_over_that_stopped_anywhere_is_put_right_by_doing_it_again(deployed):
    """As if ClickHouse had been killed between two of the exchanges, and a command before that."""
    with of(deployed, 1) as served:
        view_switch.switch_views(deployed, 2)
        for view in VIEWS[::2]:
            served.command(f"CREATE OR REPLACE VIEW {view} AS SELECT 1")
        served.command(f"DROP VIEW {VIEWS[1]}")
        served.command(f"CREATE DATABASE {served.database}_views")
        assert view_switch.switch_views(deployed, 2) is True
        assert (generations.live(deployed), shown(served)) == (2, [("u2",)])
        assert view_switch.switch_views(deployed, 2) is False


def test_alerts_and_erasures_are_carried_and_what_a_generation_has_itself_stays(deployed):
    with of(deployed, 1) as old, of(deployed, 2) as new:
        old.command("INSERT INTO alert_rows (alert_id, state, version) VALUES ('a', 'firing', 1), ('b', 'firing', 1)")
        old.command("INSERT INTO monitor_rows (monitor, carried, version) VALUES ('m', 'old', 1)")
        old.command("INSERT INTO erasure_rows (subject, asked_at, version) VALUES ('before', '2020-01-01 00:00:00', 1)")
        old.command(
            "INSERT INTO dead_letter_rows (topic, partition, offset, reason)"
            " VALUES ('web-events', 0, 4, 'empty'), ('web-events', 0, 5, 'empty'), ('web-events', 1, 1, 'empty')"
        )
        old.command("INSERT INTO dead_letter_replay_rows VALUES ('web-events', 0, 4, 'message', now64(3), 9)")
        new.command("INSERT INTO alert_rows (alert_id, state, version) VALUES ('b', 'resolved', 2)")
        new.command("INSERT INTO monitor_rows (monitor, carried, version) VALUES ('m', 'new', 2)")
        steps.switch_over(plan(lost_before={("web-events", 0): 5}), deployed)
        history.copy_tables(deployed, 1, 2)
        assert rows(old, "SELECT alert_id, state FROM alerts ORDER BY alert_id") == [("a", "firing"), ("b", "resolved")]
        assert rows(new, "SELECT monitor, carried FROM monitor_rows FINAL") == [("m", "new")]
        assert rows(new, "SELECT subject FROM erasure_rows FINAL") == [("before",)]
        assert rows(new, "SELECT partition, offset FROM dead_letters WHERE isNotNull(replayed_at)") == [(0, 4)]


def test_an_erasure_that_a_generation_may_have_missed_holds_up_the_change_over(deployed):
    with of(deployed, 1) as old, of(deployed, 2) as new:
        old.command("INSERT INTO erasure_rows (subject, asked_at, version) SELECT 'x', now64(3) + INTERVAL 1 MINUTE, 1")
        with pytest.raises(DeploymentError, match="1 erasures were requested"):
            steps.switch_over(plan(), deployed)
        assert generations.live(deployed) == 1
        new.command("INSERT INTO erasure_rows (subject, asked_at, version) SELECT 'x', now64(3), 1")
        steps.switch_over(plan(), deployed)
        assert generations.live(deployed) == 2


def test_a_generation_that_nobody_reads_any_more_is_not_run(deployed):
    generations.refuse_others(deployed, BEFORE)
    with pytest.raises(DeploymentError, match="the tables were made under other definitions"):
        generations.refuse_others(deployed, AFTER)
    view_switch.switch_views(deployed, 2)
    with pytest.raises(DeploymentError, match="dashboards read generation 2; generation 1 is over"):
        generations.refuse_others(deployed, BEFORE)
    generations.refuse_others(generations.of_generation(deployed, 2), AFTER)


def test_an_interrupted_hand_over_is_noticed_by_what_creates_tables(deployed, monkeypatch):

    view_switch.switch_views(deployed, 2)
    monkeypatch.setenv("FIRSTCALL_CLICKHOUSE", deployed.served_address)
    monkeypatch.setenv("FIRSTCALL_DATA_DIR", str(deployed.data_dir))
    stack = Stack(Terminal(quiet=True))
    assert stack.settings.generation == 1
    stack.create_tables()
    assert (stack.settings.generation, load_settings().generation) == (2, 2)
    monkeypatch.setenv("FIRSTCALL_GENERATION", "1")
    with pytest.raises(DeploymentError, match="Set FIRSTCALL_GENERATION=2"):
        Stack(Terminal(quiet=True)).create_tables()


def test_the_data_directory_remembers_which_generation_runs_unless_a_setting_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("FIRSTCALL_DATA_DIR", str(tmp_path))
    assert load_settings().generation == 1
    generations.remember(tmp_path, 3)
    settings = load_settings()
    assert (settings.streams_id, settings.clickhouse_address) == ("firstcall-g3", "http://127.0.0.1:18123/firstcall_g3")
    assert (settings.topic("profiles"), settings.topic("web-events")) == ("firstcall-g3-profiles", "web-events")
    assert settings.topic("alerts") == "firstcall-alerts"
    monkeypatch.setenv("FIRSTCALL_GENERATION", "2")
    assert load_settings().generation == 2
    monkeypatch.delenv("FIRSTCALL_GENERATION")
    (tmp_path / "generation").write_text("two")
    with pytest.raises(ConfigurationError, match="holds no generation"):
        load_settings()


def test_changelogs_are_those_of_one_generation_alone():
    """And of one deployment: with the same brokers may be one whose name begins with this one's."""
    first = removal.changelogs(Settings())
    assert "firstcall-fold_aliases-changelog" in first
    second = removal.changelogs(generations.of_generation(Settings(), 2))
    assert second == [name.replace("firstcall-", "firstcall-g2-") for name in first]
