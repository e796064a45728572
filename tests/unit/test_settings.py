"""Settings: where they come from, which win, and the message about a wrong one."""

from __future__ import annotations

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from schemas.config.kafka_options import KafkaOptions
from schemas.config.loading import hmac_secrets, load_settings
from schemas.config.settings import Settings
from schemas.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "deploy" / "firstcall.example.yaml"
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def refused(**given: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(**given)
    return str(caught.value)


def config(tmp_path: Path, env: pytest.MonkeyPatch, text: str) -> Path:
    path = tmp_path / "firstcall.yaml"
    path.write_text(text)
    env.setenv("FIRSTCALL_CONFIG", str(path))
    return path


# Where a setting comes from


def test_everything_has_a_default():
    settings = load_settings()
    assert settings.kafka is None
    assert settings.brokers == "127.0.0.1:19092"
    assert settings.clickhouse_address == "http://127.0.0.1:18123/firstcall"
    assert settings.data_dir == Path.cwd() / ".firstcall"


def test_a_variable_wins_over_a_file_and_both_over_yaml(tmp_path, env):
    config(tmp_path, env, "settings: {partitions: 4, app_id: from-yaml, topic_prefix: from-yaml.}")
    named = tmp_path / "prefix"
    named.write_text("from-file.\n")
    env.setenv("FIRSTCALL_PARTITIONS", "6")
    env.setenv("FIRSTCALL_TOPIC_PREFIX_FILE", str(named))
    settings = load_settings()
    assert (settings.partitions, settings.topic_prefix, settings.app_id) == (6, "from-file.", "from-yaml")


def test_an_argument_wins_over_all(env):
    env.setenv("FIRSTCALL_PARTITIONS", "6")
    assert load_settings(partitions=7).partitions == 7


def test_an_empty_variable_is_as_good_as_none(env):
    env.setenv("FIRSTCALL_KAFKA", "")
    env.setenv("FIRSTCALL_SECRETS_FILE", "")
    assert load_settings().kafka is None


def test_the_yaml_file_may_hold_definitions_only(tmp_path, env):
    config(tmp_path, env, "internal: {email_domains: [example.com]}")
    assert load_settings().partitions == 3


def test_secrets_come_one_a_line_or_separated_by_commas(tmp_path, env):
    env.setenv("FIRSTCALL_SECRETS", f"{SECRET}, {SECRET[::-1]}")
    assert hmac_secrets(load_settings()) == (SECRET.encode(), SECRET[::-1].encode())
    env.delenv("FIRSTCALL_SECRETS")
    named = tmp_path / "secrets"
    named.write_text(f"{SECRET}\n{SECRET[::-1]}\n")
    env.setenv("FIRSTCALL_SECRETS_FILE", str(named))
    assert hmac_secrets(load_settings()) == (SECRET.encode(), SECRET[::-1].encode())


# Messages about wrong ones


def test_the_message_about_an_unknown_variable_names_what_was_meant(env):
    env.setenv("FIRSTCALL_KAKFA", "kafka:9092")
    assert refused() == "FIRSTCALL_KAKFA: no such setting; did you mean FIRSTCALL_KAFKA?"


def test_the_message_about_an_unknown_name_in_yaml_names_what_was_meant(tmp_path, env):
    path = config(tmp_path, env, "settings: {partition: 4}")
    assert refused() == f"{path}:1:12: settings.partition: no such setting; did you mean partitions?"


def test_all_wrong_ones_are_reported_at_once(tmp_path, env):
    path = config(tmp_path, env, "settings: {sink_batch_rows: -1}")
    env.setenv("FIRSTCALL_PARTITIONS", "many")
    lines = refused().splitlines()
    assert len(lines) == 2
    assert any(line.startswith("FIRSTCALL_PARTITIONS='many': ") and "integer" in line for line in lines)
    assert any(line.startswith(f"{path}:1:12: settings.sink_batch_rows='-1': ") for line in lines)


@pytest.mark.parametrize(
    ("kafka", "part"),
    [
        ("kafka", "'kafka' is not host:port"),
        ("a:9092,b", "'b' is not host:port"),
        ("kafka://a:9092", "'kafka://a:9092'"),
        ("a:99999", "'a:99999'"),
    ],
)
def test_brokers_are_hosts_and_ports(kafka, part, env):
    env.setenv("FIRSTCALL_KAFKA", kafka)
    assert part in refused()


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("clickhouse://user:hunter22@host/db", "http:// or https://"),
        ("http://user:hunter22@host:port/db", "its port"),
        ("http://user:hunter22@:8123/db", "names no host"),
        ("http://user:hunter22@host:9000/db", "native protocol"),
        ("http://user:hunter22@host:8123/db/more", "more than a database"),
    ],
)
def test_a_wrong_clickhouse_address_is_explained_without_the_password(url, part, env):
    env.setenv("FIRSTCALL_CLICKHOUSE", url)
    message = refused()
    assert message.startswith("FIRSTCALL_CLICKHOUSE: ")
    assert part in message
    assert "hunter22" not in message


