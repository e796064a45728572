"""The embedded ClickHouse stays in its directory: every table function, engine and setting it has, and tricks around that."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.clickhouse import LocalClickHouse
from deploy.local.clickhouse.sandbox import landlock_version
from tests.support.outside import SECRET, Outside, ask, outside

ROOT = Path(__file__).resolve().parents[2]

locked = pytest.mark.skipif(landlock_version() < 3, reason="this kernel has no Landlock: only statements are looked at")

#: All that only computes, or reads tables of the directory. Whatever an engine to come has beside it must be looked at.
INSIDE = {
    "table_functions": {
        *("SQLStandardValues", "dictionary", "format", "fuzzJSON", "fuzzQuery", "generateRandom", "generateSeries"),
        *("generate_series", "input", "loop", "merge", "mergeTreeAnalyzeIndexes", "mergeTreeAnalyzeIndexesUUID"),
        *(
            "mergeTreeCodecBlockCounts",
            "mergeTreeIndex",
            "mergeTreeProjection",
            "mergeTreeTextIndex",
            "null",
            "numbers",
        ),
        *(
            "numbers_mt",
            "primes",
            "prometheusQuery",
            "prometheusQueryRange",
            "timeSeriesData",
            "timeSeriesMetricFamilies",
        ),
        *("timeSeriesMetrics", "timeSeriesSamples", "timeSeriesSelector", "timeSeriesTags", "values", "view"),
        *("viewExplain", "viewIfPermitted", "zeros", "zeros_mt"),
        # Of another program's memory, once that has lent it: none does.
        "arrowstream",
    },
    "table_engines": {
        *(
            "AggregatingMergeTree",
            "Alias",
            "ArrowStream",
            "Buffer",
            "CoalescingMergeTree",
            "CollapsingMergeTree",
            "Dictionary",
        ),
        *("FuzzJSON", "FuzzQuery", "GenerateRandom", "GraphiteMergeTree", "Join", "Log", "Loop", "MaterializedView"),
        *("Memory", "Merge", "MergeTree", "Null", "ReplacingMergeTree", "Set", "StripeLog", "SummingMergeTree"),
        *("TimeSeries", "TinyLog", "VersionedCollapsingMergeTree", "View"),
        # It needs a Keeper, and none is configured.
        "KeeperMap",
    },
    "database_engines": {"Atomic", "Dictionary", "Memory", "Ordinary"},
}
#: Refused before it is asked who may: no cluster is configured, or these arguments are none to it.
REFUSED_FIRST = {"CLUSTER_DOESNT_EXIST", "UNKNOWN_FORMAT"}
BY_ARGUMENTS = {"redis", "FileLog", "Backup"}
MAKES = {
    "table_functions": "SELECT * FROM {name}({given}) LIMIT 1",
    "table_engines": "CREATE OR REPLACE TABLE default.swept (a String) ENGINE = {name}({given})",
    "database_engines": "CREATE DATABASE swept_{number} ENGINE = {name}({given})",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with outside(tmp_path_factory.mktemp("machine") / "outside") as place:
        yield place


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def url(directory: Path, place: Outside) -> Iterator[str]:
    with LocalClickHouse(directory) as served:
        # The kernel lets it read this one: if its content is in an answer, the policy has let it pass.
        (directory / "clickhouse" / "own.tsv").write_text(f"{SECRET}\n")
        yield served.url


def error_of(answer: str) -> str:
    found = re.findall(r"\(([A-Z_]{4,})\)", answer)
    return found[-1] if found else answer


def arguments(kind: str, place: Outside) -> list[str]:
    """What they are tried with: what one wants to reach, in as many shapes as there are."""
    there = f"127.0.0.1:{place.port}"
    few = [
        "",
        f"TSV, '{place.file}'",
        f"'http://{there}/bucket/key', 'TSV', 'a String'",
        f"'{there}', 'd', 't', 'u', 'p'",
    ]
    if kind != "table_functions":
        return few
    return [
        *few,
        *(f"'{place.file}'", f"'{place.file}', 'TSV', 'a String'", f"'{place.folder}/new.tsv', TSV"),
        *(f"'http://{there}/bucket/key'", f"'{there}', 'system', 'one'", f"'{there}', 'd', 't', 'u', 'p', 'a String'"),
        *(f"'x://{there}', 'd', 't'", "'p', 'd', 't', 'a'", "'default', 'system', 'one'", "'id', TSV, 'a String'"),
    ]


@pytest.mark.parametrize("kind", INSIDE)
def test_whatever_the_engine_has_that_reaches_outside_is_refused(kind, url, place):
    status, listed = ask(url, f"SELECT name FROM system.{kind} ORDER BY name")
    assert status == 200
    not_refused = {}
    for name in sorted(set(listed.split()) - INSIDE[kind]):
        found = set()
        for number, given in enumerate(arguments(kind, place)):
            status, answer = ask(url, MAKES[kind].format(name=name, given=given, number=number))
            assert status != 200, f"{name}({given}): {answer}"
            assert SECRET not in answer
            found.add(error_of(answer))
            # It is asked who may once the arguments make sense, and then whatever they are.
            if "ACCESS_DENIED" in found:
                break
        if not found & ({"ACCESS_DENIED"} | REFUSED_FIRST) and name not in BY_ARGUMENTS:
            not_refused[name] = found
    assert not_refused == {}
    assert place.touched() == []


def test_the_list_of_what_stays_inside_is_of_this_engine(url):
    for kind, inside in INSIDE.items():
        _, listed = ask(url, f"SELECT name FROM system.{kind}")
        assert inside <= set(listed.split())


TRICKS = [
    "SELECT file('{own}')",
    "select FiLe /* x */ -- y\n ('{own}')",
    "SELECT `file`('{own}')",
    "SELECT \"file\"('{own}')",
    "SELECT “file”('{own}')",
    "SELECT `fil\\x65`('{own}')",
    "SELECT arrayMap(file, ['{own}'])",
    "SELECT arrayMap(x -> file(x), ['{own}'])",
    "SELECT * APPLY(file) FROM (SELECT '{own}')",
    "WITH file('{own}') AS found SELECT found",
    "SELECT 1 WHERE (SELECT file('{own}')) != ''",
    "SELECT * FROM (SELECT * FROM view(SELECT file('{own}')))",
    "CREATE VIEW default.peek AS SELECT file('{own}')",
    "CREATE TABLE default.peek (a String DEFAULT file('{own}')) ENGINE = Memory",
    "CREATE TABLE default.peek ENGINE = Memory AS SELECT file('{own}')",
    "CREATE FUNCTION peek AS x -> file(x)",
    "EXPLAIN SELECT file('{own}')",
    "DESCRIBE (SELECT * FROM file('{own}', TSV, 'a String'))",
    "DESCRIBE TABLE file('{own}')",
    "SHOW TABLES; SELECT file('{own}')",
    "SELECT * FROM eval('SELECT file(''{own}'')') SETTINGS allow_experimental_eval_table_function = 1",
    "SELECT * FROM EVAL(concat('SELECT fi', 'le(''{own}'')'))",
    "SELECT 1 INTO OUTFILE '{folder}/new.tsv'",
    "SELECT 1 INTO/**/OUTFILE/**/$${folder}/new.tsv$$ TRUNCATE FORMAT CSV",
    "INSERT INTO default.swept FROM INFILE '{own}' FORMAT TSV",
    "INSERT INTO FUNCTION file('{folder}/new.tsv', TSV, 'a String') SELECT 'x'",
    "INSERT INTO TABLE FUNCTION url('http://127.0.0.1:{port}/', TSV, 'a String') SELECT 'x'",
    "INSERT INTO FUNCTION remote('127.0.0.1:{port}', 'd', 't') VALUES (1)",
    "CREATE TABLE default.peek AS url('http://127.0.0.1:{port}/x.csv', CSV, 'a String')",
    "CREATE TEMPORARY TABLE peek (a String) ENGINE = File(TSV, '{own}')",
    "CREATE TABLE default.peek (query String) ENGINE = QueryRunner",
    "CREATE TABLE default.peek (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = 'local', path = '{folder}/')",
    "CREATE TABLE default.peek (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS `disk` = `disk`(type = 'web', endpoint = 'http://127.0.0.1:{port}/')",
    "CREATE DATABASE peek ENGINE = Atomic SETTINGS disk = disk(type = 'local', path = '{folder}/')",
    "CREATE DATABASE peek ENGINE = Backup('d', File('{folder}'))",
    "ATTACH TABLE default.peek FROM '{folder}' (a Int8) ENGINE = MergeTree ORDER BY a",
    "attach table default.peek from $${folder}$$ (a Int8) ENGINE = MergeTree ORDER BY a",
    "BACKUP DATABASE default TO File('{folder}/backup')",
    "BACKUP DATABASE default TO Disk('default', 'backup')",
    "RESTORE DATABASE default FROM File('{folder}/backup')",
    "BACKUP DATABASE default TO S3('http://127.0.0.1:{port}/', 'a', 'b')",
    "CREATE DICTIONARY default.peek (a UInt64, b String) PRIMARY KEY a SOURCE(FILE(PATH '{own}' FORMAT TSV)) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE DICTIONARY default.peek (a UInt64, b String) PRIMARY KEY a SOURCE(HTTP(URL 'http://127.0.0.1:{port}/' FORMAT TSV)) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE DICTIONARY default.peek (a UInt64, b String) PRIMARY KEY a SOURCE(EXECUTABLE(COMMAND 'id' FORMAT TSV)) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE DICTIONARY default.peek (a UInt64, b String) PRIMARY KEY a SOURCE(CLICKHOUSE(HOST '127.0.0.1' PORT {port} TABLE 't')) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE DICTIONARY default.peek (a UInt64, b String) PRIMARY KEY a SOURCE(CLICKHOUSE(QUERY 'SELECT 1, file(''{own}'')')) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE DICTIONARY default.peek (a UInt64, b String) PRIMARY KEY a SOURCE(CLICKHOUSE(TABLE 't' WHERE 'file(''{own}'') != 1')) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE DICTIONARY default.peek (a UInt64, b String) PRIMARY KEY a SOURCE(NULL()) LAYOUT(SSD_CACHE(PATH '{folder}/ssd')) LIFETIME(0)",
    "SYSTEM SHUTDOWN",
    "SYSTEM KILL",
    "SYSTEM STOP LISTEN HTTP",
    "SYSTEM LOAD PRIMARY KEY",
    "CREATE USER peek",
    "GRANT FILE ON *.* TO default",
    "CREATE NAMED COLLECTION peek AS url = 'http://127.0.0.1:{port}/'",
    "SET dialect = 'prql'",
    "SELECT 1 SETTINGS output_format_schema = '{folder}/new.proto' FORMAT Protobuf",
    "SELECT 1 SETTINGS format_avro_schema_registry_url = 'http://127.0.0.1:{port}/' FORMAT AvroConfluent",
    "SELECT addressToLine(1)",
]


@pytest.mark.parametrize("trick", TRICKS, ids=range(len(TRICKS)))
def test_no_trick_leads_outside(trick, url, place, directory):
    own = directory / "clickhouse" / "own.tsv"
    statement = trick.format(own=own, folder=place.folder, port=place.port)
    status, answer = ask(url, statement)
    assert status != 200, f"{statement}: {answer}"
    assert SECRET not in answer
    assert error_of(answer) in {"ACCESS_DENIED", "SYNTAX_ERROR"}, answer
    assert place.touched() == []


def test_no_setting_leads_outside(url, place, directory):
    # What a setting holds may be a path or SQL: each text of the engine's is tried as both.
    own = directory / "clickhouse" / "own.tsv"
    _, listed = ask(
        url,
        "SELECT arrayJoin(splitByChar(' ', arrayStringConcat(groupArray(name), ' '))) FROM system.settings WHERE type IN ('String', 'Map')",
    )
    names = [name for name in listed.split() if name != "framing_output_format"]
    assert len(names) > 70
    for name in names:
        for value in (str(own), f"file('{own}') = ''"):
            status, answer = ask(url, "SELECT * FROM system.one FORMAT Template", **{name: value})
            assert SECRET not in answer, f"{name}={value}: {status} {answer}"
    assert place.touched() == []


# What is not seen


#: SQL in strings, which is evaluated later.
HIDDEN = [
    "SELECT * FROM format(JSONEachRow, concat('a Int8, b String DEF', 'AULT fi', 'le(\\'{file}\\')'), '{{\"a\": 1}}')",
    "SELECT arrayMap({{function:Identifier}}, ['{file}'])",
    "SELECT arrayMap({{function:Identifier}}, ['/proc/self/environ'])",
    "SELECT arrayMap({{function:Identifier}}, ['/etc/passwd'])",
]


@locked
@pytest.mark.parametrize("hidden", HIDDEN, ids=range(len(HIDDEN)))
def test_the_kernel_refuses_what_statements_hide(hidden, url, place, unique):
    assert ask(url, "SET param_function = 'file'", session_id=unique)[0] == 200
    status, answer = ask(url, hidden.format(file=place.file), session_id=unique)
    assert (status, "Permission denied" in answer) == (500, True), answer
    assert SECRET not in answer


@locked
def test_a_confined_process_opens_nothing_else(tmp_path, place):
    own = tmp_path / "own"
    own.mkdir()
    script = f"""
