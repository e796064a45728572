"""What an erasure can fail of."""

from __future__ import annotations


class ErasureError(RuntimeError):
    """An erasure cannot go on. The text says why and what to do, and names no one; the same command goes on from there."""