def test_a_remote_kafka_needs_a_secret(env):
    env.setenv("FIRSTCALL_KAFKA", "kafka-1:9092")
    assert refused().startswith("FIRSTCALL_SECRETS: missing.")
    env.setenv("FIRSTCALL_SECRETS", SECRET)
    assert load_settings().kafka_is_remote


@pytest.mark.parametrize("kafka", ["127.0.0.1:9092", "localhost:9092,127.0.0.1:9093", "[::1]:9092"])
def test_a_kafka_on_this_machine_does_not(kafka, env):
    env.setenv("FIRSTCALL_KAFKA", kafka)
    assert not load_settings().kafka_is_remote


def test_an_application_is_not_named_as_a_generation_of_another_is(env):
    env.setenv("FIRSTCALL_APP_ID", "staging-g2")
    assert refused().startswith("FIRSTCALL_APP_ID='staging-g2': ends as the names of generations do")
    env.setenv("FIRSTCALL_APP_ID", "staging-g2-eu")
    env.setenv("FIRSTCALL_GENERATION", "2")
    assert load_settings().streams_id == "staging-g2-eu-g2"


def test_a_short_secret_is_refused_unseen(env):
    env.setenv("FIRSTCALL_SECRETS", f"{SECRET},hunter22")
    message = refused()
    assert "secret 2 has fewer than 16 characters" in message
    assert "hunter22" not in message


def test_a_secret_that_is_there_twice_is_refused_unseen(env):
    env.setenv("FIRSTCALL_SECRETS", f"{SECRET},{SECRET[::-1]},{SECRET}")
    message = refused()
    assert message.startswith("FIRSTCALL_SECRETS: secret 3 is there before; a new one goes to the end of the list")
    assert SECRET not in message


@pytest.mark.parametrize("text", ["", "\n", " , \n,"])
def test_a_file_without_a_secret_is_refused(text, tmp_path, env):
    named = tmp_path / "secrets"
    named.write_text(text)
    env.setenv("FIRSTCALL_SECRETS_FILE", str(named))
    assert refused() == "FIRSTCALL_SECRETS_FILE: holds no secret; make one with `openssl rand -hex 32`"


def test_an_empty_list_of_secrets_in_yaml_is_refused(tmp_path, env):
    path = config(tmp_path, env, "settings: {secrets: []}")
    assert refused() == f"{path}:1:12: settings.secrets: holds no secret; make one with `openssl rand -hex 32`"


def test_a_file_and_a_value_for_one_setting_is_refused(tmp_path, env):
    env.setenv("FIRSTCALL_SECRETS", SECRET)
    env.setenv("FIRSTCALL_SECRETS_FILE", str(tmp_path / "secrets"))
    assert refused() == "FIRSTCALL_SECRETS_FILE: FIRSTCALL_SECRETS is set too; set one of them"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("settings: [", "is not YAML"),
        ("settings: [1]", "must be a mapping"),
        ("settings: {config: x}", "a file cannot name another one"),
    ],
)
def test_a_wrong_yaml_file_is_named(text, part, tmp_path, env):
    path = config(tmp_path, env, text)
    message = refused()
    assert str(path) in message
    assert part in message


def test_a_missing_yaml_file_is_named(tmp_path, env):
    env.setenv("FIRSTCALL_CONFIG", str(tmp_path / "none.yaml"))
    assert "none.yaml: cannot be read: No such file" in refused()


# Kafka's authentication


