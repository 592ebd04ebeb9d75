"""Bundle files as they lie on disk: hash first, parse after, numbers only.

Every file is read once into memory, compared with the manifest's size and SHA-256, and only
then handed to a parser. Each refusal is a BundleError that names the file.

Reading `evaluation.json`, `emulation.json`: every field by name and type, before any is used.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors

from galaxy_explorer.bundle import emulation as bundle_emulation
from galaxy_explorer.bundle.emulation import (
    EmulationFigure,
    EmulatorEvaluation,
    GuidancePoint,
    Histogram,
    PriorEvaluation,
    TypeTrend,
)
from galaxy_explorer.bundle.evaluation import (
    FORMAT,
    QUESTIONS,
    ROW_FIELDS,
    VERDICTS,
    Claim,
    ClaimFigure,
    ClusterStability,
    Cost,
    Evaluation,
    EvaluationRow,
    NumberOfClusters,
    StoredMergerTree,
    Target,
    TradeoffPoint,
    TrainingCurve,
    TrainingRow,
)
from galaxy_explorer.errors import BundleError

MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
CATALOG = "catalog.parquet"
CARD = "README.md"
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_MANIFEST_BYTES = 16 << 20
MAX_FILE_BYTES = 4 << 30
MAX_HEADER_BYTES = 1 << 20
MAX_CATALOG_BYTES = 16 << 30
NPY_HEADER_BYTES = 1024


def read_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    """Parse manifest.json after comparing it with manifest.sha256; return it and its SHA-256.

    manifest.sha256 is in the format of the `sha256sum` tool.
    Raises BundleError where the folder or a file is absent, altered or not strict JSON.
    """
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such bundle{_left_aside(folder)}")
    text = _read_regular(folder / MANIFEST, MAX_MANIFEST_BYTES)
    seal = _read_regular(folder / SEAL, MAX_HEADER_BYTES)
    digest = hashlib.sha256(text).hexdigest()
    if seal != seal_line(digest).encode():
        raise BundleError(f"{folder / MANIFEST}: altered (its SHA-256 is not the one in {SEAL})")
    return strict_json(text, folder / MANIFEST), digest


def seal_line(digest: str) -> str:
    """The text of manifest.sha256."""
    return f"{digest}  {MANIFEST}\n"


def _left_aside(folder: Path) -> str:
    aside = folder.with_name(f".{folder.name}.old")
    return f"; the previous one is in {aside}: rename it" if aside.is_dir() else ""


def verify_files(folder: Path, files: dict[str, dict[str, Any]]) -> dict[str, bytes]:
    """Read every file of the manifest, having compared the folder's contents, sizes and hashes.

    Raises BundleError naming the first missing, extra, truncated, altered or linked file.
    """
    present = {path.name for path in folder.iterdir()} - {MANIFEST, SEAL}
    if extra := sorted(present - files.keys()):
        raise BundleError(f"{folder / extra[0]}: not in {MANIFEST}; remove it")
    return {name: verified_bytes(folder / name, entry) for name, entry in files.items()}


def verified_bytes(path: Path, entry: dict[str, Any]) -> bytes:
    """The bytes of one file, as large and with the SHA-256 that its manifest entry has."""
    size = entry["bytes"]
    data = _read_regular(path, min(size, MAX_FILE_BYTES))
    if len(data) != size:
        raise BundleError(f"{path}: {len(data)} bytes where {MANIFEST} has {size}: truncated")
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise BundleError(f"{path}: altered (its SHA-256 is not the one in {MANIFEST})")
    return data


def _read_regular(path: Path, limit: int) -> bytes:
    try:
        status = path.lstat()
    except OSError:
        raise BundleError(f"{path}: missing; copy the whole bundle again") from None
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(f"{path}: not a regular file; links and folders are refused")
    if status.st_size > limit:
        raise BundleError(f"{path}: {status.st_size} bytes where at most {limit} are expected")
    return path.read_bytes()


def strict_json(text: bytes, path: Path) -> dict[str, Any]:
    """Parse JSON, refusing duplicate keys, NaN, infinities and anything but an object."""
    try:
        value = json.loads(
            text.decode(),
            object_pairs_hook=_unique_keys,
            parse_constant=_finite,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not strict JSON: {error}") from None
    if not isinstance(value, dict):
        raise BundleError(f"{path}: an object is expected")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("a key appears twice")
    return keys


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


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

    Raises BundleError for another row count, a table that would not fit, or malformed Parquet.
    """
    try:
        source = pq.ParquetFile(pa.BufferReader(data))
        meta = source.metadata
        size = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
        if meta.num_rows != rows or size > MAX_CATALOG_BYTES:
            raise BundleError(f"{path}: {meta.num_rows} rows where {MANIFEST} has {rows}")
        table = source.read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BundleError(f"{path}: not a Parquet table: {error}") from None
    if len(set(table.column_names)) != table.num_columns:
        raise BundleError(f"{path}: a column name appears twice")
    return table


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


MAX_TEXT = 4000
MAX_ITEMS = 20_000_000

Made = TypeVar("Made")


def parse_evaluation(values: Mapping[str, Any], path: Path) -> Evaluation:
    """Check and rebuild an evaluation from its JSON values.

    Raises BundleError naming `path` and the first field that is missing, unknown or wrong.
    """
    try:
        return _evaluation(dict(values))
    except _WrongField as error:
        cure = "run galaxy-explorer evaluate again"
        raise BundleError(f"{path}: {error}; {cure}") from None


