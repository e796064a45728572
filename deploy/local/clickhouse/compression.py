"""The encodings of HTTP bodies that ClickHouse's clients use, piece by piece: lz4 frames, zstd, gzip, deflate."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

import lz4.frame

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP: Final = 31
_ZLIB: Final = 15


class Decoder(Protocol):
    """Decodes one frame; `unused_data` is what came behind its end."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


_DECODERS: Final[dict[str, Callable[[], Any]]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
    "gzip": lambda: zlib.decompressobj(_GZIP),
    "deflate": lambda: zlib.decompressobj(_ZLIB),
}
#: In the order of preference when a client takes several: lz4 costs the least.
_ENCODINGS: Final = ("lz4", "zstd", "gzip", "deflate")
#: What the libraries raise for bytes that are no such frame.
BROKEN: Final = (RuntimeError, EOFError, zlib.error, zstd.ZstdError)


class Decompression:
    """Decodes a body that may be several frames one after the other, as senders that flush in between make them."""

    def __init__(self, encoding: str) -> None:
        self._new_decoder = _DECODERS[encoding]
        self._decoder: Decoder | None = None

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and return what can be decoded by now. Raises one of BROKEN."""
        decoded = []
        while data:
            if self._decoder is None:
                self._decoder = self._new_decoder()
            decoded.append(self._decoder.decompress(data))
            data = b""
            if self._decoder.eof:
                data, self._decoder = self._decoder.unused_data or b"", None
        return b"".join(decoded)

    @property
    def is_complete(self) -> bool:
        """Whether no frame is left open."""
        return self._decoder is None


def knows(encoding: str) -> bool:
    """Whether bodies in an encoding can be read."""
    return encoding in _DECODERS


def accepted(header: str) -> str | None:
    """The encoding to answer in, by the client's Accept-Encoding; None for as it is."""
    offered = {
        part.split(";")[0].strip().lower() for part in header.split(",") if not part.replace(" ", "").endswith("q=0")
    }
    return next((encoding for encoding in _ENCODINGS if encoding in offered), None)


class Compression:
    """Encodes an answer, as one frame over all pieces."""

    def __init__(self, encoding: str) -> None:
        self._begun = encoding != "lz4"
        self._encoder: Any
        if encoding == "lz4":
            self._encoder = lz4.frame.LZ4FrameCompressor()
        elif encoding == "zstd":
            self._encoder = zstd.ZstdCompressor(level=1)
        else:
            self._encoder = zlib.compressobj(1, zlib.DEFLATED, _GZIP if encoding == "gzip" else _ZLIB)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and return what is encoded by now."""
        begin = b"" if self._begun else self._encoder.begin()
        self._begun = True
        encoded: bytes = self._encoder.compress(data)
        return begin + encoded

    def finish(self) -> bytes:
        """End the frame."""
        begin = b"" if self._begun else self._encoder.begin()
        self._begun = True
        rest: bytes = self._encoder.flush()
        return begin + rest
