"""The embedded ClickHouse serves stock clients as a server would, and keeps them inside its directory."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import clickhouse_connect
import lz4.frame
import pandas as pd
import pyarrow as pa
import pytest
from aiohttp import web
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData
from sqlalchemy import create_engine, text

from deploy.local.clickhouse import LocalClickHouse
from deploy.local.clickhouse.compression import Compression, Decompression
from schemas.errors import DeploymentError

ROOT = Path(__file__).resolve().parents[2]
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalClickHouse]:
    with LocalClickHouse(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def connect(served: LocalClickHouse, unique: str) -> Iterator[Callable[..., Client]]:
    """Opens clients whose database is the test's own."""
    clients: list[Client] = []

    def opened(**options: object) -> Client:
        given: dict[str, Any] = {"host": "127.0.0.1", "port": served.port, "database": unique, **options}
        clients.append(clickhouse_connect.get_client(**given))
        return clients[-1]

    opened(database="default").command(f"CREATE DATABASE `{unique}`")
    yield opened
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[..., Client]) -> Client:
    """A client with a table `t`."""
    opened = connect()
    opened.command("CREATE TABLE t (a Int32, b String, at DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY a")
    return opened


def raw(
    served: LocalClickHouse, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """A request without any client's help: status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_rows_come_back_as_they_were_inserted(client: Client) -> None:
    rows = [(number, f"b'\t{number}\n", MOMENT.replace(tzinfo=None)) for number in range(1000)]
    assert client.insert("t", rows, column_names=["a", "b", "at"]).written_rows == 1000
    found = client.query("SELECT * FROM t WHERE a < {below:Int32} ORDER BY a", parameters={"below": 900})
    assert found.result_rows == rows[:900]
    assert found.summary["result_rows"] == "900"
    assert client.command("SELECT count() FROM t") == 1000
    assert client.query_arrow("SELECT * FROM t ORDER BY a LIMIT 1").to_pylist()[0]["at"] == MOMENT
    assert list(client.query_df("SELECT a FROM t ORDER BY a LIMIT 3")["a"]) == [0, 1, 2]


def test_frames_and_arrow_tables_are_inserted(client: Client) -> None:
    client.insert_df("t", pd.DataFrame({"a": [1], "b": ["frame"]}))
    client.insert_arrow("t", pa.table({"a": pa.array([2], pa.int32()), "b": ["arrow"]}))
    assert client.query("SELECT b FROM t ORDER BY a").result_columns == [["frame", "arrow"]]


@pytest.mark.parametrize("form", [False, True])
def test_parameters_are_bound_in_the_url_and_in_a_form(connect: Callable[..., Client], form: bool) -> None:
    bound = connect(form_encode_query_params=form)
    given = {"text": "it's\t\\ é\n", "at": MOMENT, "list": ["a'b", "c"]}
    found = bound.query("SELECT {text:String}, {at:DateTime64(3)}, {list:Array(String)}", parameters=given)
    assert found.result_rows == [(given["text"], MOMENT.replace(tzinfo=None), given["list"])]


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", False])
def test_bodies_are_compressed_both_ways(client: Client, connect: Callable[..., Client], encoding: str | bool) -> None:
    compressing = connect(compress=encoding)
    compressing.insert("t", [[number, "x" * 100] for number in range(5000)], column_names=["a", "b"])
    assert len(compressing.query("SELECT * FROM t").result_rows) == 5000
    assert compressing.query("SELECT a FROM t WHERE a < 0").column_names == ("a",)


def test_a_body_of_several_frames_is_read_to_its_end(client: Client) -> None:
    for number, pack in enumerate((gzip.compress, lz4.frame.compress)):
        body = pack(f"{number},a\n".encode()) + pack(f"{number},b\n".encode())
        name = "gzip" if pack is gzip.compress else "lz4"
        assert client.raw_insert("t", ["a", "b"], body, fmt="CSV", compression=name).written_rows == 2


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate"])
def test_encodings_are_read_in_any_pieces(encoding: str) -> None:
    frame = Compression(encoding)
    encoded = frame.feed(b"one ") + frame.feed(b"two") + frame.finish()
    decompression = Decompression(encoding)
    assert b"".join(decompression.feed(encoded[at : at + 1]) for at in range(len(encoded))) == b"one two"
    assert decompression.is_complete
    assert not (cut := Decompression(encoding)).feed(encoded[:-1]).endswith(b"!")
    assert not cut.is_complete


def test_a_body_cut_short_inserts_nothing(client: Client) -> None:
    body = gzip.compress(b"1,a\n" * 100)[:-4]
    with pytest.raises(DatabaseError, match="ends too early"):
        client.raw_insert("t", ["a", "b"], body, fmt="CSV", compression="gzip")
    assert client.command("SELECT count() FROM t") == 0


def test_a_token_makes_an_insert_once_only(client: Client) -> None:
    client.command(
        "CREATE TABLE once (a Int32) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 10"
    )
    for token in ("x", "x", "y"):
        client.insert("once", [[1]], column_names=["a"], settings={"insert_deduplication_token": token})
    client.insert("once", [[2]], column_names=["a"])
    client.insert("once", [[3]], column_names=["a"])
    assert client.command("SELECT count() FROM once") == 4


@pytest.mark.parametrize(
    ("statement", "code", "status", "text"),
    [
        ("SELECT * FROM nowhere", "60", 404, r"Code: 60\. DB::Exception: .*nowhere.* \(UNKNOWN_TABLE\)"),
        ("SELEC 1", "62", 400, r"\(SYNTAX_ERROR\)"),
        ("SELECT 1; SELECT 2", "62", 400, "Multi-statements"),
        ("SELECT throwIf(1, 'boom')", "395", 500, "boom"),
        ("INSERT INTO t FORMAT CSV\nx,y\n", "27", 400, "Cannot parse"),
        ("SELECT url FROM url('http://127.0.0.1:1/x')", "497", 403, r"no files, URLs.* \(ACCESS_DENIED\)"),
        ("SELECT * FROM `/etc/passwd`", "60", 404, "UNKNOWN_TABLE"),
        ("SELECT * FROM remote('127.0.0.1:1', system.one)", "497", 403, "FIRSTCALL_CLICKHOUSE"),
        ("SELECT * FROM s3('http://127.0.0.1:1/bucket/x', 'CSV', 'a String')", "497", 403, "ACCESS_DENIED"),
        ("CREATE TABLE k (a Int32) ENGINE = URL('http://127.0.0.1:1', CSV)", "497", 403, "ACCESS_DENIED"),
        ("CREATE TABLE k (a Int32) ENGINE = Kafka('a', 'b', 'c', 'CSV')", "497", 403, "ACCESS_DENIED"),
        ("CREATE USER somebody", "497", 403, "ACCESS_DENIED"),
        ("SELECT file('/etc/passwd')", "497", 403, r"file\(\) reaches out"),
        ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", "497", 403, "INFILE"),
        ("SELECT 1 INTO OUTFILE '/tmp/out'", "497", 403, "OUTFILE"),
        ("SYSTEM SHUTDOWN", "497", 403, "ACCESS_DENIED"),
    ],
)
def test_errors_come_as_from_a_server(
    served: LocalClickHouse, client: Client, unique: str, statement: str, code: str, status: int, text: str
) -> None:
    found, headers, body = raw(served, "POST", f"/?database={unique}", statement.encode())
    assert (found, headers["x-clickhouse-exception-code"]) == (status, code)
    assert re.search(text, body.decode(), re.DOTALL)
    assert client.command("SELECT count() FROM t") == 0


def test_an_error_behind_rows_already_sent_is_seen(client: Client) -> None:
    asked = "SELECT throwIf(number = 3000000, 'late') FROM numbers(4000000)"
    with client.query_rows_stream(asked) as rows, pytest.raises(StreamFailureError, match="late"):
        assert sum(1 for _ in rows) > 0
    with client.query_rows_stream("SELECT number FROM numbers(200000)") as rows:
        assert sum(1 for _ in rows) == 200_000


def test_settings_end_with_their_request(client: Client, connect: Callable[..., Client]) -> None:
    asked = "SELECT getSetting('max_block_size')"
    usual = client.command(asked)
    assert client.command(asked, settings={"max_block_size": 77}) == 77
    assert client.command(asked) == usual
    client.command("SET max_block_size = 99")
    assert client.command(asked) == 99
    assert client.command(asked, settings={"max_block_size": 77}) == 77
    assert client.command(asked) == 99
    assert connect().command(asked) == usual
    with pytest.raises(DatabaseError, match="no_such_setting"):
        client.command("SELECT 1", settings={"no_such_setting": 1})


def test_long_parameters_fit_into_the_url(client: Client) -> None:
    asked = client.query("SELECT length({text:String})", parameters={"text": "x" * 100_000})
    assert asked.result_rows == [(100_000,)]


def test_a_session_has_its_temporary_tables(client: Client, connect: Callable[..., Client]) -> None:
    client.command("CREATE TEMPORARY TABLE mine (a Int32)")
    client.insert("mine", [[1], [2]], column_names=["a"])
    assert client.query("SELECT sum(a) FROM mine").result_rows == [(3,)]
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        connect().query("SELECT * FROM mine")


def test_a_query_brings_its_own_table(client: Client) -> None:
    brought = ExternalData(file_name="brought.csv", data=b"1\n2\n", fmt="CSV", structure="a Int32")
    assert client.query("SELECT sum(a) FROM brought", external_data=brought).result_rows == [(3,)]
    for structure, kind in (("a String) AS (SELECT file('/etc/passwd')", "CSV"), ("a Int32", "CSV SETTINGS x = 1")):
        brought = ExternalData(file_name="brought.csv", data=b"1\n", fmt=kind, structure=structure)
        with pytest.raises(DatabaseError, match=r"ACCESS_DENIED|BAD_ARGUMENTS"):
            client.query("SELECT * FROM brought", external_data=brought)


def test_answers_without_rows_have_columns(client: Client) -> None:
    assert client.query("SELECT a, b FROM t WHERE a > 0").column_names == ("a", "b")
    assert client.query("SHOW TABLES LIKE 'none'").column_names == ("name",)
    assert client.query_arrow("SELECT a, at FROM t").schema.names == ["a", "at"]


def test_the_sqlalchemy_dialect_works(served: LocalClickHouse, client: Client, unique: str) -> None:
    client.insert("t", [[1, "one"]], column_names=["a", "b"])
    engine = create_engine(f"clickhousedb://default@127.0.0.1:{served.port}/{unique}")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT a, b FROM t WHERE b = :b"), {"b": "one"}).all() == [(1, "one")]
        assert connection.dialect.has_table(connection, "t")
    engine.dispose()


def test_the_async_client_works(served: LocalClickHouse, client: Client, unique: str) -> None:
    async def both() -> list[int]:
        opened = await clickhouse_connect.get_async_client(host="127.0.0.1", port=served.port, database=unique)
        async with opened:
            await opened.insert("t", [[1, "x"]], column_names=["a", "b"])
            found = await asyncio.gather(
                *(
                    opened.query(f"SELECT {number} + a FROM t", settings={"session_id": f"{unique}{number}"})
                    for number in range(4)
                )
            )
        return [result.result_rows[0][0] for result in found]

    assert asyncio.run(both()) == [1, 2, 3, 4]


def test_a_slow_statement_holds_up_no_other(client: Client, connect: Callable[..., Client]) -> None:
    other = connect()
    done = threading.Event()

    def sleep() -> None:
        client.query("SELECT sleepEachRow(0.2) FROM numbers(8) SETTINGS max_block_size = 1")
        done.set()

    slow = threading.Thread(target=sleep)
    slow.start()
    assert [other.command("SELECT 1") for _ in range(5)] == [1] * 5
    assert not done.is_set()
    slow.join()


def test_plain_http_is_enough(served: LocalClickHouse, client: Client, unique: str) -> None:
    assert raw(served, "GET", "/ping")[::2] == (200, b"Ok.\n")
    query = quote("INSERT INTO t (a, b) VALUES")
    status, headers, _ = raw(served, "POST", f"/?database={unique}&query={query}", b"(1, 'VALUES; x'), (1 + 1, '')")
    assert (status, json.loads(headers["x-clickhouse-summary"])["written_rows"]) == (200, "2")
    status, headers, body = raw(
        served, "POST", f"/?database={unique}&default_format=CSV", b"SELECT a FROM t ORDER BY a"
    )
    assert (status, headers["x-clickhouse-format"], body) == (200, "CSV", b"1\n2\n")
    asked = f"/?database={unique}&param_n=1&query={quote('SELECT b FROM t WHERE a = {n:Int32} FORMAT JSONEachRow')}"
    assert json.loads(raw(served, "GET", asked)[2]) == {"b": "VALUES; x"}
    gzipped = raw(served, "POST", "/?enable_http_compression=1", b"SELECT repeat('x', 5000)", Accept_Encoding="gzip")
    assert gzipped[1]["content-encoding"] == "gzip"
    assert gzip.decompress(gzipped[2]) == b"x" * 5000 + b"\n"


def test_get_only_reads(served: LocalClickHouse, client: Client, unique: str) -> None:
    status, headers, _ = raw(served, "GET", f"/?database={unique}&query={quote('DROP TABLE t')}")
    assert (status, headers["x-clickhouse-exception-code"]) == (403, "164")
    assert client.command("EXISTS TABLE t") == 1


@pytest.mark.parametrize(
    "options",
    [
        "format_template_row=/etc/passwd",
        "dialect=kusto",
        f"param_f=file&query={quote('SELECT arrayMap({f:Identifier}, [1])')}",
    ],
)
def test_no_option_reaches_outside(served: LocalClickHouse, options: str) -> None:
    assert raw(served, "POST", f"/?{options}", b"" if "query" in options else b"SELECT 1")[0] == 403


@pytest.mark.parametrize("headers", [{"Origin": "https://example.com"}, {"Host": "example.com"}])
def test_a_page_of_another_site_cannot_run_statements(served: LocalClickHouse, headers: dict[str, str]) -> None:
    assert raw(served, "POST", "/", b"SELECT 1", **headers)[0] == 403


def test_a_second_process_learns_who_holds_the_directory(served: LocalClickHouse) -> None:
    data_dir = served.process.log.parent.parent
    with pytest.raises(
        DeploymentError,
        match=f"another process holds .*process {os.getpid()} serves ClickHouse from it at {served.url}",
    ):
        LocalClickHouse(data_dir).start()


def test_data_outlives_a_kill_of_the_parent(tmp_path: Path) -> None:
    # the parent ── kill -9 ──▶ its ClickHouse ends, its data stays
    script = (
        "import sys, time; from pathlib import Path; from deploy.local.clickhouse import LocalClickHouse\n"
        "running = LocalClickHouse(Path(sys.argv[1])); running.start(); print(running.port, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        opened = clickhouse_connect.get_client(host="127.0.0.1", port=port)
        opened.command("CREATE TABLE kept (a Int32) ENGINE = MergeTree ORDER BY a")
        opened.insert("kept", [[1]], column_names=["a"])
        opened.close()
        parent.send_signal(signal.SIGKILL)
    with LocalClickHouse(tmp_path) as again:
        opened = clickhouse_connect.get_client(host="127.0.0.1", port=again.port)
        assert opened.command("SELECT count() FROM kept") == 1
        opened.close()


def test_it_starts_again_whatever_is_in_the_directory(tmp_path: Path) -> None:
    # nothing ─▶ tables in a database of their own, then in `default` too ─▶ none in `default` any more
    steps = (
        (),
        ("CREATE DATABASE own", "CREATE TABLE own.t ENGINE = MergeTree ORDER BY a AS SELECT 1 AS a"),
        ("CREATE TABLE t ENGINE = MergeTree ORDER BY a AS SELECT * FROM own.t",),
        ("DROP TABLE t",),
        ("DROP TABLE own.t",),
    )
    for statements in steps:
        with LocalClickHouse(tmp_path) as running:
            for statement in statements:
                assert raw(running, "POST", "/", statement.encode())[0] == 200


def test_a_table_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with LocalClickHouse(tmp_path) as running:
        opened = clickhouse_connect.get_client(host="127.0.0.1", port=running.port)
        opened.command("CREATE TABLE broken (a Int32) ENGINE = MergeTree ORDER BY a")
        opened.close()
    (definition,) = (tmp_path / "clickhouse" / "store").glob("*/*/broken.sql")
    definition.write_text(definition.read_text().replace("MergeTree", "NoSuchTree"))
    with pytest.raises(DeploymentError, match=r"its table default\.broken cannot be loaded"):
        LocalClickHouse(tmp_path).start()


def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    # In this process the engine would stay for good, so the limit is looked at where it is applied.
    from deploy.local.clickhouse.errors import Failure
    from deploy.local.clickhouse.request import BadRequestError, read_query_request

    found: list[Failure] = []

    async def handler(request: web.Request) -> web.Response:
        try:
            await read_query_request(request, tmp_path, largest_body_bytes=1000)
        except BadRequestError as error:
            found.append(error.failure)
        return web.Response()

    async def send() -> None:
        import aiohttp

        application = web.Application()
        application.router.add_post("/", handler)
        runner = web.AppRunner(application, auto_decompress=False)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession() as session:
            body = gzip.compress(b"INSERT INTO t FORMAT CSV\n" + b"1\n" * 5000)
            await session.post(f"http://127.0.0.1:{port}/", data=body, headers={"Content-Encoding": "gzip"})
        await runner.cleanup()

    asyncio.run(send())
    assert [failure.code for failure in found] == [307]
    assert list(tmp_path.iterdir()) == []


def test_it_ends_on_a_signal_while_a_statement_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.local.clickhouse", "--data", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().decode().rstrip().rpartition(":")[2])
        waiting = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        waiting.request(
            "POST", "/?wait_end_of_query=1", b"SELECT sleepEachRow(1) FROM numbers(100) SETTINGS max_block_size = 1"
        )
        opened = clickhouse_connect.get_client(host="127.0.0.1", port=port)
        running = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleepEachRow%'"
        while opened.query(running).first_row != (1,):
            pass
        opened.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        waiting.close()
