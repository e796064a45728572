"""How a client authenticates to Kafka, said once and rendered for each client library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator


class KafkaOptions(BaseModel):
    """Authentication for all Kafka clients: the streams', the sink's and the administration's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
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
        sasl = (self.sasl_mechanism, self.sasl_username, self.sasl_password)
        if self.security_protocol.startswith("SASL"):
            if None in sasl:
                raise ValueError("a SASL protocol needs sasl_mechanism, sasl_username and sasl_password")
        elif any(part is not None for part in sasl):
            raise ValueError("sasl_* is given, but security_protocol is neither SASL_SSL nor SASL_PLAINTEXT")
        if (self.ssl_cert_file is None) != (self.ssl_key_file is None):
            raise ValueError("ssl_cert_file and ssl_key_file go together")
        return self

    def for_librdkafka(self) -> dict[str, str]:
        """Properties for confluent-kafka. They hold the password: not to be logged."""
        return self._named(
            security_protocol="security.protocol",
            sasl_mechanism="sasl.mechanism",
            sasl_username="sasl.username",
            sasl_password="sasl.password",  # noqa: S106 - a property's name
            ssl_ca_file="ssl.ca.location",
            ssl_cert_file="ssl.certificate.location",
            ssl_key_file="ssl.key.location",
        )

    def for_kafka_python(self) -> dict[str, str]:
        """Keyword arguments for kafka-python. They hold the password: not to be logged."""
        return self._named(
            security_protocol="security_protocol",
            sasl_mechanism="sasl_mechanism",
            sasl_username="sasl_plain_username",
            sasl_password="sasl_plain_password",  # noqa: S106 - an argument's name
            ssl_ca_file="ssl_cafile",
            ssl_cert_file="ssl_certfile",
            ssl_key_file="ssl_keyfile",
        )

    def _named(self, **names: str) -> dict[str, str]:
        given = {theirs: getattr(self, ours) for ours, theirs in names.items()}
        plain = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in given.items()
        }
        return {name: str(value) for name, value in plain.items() if value is not None}
