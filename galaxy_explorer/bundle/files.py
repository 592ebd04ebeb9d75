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
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Meta, Struct, field
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors

from galaxy_explorer.bundle.json_values import Count, strict_json
from galaxy_explorer.errors import BundleError

MANIFEST = "manifest.json"
WHOLE = "copy the whole bundle again, or start again what had it open before"
SEAL = "manifest.sha256"
CATALOG = "catalog.parquet"
CARD = "README.md"
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_MANIFEST_BYTES = 16 << 20
MAX_FILE_BYTES = 4 << 30
MAX_HEADER_BYTES = 1 << 20
FREE_BYTES = 256 << 20
UNPACKED_SHARE = 64
"""What a file may unpack to: the first in any case, else so many times its own size."""
MAX_COLUMNS = 200
"""Columns of the survey's catalogue in a bundle's; each clustering adds some, with "/"."""
MAX_ALL_COLUMNS = 2000
NPY_HEADER_BYTES = 1024


class FileEntry(Struct, frozen=True):
    """What the manifest says of a file: its SHA-256 and its size in bytes."""

    sha256: Annotated[str, Meta(pattern=rf"\A{SHA256.pattern}\Z")]
    size: Count = field(name="bytes")


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


def verify_files(folder: Path, files: Mapping[str, FileEntry]) -> dict[str, bytes]:
    """Read every file of the manifest, having compared the folder's contents, sizes and hashes.

    Raises BundleError naming the first missing, extra, truncated, altered or linked file.
    """
    present = {path.name for path in folder.iterdir()} - {MANIFEST, SEAL}
    if extra := sorted(present - files.keys()):
        raise BundleError(f"{folder / extra[0]}: not in {MANIFEST}; remove it")
    return {name: verified_bytes(folder / name, entry) for name, entry in files.items()}


def verified_bytes(path: Path, entry: FileEntry) -> bytes:
    """The bytes of one file, as large and with the SHA-256 that its manifest entry has."""
    size = entry.size
    data = _read_regular(path, min(size, MAX_FILE_BYTES))
    if len(data) != size:
        raise BundleError(f"{path}: {len(data)} bytes where {MANIFEST} has {size}; {WHOLE}")
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise BundleError(f"{path}: altered (its SHA-256 is not the one in {MANIFEST}); {WHOLE}")
    return data


def _read_regular(path: Path, limit: int) -> bytes:
    try:
        status = path.lstat()
    except OSError:
        raise BundleError(f"{path}: missing; {WHOLE}") from None
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(f"{path}: not a regular file; links and folders are refused")
    if status.st_size > limit:
        raise BundleError(f"{path}: {status.st_size} bytes where at most {limit} are expected")
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


def parse_catalog(data: bytes, path: Path, rows: int) -> pa.Table:
    """Parse the verified catalogue, a table of plain columns with `rows` rows.

    Raises BundleError for another row count, nested or too many columns, a table that would take
    much more memory than its file deserves, or malformed Parquet; all before it is unpacked.
    """
    try:
        source = pq.ParquetFile(pa.BufferReader(data))
        meta, schema = source.metadata, source.schema_arrow
        if meta.num_rows != rows:
            raise BundleError(f"{path}: {meta.num_rows} rows where {MANIFEST} has {rows}")
        _check_schema(schema, path)
        packed = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
        check_unpacked(path, max(packed, 8 * rows * len(schema)), len(data))
        # Texts that repeat stay packed until it is known how much they would be.
        texts = [one.name for one in schema if _is_text(one.type)]
        packed_texts = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts)
        table = packed_texts.read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BundleError(f"{path}: not a Parquet table: {error}") from None
    for name in texts:
        column = table.column(name)
        kept = [chunk.dictionary for chunk in column.chunks if pa.types.is_dictionary(chunk.type)]
        widest = max((len(t or "") for d in kept for t in d.to_pylist()), default=0)
        check_unpacked(path, 4 * widest * rows, len(data), f"column {name}")
    return table


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _check_schema(schema: pa.Schema, path: Path) -> None:
    """Raise BundleError for columns that are no numbers or texts, twice there, or too many."""
    names = schema.names
    if len(set(names)) != len(names):
        raise BundleError(f"{path}: a column name appears twice")
    plain = [name for name in names if "/" not in name]
    for found, most in ((len(plain), MAX_COLUMNS), (len(names), MAX_ALL_COLUMNS)):
        if found > most:
            raise BundleError(
                f"{path}: {found} columns; at most {most} are taken, train with fewer of them"
            )
    for one in schema:
        kind, types = one.type, pa.types
        if not (
            types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind)
            or _is_text(kind) or types.is_null(kind)
        ):  # fmt: skip
            raise BundleError(
                f"{path}: column {one.name} is {kind}; only numbers and text are possible"
            )


def check_unpacked(path: Path, size: int, packed: int, what: str = "") -> None:
    """Raise BundleError where so much memory is not what a file of its size deserves."""
    limit = max(FREE_BYTES, UNPACKED_SHARE * packed)
    if size > limit:
        raise BundleError(
            f"{path}: {what or 'its content'} would take {size:,} bytes of memory, from {packed:,}"
            f" on disk; at most {limit:,} are taken"
        )


def column_array(table: pa.Table, name: str) -> np.ndarray:
    """One column as a read-only array; absent numbers become NaN, absent text becomes ""."""
    column = table.column(name).combine_chunks()
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        if column.null_count == 0:
            # pyarrow's own to_numpy would import pandas, which takes longer than the whole load
            return read_only(np.array(np.from_dlpack(column)))
        return read_only(np.array([np.nan if v is None else v for v in column.to_pylist()]))
    if pa.types.is_boolean(kind) and column.null_count == 0:
        return read_only(np.array(column.to_pylist(), dtype=bool))
    texts = ["" if value is None else str(value) for value in column.to_pylist()]
    return read_only(np.array(texts, dtype=str))
