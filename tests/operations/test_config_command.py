"""`firstcall config`: what is wrong, what holds and where it comes from, and what a change takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from schemas.config.definitions import build, shipped
from sinks.definition_rows import write_definitions
from tests.operations.test_cli import firstcall, plain

CHANGED = """\
settings: {partitions: 6, clickhouse: "http://u:hunter22hunter22@h:8123/x", secrets: [hunter22hunter22]}
usage: successful_call
power_users: {}
segments: {plan: {fields: [traits.plan], take: last, values: [free]}}
monitors:
  watch: {a: {kind: activations, definition: first_call, segments: [plan]}}
  channels: {growth: {kind: slack, url: "https://hunter22.example"}, pager: {kind: alertmanager, url: "http://u:hunter22@pager"}}
"""


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    file = tmp_path / "firstcall.yaml"
    file.write_text(CHANGED)
    return file


@pytest.mark.parametrize("command", ["check", "show", "diff"])
def test_help_describes_a_command_and_shows_an_example(command):
    result = firstcall("config", command, "--help")
    assert result.exit_code == 0
    assert f"Example: firstcall config {command}" in plain(result.output)


def test_check_counts_in_one_line_what_there_is(changed, monkeypatch):
    monkeypatch.delenv("FIRSTCALL_CONFIG", raising=False)
    result = firstcall("config", "check", str(changed))
    assert (result.exit_code, result.output.count("\n")) == (0, 1)
    assert result.output.startswith(
        f"{changed}: 12 selectors, 8 stages, 3 activations, 1 segment, 2 churn risks, 0 power users"
    )
    assert "1 monitor, 2 channels, 3 settings; fingerprint " in result.output
    result = firstcall("config", "check")
    assert result.output.startswith("the shipped configuration: ")
    assert "monitors (the default ones), 0 channels" in result.output


def test_check_names_files_of_secrets_that_are_not_here_and_takes_the_configuration_all_the_same(tmp_path):
    (tmp_path / "there").write_text("a secret of a file")
    file = tmp_path / "firstcall.yaml"
    file.write_text(
        "monitors:\n"
        "  channels:\n"
        f"    growth: {{kind: slack, url_file: {tmp_path}/gone}}\n"
        f"    own: {{kind: webhook, url: 'https://x', secret_file: {tmp_path}/there}}\n"
    )
    result = firstcall("config", "check", str(file))
    assert result.exit_code == 0
    where = f"{file}:3:27: monitors.channels.growth.url_file"
    assert f"{where}: {tmp_path}/gone cannot be used here: No such file or directory\n" in result.output
    assert "own" not in result.output
    (tmp_path / "there").write_text("")
    output = firstcall("config", "check", str(file)).output
    assert "monitors.channels.own.secret_file" in output
    assert "it holds fewer than 16 characters" in output


def test_check_reports_everything_that_is_wrong_and_ends_with_2(changed):
    changed.write_text(
        CHANGED.replace("usage:", "usag:").replace("partitions", "partition").replace("first_call,", "first_cal,")
    )
    result = firstcall("config", "check", str(changed))
    assert result.exit_code == 2
    for line in (
        "1:12: settings.partition: there is no such field; did you mean 'partitions'?",
        "2:1: usag: there is no such section; did you mean 'usage'?",
        "6:34: monitors.watch.a.definition: no activation named 'first_cal'; did you mean 'first_call'?",
    ):
        assert f"{changed}:{line}\n" in result.output
    assert "hunter22" not in result.output


def test_show_gives_what_holds_and_where_it_comes_from_without_secrets(changed, monkeypatch, tmp_path):
    monkeypatch.setenv("FIRSTCALL_CONFIG", str(changed))
    monkeypatch.setenv("FIRSTCALL_APP_ID", "mine")
    monkeypatch.setenv("FIRSTCALL_DATA_DIR", str(tmp_path))
    shown = firstcall("config", "show").output
    assert "hunter22" not in shown
    in_yaml = yaml.safe_load(shown)
    assert in_yaml["selectors"] == shipped()["selectors"]
    assert in_yaml["usage"] == "successful_call"
    assert in_yaml["settings"]["clickhouse"] == "http://u@h:8123/x"
    assert in_yaml["monitors"]["channels"]["pager"]["url"] == "http://u:***@pager/"
    assert f"# {changed}:2\nusage: successful_call\n" in shown
    assert "# shipped\nselectors:\n" in shown
    assert f"  partitions: 6  # {changed}:1:12\n" in shown
    assert "  app_id: mine  # FIRSTCALL_APP_ID\n" in shown
    assert "  replication_factor: 1  # default\n" in shown
    of_json = json.loads(firstcall("config", "show", "--format", "json").output)
    assert {name: of_json[name] for name in in_yaml} == in_yaml
    assert of_json["from"]["usage"] == f"{changed}:2"
    assert of_json["from"]["stages"] == "shipped"
    assert "hunter22" not in firstcall("config", "show", str(changed)).output


def test_diff_shows_what_each_difference_takes(changed):
    result = firstcall("config", "diff", str(changed))
    assert result.exit_code == 1
    assert "hunter22" not in result.output
    rebuild, sink, alerts, start = (
        result.output.index(title)
        for title in (
            "Need all numbers rebuilt: `firstcall rebuild`:\n",
            "Hold from the next start of the sink on:\n",
            "Hold from the next start of alerts on:\n",
            "Hold from the next start of each process on:\n",
        )
    )
    assert rebuild < result.output.index('  ~ usage: "call" → "successful_call"\n') < sink
    assert rebuild < result.output.index('  ~ segments.plan.values: [] → ["free"]\n') < sink
    assert sink < result.output.index("  - power_users.every_few_days: ") < alerts
    assert alerts < result.output.index("  + monitors.watch.a: ") < start
    assert start < result.output.index("  + settings.partitions: 6\n")


def test_diff_sees_a_change_of_a_secret_and_of_the_order_of_stages(changed, monkeypatch, tmp_path):
    monkeypatch.setenv("FIRSTCALL_CONFIG", str(changed))
    other = tmp_path / "other.yaml"
    stages = shipped()["stages"]
    turned = yaml.safe_dump({"stages": {name: stages[name] for name in reversed(stages)}}, sort_keys=False)
    other.write_text(CHANGED.replace("secrets: [hunter22hunter22]", "secrets: [hunter22hunter23]") + turned)
    result = firstcall("config", "diff", str(other))
    assert '  ~ settings.secrets: "***" → "***"\n' in result.output
    assert "  ~ stages.(order): " in result.output
    assert firstcall("config", "diff", str(changed)).output == "No difference.\n"


def test_diff_against_what_the_numbers_were_made_under(client, address, changed, monkeypatch):
    url = f"http://{address.user}:{address.password}@{address.host}:{address.port}/{address.database}"
    monkeypatch.setenv("FIRSTCALL_CLICKHOUSE", url)
    result = firstcall("config", "diff", "--against-running")
    assert result.exit_code == 1
    assert "ClickHouse holds no definitions of its numbers" in plain(result.output)
    write_definitions(client, build({}))
    assert firstcall("config", "diff", "--against-running").output == "No difference.\n"
    monkeypatch.setenv("FIRSTCALL_CONFIG", str(changed))
    changed.write_text("usage: message\ninternal: {email_domains: [example.com]}\nchurn_risks: {}\n")
    result = firstcall("config", "diff", "--against-running")
    assert result.exit_code == 1
    assert '  ~ usage: "call" → "message"\n' in result.output
    assert "  ~ internal: " in result.output
    assert "  - churn_risks.gone_quiet: " in result.output
