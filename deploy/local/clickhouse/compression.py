"""The Content-Encodings that ClickHouse's clients use, as streams: lz4 frames, zstd, gzip, deflate."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Final

import lz4.frame
from backports import zstd

_GZIP: Final = 31
_ZLIB: Final = 15


_DECODERS: Final[dict[str, Callable[[], Any]]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
    "gzip": lambda: zlib.decompressobj(_GZIP),
    "deflate": lambda: zlib.decompressobj(_ZLIB),
}
#: In the order of preference when a client accepts several: lz4 costs the least.
_ENCODINGS: Final = ("lz4", "zstd", "gzip", "deflate")
#: The errors of the libraries for bytes that are no such frame.
BROKEN: Final = (RuntimeError, EOFError, zlib.error, zstd.ZstdError)


class Decompression:
    """Decodes a body of one or more frames; a sender that flushes in between makes several."""

    def __init__(self, encoding: str) -> None:
        self._new_decoder = _DECODERS[encoding]
        #: Of one frame, from any of the libraries.
        self._decoder: Any = None

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and return those that can be decoded so far. Raises one of BROKEN."""
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


def is_supported(encoding: str) -> bool:
    return encoding in _DECODERS


def accepted(header: str) -> str | None:
    """The encoding of the answer, by the client's Accept-Encoding; None for no encoding."""
    offered = {
        part.split(";")[0].strip().lower() for part in header.split(",") if not part.replace(" ", "").endswith("q=0")
    }
    return next((encoding for encoding in _ENCODINGS if encoding in offered), None)


class Compression:
    """Encodes an answer as one frame."""

    def __init__(self, encoding: str) -> None:
        self._header = b""
        self._encoder: Any
        if encoding == "lz4":
            self._encoder = lz4.frame.LZ4FrameCompressor()
            self._header = self._encoder.begin()
        elif encoding == "zstd":
            self._encoder = zstd.ZstdCompressor(level=1)
        else:
            self._encoder = zlib.compressobj(1, zlib.DEFLATED, _GZIP if encoding == "gzip" else _ZLIB)

    def feed(self, data: bytes) -> bytes:
        header, self._header = self._header, b""
        encoded: bytes = self._encoder.compress(data)
        return header + encoded

    def finish(self) -> bytes:
        header, self._header = self._header, b""
        rest: bytes = self._encoder.flush()
        return header + rest
