"""How clients authenticate to Kafka: configured once, rendered for each client library."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import SecretStr, model_validator

from schemas.config.model_errors import StrictModel

#: A token without an expiry of its own is read again after this time.
TOKEN_SECONDS: Final = 60.0


class KafkaOptions(StrictModel):
    """Authentication for all Kafka clients: the streams', the sink's and the administration's."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    #: With OAUTHBEARER: the file of the current token. What writes it must replace it before it expires.
    sasl_token_file: Path | None = None
    ssl_ca_file: Path | None = None
    ssl_cert_file: Path | None = None
    ssl_key_file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            decoded = json.loads(value)
        except ValueError:
            decoded = None
        if not isinstance(decoded, dict):
            raise ValueError(  # noqa: TRY004 - pydantic reports only ValueError
                'is not a JSON object; give for example {"security_protocol": "SSL", "ssl_ca_file": "/etc/kafka/ca.pem"}'
            )
        return decoded

    @model_validator(mode="after")
    def _complete(self) -> KafkaOptions:
        login = (self.sasl_username, self.sasl_password)
        if self.security_protocol.startswith("SASL"):
            if self.sasl_mechanism == "OAUTHBEARER":
                if self.sasl_token_file is None or any(part is not None for part in login):
                    raise ValueError("OAUTHBEARER needs sasl_token_file, and no sasl_username and sasl_password")
            elif self.sasl_mechanism is None or None in login:
                raise ValueError(
                    "a SASL protocol needs sasl_mechanism, sasl_username and sasl_password; OAUTHBEARER sasl_token_file"
                )
            elif self.sasl_token_file is not None:
                raise ValueError("sasl_token_file is given, but sasl_mechanism is not OAUTHBEARER")
        elif any(part is not None for part in (self.sasl_mechanism, self.sasl_token_file, *login)):
            raise ValueError("sasl_* is given, but security_protocol is neither SASL_SSL nor SASL_PLAINTEXT")
        if (self.ssl_cert_file is None) != (self.ssl_key_file is None):
            raise ValueError("ssl_cert_file and ssl_key_file go together")
        return self

    @property
    def uses_tls(self) -> bool:
        """Whether connections to the brokers are encrypted."""
        return self.security_protocol.endswith("SSL")

    def token(self) -> str:
        """The current token of OAUTHBEARER. Raises OSError when its file cannot be read."""
        assert self.sasl_token_file is not None, "OAUTHBEARER has one"
        return self.sasl_token_file.read_text("utf-8").strip()

    def for_librdkafka(self) -> dict[str, Any]:
        """Properties for confluent-kafka. They hold the password: not to be logged."""
        properties: dict[str, Any] = self._named(
            security_protocol="security.protocol",
            sasl_mechanism="sasl.mechanism",
            sasl_username="sasl.username",
            sasl_password="sasl.password",  # noqa: S106 - a property's name
            ssl_ca_file="ssl.ca.location",
            ssl_cert_file="ssl.certificate.location",
            ssl_key_file="ssl.key.location",
        )
        if self.sasl_token_file is not None:
            properties["oauth_cb"] = lambda _: (token := self.token(), _good_until(token))
        return properties

    def for_kafka_python(self) -> dict[str, Any]:
        """Keyword arguments for kafka-python. They hold the password: not to be logged."""
        arguments: dict[str, Any] = self._named(
            security_protocol="security_protocol",
            sasl_mechanism="sasl_mechanism",
            sasl_username="sasl_plain_username",
            sasl_password="sasl_plain_password",  # noqa: S106 - an argument's name
            ssl_ca_file="ssl_cafile",
            ssl_cert_file="ssl_certfile",
            ssl_key_file="ssl_keyfile",
        )
        if self.sasl_token_file is not None:
            arguments["sasl_oauth_token_provider"] = _provider_for_kafka_python(self)
        return arguments

    def _named(self, **names: str) -> dict[str, str]:
        given = {theirs: getattr(self, ours) for ours, theirs in names.items()}
        plain = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in given.items()
        }
        return {name: str(value) for name, value in plain.items() if value is not None}


def _provider_for_kafka_python(options: KafkaOptions) -> Any:
    from kafka.net.sasl.oauth import AbstractTokenProvider

    class TokenInFile(AbstractTokenProvider):  # type: ignore[misc]  # published without types
        def token(self) -> str:
            return options.token()

    return TokenInFile()


def _good_until(token: str) -> float:
    """When a token expires, in seconds since 1970: the `exp` of a JSON web token, else TOKEN_SECONDS from now.

    An expired one counts as good for a moment: the brokers refuse it, and its file is read again.
    """
    soon = time.time() + TOKEN_SECONDS
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return max(float(claims["exp"]), soon - TOKEN_SECONDS / 2)
    except (IndexError, KeyError, TypeError, ValueError):
        return soon
