"""Writing a bundle: the folder is whole or absent, the old one stays until the new one is.

Few galaxies are written small (format 2), many so that a part can be read without the rest
(format 3). Rows keep the order of the survey in both: links, medoids and stamps go by it.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save as safetensors_bytes

from galaxy_explorer.bundle.catalogue import Catalogue
from galaxy_explorer.bundle.clusterings import FEATURES, SPARSITY, packed
from galaxy_explorer.bundle.emulation import CONTACT_SHEET, EMULATION, EmulatorEvaluation
from galaxy_explorer.bundle.files import (
    CARD,
    CATALOG,
    FILE_NAME,
    MANIFEST,
    PART_BYTES,
    SEAL,
    check_folder,
    read_manifest,
    seal_line,
    verify_file,
)
from galaxy_explorer.bundle.manifest import (
    FORMAT,
    PARTED,
    ExtraTraining,
    Manifest,
    RegressorEntry,
    parse_manifest,
    with_prior_keys,
)
from galaxy_explorer.bundle.names import NAMES, names_table
from galaxy_explorer.bundle.networks import CODES
from galaxy_explorer.clustering.embedding import sparsity
from galaxy_explorer.errors import BundleError
from galaxy_explorer.models.registry import DEFAULT_PRIOR, LATENTS
from galaxy_explorer.utils.files import atomic_path, atomic_write_bytes, save_arrays, sync
from galaxy_explorer.utils.progress import progress

Card = Callable[[Manifest], str]

MANY = 100_000
"""Galaxies from which on a bundle is written in parts."""
ROW_GROUP = 1 << 16
"""Rows of the catalogue that lie together where there are many."""


@dataclass(frozen=True)
class BundleContents:
    """What `save_bundle` writes.

    manifest: JSON values of all fields but `format`, `files`, `n_galaxies` and the file names of
    models and clusterings. columns: catalogue columns (N,) by name. weights: safetensors file of
    each model. codes: code maps (N, h, w) or latents (N, 64) of each model. arrays: mixture arrays
    of each clustering, with the principal components, and `features` where they cannot be made
    again quickly. card: manifest -> text of the model card. priors: safetensors file of each prior
    by "<model>/<kind>".
    """

    manifest: dict[str, Any]
    columns: Mapping[str, np.ndarray | pa.ChunkedArray]
    weights: Mapping[str, Path]
    codes: Mapping[str, np.ndarray]
    arrays: Mapping[str, Mapping[str, np.ndarray]]
    card: Card
    priors: Mapping[str, Path] = field(default_factory=dict)


def save_bundle(
    path: str | Path, contents: BundleContents, *, in_parts: bool | None = None
) -> Path:
    """Write a bundle folder beside `path`, check it, then put it in place of what was there.

    in_parts: whether arrays lie in files that are read part by part; None: where the galaxies are
    MANY. Raises BundleError where the contents do not fit together.
    """
    target = Path(path)
    many = len(contents.columns["galaxy_id"]) >= MANY
    with _replacing(target) as folder:
        _write_files(folder, contents, in_parts=many if in_parts is None else in_parts)
    return target


def add_files(
    path: str | Path,
    files: Mapping[str, bytes],
    card: Card,
    *,
    figures: list[dict[str, str]] | None = None,
    guidance: Mapping[str, float] | None = None,
    trainings: Sequence[ExtraTraining] | None = None,
    ttype_regressor: RegressorEntry | None = None,
) -> Path:
    """Put further files into a finished bundle, and its card anew, each under its hash.

    For what can only be measured on the finished bundle. Files of the same names are replaced.
    figures: rows (what, value, command) of the card, in place of earlier ones. guidance: the new
    default of each prior by its key. trainings: models that do not ship, in place of earlier
    ones. ttype_regressor: the network that judges samples, which is among the files.
    Raises BundleError where the bundle is not intact or a name is in use by the bundle itself.
    """
    target = Path(path)
    values, manifest = _opened(target)
    entries = (*manifest.models.values(), *manifest.clusterings.values(), *manifest.priors.values())
    kinds = ("weights", CODES, LATENTS, "file", "values")
    own = {getattr(e, n, None) for e in entries for n in kinds}
    for name in files:
        if name in own | {CARD, CATALOG, MANIFEST, NAMES, SEAL} or not FILE_NAME.fullmatch(name):
            raise BundleError(f"{target / name}: not free, or no plain name; choose another")
    if figures is not None:
        values["figures"] = figures
    if trainings is not None:
        values["trainings"] = msgspec.to_builtins(trainings)
    if ttype_regressor is not None:
        values["judge"] = msgspec.to_builtins(ttype_regressor)
    for key, value in (guidance or {}).items():
        values["priors"][key]["default_guidance"] = value
    _rewrite(target, values, manifest.files.keys(), files, card)
    return target


def add_prior_files(
    path: str | Path,
    model: str,
    entry: Mapping[str, Any],
    weights: bytes,
    card: Card,
    *,
    emulation: EmulatorEvaluation | None = None,
) -> Path:
    """Put a prior into a finished bundle, and the card anew.

    It takes the place of a prior of the same model and kind; those of other kinds stay. entry: JSON
    values. emulation: what still holds of what was measured of the bundle's priors. Raises
    BundleError where the bundle is not intact or the prior does not fit its model.
    """
    target = Path(path)
    values, manifest = _opened(target)
    key, kept = f"{model}/{entry.get('kind', DEFAULT_PRIOR)}", set(manifest.files)
    priors, file = values.setdefault("priors", {}), _prior_file(key)
    if key in priors:
        kept.remove(priors[key]["file"])
    priors[key] = {**entry, "file": file}
    files = {file: weights}
    if emulation is None:
        kept -= {EMULATION, CONTACT_SHEET}
    else:
        files[EMULATION] = emulation.to_bytes()
    _rewrite(target, values, kept, files, card)
    return target


def _prior_file(key: str) -> str:
    """Name of the file of a prior "<model>/<kind>"."""
    return f"{key.replace('/', '.')}.prior.safetensors"


def add_clustering(
    path: str | Path,
    key: str,
    entry: Mapping[str, Any],
    card: Card,
    *,
    arrays: Mapping[str, np.ndarray],
    columns: Mapping[str, np.ndarray],
) -> Path:
    """Put one more clustering into a finished bundle, and the card anew; none is replaced.

    entry: JSON values, without the name of its file. arrays: as `BundleContents` has them. columns
    (N,): of the catalogue, by name. Raises BundleError where the bundle is not intact, has a
    clustering of that name, or the clustering does not fit it.
    """
    target = Path(path)
    values, manifest = _opened(target)
    if key in values["clusterings"]:
        raise BundleError(f"{target}: has a clustering {key} already; choose another name")
    in_parts = manifest.format == PARTED
    values["clusterings"][key] = made = dict(entry)
    files = _clustering_files(key, made, arrays, in_parts=in_parts)
    catalog = pq.read_table(target / CATALOG)
    for name, column in columns.items():
        catalog = catalog.append_column(name, pa.array(column))
    files[CATALOG] = _catalog_bytes(catalog, ROW_GROUP if in_parts else None)
    _rewrite(target, values, manifest.files.keys(), files, card)
    return target


def _opened(target: Path) -> tuple[dict[str, Any], Manifest]:
    """JSON values of the manifest but for its files, and the manifest, after a look at every file.

    Raises BundleError where one is missing, extra, truncated, altered or linked.
    """
    read, _ = read_manifest(target)
    manifest, values = parse_manifest(read, target / MANIFEST), with_prior_keys(read)
    del values["files"]
    check_folder(target, manifest.files)
    for name, entry in manifest.files.items():
        verify_file(target / name, entry)
    return values, manifest


def _rewrite(
    target: Path,
    values: dict[str, Any],
    kept: Iterable[str],
    files: Mapping[str, bytes],
    card: Card,
) -> None:
    """Put a bundle in place of what is at `target`: checked first, whole or absent.

    values: JSON values of the manifest without `files`, which is made here, as is the card. files:
    what is new; kept: names of files that stay as they are.
    """
    with _replacing(target) as folder:
        for name in set(kept) - files.keys() - {CARD}:
            shutil.copyfile(target / name, folder / name)
            sync(folder / name)
        for name, content in files.items():
            atomic_write_bytes(folder / name, content)
        _write_manifest(folder, values, card)


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `target` on success, and is gone otherwise."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Undo what a killed writer left: its temporary folders, an old bundle set aside.
    aside = _aside(target)
    if aside.is_dir() and not target.exists():
        aside.rename(target)
    shutil.rmtree(aside, ignore_errors=True)
    for left in target.parent.glob(f".{target.name}.new.*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.new."))
    try:
        yield folder
        folder.chmod(0o755)
        sync(folder)
        _swap(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _swap(folder: Path, target: Path) -> None:
    aside = _aside(target)
    if target.exists():
        target.rename(aside)
    try:
        folder.rename(target)
    except OSError:
        if aside.is_dir():
            aside.rename(target)
        raise
    sync(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _write_files(folder: Path, contents: BundleContents, *, in_parts: bool) -> None:
    manifest = json.loads(json.dumps(contents.manifest, allow_nan=False))
    rows = len(contents.columns["galaxy_id"])
    manifest = {"format": PARTED if in_parts else FORMAT, "n_galaxies": rows, **manifest}
    for name, entry in manifest["models"].items():
        entry["weights"] = f"{name}.safetensors"
        atomic_write_bytes(folder / entry["weights"], contents.weights[name].read_bytes())
        _write_encoded(folder, name, entry, contents.codes[name], in_parts=in_parts)
    for key, entry in manifest["clusterings"].items():
        entry["model"], entry["features"] = key.split("/")
        files = _clustering_files(key, entry, contents.arrays[key], in_parts=in_parts)
        for name, content in files.items():
            atomic_write_bytes(folder / name, content)
    for key, entry in manifest.get("priors", {}).items():
        entry["file"] = _prior_file(key)
        atomic_write_bytes(folder / entry["file"], contents.priors[key].read_bytes())
    columns = dict(contents.columns)
    if in_parts:
        columns |= _densities(contents.arrays)
    stored = pa.ChunkedArray
    catalog = pa.table({n: c if isinstance(c, stored) else pa.array(c) for n, c in columns.items()})
    if in_parts:
        with atomic_path(folder / NAMES) as path:
            pq.write_table(names_table(Catalogue.of(catalog)), path, compression="zstd")
    atomic_write_bytes(folder / CATALOG, _catalog_bytes(catalog, ROW_GROUP if in_parts else None))
    _write_manifest(folder, manifest, contents.card)


def _densities(arrays: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Columns that say how thin code space is around each galaxy, of clusterings with features."""
    found = {}
    for key, own in arrays.items():
        if FEATURES in own:
            with progress(len(own[FEATURES]), f"Density of {key}", after=2.0) as advance:
                thin = sparsity(own[FEATURES].astype(np.float32), advance)
            found[f"{key}/{SPARSITY}"] = thin.astype(np.float32)
    return found


