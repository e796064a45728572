"""Whether the brokers let this deployment in, and if not, in which words to tell it.

Each client library says it in its own way, or only that nobody answers. So whoever starts asks once here. Brokers that
are away are no refusal: they are waited for.
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

#: How long the brokers may take to let someone in or not.
ANSWERED_WITHIN_SECONDS: Final = 10.0
_ASKED_AGAIN_SECONDS: Final = 0.5
_HANDSHAKE_SECONDS: Final = 5.0
_OPTIONS: Final = "FIRSTCALL_KAFKA_OPTIONS"
#: What librdkafka calls a login or an encryption that did not come about; other failures may pass.
_DECISIVE: Final = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL})  # noqa: SLF001 - public, but for their names

_log = logging.getLogger("librdkafka.login")
_log.setLevel(logging.CRITICAL + 1)


def login_refused(settings: Settings) -> str:
    """Why the brokers do not let this deployment in, and what to do; '' if they do, or do not answer, or let anyone in."""
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
        asking = Consumer(properties, logger=_log)
    except KafkaException as error:
        return f"{_OPTIONS}: {error.args[0].str()}"
    try:
        ends = time.monotonic() + ANSWERED_WITHIN_SECONDS
        while time.monotonic() < ends:
            try:
                asking.list_topics(timeout=_ASKED_AGAIN_SECONDS)
            except KafkaException as error:
                errors.append(error.args[0])
            else:
                return ""
            asking.poll(0)
            for found in errors:
                said = _told(found, settings)
                if said:
                    return said
            # Nobody has answered, so nobody has refused.
            if any(found.code() == KafkaError._ALL_BROKERS_DOWN for found in errors):  # noqa: SLF001 - as above
                return ""
            errors.clear()
        return ""
    finally:
        asking.close()


def _told(error: KafkaError, settings: Settings) -> str:
    """An error of librdkafka in words for whoever has to act; '' for one that may pass by itself."""
    text = error.str().partition(" (after")[0]
    if error.code() not in _DECISIVE and "SSL" not in text:
        return ""
    options = settings.kafka_options
    if error.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001 - public, but for its name
        reason = text.partition("authentication error: ")[2] or text
        if options.sasl_token_file is not None:
            return (
                f"Kafka at {settings.brokers} does not accept the token in {options.sasl_token_file}: {reason}; see that it has not "
                "expired, and that its issuer and audience are those that the brokers are told to believe"
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
        f"Kafka at {settings.brokers} does not speak TLS there: {text.partition('/bootstrap: ')[2] or text}; name its port for "
        f"{options.security_protocol} in FIRSTCALL_KAFKA, or correct security_protocol in {_OPTIONS}"
    )


def _wrong_certificate(settings: Settings) -> str:
    """Which broker's certificate is not trusted, and why: Python's own TLS says more of it."""
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
