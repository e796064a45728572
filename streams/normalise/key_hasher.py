"""Hashes API keys: 128 bits of HMAC-SHA-256 in hex, under each configured secret.

`streams/identity/key_hashes.py` decides which hashes belong to one key.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

#: Bounds the memory of the caches; beyond it they are cleared.
KEYS_CACHED: Final = 100_000


class KeyHasher:
    """Hashes keys. `secrets`: the oldest first.

    A key's alias is its hash under the oldest secret. Hashes under newer secrets prepare a rotation: `newer` returns them.
    Shows neither secrets nor keys. The only state is caches.
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        if not secrets:
            raise ValueError("at least one secret is needed to hash API keys")
        self._oldest, *self._newer_secrets = secrets
        self._hashes: dict[str, str] = {}
        self._newer: dict[str, tuple[str, ...]] = {}
        self._newer_before: dict[str, tuple[str, ...]] = {}

    def __call__(self, api_key: str) -> str:
        known = self._hashes.get(api_key)
        if known is None:
            if len(self._hashes) >= KEYS_CACHED:
                self._hashes.clear()
                self._newer_before, self._newer = self._newer, {}
            known = self._hashes[api_key] = _hash(self._oldest, api_key)
            if self._newer_secrets:
                self._newer[known] = tuple(_hash(secret, api_key) for secret in self._newer_secrets)
        return known

    def newer(self, oldest: str) -> tuple[str, ...]:
        """The hashes under the newer secrets of the key whose hash under the oldest secret is `oldest`.

        Call it in the batch that hashed the key: only the last `KEYS_CACHED` keys are cached. For all others, and without a
        newer secret, it returns (). A rotation then lacks one piece of evidence, and each later event of the key adds it.
        """
        return self._newer.get(oldest) or self._newer_before.get(oldest, ())


def _hash(secret: bytes, api_key: str) -> str:
    return hmac.digest(secret, api_key.encode("utf-8"), "sha256")[:16].hex()
