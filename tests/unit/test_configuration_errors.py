"""Messages about a configuration file that cannot be used: every mistake at once, each with line, column and field."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.config import definitions, monitors
from schemas.config.definitions import build, load, shipped
from schemas.config.document import parse_document
from schemas.config.file import read_configuration
from schemas.config.loading import problems_of_settings
from schemas.errors import ConfigurationError

NO_SIGNUP = "there is no stage named 'signup': give the one by which sign-ups are counted this name"
NO_FIRST_CALL = (
    "there is no stage named 'first_call': give the one by which the time to first call is counted this name"
)


def refused(tmp_path: Path, text: str) -> list[str]:
    """The lines of the error about a file, without its name."""
    file = tmp_path / "f.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        read_configuration(file)
    return str(raised.value).replace(f"{file}:", "").splitlines()


def test_all_mistakes_of_all_sections_are_reported_at_once_in_the_order_of_the_file(tmp_path):
    text = """\
settings:
  partition: 4
segment: {}
stages:
  signup: {phase: Adoption, selector: sign_upp}
  activated:
    phase: adoption
    activation: {dev: three_days, company: nope}
activations:
  three_days:
    levels: [developer]
    anchor: singup
    span_days: many
    all: [{count: call, at_least: 0}, {count: cal, at_leest: 1}]
monitors:
  weks: 3
  watch:
    a: {kind: activations, definition: three_dais, segments: [plann]}