import os, socket, subprocess, sys, threading
from pathlib import Path
from deploy.local.clickhouse.sandbox import confine
assert confine(Path({str(own)!r}))
def attempt(name, work):
    try:
        work()
        print(name, "done")
    except OSError as error:
        print(name, type(error).__name__)
def attempts():
    attempt("own", lambda: Path({str(own)!r}, "a").write_text("x"))
    attempt("read", lambda: Path({str(place.file)!r}).read_text())
    attempt("write", lambda: Path({str(place.folder)!r}, "b").write_text("x"))
    attempt("move", lambda: os.rename({str(place.folder)!r}, {str(own / "c")!r}))
    attempt("environment", lambda: Path("/proc/self/environ").read_bytes())
    attempt("auxiliary vector", lambda: Path("/proc/self/auxv").read_bytes())
    attempt("of others", lambda: Path("/proc/1/environ").read_bytes())
    attempt("run", lambda: subprocess.run(["/bin/true"]))
    attempt("connect", lambda: socket.create_connection(("127.0.0.1", {place.port})))
    attempt("listen", lambda: socket.create_server(("127.0.0.1", 0)))
thread = threading.Thread(target=attempts)
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    found = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    assert found.pop("own") == "done"
    # The engine crashes now and then as it is loaded if it may not read this.
    assert found.pop("auxiliary vector") == "done"
    if landlock_version() < 4:
        del found["connect"], found["listen"]
    assert set(found.values()) == {"PermissionError"}, found
    assert place.touched() == []
