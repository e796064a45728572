"""Real Apache Kafka as an operator would guard it: TLS, every kind of login, and rights for each topic and group."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from deploy.local.kafka.broker import LOOPBACK, LocalBroker
from tests.conftest import free_port
from tests.support.certificates import Authority

USER, PASSWORD = "firstcall", "correct-horse-battery"
#: May do everything; all others only what they are granted.
_SUPER = "User:ANONYMOUS;User:admin"


class SecureBroker(LocalBroker):
    """Listens for logins (`logins`), for client certificates (`certified`), and under a certificate of another host (`misnamed`)."""

    def __init__(self, data_dir: Path, jars: Path, authority: Authority) -> None:
        super().__init__(data_dir, jars=jars)
        self._certificate = authority.sign("kafka", "DNS:localhost,IP:127.0.0.1").both
        self._elsewhere = authority.sign("elsewhere", "DNS:kafka.example.com").both
        self._authority = authority.file
        self._ports = {name: free_port() for name in ("LOGINS", "CERTIFIED", "MISNAMED")}

    @property
    def logins(self) -> str:
        """SASL_SSL, with any mechanism."""
        return f"{LOOPBACK}:{self._ports['LOGINS']}"

    @property
    def certified(self) -> str:
        """SSL, with a certificate of the client's."""
        return f"{LOOPBACK}:{self._ports['CERTIFIED']}"

    @property
    def misnamed(self) -> str:
        """SSL, but not by the name of this host."""
        return f"{LOOPBACK}:{self._ports['MISNAMED']}"

    def administrator(self) -> AdminClient:
        """May do everything: the plain listener is the operator's own."""
        return AdminClient({"bootstrap.servers": self.bootstrap})

    def add_user(self, name: str, password: str) -> None:
        """Let a user log in by SCRAM, with no right to anything."""
        upsertions = [
            UserScramCredentialUpsertion(name, ScramCredentialInfo(mechanism, 4096), password.encode())
            for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)
        ]
        administrator = self.administrator()
        for upsertion in upsertions:
            for done in administrator.alter_user_scram_credentials([upsertion]).values():
                done.result(20)

    def grant(self, user: str, rights: Iterable[tuple[str, str, str]]) -> None:
        """Give a user rights: (resource, operation, name or `prefix*`), as in `("topic", "read", "web-events")`."""
        administrator = self.administrator()
        for done in administrator.create_acls([_binding(user, *right) for right in rights]).values():
            done.result(20)

    def _properties(self, controller_port: int, data: str) -> Mapping[str, str]:
        properties = dict(super()._properties(controller_port, data))
        protocols = {"LOGINS": "SASL_SSL", "CERTIFIED": "SSL", "MISNAMED": "SSL"}
        for name, protocol in protocols.items():
            place = f",{name}://{LOOPBACK}:{self._ports[name]}"
            properties["listeners"] += place
            properties["advertised.listeners"] += place
            properties["listener.security.protocol.map"] += f",{name}:{protocol}"
            certificate = self._elsewhere if name == "MISNAMED" else self._certificate
            properties |= _under(f"listener.name.{name.lower()}.ssl.keystore", certificate)
            properties |= _under(f"listener.name.{name.lower()}.ssl.truststore", self._authority)
        properties["listener.name.certified.ssl.client.auth"] = "required"
        properties |= {f"listener.name.logins.{name}": value for name, value in _logins().items()}
        return properties | {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": _SUPER,
        }


def token(user: str, seconds: int = 3600) -> str:
    """A token that no one has signed, which Kafka accepts unless the issuer is configured."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": user, "iat": now, "exp": now + seconds})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def _under(prefix: str, file: Path) -> dict[str, str]:
    return {f"{prefix}.type": "PEM", f"{prefix}.location": str(file)}


def _logins() -> dict[str, str]:
    module = "org.apache.kafka.common.security"
    scram = f"{module}.scram.ScramLoginModule required;"
    return {
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "plain.sasl.jaas.config": f'{module}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
        "scram-sha-256.sasl.jaas.config": scram,
        "scram-sha-512.sasl.jaas.config": scram,
        "oauthbearer.sasl.jaas.config": f"{module}.oauthbearer.OAuthBearerLoginModule required;",
    }


def _binding(user: str, resource: str, operation: str, name: str) -> AclBinding:
    kinds: dict[str, Any] = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "cluster": ResourceType.BROKER}
    pattern = ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL
    what = AclOperation[operation.upper()]
    allow = AclPermissionType.ALLOW
    return AclBinding(kinds[resource], name.removesuffix("*"), pattern, f"User:{user}", "*", what, allow)