"""
    assert refused(tmp_path, text) == [
        f"{tmp_path}/f.yaml cannot be used:",
        "2:3: settings.partition: there is no such field; did you mean 'partitions'?",
        "3:1: segment: there is no such section; did you mean 'segments'?",
        f"4:1: stages: {NO_FIRST_CALL}; there are activated, signup",
        "5:12: stages.signup.phase: 'Adoption' is none of these; did you mean 'adoption'?",
        "5:29: stages.signup.selector: no selector named 'sign_upp'; did you mean 'sign_up'?",
        "8:18: stages.activated.activation.dev: 'dev' is none of these; did you mean 'developer'?",
        "8:35: stages.activated.activation.company: no activation named 'nope'; there are three_days",
        "12:5: activations.three_days.anchor: no stage named 'singup'; did you mean 'signup'?",
        "13:5: activations.three_days.span_days: give a whole number, not the text 'many'",
        "14:25: activations.three_days.all[0].at_least: must be greater than or equal to 1",
        "14:39: activations.three_days.all[1].at_least: is missing",
        "14:40: activations.three_days.all[1].count: no selector named 'cal'; did you mean 'call'?",
        "14:52: activations.three_days.all[1].at_leest: there is no such field; did you mean 'at_least'?",
        "16:3: monitors.weks: there is no such field; did you mean 'weeks'?",
        "18:28: monitors.watch.a.definition: no activation named 'three_dais'; did you mean 'three_days'?",
        "18:63: monitors.watch.a.segments[0]: no segment named 'plann'; did you mean 'plan'?",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", " holds nothing; write a section, or name no file: then what is shipped holds"),
        ("# only words\n", " holds nothing; write a section, or name no file: then what is shipped holds"),
        ("- usage\n", "1:1: the file must hold a mapping of sections, as `internal: ...`, not a list"),
        ("usage\n", "1:1: the file must hold a mapping of sections, as `internal: ...`, not a single value"),
        ("usage: call\nusage: message\n", "2:1: usage: is there twice, first in line 1; keep one of them"),
        (
            "stages:\n  a: {phase: adoption, selector: call, phase: awareness}\n",
            "2:40: stages.a.phase: is there twice, first in line 2; keep one of them",
        ),
        (
            "usage: [call\ntouch: content\n",
            "2:6: is not YAML: expected ',' or ']', but got ':', while parsing a flow sequence from line 1 on",
        ),
        (
            "bots:\n\tuser_agents: [x]\n",
            "2:1: is not YAML: found character '\\t' that cannot start any token; indent with spaces, not with tabs",
        ),
        ("usage: call: x\n", "1:12: is not YAML: mapping values are not allowed here"),
        ("usage: \x07\n", " is not YAML: character 8 is 7, which no text may hold"),
        ("usage: 2026-13-01\n", " is not YAML that can be used: month must be in 1..12"),
        ("bots: &b {user_agents: [*b]}\n", "1:7: bots.user_agents[0]: an alias that leads back to itself"),
        ("? [a]\n: 1\n", "1:3: ?: a list or mapping cannot be a name"),
        ("usage: !!python/name:os.system x\n", "1:8: is not YAML: could not determine a constructor for the tag"),
    ],
)
def test_a_file_that_is_no_usable_yaml_is_reported_with_its_place(tmp_path, text, line):
    assert line in refused(tmp_path, text)[0].removeprefix(f"{tmp_path}/f.yaml")


def test_a_file_that_is_no_text_or_is_not_there_is_named(tmp_path):
    file = tmp_path / "f.yaml"
    file.write_bytes(b"usage: \xff")
    for path, reason in [
        (file, "byte 8 is not UTF-8; save it as UTF-8 text"),
        (tmp_path / "none.yaml", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ]:
        with pytest.raises(ConfigurationError) as raised:
            load(path)
        assert str(raised.value) == f"{path}: cannot be read: {reason}"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("selectors: {a: {source: app}}", "1:17: selectors.a.source: 'app' is none of these; did you mean 'api'?"),
        ("selectors: {a: {name: 404}}", "1:17: selectors.a.name[0]: give a text, not the number 404; put it in quotes"),
        ("selectors: {a: {environment: prod}}", "'prod' is none of these; did you mean 'production'?"),
        (
            "selectors: {a: {properties: {p: {ltt: 1}}}}",
            "1:34: selectors.a.properties.p.ltt: there is no such field; did you mean 'lt'?",
        ),
        (
            "selectors: {a: {properties: {p: {equals: {x: 1}}}}}",
            "1:34: selectors.a.properties.p.equals: give a text, a number, true or false or a list, not a mapping",
        ),
        ("selectors: {a: {properties: {p: {lt: low}}}}", "properties.p.lt: give a number, not the text 'low'"),
        ("selectors: [a]", "1:1: selectors: give a mapping of names to values, not a list"),
        ("segments:", "1:1: segments: give a mapping of names to values, not nothing"),
        ("segments: {a: {fields: traits.plan}}", "1:16: segments.a.fields: give a list, not the text 'traits.plan'"),
        ("segments: {a: {fields: [plan]}}", "'plan' names no field of an event: give one as properties.x"),
        ("segments: {company: {fields: [traits.x]}}", "this segment is given without configuration; choose another name"),
        ("churn_risks: {a: {levels: [], no_use_for_days: 3}}", "1:19: churn_risks.a.levels: the number of entries must be at least 1"),
        ("churn_risks: {a: {levels: [developer], stage: keys, no_use_within_hours: 3}}", "1:40: churn_risks.a.stage: no stage named 'keys'; did you mean 'key'?"),
        ("power_users: {a: {levels: [developer], active_days: 8, of_days: 7}}", "1:15: power_users.a: `active_days` cannot be more than `of_days`"),
        ("activations: {a: {levels: [developer], anchor: signup, span_days: 36500, all: [{count: call, at_least: 1}]}}", "1:56: activations.a.span_days: must be less than or equal to 3660"),
        ("key_prefixes: {sk_: live}", "1:16: key_prefixes.sk_: 'live' is none of these; there are development, production, test"),
        ("internal: {ip_networks: [10.0.0.1/8]}", "1:12: internal.ip_networks: 10.0.0.1/8 has host bits set"),
        ("limits: {future_hours: soon}", "1:10: limits.future_hours: give a number, not the text 'soon'"),
        ("usage: 5", "1:1: usage: give a text, not the number 5; put it in quotes"),
        ("selectors: {call: {source: api}}", "1:1: selectors: no selector named 'content'; there are call. The shipped `touch` needs it: keep it, or give `touch` too"),
        ("usage: call\nactivations: {habit: {levels: [developer], anchor: signup, all: [{count: call, at_least: 1}]}}", "2:1: activations: no activation named 'three_days'; there are habit. The shipped `stages.activated.activation.developer` needs it"),
        ("settings: {kafka: kafka, secrets: [hunter22]}", "1:12: settings.kafka: 'kafka' is not host:port"),
        ("settings: {kafka: kafka, secrets: [hunter22]}", "1:26: settings.secrets: secret 1 has fewer than 16 characters"),
        ("settings: {log_level: loud}", "1:12: settings.log_level: 'loud' is none of these; there are debug"),
        ("settings: {kafka_options: {sasl_user: u}}", "1:28: settings.kafka_options.sasl_user: there is no such field; did you mean 'sasl_username'?"),
        ("settings: 5", "1:1: settings: must be a mapping of names to values"),
        ("monitors: {watch: {a: {kind: activation}}}", "1:20: monitors.watch.a: there is no kind 'activation'; did you mean 'activations'?"),
        ("monitors: {channels: {a: {kind: webhook, url: 'http://x', secret: hunter22}}}", "1:59: monitors.channels.a.secret: must have at least 16 characters"),
        ("monitors: {channels: {a: {kind: slack, url: 'ftp://x/hunter22'}}}", "1:40: monitors.channels.a.url: must begin with https:// or http:// and name a host"),
        ("monitors: {channels: {a: {kind: slack, url: 'https:///hunter22'}}}", "1:40: monitors.channels.a.url: must begin with https://"),
        ("monitors: 5", "1:1: monitors: give a mapping of names to values, not the number 5"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_with_its_place_and_field_and_never_with_a_secret(tmp_path, text, line):
    lines = refused(tmp_path, text)
    assert any(line in each for each in lines), lines
    assert not any("hunter22" in each for each in lines)


def test_stages_that_numbers_are_counted_by_cannot_be_renamed_and_each_is_reported_once(tmp_path):
    stages = (shipped()["stages"] | {"sign_up": shipped()["stages"]["signup"]}).items()
    own = {"stages": {name: stage for name, stage in stages if name not in ("signup", "first_call")}}
    assert refused(tmp_path, yaml.safe_dump(own))[1:] == [
        f"1:1: stages: {NO_SIGNUP}; did you mean 'sign_up'?",
        f"1:1: stages: {NO_FIRST_CALL}; there are activated, advocate, docs, key, paying, sign_up, visit",
    ]
    reached = own["stages"] | {"signup": {"phase": "adoption", "activation": {"developer": "three_days"}}}
    lines = refused(tmp_path, yaml.safe_dump({"stages": reached | {"first_call": shipped()["stages"]["first_call"]}}))
    assert "stages.signup: give a `selector`, by which sign-ups are counted" in "\n".join(lines)


def test_one_section_is_read_without_the_others_mistakes(tmp_path):
    file = tmp_path / "f.yaml"
    file.write_text("monitors: {weks: 3}\nsettings: {partition: 1}\n")
    assert load(file) == build({})
    file.write_text("monitors: {weeks: 3}\nusage: nothing\n")
    assert monitors.load(file, build({})).weeks == 3


def test_monitors_may_compare_by_configured_segments(tmp_path):
    file = tmp_path / "f.yaml"
    file.write_text(
        "segments: {plan: {fields: [traits.plan]}}\n"
        "monitors: {watch: {a: {kind: activations, definition: first_call, segments: [plan, source]}}}\n"
    )
    monitor = read_configuration(file).monitors.watch["a"]
    assert isinstance(monitor, monitors.ActivationsMonitor)
    assert monitor.segments == ["plan", "source"]


#: Values that are wrong almost everywhere, of all types that YAML knows.
WRONG = st.sampled_from([None, 5, -1, 1.5, True, "nonsense", [], [1], {}, {"nonsense": 1}, [None], "", {1: 2}])


def places(value: object, way: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """The ways to everything in plain data."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(each for name, one in inner for each in places(one, (*way, name)))]


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_mistake_has_a_place_and_a_field_of_the_file(data, tmp_path):
    """Nothing but an explanation comes of data that is spoilt anywhere, and each line points to something that is there."""
    sections = {**shipped(), "monitors": {"watch": {"a": {"kind": "activations", "definition": "first_call"}}}}
    for _ in range(data.draw(st.integers(1, 3))):
        way = data.draw(st.sampled_from(places(sections)[1:]))
        here = sections
        for part in way[:-1]:
            here = here[part]
        here[way[-1]] = data.draw(WRONG)
    document = parse_document(yaml.safe_dump(sections), "f")
    own = {name: section for name, section in document.sections.items() if name != "monitors"}
    found = definitions.checked(own)
    watched = monitors.checked(document.sections["monitors"], own)
    for problems in (found, watched, problems_of_settings(document)):
        for problem in problems if isinstance(problems, list) else ():
            assert problem.what
            assert document.place(problem.way) is not None, problem


def test_a_mapping_may_be_shared_and_merged():
    text = "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\ne: *x\n"
    assert parse_document(text, "f").sections == {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}, "e": {"b": 1, "c": 2}}
    with pytest.raises(ConfigurationError):
        parse_document("a: 1\n---\nb: 2\n", "f")
