"""How the embedded ClickHouse reads statements: where data begins, which format is asked for, what would reach outside."""

from __future__ import annotations

import pytest

from deploy.local.clickhouse.execution import native_header
from deploy.local.clickhouse.sql_policy import reaches_outside
from deploy.local.clickhouse.statement import Insert, Statement, insert_with_data, read_statement, tokens_of


def insert(text: bytes, *, complete: bool = True) -> tuple[bytes, bytes, str, bytes] | None:
    found = insert_with_data(text, complete=complete)
    if found is None:
        return None
    assert isinstance(found, Insert)
    return found.into.strip(), found.settings.strip(), found.format, text[found.data_starts :]


def statement(text: bytes) -> Statement:
    found = read_statement(text)
    assert isinstance(found, Statement)
    return found


def refused(text: bytes) -> bool:
    return reaches_outside(tuple(tokens_of(text))) is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"INSERT INTO t FORMAT Native\n\x01\n", (b"INSERT INTO t", b"", "Native", b"\x01\n")),
        (b"insert into t (a, `FORMAT x`) format CSV \r\n1,2", (b"insert into t (a, `FORMAT x`)", b"", "CSV", b"1,2")),
        (b"INSERT INTO t FORMAT CSV\n\n1", (b"INSERT INTO t", b"", "CSV", b"\n1")),
        (
            b"INSERT INTO t SETTINGS token = 'FORMAT CSV', n = 1 FORMAT TSV\n1",
            (b"INSERT INTO t", b"SETTINGS token = 'FORMAT CSV', n = 1", "TSV", b"1"),
        ),
        (b"INSERT INTO t VALUES (1, ';')", (b"INSERT INTO t", b"", "Values", b" (1, ';')")),
        (
            b"/* FORMAT CSV */ INSERT INTO t -- VALUES\n FORMAT TSV\n1",
            (b"/* FORMAT CSV */ INSERT INTO t -- VALUES", b"", "TSV", b"1"),
        ),
        (b"INSERT INTO t SELECT 1 FORMAT TSV", None),
        (b"INSERT INTO t FROM INFILE '/x' FORMAT CSV", None),
    ],
)
def test_data_begins_behind_the_format(text: bytes, expected: tuple[bytes, bytes, str, bytes] | None) -> None:
    assert insert(text) == expected


@pytest.mark.parametrize("text", [b"INSERT INTO t FORMAT Nat", b"INSERT INTO t SETTINGS token = 'a VALUES b"])
def test_a_statement_that_may_go_on_is_not_taken_for_whole(text: bytes) -> None:
    assert insert(text, complete=False) is None


@pytest.mark.parametrize(
    ("text", "body", "named"),
    [
        (b"SELECT 1", b"SELECT 1", None),
        (b"SELECT 1 FORMAT JSON ;", b"SELECT 1 ", "JSON"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1", b"SELECT 1  SETTINGS max_threads = 1", "JSON"),
        (b"SELECT format FROM t", b"SELECT format FROM t", None),
        (b"SELECT a AS format LIMIT 1", b"SELECT a AS format LIMIT 1", None),
        (b"SELECT 'FORMAT CSV' -- FORMAT TSV", b"SELECT 'FORMAT CSV'", None),
        (b"SHOW TABLES FORMAT TSV", b"SHOW TABLES ", "TSV"),
    ],
)
def test_the_format_is_the_last_clause(text: bytes, body: bytes, named: str | None) -> None:
    found = statement(text)
    assert (found.body, found.format) == (body, named)


def test_several_statements_are_refused() -> None:
    assert read_statement(b"SELECT 1; DROP TABLE t") == "Multi-statements are not allowed"
    assert statement(b"SELECT ';' ; ;").verb == "SELECT"


def test_only_rows_are_an_answer() -> None:
    assert statement(b"WITH 1 AS a SELECT a").is_answered
    assert not statement(b"CREATE TABLE t (a UInt8) ENGINE = Memory").is_answered


def test_what_outlives_a_request_is_known() -> None:
    assert statement(b"SET max_threads = 1").is_stateful
    assert statement(b"CREATE OR REPLACE TEMPORARY TABLE t (a UInt8)").is_stateful
    assert not statement(b"SELECT 'SET x'").is_stateful


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT file('/etc/passwd')",
        b"SELECT upper(`file`('/etc/passwd'))",
        b"SELECT * FROM file /* x */ ('/etc/passwd')",
        # What only ClickHouse's lexer takes for a quote, a space or a letter.
        "SELECT ‘ ' ’, file('/etc/passwd'), ‘ ' ’".encode(),
        "SELECT “file”('/etc/passwd')".encode(),
        "SELECT file\u00a0('/etc/passwd')".encode(),
        b"SELECT `\\x66ile`('/etc/passwd')",
        b"SELECT $x$ ' $x$, file('/etc/passwd') -- '",
        b"SELECT /* ' */ file('/etc/passwd') -- '",
        b"SELECT arrayMap(file, ['/etc/passwd'])",
        b"SELECT * FROM sqlite('/tmp/new.db', 't')",
        b"SELECT * FROM t SETTINGS format_template_row = '/etc/passwd' FORMAT Template",
        b"DROP TABLE t PARALLEL WITH CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(EXECUTABLE(COMMAND 'x')) LAYOUT(FLAT())",
        b"SELECT * FROM Python(frame)",
        b"SELECT * FROM executable('x', 'TSV', 'a Int32')",
        b"INSERT INTO FUNCTION executable('x', 'TSV', 'a Int32')",
        b"INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV",
        b"INSERT INTO t SELECT * FROM input('a Int32') FORMAT CSV 1",
        b"SELECT 1 INTO OUTFILE '/tmp/x'",
        b"CREATE TABLE t (a Int32) ENGINE = Executable('x', 'TSV')",
        b"CREATE TABLE t (a Int32) ENGINE \"EmbeddedRocksDB\"(0, '/tmp/x')",
        b"CREATE TABLE t (a Int32) ENGINE = ReplicatedMergeTree('/t/{uuid}', 'r') ORDER BY a",
        b"CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = web, endpoint = 'http://x/')",
        b"CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(HTTP(URL 'http://x')) LAYOUT(FLAT())",
        b"CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(CLICKHOUSE(HOST 'x' TABLE 't')) LAYOUT(FLAT())",
    ],
)
def test_what_reaches_outside_is_refused(text: bytes) -> None:
    assert refused(text)


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT 'file(1)', \"INFILE 'x'\", infile, file FROM infile WHERE engine = 'Kafka' -- url('x')",
        b"SELECT * FROM outfile",
        b"CREATE TABLE t (file String, disk String) ENGINE = ReplacingMergeTree(version) ORDER BY file",
        b"CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(CLICKHOUSE(DB 'x' TABLE 't')) LAYOUT(FLAT()) LIFETIME(0)",
        b"SELECT source(1), host FROM t",
    ],
)
def test_words_are_not_refused_where_they_do_nothing(text: bytes) -> None:
    assert not refused(text)


def test_an_empty_answer_has_its_columns() -> None:
    described = b"\x02\x01a\x02bc\x05Int32\x06String"
    assert native_header(described) == b"\x02\x00\x01a\x05Int32\x02bc\x06String"
    assert native_header(b"") == b""