def _write_encoded(
    folder: Path, name: str, entry: dict[str, Any], encoded: np.ndarray, *, in_parts: bool
) -> None:
    """Code maps as a compressed archive, or as they are; latents as half-precision numbers."""
    if encoded.dtype.kind == "f":
        entry[LATENTS] = f"{name}.encoded.safetensors"
        save_arrays(folder / entry[LATENTS], {LATENTS: encoded.astype(np.float16, copy=False)})
    elif in_parts:
        entry[CODES] = f"{name}.code_maps.safetensors"  # a clustering may be called codes
        save_arrays(folder / entry[CODES], {CODES: _narrow(encoded)})
    else:
        entry[CODES] = f"{name}.codes.npz"
        atomic_write_bytes(folder / entry[CODES], _encoded_bytes(encoded))


def _clustering_files(
    key: str, entry: dict[str, Any], arrays: Mapping[str, np.ndarray], *, in_parts: bool
) -> dict[str, bytes]:
    """Files of a clustering, whose names its entry is given; its features apart in parts."""
    stem = key.replace("/", ".")
    entry["file"], files = f"{stem}.safetensors", {}
    if in_parts and FEATURES in arrays:
        entry["values"] = f"features.{stem}.safetensors"  # a steered one may be called anything
        half = np.ascontiguousarray(arrays[FEATURES], np.float16)
        files[entry["values"]] = safetensors_bytes({FEATURES: half})
        arrays = {name: array for name, array in arrays.items() if name != FEATURES}
    return files | {entry["file"]: safetensors_bytes(packed(arrays))}


