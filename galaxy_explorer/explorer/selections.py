"""Selections kept on disk under their hash, so that a link can name thousands of galaxies.

A file is one line of JSON (bundle, count, words) and a bit for each galaxy, compressed. Its name
is the hash of its content, so nothing but what was kept can be read back.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.files import atomic_write_bytes

DIGEST = re.compile(r"[0-9a-f]{24}")
MAX_WORDS = 200
MAX_HEADER_BYTES = 4096


class SelectionStore:
    """Selections of the galaxies of one bundle; the `kept` most recently used ones stay."""

    def __init__(self, folder: Path, bundle_hash: str, n_galaxies: int, kept: int) -> None:
        self._folder, self._bundle, self._n, self._kept = folder, bundle_hash, n_galaxies, kept

    def put(self, rows: ArrayLike, words: str) -> str:
        """Keep rows of the catalogue and their description; returns the hash to ask for."""
        mask = np.zeros(self._n, bool)
        mask[np.asarray(rows, np.int64)] = True
        header = {"bundle": self._bundle, "n": self._n, "words": words[:MAX_WORDS]}
        text = json.dumps(header, sort_keys=True).encode()
        data = text + b"\n" + zlib.compress(np.packbits(mask).tobytes())
        digest = hashlib.sha256(data).hexdigest()[:24]
        path = self._folder / digest
        if path.exists():
            os.utime(path)
        else:
            atomic_write_bytes(path, data)
            self._sweep()
        return digest

    def get(self, digest: str) -> tuple[NDArray[np.int64], str]:
        """Rows and description of a selection. Raises KeyError where it is not, or not whole."""
        if not DIGEST.fullmatch(digest):
            raise KeyError(digest)
        path = self._folder / digest
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_HEADER_BYTES + 2 * self._n)
            os.utime(path)
            return self._parse(data, digest)
        except (OSError, ValueError, zlib.error) as error:
            raise KeyError(digest) from error

    def _parse(self, data: bytes, digest: str) -> tuple[NDArray[np.int64], str]:
        if hashlib.sha256(data).hexdigest()[:24] != digest:
            raise ValueError("damaged")
        text, _, packed = data.partition(b"\n")
        header = json.loads(text)
        if (header.get("bundle"), header.get("n")) != (self._bundle, self._n):
            raise ValueError("of another bundle")
        bits = zlib.decompressobj().decompress(packed, -(-self._n // 8))
        mask = np.unpackbits(np.frombuffer(bits, np.uint8), count=self._n)
        return np.flatnonzero(mask), str(header["words"])

    def _sweep(self) -> None:
        """Remove the selections not used for longest."""
        paths = [path for path in self._folder.iterdir() if DIGEST.fullmatch(path.name)]
        if len(paths) > self._kept:
            paths.sort(key=lambda path: path.stat().st_mtime_ns)
            for path in paths[: len(paths) - self._kept]:
                path.unlink(missing_ok=True)
