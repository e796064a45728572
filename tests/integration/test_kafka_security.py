"""All of Firstcall's Kafka clients behind TLS, logins and rights, on the real broker; and the message when one is refused."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError
from confluent_kafka import Consumer, KafkaException
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaTimeoutError

from deploy.doctor.checks import check_kafka
from deploy.local.kafka.runtime import Missing, availability, jars_directory
from deploy.services import topics
from schemas.config.loading import load_settings
from schemas.config.settings import Settings
from schemas.errors import DeploymentError
from streams.runtime.faust_app import make_app
from tests.conftest import JARS_HOME
from tests.support.certificates import Authority
from tests.support.secure_broker import PASSWORD, USER, SecureBroker, token

#: Within this time a client is let in or refused. No measure of speed: beyond it the client hangs.
ANSWERED_SECONDS = 60.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[SecureBroker]:
    found = availability(JARS_HOME)
    if isinstance(found, Missing) or found.kind != "java":
        pytest.skip("no Kafka to be configured: it takes Java and Kafka's jars")
    with SecureBroker(tmp_path_factory.mktemp("guarded"), jars_directory(JARS_HOME), authority) as running:
        running.add_user(USER, PASSWORD)
        yield running


@pytest.fixture
def settings_of(guarded: SecureBroker, authority: Authority, tmp_path: Path) -> Callable[..., Settings]:
    def made(kafka: str = "", **options: Any) -> Settings:
        usual = {"security_protocol": "SASL_SSL", "sasl_username": USER, "sasl_password": PASSWORD}
        given = {**usual, "ssl_ca_file": authority.file, **options}
        options = {name: value for name, value in given.items() if value is not None}
        return load_settings(kafka=kafka or guarded.logins, kafka_options=options, data_dir=tmp_path)

    return made


def by_token(file: Path) -> dict[str, Any]:
    return {"sasl_mechanism": "OAUTHBEARER", "sasl_token_file": file, "sasl_username": None, "sasl_password": None}


def let_in(settings: Settings) -> None:
    """Ask each of the client libraries, as Firstcall configures them."""
    with topics.administration(settings) as administration:
        administration.list_topics()
    plain = Consumer(
        {"bootstrap.servers": settings.brokers, "group.id": "any", **settings.kafka_options.for_librdkafka()},
        logger=logging.getLogger("quiet"),
    )
    assert plain.list_topics(timeout=ANSWERED_SECONDS).brokers
    plain.close()
    asyncio.run(_let_in_by_faust(settings))


async def _let_in_by_faust(settings: Settings) -> None:
    """The consumer that Faust makes, with what Faust makes of the credentials."""
    app = make_app(settings)
    login = credentials_to_aiokafka_auth(app.conf.broker_credentials, None)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.brokers, **login)
    try:
        await asyncio.wait_for(consumer.start(), ANSWERED_SECONDS)
    finally:
        await consumer.stop()


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_every_client_logs_in_by_password(mechanism, settings_of):
    let_in(settings_of(sasl_mechanism=mechanism))


@pytest.mark.kafka
def test_every_client_logs_in_by_a_token_in_a_file(settings_of, tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{token(USER)}\n")
    let_in(settings_of(**by_token(file)))


@pytest.mark.kafka
def test_every_client_shows_a_certificate(settings_of, guarded, authority):
    own = authority.sign("client", "DNS:client")
    options = {"security_protocol": "SSL", "ssl_cert_file": own.certificate, "ssl_key_file": own.key}
    let_in(settings_of(guarded.certified, **options, sasl_username=None, sasl_password=None))


@pytest.mark.kafka
@pytest.mark.parametrize("wrong", ["another authority", "another host's certificate"])
def test_no_client_talks_to_someone_else(wrong, settings_of, guarded, tmp_path):
    # Each by itself, without an earlier connection: a server that takes over later is refused as well.
    if wrong == "another authority":
        settings = settings_of(sasl_mechanism="SCRAM-SHA-512", ssl_ca_file=Authority(tmp_path, "other").file)
    else:
        settings = settings_of(guarded.misnamed, security_protocol="SSL", sasl_username=None, sasl_password=None)
    with pytest.raises(KafkaTimeoutError):
        KafkaAdminClient(
            bootstrap_servers=settings.brokers, bootstrap_timeout_ms=2_000, **settings.kafka_options.for_kafka_python()
        )
    login = settings.kafka_options.for_librdkafka()
    asking = Consumer(
        {"bootstrap.servers": settings.brokers, "group.id": "any", **login}, logger=logging.getLogger("quiet")
    )
    with pytest.raises(KafkaException):
        asking.list_topics(timeout=2)
    asking.close()
    with pytest.raises(KafkaConnectionError):
        asyncio.run(_let_in_by_faust(settings))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a wrong password": (
        {"sasl_password": "not-the-one-that-is-right"},
        r"Kafka at {logins} refuses the login of 'firstcall' by SCRAM-SHA-512: .*invalid credentials.*; check sasl_username",
    ),
    "an unknown user": ({"sasl_username": "someone"}, r"refuses the login of 'someone' by SCRAM-SHA-512"),
    "another authority": (
        {"ssl_ca_file": "{other}"},
        r"the certificate of Kafka at {logins} is not signed by an authority in .*other.pem: .*; give .* as ssl_ca_file",
    ),
    "no authority": ({"ssl_ca_file": None}, r"{logins} is not signed by an authority that this machine trusts"),
    "a file that is not there": (
        {"ssl_ca_file": Path("/no/ca.pem")},
        r"FIRSTCALL_KAFKA_OPTIONS.ssl_ca_file: /no/ca.pem cannot be read: No such file",
    ),
    "another host's certificate": (
        {
            "kafka": "{misnamed}",
            "security_protocol": "SSL",
            "sasl_mechanism": None,
            "sasl_username": None,
            "sasl_password": None,
        },
        r"the certificate of Kafka at {misnamed} is that of another name: .*127.0.0.1.*; name the brokers in FIRSTCALL_KAFKA as",
    ),
    "no certificate": (
        {
            "kafka": "{certified}",
            "security_protocol": "SSL",
            "sasl_mechanism": None,
            "sasl_username": None,
            "sasl_password": None,
        },
        r"Kafka at {certified} accepts no client without a certificate that it trusts; give ssl_cert_file",
    ),
    "no TLS there": (
        {"kafka": "{plain}"},
        r"Kafka at {plain} does not speak TLS there: .*; name its port for SASL_SSL",
    ),
    "an expired token": (
        {**by_token(Path("{expired}"))},
        r"Kafka at {logins} does not accept the token in .*expired: .*; see that it has not expired",
    ),
}


#: What goes wrong most, and is tried each time.
OFTEN = {"a wrong password", "another authority", "another host's certificate"}


@pytest.mark.kafka
@pytest.mark.parametrize(
    "wrong", [pytest.param(wrong, marks=[] if wrong in OFTEN else pytest.mark.long) for wrong in WRONG]
)
def test_a_refusal_shows_what_where_and_what_to_do(wrong, settings_of, guarded, tmp_path):
    other, expired = Authority(tmp_path, "other").file, tmp_path / "expired"
    expired.write_text(token(USER, seconds=-60))
    ports = {
        "logins": guarded.logins,
        "certified": guarded.certified,
        "misnamed": guarded.misnamed,
        "plain": guarded.bootstrap,
    }
    places = {**ports, "other": other, "expired": expired}
    options, message = WRONG[wrong]
    filled = {
        name: type(value)(str(value).format(**places)) if isinstance(value, str | Path) else value
        for name, value in ({"sasl_mechanism": "SCRAM-SHA-512"} | options).items()
    }
    settings = settings_of(**filled)
    for name, value in ports.items():
        message = message.replace(f"{{{name}}}", value)
    began = time.monotonic()
    with pytest.raises(DeploymentError, match=message) as refused, topics.administration(settings):
        pass
    finding = next(check_kafka(settings))
    assert time.monotonic() - began < ANSWERED_SECONDS
    assert (finding.verdict, finding.detail) == ("wrong", f"{settings.brokers}: {refused.value}")
    assert expired.read_text() not in str(refused.value)
    assert PASSWORD not in str(refused.value)


@pytest.mark.kafka
def test_brokers_that_are_away_are_no_refusal(settings_of, authority):
    from deploy.services.kafka_login import login_refused

    settings = settings_of("127.0.0.1:1", sasl_mechanism="PLAIN")
    assert login_refused(settings) == ""