def _write_manifest(folder: Path, values: dict[str, Any], card: Card) -> None:
    """Write the model card, then the manifest with every hash, then its seal.

    values: JSON values, which are written as they are, in their order: a bundle that is written
    again changes in what was put into it alone.
    """
    in_parts = values["format"] == PARTED
    written = [p for p in folder.iterdir() if p.name not in (MANIFEST, SEAL)]
    files = {p.name: _file_entry(p, in_parts=in_parts) for p in written}
    files[CARD] = {"sha256": "0" * 64, "bytes": 0}  # until it is written, from what it tells of
    values["files"] = files
    atomic_write_bytes(folder / CARD, card(parse_manifest(values, folder / MANIFEST)).encode())
    files[CARD] = _file_entry(folder / CARD, in_parts=in_parts)
    values["files"] = dict(sorted(files.items()))
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    atomic_write_bytes(folder / MANIFEST, text.encode())
    digest = hashlib.sha256(text.encode()).hexdigest()
    atomic_write_bytes(folder / SEAL, seal_line(digest).encode())


def _file_entry(path: Path, *, in_parts: bool) -> dict[str, Any]:
    """What the manifest says of a file: its hash and size, and the hashes of its parts."""
    whole, parts = hashlib.sha256(), []
    with path.open("rb") as stream:
        while part := stream.read(PART_BYTES):
            whole.update(part)
            parts.append(hashlib.sha256(part).hexdigest())
    entry = {"sha256": whole.hexdigest(), "bytes": path.stat().st_size}
    return {**entry, "parts": parts} if in_parts else entry


def _narrow(codes: np.ndarray) -> np.ndarray:
    """Codes in one byte each where that is enough, else in two."""
    return codes.astype(np.uint8 if codes.max(initial=0) < 256 else np.uint16, copy=False)


def _encoded_bytes(encoded: np.ndarray) -> bytes:
    """A file of code maps (N, h, w), a compressed archive, or of latents (N, D), half precision."""
    if encoded.dtype.kind == "f":
        return safetensors_bytes({LATENTS: np.ascontiguousarray(encoded, np.float16)})
    stream = io.BytesIO()
    np.savez_compressed(stream, codes=_narrow(encoded))
    return stream.getvalue()


def _catalog_bytes(table: pa.Table, together: int | None = None) -> bytes:
    """The catalogue as Parquet; together: rows of a group, None for the library's choice."""
    stream = io.BytesIO()
    real = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    rest = [name for name in table.column_names if name not in real]
    # Sorted by their bytes, real numbers take two thirds of the room.
    options = {"use_dictionary": rest, "use_byte_stream_split": real}
    pq.write_table(table, stream, compression="zstd", row_group_size=together, **options)
    return stream.getvalue()
