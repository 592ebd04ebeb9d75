"""Bundle files as they lie on disk: hash first, parse after, numbers only.

Every file is read once into memory, compared with the manifest's size and SHA-256, and only
then handed to a parser. Each refusal is a BundleError that names the file.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct, field
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors

from galaxy_explorer.bundle.json_values import Count, strict_json
from galaxy_explorer.errors import BundleError
from galaxy_explorer.utils.files import sha256_of

MANIFEST = "manifest.json"
WHOLE = "copy the whole bundle again, or start again what had it open before"
SEAL = "manifest.sha256"
CATALOG = "catalog.parquet"
CARD = "README.md"
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_MANIFEST_BYTES = 16 << 20
MAX_FILE_BYTES = 4 << 30
PART_BYTES = 4 << 20
"""Of a large file that is hashed in parts, each of them but the last."""
MAX_HEADER_BYTES = 1 << 20
FREE_BYTES = 256 << 20
UNPACKED_SHARE = 64
"""What a file may unpack to: the first in any case, else so many times its own size."""
MAX_COLUMNS = 200
"""Columns of the survey's catalogue in a bundle's; each clustering adds some, with "/"."""
MAX_ALL_COLUMNS = 2000
NPY_HEADER_BYTES = 1024


Digest = Annotated[str, Meta(pattern=rf"\A{SHA256.pattern}\Z")]


class FileEntry(Struct, frozen=True):
    """What the manifest says of a file: its SHA-256 and its size in bytes.

    parts: the SHA-256 of every PART_BYTES of it; none of files that are read at once.
    """

    sha256: Digest
    size: Count = field(name="bytes")
    parts: tuple[Digest, ...] = ()


def read_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    """Parse manifest.json after comparing it with manifest.sha256; return it and its SHA-256.

    manifest.sha256 is in the format of the `sha256sum` tool.
    Raises BundleError where the folder or a file is absent, altered or not strict JSON.
    """
    if not folder.is_dir():
        aside = folder.with_name(f".{folder.name}.old")  # where a killed writer may have left it
        hint = f"; the previous one is in {aside}: rename it" if aside.is_dir() else ""
        raise BundleError(f"{folder}: no such bundle{hint}")
    text = _read_regular(folder / MANIFEST, MAX_MANIFEST_BYTES)
    seal = _read_regular(folder / SEAL, MAX_HEADER_BYTES)
    digest = hashlib.sha256(text).hexdigest()
    if seal != seal_line(digest).encode():
        raise BundleError(f"{folder / MANIFEST}: altered (its SHA-256 is not the one in {SEAL})")
    return strict_json(text, folder / MANIFEST), digest


def seal_line(digest: str) -> str:
    """The text of manifest.sha256."""
    return f"{digest}  {MANIFEST}\n"


def check_folder(folder: Path, files: Mapping[str, FileEntry]) -> None:
    """Compare the names and sizes in a folder with the manifest; no file is read.

    Raises BundleError naming the first missing, extra, truncated or linked file.
    """
    present = {path.name for path in folder.iterdir()} - {MANIFEST, SEAL}
    if extra := sorted(present - files.keys()):
        raise BundleError(f"{folder / extra[0]}: not in {MANIFEST}; remove it")
    for name, entry in files.items():
        check_regular(folder / name, entry.size, exactly=True)


def verified_bytes(path: Path, entry: FileEntry) -> bytes:
    """The bytes of one file, as large and with the SHA-256 that its manifest entry has."""
    check_regular(path, entry.size, exactly=True)
    check_regular(path, MAX_FILE_BYTES)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise altered(path)
    return data


def verify_file(path: Path, entry: FileEntry) -> None:
    """Compare a file with its manifest entry without keeping it. Raises BundleError."""
    check_regular(path, entry.size, exactly=True)
    if sha256_of(path) != entry.sha256:
        raise altered(path)


def altered(path: Path) -> BundleError:
    """The error that names a file whose bytes are not those of the manifest."""
    return BundleError(f"{path}: altered (its SHA-256 is not the one in {MANIFEST}); {WHOLE}")


def check_regular(path: Path, size: int, *, exactly: bool = False) -> None:
    """Raise BundleError for a file that is missing, linked, or of another size.

    size: bytes, at most, or exactly as many.
    """
    try:
        status = path.lstat()
    except OSError:
        raise BundleError(f"{path}: missing; {WHOLE}") from None
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(f"{path}: not a regular file; links and folders are refused")
    if exactly and status.st_size != size:
        raise BundleError(f"{path}: {status.st_size} bytes where {MANIFEST} has {size}; {WHOLE}")
    if status.st_size > size:
        raise BundleError(f"{path}: {status.st_size} bytes where at most {size} are expected")


def _read_regular(path: Path, limit: int) -> bytes:
    check_regular(path, limit)
    return path.read_bytes()


def parse_arrays(data: bytes, path: Path) -> dict[str, np.ndarray]:
    """Parse a verified safetensors file into read-only arrays of finite numbers.

    Raises BundleError for an oversized header, a malformed file or a value that is not finite.
    """
    header = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else MAX_HEADER_BYTES + 1
    if header > min(MAX_HEADER_BYTES, len(data) - 8):
        raise BundleError(f"{path}: its header is oversized or cut")
    try:
        arrays: dict[str, np.ndarray] = parse_safetensors(data)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise BundleError(f"{path}: not a safetensors file: {error}") from None
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise BundleError(f"{path}: {name} holds values that are not finite")
    return {name: read_only(array) for name, array in arrays.items()}


def read_only(array: np.ndarray) -> np.ndarray:
    """The array itself, no longer writable."""
    array.flags.writeable = False
    return array


def parse_codes(data: bytes, path: Path, shape: tuple[int, ...], codes: int) -> np.ndarray:
    """Parse verified code maps, shape (N, h, w), uint8 or uint16, each below `codes`.

    Raises BundleError for another shape or type, a code out of range, or a bomb.
    """
    check_unpacked(path, 2 * math.prod(shape), len(data))
    try:
        maps = _read_codes(data, shape)
    except _DAMAGED_ARCHIVE as error:
        raise BundleError(f"{path}: not code maps: {error}") from None
    if maps.size and maps.max() >= codes:
        raise BundleError(f"{path}: code {maps.max()} where the codebook has {codes}")
    return read_only(maps.reshape(shape))


_DAMAGED_ARCHIVE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, ValueError, OSError, EOFError),
    *(RuntimeError, SyntaxError, TypeError, KeyError),
)


def _read_codes(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels of codes.npy, none allocated before its header has been compared."""
    limit = 2 * math.prod(shape) + NPY_HEADER_BYTES
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(m.filename, m.compress_type) for m in archive.infolist()]
        if members != [("codes.npy", zipfile.ZIP_DEFLATED)]:
            raise ValueError("one deflated array named codes is expected")
        if archive.infolist()[0].file_size > limit:
            raise ValueError(f"more than {limit} bytes unpacked")
        stream = io.BytesIO(archive.read("codes.npy"))
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("npy format 1.0 is expected")
    found, by_columns, kind = np.lib.format.read_array_header_1_0(stream)
    if found != shape or by_columns or kind not in (np.dtype("u1"), np.dtype("<u2")):
        raise ValueError(f"{kind} {found} where unsigned {shape} is expected")
    return np.frombuffer(stream.read(), dtype=kind, count=math.prod(shape))


def check_unpacked(path: Path, size: int, packed: int, what: str = "") -> None:
    """Raise BundleError where so much memory is not what a file of its size deserves."""
    limit = max(FREE_BYTES, UNPACKED_SHARE * packed)
    if size > limit:
        raise BundleError(
            f"{path}: {what or 'its content'} would take {size:,} bytes of memory, from {packed:,}"
            f" on disk; at most {limit:,} are taken"
        )