def test_kafka_options_are_rendered_for_each_client(env):
    env.setenv(
        "FIRSTCALL_KAFKA_OPTIONS",
        '{"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": "hunter22", "ssl_ca_file": "/ca.pem"}',
    )
    options = load_settings().kafka_options
    assert options.for_librdkafka() == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "u",
        "sasl.password": "hunter22",
        "ssl.ca.location": "/ca.pem",
    }
    assert options.for_kafka_python()["sasl_plain_password"] == "hunter22"
    assert set(options.for_kafka_python()) == {
        "security_protocol",
        "sasl_mechanism",
        "sasl_plain_username",
        "sasl_plain_password",
        "ssl_cafile",
    }


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ("yes", "is not a JSON object"),
        ('{"security_protocol": "SASL_SSL"}', "needs sasl_mechanism"),
        ('{"sasl_username": "u"}', "neither SASL_SSL nor SASL_PLAINTEXT"),
        ('{"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}', "OAUTHBEARER needs sasl_token_file"),
        ('{"sasl_token_file": "/t"}', "neither SASL_SSL nor SASL_PLAINTEXT"),
        (
            '{"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": "p", "sasl_token_file": "/t"}',
            "sasl_mechanism is not OAUTHBEARER",
        ),
        ('{"ssl_cert_file": "/c"}', "go together"),
        ('{"sasl_user": "u"}', "FIRSTCALL_KAFKA_OPTIONS.sasl_user: no such setting; did you mean sasl_username?"),
    ],
)
def test_incomplete_kafka_options_are_refused(options, part, env):
    env.setenv("FIRSTCALL_KAFKA_OPTIONS", options)
    assert part in refused()


# Secrets


def test_no_secret_is_ever_shown(env):
    env.setenv("FIRSTCALL_SECRETS", SECRET)
    env.setenv("FIRSTCALL_CLICKHOUSE", "http://user:hunter22@host:8123/db")
    settings = load_settings(
        kafka_options=KafkaOptions(
            security_protocol="SASL_SSL", sasl_mechanism="PLAIN", sasl_username="u", sasl_password="hunter22"
        )
    )
    for shown in (repr(settings), str(settings.model_dump()), settings.clickhouse_shown):
        assert SECRET not in shown
        assert "hunter22" not in shown
    assert settings.clickhouse_shown == "http://user@host:8123/db"


def test_a_local_deployment_generates_one_secret_for_all_its_processes(tmp_path):
    settings = load_settings(data_dir=tmp_path / "data")
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: hmac_secrets(settings), range(8)))
    assert len(found) == 1
    (secrets,) = found
    assert re.fullmatch(rb"[0-9a-f]{64}", secrets[0])
    path = tmp_path / "data" / "secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [left.name for left in path.parent.iterdir()] == ["secret"]


def test_a_generated_secret_is_rotated_in_its_file(tmp_path):
    settings = load_settings(data_dir=tmp_path)
    (first,) = hmac_secrets(settings)
    with (tmp_path / "secret").open("a") as file:
        file.write(f"\n{SECRET}\n")
    assert hmac_secrets(settings) == (first, SECRET.encode())


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "holds no secret any more"),
        (b"hunter22", "secret 1 has fewer than 16 characters"),
        (f"{SECRET}\n{SECRET}".encode(), "secret 2 is there before"),
        (b"\xff\xfe" * 16, "is not a text"),
    ],
)
def test_a_spoilt_file_of_generated_secrets_is_refused_unseen(content, part, tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as error:
        hmac_secrets(load_settings(data_dir=tmp_path))
    assert str(error.value).startswith(f"{path}: {part}")
    assert SECRET not in str(error.value)
    assert "hunter22" not in str(error.value)


# What is documented


def test_the_example_file_shows_every_setting_and_is_accepted(tmp_path, env):
    text = EXAMPLE.read_text()
    shown = re.findall(r"^  # ([a-z_]+): (.*)$", text, re.MULTILINE)
    assert [name for name, _ in shown] == [name for name in Settings.model_fields if name != "config"]
    uncommented = "settings:\n" + "".join(f"  {name}: {value}\n" for name, value in shown)
    config(tmp_path, env, uncommented)
    settings = load_settings()
    for name, value in shown:
        default = Settings.model_fields[name].default
        if default is not None and name not in {
            "secrets",
            "retired_secrets",
            "kafka_options",
            "topic_prefix",
            "data_dir",
        }:
            assert yaml.safe_load(value) == default == getattr(settings, name), name


def test_every_setting_is_described():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_setting_is_read_by_something():
    code = "".join(
        path.read_text()
        for folder in ("schemas", "streams", "sinks", "deploy")
        for path in (ROOT / folder).rglob("*.py")
    )
    unread = [name for name in Settings.model_fields if not re.search(rf"settings\.{name}\b|self\.{name}\b", code)]
    assert unread == []
