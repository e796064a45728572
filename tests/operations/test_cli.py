"""The command as a person meets it: help, messages, exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.cli.main import app
from schemas.sql.named_queries import query_names, read_query

COMMANDS = sorted(
    [
        *(command.name or command.callback.__name__ for command in app.registered_commands if command.callback),
        *(str(group.typer_instance.info.name) for group in app.registered_groups if group.typer_instance),
    ]
)


def firstcall(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(
        app, list(arguments), input=stdin, env={"COLUMNS": "200", "NO_COLOR": "1", "TERMINAL_WIDTH": "200"}
    )


def plain(text: str) -> str:
    """The words, however a terminal's width breaks and frames them."""
    return re.sub(r"[\s│╭╮╰╯─]+", " ", re.sub(r"\x1b\[[0-9;]*m", "", text))


def test_all_commands_are_there():
    assert [
        *(
            "alerts",
            "audit",
            "broker",
            "clickhouse",
            "config",
            "dead-letters",
            "demo",
            "doctor",
            "erase",
            "generate",
            "import",
            "migrate",
            "query",
            "rebuild",
            "sink",
            "up",
            "version",
            "worker",
        )
    ] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_describes_each_command_with_an_example(command):
    result = firstcall(command, "--help")
    assert result.exit_code == 0
    assert (
        f"Example: {'' if command not in ('worker', 'sink', 'migrate', 'broker', 'clickhouse') else 'FIRSTCALL_'}"
        in plain(result.output)
    )
    assert f"firstcall {command}" in plain(result.output)


def test_without_a_command_there_is_help():
    assert "import" in plain(firstcall().output)


@pytest.mark.parametrize(
    "command",
    [
        ["worker"],
        ["sink"],
        ["up"],
        ["migrate"],
        ["broker"],
        ["clickhouse"],
        ["doctor"],
        ["demo"],
        ["query", "funnel"],
        ["audit"],
        ["generate"],
    ],
)
def test_a_wrong_setting_stops_the_start_with_code_2(command, monkeypatch):
    monkeypatch.setenv("FIRSTCALL_PARTITIONS", "many")
    result = firstcall(*command)
    assert result.exit_code == 2
    assert "FIRSTCALL_PARTITIONS='many': Input should be a valid integer" in plain(result.output)


@pytest.mark.parametrize("command", [["worker"], ["sink"], ["demo"], ["query", "funnel"]])
def test_a_wrong_definition_stops_the_start_with_code_2(command, monkeypatch, tmp_path):
    config = tmp_path / "firstcall.yaml"
    config.write_text("usage: calls\n")
    monkeypatch.setenv("FIRSTCALL_CONFIG", str(config))
    monkeypatch.setenv("FIRSTCALL_DATA_DIR", str(tmp_path))
    result = firstcall(*command)
    assert result.exit_code == 2
    assert "no selector named 'calls'; did you mean 'call'?" in plain(result.output)


@pytest.mark.kafka
def test_a_worker_does_not_start_on_topics_of_the_wrong_shape(broker, unique, monkeypatch, tmp_path):
    monkeypatch.setenv("FIRSTCALL_KAFKA", broker)
    monkeypatch.setenv("FIRSTCALL_TOPIC_PREFIX", f"{unique}.")
    monkeypatch.setenv("FIRSTCALL_DATA_DIR", str(tmp_path))
    result = firstcall("worker")
    assert result.exit_code == 1
    assert f"topic {unique}.web-events missing; create it with `firstcall migrate`" in plain(result.output)


# Named queries


def test_queries_are_listed_by_topic_a_line_each():
    lines = firstcall("query").output.splitlines()
    listed = {line.split()[0]: line for line in lines if line.startswith("  ")}
    assert set(listed) == set(query_names())
    for query in map(read_query, query_names()):
        assert query.topic in lines
        assert query.title in listed[query.name]


def test_a_query_lists_its_parameters():
    about = plain(firstcall("query", "journey", "--about").output)
    for part in ("--company", "-p developer=", "--from", "Give developer or company."):
        assert part in about
    assert "--format chart draws calls by day" in plain(firstcall("query", "usage", "--about").output)


@pytest.mark.parametrize("name", query_names())
def test_a_chart_is_of_columns_that_the_query_gives(name):
    query = read_query(name)
    if query.chart is not None:
        for column in (query.chart.label, *query.chart.numbers):
            assert re.search(rf"\b{column}\b", query.sql.rpartition("\nSELECT")[2])


