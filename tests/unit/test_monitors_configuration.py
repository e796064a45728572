"""The section `monitors`: its defaults, and the messages about its mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.config.definitions import build as build_definitions
from schemas.config.definitions import load as load_definitions
from schemas.config.monitors import WebhookChannel, build, load
from schemas.errors import ConfigurationError

DEFINITIONS = build_definitions({})


def test_without_the_section_everything_that_the_definitions_have_is_watched():
    watch = load(None, DEFINITIONS).watch
    assert set(watch) == {
        "activations-developer-first_call",
        "activations-company-first_call",
        "activations-company-messages",
        "activations-developer-three_days",
        "conversion-docs-signup",
        "conversion-signup-key",
        "conversion-key-first_call",
        "conversion-signup-first_call",
        "time-to-first-call",
        "active-tokens",
        "silence-web",
        "silence-api",
    }


def test_definitions_of_ones_own_are_watched_by_default_too():
    sections = {
        "stages": {
            "signup": {"phase": "consideration", "selector": "sign_up"},
            "first_call": {"phase": "adoption", "selector": "call"},
        },
        "activations": {
            "paid": {"levels": ["company"], "anchor": "signup", "all": [{"count": "payment", "at_least": 1}]}
        },
    }
    watch = load(None, build_definitions(sections)).watch
    assert set(watch) == {
        "activations-company-paid",
        "conversion-signup-first_call",
        "time-to-first-call",
        "active-tokens",
        "silence-web",
        "silence-api",
    }


def test_no_step_that_leads_back_is_watched_by_default():
    stages = build_definitions({}).model_dump()["stages"]
    turned = build_definitions({"stages": {name: stages[name] for name in reversed(stages)}})
    assert not [name for name in load(None, turned).watch if name.startswith("conversion")]


def test_the_section_of_a_file_is_read_and_is_no_concern_of_the_definitions(tmp_path: Path):
    file = tmp_path / "firstcall.yaml"
    file.write_text(
        "monitors:\n"
        "  watch: {steps: {kind: conversion, from: signup, to: key, within_minutes: 60, segments: [campaign]}}\n"
        "  channels: {pager: {kind: alertmanager, url: 'http://alertmanager:9093'}}\n"
    )
    monitors = load(file, load_definitions(file))
    assert list(monitors.watch) == ["steps"]
    assert list(monitors.channels) == ["pager"]


def test_without_calendars_two_zones_and_no_holidays_are_followed():
    found = [(each.time_zone, each.holidays) for each in build({}, DEFINITIONS).calendars]
    assert found == [("Europe/Berlin", None), ("America/New_York", None)]
    assert build({"calendars": []}, DEFINITIONS).calendars == []
    part = build({"calendars": [{"time_zone": "Europe/Berlin", "holidays": "DE-BE"}]}, DEFINITIONS)
    assert part.calendars[0].holidays == "DE-BE"


def test_the_example_in_the_shipped_file_is_one_that_works():
    example = (Path(__file__).parents[2] / "deploy" / "firstcall.example.yaml").read_text("utf-8")
    section = example[example.index("# monitors:") :]
    text = "\n".join(line.removeprefix("# ").removeprefix("#") for line in section.splitlines())
    import yaml

    assert set(build(yaml.safe_load(text)["monitors"], DEFINITIONS).channels) == {"pager", "growth", "own"}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"minimum_drp": 0.3}, "monitors.minimum_drp: there is no such field; did you mean 'minimum_drop'?"),
        ({"minimum_drop": 2}, "monitors.minimum_drop: must be less than 1"),
        ({"weeks": 2, "minimum_weeks": 4}, "minimum_weeks is more than weeks"),
        ({"watch": {"a": {"kind": "activation", "definition": "x"}}}, "did you mean 'activations'?"),
        ({"watch": {"a": {"definition": "first_call"}}}, "monitors.watch.a: give its `kind`"),
        (
            {"watch": {"a": {"kind": "activations", "definition": "first_cal"}}},
            "monitors.watch.a.definition: no activation named 'first_cal'; did you mean 'first_call'?",
        ),
        (
            {"watch": {"a": {"kind": "activations", "definition": "messages"}}},
            "monitors.watch.a.level: 'messages' is not defined at level developer",
        ),
        (
            {"watch": {"a": {"kind": "conversion", "from": "sign", "to": "key"}}},
            "monitors.watch.a.from: no stage named 'sign'; did you mean 'signup'?",
        ),
        (
            {"watch": {"a": {"kind": "activations", "definition": "first_call", "segment": []}}},
            "monitors.watch.a.segment: the kind 'activations' has no such field; did you mean 'segments'?",
        ),
        (
            {"watch": {"a": {"kind": "silence", "source": "web", "segments": ["source"]}}},
            "monitors.watch.a.segments: the kind 'silence' has no such field; there are after_minutes, kind, source",
        ),
        (
            {"watch": {"a": {"kind": "conversion", "from": "key", "to": "signup"}}},
            "monitors.watch.a.to: 'signup' does not come after 'key' in the order of stages; after it there are first_call",
        ),
        (
            {"watch": {"a": {"kind": "conversion", "from": "key", "to": "key"}}},
            "monitors.watch.a.to: 'key' does not come after 'key'",
        ),
        (
            {"watch": {"a": {"kind": "time_to_first_call", "from": "advocate"}}},
            "monitors.watch.a.to: 'first_call' does not come after 'advocate' in the order of stages; after it there are none",
        ),
        (
            {"watch": {"a": {"kind": "activations", "definition": "first_call", "segments": ["campain"]}}},
            "monitors.watch.a.segments[0]: no segment named 'campain'; did you mean 'campaign'?",
        ),
        (
            {"calendars": [{"time_zone": "Europe/Berlim"}]},
            "monitors.calendars[0].time_zone: no time zone is named 'Europe/Berlim'",
        ),
        (
            {"calendars": [{"time_zone": "Europe/Berlin", "holidays": "XX"}]},
            "monitors.calendars[0].holidays: the holidays of 'XX' are not known",
        ),
        (
            {"calendars": [{"time_zone": "Europe/Berlin", "holidays": "AT-X"}]},
            "monitors.calendars[0].holidays: AT has no part 'X' with holidays of its own; known are 1, 2, 3",
        ),
        ({"channels": {"a": {"kind": "slack"}}}, "give either `url` or `url_file`"),
        (
            {"channels": {"a": {"kind": "webhook", "url": "nowhere"}}},
            "monitors.channels.a.url: must begin with https:// or http:// and name a host",
        ),
        (
            {"channels": {"a": {"kind": "webhook", "url": "ftp://x"}}},
            "monitors.channels.a.url: must begin with https:// or http:// and name a host",
        ),
        (
            {"channels": {"a": {"kind": "webhook", "url": "http://x", "labels": {}}}},
            "monitors.channels.a.labels: the kind 'webhook' has no such field; there are kind, secret, secret_file, url, url_file",
        ),
    ],
)
def test_a_mistake_is_reported_with_its_field_and_what_was_meant(section, message):
    with pytest.raises(ConfigurationError) as raised:
        build(section, DEFINITIONS)
    assert message in str(raised.value)


def test_a_secret_is_in_no_repr_and_may_lie_in_a_file(tmp_path: Path):
    (tmp_path / "secret").write_text("a secret of a file\n")
    channels = build(
        {
            "channels": {
                "a": {"kind": "webhook", "url": "http://x/", "secret": "a secret that is given"},
                "b": {"kind": "webhook", "url": "http://x/", "secret_file": str(tmp_path / "secret")},
            }
        },
        DEFINITIONS,
    ).channels
    assert "that is given" not in repr(channels)
    assert isinstance(channels["a"], WebhookChannel)
    assert isinstance(channels["b"], WebhookChannel)
    assert (channels["a"].key, channels["b"].key) == (b"a secret that is given", b"a secret of a file")