def parse_emulation(values: Mapping[str, Any], path: Path) -> EmulatorEvaluation:
    """Check and rebuild what `evaluate --emulator` measured; errors as of `parse_evaluation`."""
    try:
        if values.get("format") != bundle_emulation.FORMAT:
            raise _WrongField("format", f"only {bundle_emulation.FORMAT} is known")
        plain = {name: value for name, value in values.items() if name != "format"}
        made = _build(EmulatorEvaluation, plain, "")
        for proof in (made, *made.others):
            _check_lengths(proof)
    except _WrongField as error:
        cure = "run galaxy-explorer evaluate --emulator again"
        raise BundleError(f"{path}: {error}; {cure}") from None
    return made


def _check_lengths(made: PriorEvaluation) -> None:
    for number, histogram in enumerate(made.histograms):
        bins = len(histogram.edges) - 1
        if bins < 1 or any(len(shares) != bins for shares in histogram.shares.values()):
            raise _WrongField(f"histograms[{number}]", "as many shares as bins are expected")
    for number, trend in enumerate(made.trends):
        if not len(trend.means) == len(trend.counts) == bundle_emulation.CLASSES:
            raise _WrongField(f"trends[{number}]", "a mean and a count for each class")


def _evaluation(values: dict[str, Any]) -> Evaluation:
    if values.pop("format", None) != FORMAT:
        raise _WrongField("format", f"only {FORMAT} is known")
    values["rows"] = _table(values, "rows", ROW_FIELDS)
    # An evaluation of an earlier version knows of none.
    stored = values.pop("further", None)
    further = (
        [] if stored is None else _table({"further": stored}, "further", ["seed", *ROW_FIELDS])
    )
    values["extra_trainings"] = [{"seed": one.pop("seed"), "row": one} for one in further]
    return _build(Evaluation, values, "")


def _table(values: dict[str, Any], name: str, columns: list[str]) -> list[dict[str, Any]]:
    """The rows of a table that is stored without its field names."""
    table = values.get(name)
    if not isinstance(table, dict) or table.get("fields") != columns:
        raise _WrongField(f"{name}.fields", f"{columns} are expected")
    lists = _listed(table.get("values"), f"{name}.values")
    if any(not isinstance(row, list) or len(row) != len(columns) for row in lists):
        raise _WrongField(f"{name}.values", f"lists of {len(columns)} are expected")
    return [dict(zip(columns, row, strict=True)) for row in lists]


class _WrongField(ValueError):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")


def _build(kind: type[Made], values: Any, where: str) -> Made:
    """An instance of one of the dataclasses above, each field checked by its annotation.

    Fields with a default may be absent, as they are in files of before.
    """
    if not isinstance(values, dict):
        raise _WrongField(where.rstrip("."), "an object is expected")
    known = {field.name: str(field.type) for field in fields(kind)}  # type: ignore[arg-type]
    needed = {f.name for f in fields(kind) if f.default is MISSING}  # type: ignore[arg-type]
    if wrong := sorted((needed - values.keys()) | (values.keys() - known)):
        raise _WrongField(f"{where}{wrong[0]}", "missing or unknown")
    made = kind(**{n: _value(known[n], value, f"{where}{n}") for n, value in values.items()})
    for name, allowed in CHOICES.get(kind.__name__, {}).items():
        if getattr(made, name) not in allowed:
            raise _WrongField(f"{where}{name}", f"is none of {', '.join(allowed)}")
    return made


def _value(annotation: str, value: Any, where: str) -> Any:
    if annotation.startswith("tuple["):
        inner = annotation.removeprefix("tuple[").removesuffix(", ...]")
        items = enumerate(_listed(value, where))
        return tuple(_value(inner, item, f"{where}[{i}]") for i, item in items)
    if annotation.startswith("dict[str, "):
        if not isinstance(value, dict):
            raise _WrongField(where, "an object is expected")
        inner = annotation.removeprefix("dict[str, ").removesuffix("]")
        return {_text(k, where): _value(inner, v, f"{where}.{k}") for k, v in value.items()}
    if annotation in NESTED:
        return _build(NESTED[annotation], value, f"{where}.")
    return SCALARS[annotation](value, where)


def _listed(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise _WrongField(where, "a list is expected")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _WrongField(where, f"text of at most {MAX_TEXT} characters is expected")
    return value


def _number(value: Any, where: str) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise _WrongField(where, "a number is expected")
    return float(value)


def _integer(value: Any, where: str) -> int:
    if type(value) is not int:
        raise _WrongField(where, "a whole number is expected")
    return value


SCALARS: dict[str, Callable[[Any, str], Any]] = {
    "str": _text,
    "float": _number,
    "int": _integer,
    "float | None": lambda value, where: None if value is None else _number(value, where),
    "int | None": lambda value, where: None if value is None else _integer(value, where),
}
NESTED: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(EvaluationRow, ClaimFigure, Claim, NumberOfClusters, ClusterStability, TradeoffPoint),
        *(TrainingCurve, StoredMergerTree, Target, Cost, TrainingRow),
        *(EmulationFigure, TypeTrend, Histogram, GuidancePoint, PriorEvaluation),
    )
}
CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "EvaluationRow": {"question": QUESTIONS},
    "Claim": {"verdict": VERDICTS},
    "EmulationFigure": {
        "group": bundle_emulation.GROUPS,
        "verdict": bundle_emulation.VERDICTS,
    },
    "TypeTrend": {"kind": bundle_emulation.KINDS},
}