@pytest.mark.parametrize("name", query_names())
def test_every_parameter_of_a_query_is_described_and_used(name):
    query = read_query(name)
    sent_as = {name: "String" if each.type == "Time" else each.type for name, each in query.parameters.items()}
    assert sent_as == dict(re.findall(r"\{(\w+):(\w+)\}", query.sql))
    assert all(parameter.description for parameter in query.parameters.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["funel"], "no query named 'funel'; did you mean 'funnel'?"),
        (["funnel", "-p", "lvl=company"], "query funnel has no parameter 'lvl'; did you mean 'level'?"),
        (["funnel", "-p", "level=compnay"], "level of query funnel cannot be 'compnay'; did you mean 'company'?"),
        (["concentration", "-p", "window_hours=23.5"], "cannot be '23.5'; there are 0, 168, 24, 672"),
        (
            ["journey", "--company", "acme", "-p", "limit=ten"],
            "limit of query journey cannot be 'ten': it must be a whole number",
        ),
        (
            ["journey", "--company", "acme", "-p", "limit=-1"],
            "limit of query journey cannot be '-1': it must be a whole number",
        ),
        (
            ["cohorts", "-p", "weeks=70000"],
            "weeks of query cohorts cannot be '70000': it must be a whole number up to 65,535",
        ),
        (["stuck", "-p", "hours=soon"], "hours of query stuck cannot be 'soon': it must be a number"),
        (["attribution", "-p", "model=shapley"], "cannot be 'shapley'; there are first, last, linear, position"),
        (["funnel", "-p", "level"], "--param level: give it as name=value"),
        (["funnel", "--sql", "SELECT 1"], "give a named query or --sql, not both"),
        (
            ["--sql", "SELECT 1", "--company", "acme"],
            "--company is for named queries; give your own SQL parameters with -p",
        ),
        (["dead-letters", "--company", "acme"], "query dead-letters takes no --company; it takes -p limit="),
        (["journey"], "query journey needs developer or company, as in -p developer=..."),
        (
            ["dead-letters", "--format", "chart"],
            "query dead-letters names nothing to draw; give --format table, csv or json",
        ),
    ],
)
def test_a_wrong_query_gets_a_suggestion(arguments, message):
    result = firstcall("query", *arguments)
    assert (result.exit_code, message in plain(result.output)) == (2, True), result.output


def test_the_sql_of_a_query_can_be_taken_along():
    assert firstcall("query", "ttfc", "--show").output == read_query("ttfc").sql


# Data


def test_generate_writes_the_same_events_for_the_same_seed(tmp_path):
    files = [tmp_path / name for name in ("a", "b", "c")]
    for path, seed in zip(files, "112", strict=True):
        result = firstcall("generate", "--developers", "5", "--days", "3", "--seed", seed, "--output", str(path))
        assert result.exit_code == 0, result.output
    first, again, other = (path.read_bytes() for path in files)
    assert first == again != other
    assert all("source" in json.loads(line) for line in first.splitlines())


def test_import_names_a_file_that_is_not_there(tmp_path):
    result = firstcall("import", str(tmp_path / "none.ndjson"))
    assert (result.exit_code, "none.ndjson: No such file or directory" in plain(result.output)) == (2, True)


def test_doctor_names_the_checks_there_are():
    result = firstcall("doctor", "kafak")
    assert result.exit_code == 2
    assert "no check named kafak; there are python, configuration" in plain(result.output)


def test_doctor_gives_advice_and_fails_when_something_is_wrong(monkeypatch, tmp_path):
    secret = Path(tmp_path / "secret")
    secret.write_text("0123456789abcdef")
    secret.chmod(0o644)
    monkeypatch.setenv("FIRSTCALL_DATA_DIR", str(tmp_path))
    result = firstcall("doctor", "configuration")
    assert result.exit_code == 1
    assert f"✗ secret {secret} can be read by others → chmod 600 {secret}" in plain(result.output)
    quiet = plain(firstcall("doctor", "--quiet", "configuration").output)
    assert "can be read by others" in quiet
    assert "fingerprint" not in quiet


def test_version_names_what_the_numbers_depend_on():
    assert re.search(r"firstcall \S+.* faust-streaming [\d.]+ .*chdb-core [\d.]+", plain(firstcall("version").output))
