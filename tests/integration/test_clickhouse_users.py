"""What the users of `deploy/clickhouse-users.sql` may do: all that their part of Firstcall does, and no more.

The engine under the tests has one user. So the same directory is opened three times, each time with the grants of another
role; which password logs in which user is the server's part, and not tested here.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.alerts.alert_rows import AlertRows
from deploy.audit import audit
from deploy.erasure.statements import Statements
from deploy.queries import catalog
from deploy.rebuild import generations, history, removal, view_switch
from schemas.config.settings import Settings
from schemas.sql.named_queries import query_names, read_query
from sinks.clickhouse import Address, StatementError, connect, connected
from sinks.definition_rows import recorded, write_definitions
from sinks.migrations import migrate, pending_migrations
from sinks.reconcile import reconcile
from tests.support.audited import load
from tests.support.worlds import journey, small_definitions

DEFINITIONS = small_definitions()
ROOT = Path(__file__).resolve().parents[2]
STATEMENTS = [
    statement.strip()
    for statement in re.sub(
        r"^--.*\n", "", (ROOT / "deploy" / "clickhouse-users.sql").read_text(), flags=re.MULTILINE
    ).split(";")
    if statement.strip()
]
ROLES = ("migrator", "writer", "reader")
#: What the engine itself needs before anyone asks it for something.
OWN = ["GRANT CREATE DATABASE, DROP DATABASE, SHOW DATABASES ON default.*", "GRANT SHOW DATABASES ON firstcall*.*"]
SERVE = """
import json, sys
from pathlib import Path
from aiohttp import web
from deploy.local.clickhouse.engine import Engine
from deploy.local.clickhouse.http_server import HttpServer
server = HttpServer(Engine(Path(sys.argv[1]), json.loads(sys.argv[2])))
runner = web.AppRunner(server.application(), access_log=None, auto_decompress=False)
async def serve():
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await __import__("asyncio").get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()
__import__("asyncio").run(serve())
"""


def grants(role: str) -> list[str]:
    """The grants of a role, in the form of the engine's configuration."""
    found = [re.fullmatch(rf"(GRANT .* ON .*) TO firstcall_{role}", each, re.DOTALL) for each in STATEMENTS]
    return [each[1] for each in found if each]


@contextmanager
def served_to(role: str, directory: Path) -> Iterator[str]:
    """The directory's tables, at the hands of a role."""
    command = [sys.executable, "-c", SERVE, str(directory), json.dumps([*OWN, *grants(role)])]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        killer = threading.Timer(240, process.kill)
        killer.start()
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/firstcall"
        finally:
            process.stdin.close()
            process.wait(60)
            killer.cancel()


def assert_denied(url: str, *statements: str) -> None:
    """That one may do none of it."""
    for statement in statements:
        with pytest.raises(StatementError) as error, connected(Address.parse(url)) as client:
            client.command(statement)
        assert error.value.name == "ACCESS_DENIED", statement


@pytest.mark.long
def test_each_role_may_do_its_work_and_no_other(tmp_path):
    with served_to("migrator", tmp_path) as url:
        work_of_migrate(url)
        assert_denied(
            url,
            "CREATE DATABASE other",
            "CREATE USER someone",
            "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')",
        )
    with served_to("writer", tmp_path) as url:
        work_of_the_sink_and_alerts(url)
        assert_denied(
            url,
            "ALTER TABLE event_rows DELETE WHERE 1",
            "DELETE FROM event_rows WHERE 1",
            "TRUNCATE TABLE event_rows",
            "DROP TABLE event_rows",
            "DROP VIEW events",
            "CREATE TABLE more (a Int8) ENGINE = Memory",
            "ALTER TABLE event_rows ADD COLUMN more Int8",
            "OPTIMIZE TABLE event_rows FINAL",
            "RENAME TABLE event_rows TO others",
        )
    with served_to("reader", tmp_path) as url:
        work_of_dashboards(url)
        assert_denied(
            url,
            "INSERT INTO event_rows (message_id) VALUES ('x')",
            "INSERT INTO migrations (number) VALUES (1)",
            "ALTER TABLE event_rows DELETE WHERE 1",
            "DROP VIEW events",
            "CREATE VIEW more AS SELECT 1",
        )
    with served_to("migrator", tmp_path) as url:
        work_of_operators(url)


def work_of_migrate(url: str) -> None:
    migrate(Address.parse(url))
    assert pending_migrations(Address.parse(url)) == []


def work_of_the_sink_and_alerts(url: str) -> None:
    address = Address.parse(url)
    assert pending_migrations(address) == []
    load(address, journey().records, DEFINITIONS)
    with connect(address) as client:
        write_definitions(client, DEFINITIONS)
        reconcile(client)
        assert client.query("SELECT count() > 0 FROM profile_rows").result_rows == [(True,)]
    alerts = AlertRows(address)
    alerts.carried()
    alerts.current(0)
    alerts.close()


def work_of_dashboards(url: str) -> None:
    with connect(Address.parse(url)) as client:
        recorded(client)
        assert pending_migrations(Address.parse(url)) == []
        for query in map(read_query, query_names()):
            values = catalog.bind(query, {})
            catalog.ask(client, query.sql, values)


def work_of_operators(url: str) -> None:
    address, settings = Address.parse(url), Settings(clickhouse=url, generation=2)
    assert audit(address, DEFINITIONS).wrong == 0
    erasure = Statements(address)
    erasure.client.command("ALTER TABLE event_rows DELETE WHERE alias = 'no one'")
    erasure.client.command("DELETE FROM profile_rows WHERE id = 'no one'")
    erasure.close()
    migrate(generations.address_of(settings, 2))
    history.copy_tables(settings, 1, 2)
    assert view_switch.switch_views(settings, 2)
    removal.drop_tables(settings, 1)


def test_every_statement_is_one(clickhouse):
    with connected(Address.parse(clickhouse), database="default") as client:
        for statement in STATEMENTS:
            assert client.command("SELECT formatQuery({statement:String})", {"statement": statement})


def test_every_role_has_grants_and_a_user_of_its_own():
    for role in ROLES:
        assert grants(role)
        name = f"firstcall_{role}"
        assert any(each.startswith(f"CREATE ROLE IF NOT EXISTS {name}") for each in STATEMENTS)
        assert any(
            each
            == f"CREATE USER IF NOT EXISTS {name} IDENTIFIED WITH sha256_hash BY {{{role}_hash:String}} DEFAULT ROLE {name}"
            for each in STATEMENTS
        )
        assert f"GRANT {name} TO {name}" in STATEMENTS
    assert all("*.*" not in each.replace("firstcall*.*", "") for each in STATEMENTS)
