"""Checks once, before a process starts, whether the brokers accept its login, and explains a refusal.

The client libraries report a refusal each in its own way, some as brokers that do not answer. Brokers that are away are no
refusal: processes wait for them.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException

from schemas.config.kafka_options import KafkaOptions
from schemas.config.settings import Settings

#: How long the brokers may take to accept or refuse.
ANSWERED_WITHIN_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.5
_HANDSHAKE_SECONDS: Final = 5.0
_OPTIONS: Final = "FIRSTCALL_KAFKA_OPTIONS"
#: librdkafka's codes for a failed login and failed encryption; other failures may pass.
_DECISIVE: Final = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL})  # noqa: SLF001 - public, but for their names

_log = logging.getLogger("librdkafka.login")
_log.setLevel(logging.CRITICAL + 1)


def login_refused(settings: Settings) -> str:
    """Why the brokers refuse the login, and what to do; '' if they accept it, do not answer, or need none."""
    options = settings.kafka_options
    if options.security_protocol == "PLAINTEXT":
        return ""
    return _unreadable(options) or _refused(settings)


def _unreadable(options: KafkaOptions) -> str:
    for name in ("ssl_ca_file", "ssl_cert_file", "ssl_key_file", "sasl_token_file"):
        path = getattr(options, name)
        try:
            if path is not None:
                path.read_bytes()
        except OSError as error:
            return f"{_OPTIONS}.{name}: {path} cannot be read: {error.strerror}"
    return ""


def _refused(settings: Settings) -> str:
    errors: list[KafkaError] = []
    properties = {
        "bootstrap.servers": settings.brokers,
        "group.id": f"{settings.app_id}-login",
        "error_cb": errors.append,
        **settings.kafka_options.for_librdkafka(),
    }
    try:
        consumer = Consumer(properties, logger=_log)
    except KafkaException as error:
        return f"{_OPTIONS}: {error.args[0].str()}"
    try:
        ends = time.monotonic() + ANSWERED_WITHIN_SECONDS
        while time.monotonic() < ends:
            try:
                consumer.list_topics(timeout=_POLL_SECONDS)
            except KafkaException as error:
                errors.append(error.args[0])
            else:
                return ""
            consumer.poll(0)
            for found in errors:
                refusal = _explained(found, settings)
                if refusal:
                    return refusal
            # Brokers that do not answer do not refuse.
            if any(found.code() == KafkaError._ALL_BROKERS_DOWN for found in errors):  # noqa: SLF001 - as above
                return ""
            errors.clear()
        return ""
    finally:
        consumer.close()


def _explained(error: KafkaError, settings: Settings) -> str:
    """What an error of librdkafka means and what to do; '' for one that may pass by itself."""
    text = error.str().partition(" (after")[0]
    if error.code() not in _DECISIVE and "SSL" not in text:
        return ""
    options = settings.kafka_options
    if error.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001 - public, but for its name
        reason = text.partition("authentication error: ")[2] or text
        if options.sasl_token_file is not None:
            return (
                f"Kafka at {settings.brokers} does not accept the token in {options.sasl_token_file}: {reason}; see that it has not "
                "expired, and that its issuer and audience are those that the brokers accept"
            )
        return (
            f"Kafka at {settings.brokers} refuses the login of {options.sasl_username!r} by {options.sasl_mechanism}: {reason}; check "
            f"sasl_username and sasl_password in {_OPTIONS}, and that the brokers know this user for this mechanism"
        )
    if "verify failed" in text:
        return _wrong_certificate(settings)
    if "alert" in text and "certificate" in text:
        return (
            f"Kafka at {settings.brokers} accepts no client without a certificate that it trusts; give ssl_cert_file and ssl_key_file "
            f"in {_OPTIONS}, signed by the authority that the brokers trust"
        )
    return (
        f"Kafka at {settings.brokers} does not use TLS there: {text.partition('/bootstrap: ')[2] or text}; name its port for "
        f"{options.security_protocol} in FIRSTCALL_KAFKA, or correct security_protocol in {_OPTIONS}"
    )


def _wrong_certificate(settings: Settings) -> str:
    """Which broker's certificate is not trusted, and why. Python's TLS has the reason that librdkafka lacks."""
    options = settings.kafka_options
    context = ssl.create_default_context(cafile=options.ssl_ca_file)
    trusted = (
        f"an authority in {options.ssl_ca_file}" if options.ssl_ca_file else "an authority that this machine trusts"
    )
    for broker in settings.brokers.split(","):
        host, _, port = broker.rpartition(":")
        host = host.strip("[]")
        try:
            with (
                socket.create_connection((host, int(port)), _HANDSHAKE_SECONDS) as plain,
                context.wrap_socket(plain, server_hostname=host),
            ):
                continue
        except ssl.SSLCertVerificationError as error:
            reason = error.verify_message
            if "mismatch" in reason:
                return (
                    f"the certificate of Kafka at {broker} is that of another name: {reason}; name the brokers in FIRSTCALL_KAFKA as "
                    "their certificates do"
                )
            return (
                f"the certificate of Kafka at {broker} is not signed by {trusted}: {reason}; give the certificate of the authority "
                f"that signed it as ssl_ca_file in {_OPTIONS}"
            )
        except OSError:
            continue
    return f"a certificate of Kafka at {settings.brokers} cannot be trusted; see ssl_ca_file in {_OPTIONS}, and the brokers' advertised names"
