"""Writing a bundle: the folder is whole or absent, the old one stays until the new one is."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save as safetensors_bytes

from galaxy_explorer.bundle.clusterings import packed
from galaxy_explorer.bundle.files import (
    CARD,
    CATALOG,
    FILE_NAME,
    MANIFEST,
    SEAL,
    read_manifest,
    seal_line,
    verify_files,
)
from galaxy_explorer.bundle.manifest import (
    FORMAT,
    ExtraTraining,
    Manifest,
    RegressorEntry,
    parse_manifest,
    with_prior_keys,
)
from galaxy_explorer.errors import BundleError
from galaxy_explorer.models.registry import DEFAULT_PRIOR, LATENTS
from galaxy_explorer.utils.files import atomic_write_bytes, sha256_of, sync

Card = Callable[[Manifest], str]


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
    columns: Mapping[str, np.ndarray]
    weights: Mapping[str, Path]
    codes: Mapping[str, np.ndarray]
    arrays: Mapping[str, Mapping[str, np.ndarray]]
    card: Card
    priors: Mapping[str, Path] = field(default_factory=dict)


def save_bundle(path: str | Path, contents: BundleContents) -> Path:
    """Write a bundle folder beside `path`, check it, then put it in place of what was there.

    Raises BundleError where the contents do not fit together.
    """
    target = Path(path)
    with _replacing(target) as folder:
        _write_files(folder, contents)
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
    values, manifest, data = _opened(target)
    entries = (*manifest.models.values(), *manifest.clusterings.values(), *manifest.priors.values())
    own = {getattr(e, n, None) for e in entries for n in ("weights", "codes", LATENTS, "file")}
    for name in files:
        if name in own | {CARD, CATALOG, MANIFEST, SEAL} or not FILE_NAME.fullmatch(name):
            raise BundleError(f"{target / name}: not free, or no plain name; choose another")
    if figures is not None:
        values["figures"] = figures
    if trainings is not None:
        values["trainings"] = msgspec.to_builtins(trainings)
    if ttype_regressor is not None:
        values["judge"] = msgspec.to_builtins(ttype_regressor)
    for key, value in (guidance or {}).items():
        values["priors"][key]["default_guidance"] = value
    _rewrite(target, values, {**data, **files}, card)
    return target


def add_prior_files(
    path: str | Path, model: str, entry: Mapping[str, Any], weights: bytes, card: Card
) -> Path:
    """Put a prior into a finished bundle, and the card anew.

    It takes the place of a prior of the same model and kind; those of other kinds stay. entry: JSON
    values. Raises BundleError where the bundle is not intact or the prior does not fit
    its model.
    """
    target = Path(path)
    values, _, data = _opened(target)
    key = f"{model}/{entry.get('kind', DEFAULT_PRIOR)}"
    priors, file = values.setdefault("priors", {}), _prior_file(key)
    if key in priors:
        del data[priors[key]["file"]]
    priors[key] = {**entry, "file": file}
    _rewrite(target, values, {**data, file: weights}, card)
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
    values, _, data = _opened(target)
    if key in values["clusterings"]:
        raise BundleError(f"{target}: has a clustering {key} already; choose another name")
    file = f"{key.replace('/', '.')}.safetensors"
    values["clusterings"][key] = {**entry, "file": file}
    catalog = pq.read_table(io.BytesIO(data[CATALOG]))
    for name, column in columns.items():
        catalog = catalog.append_column(name, pa.array(column))
    added = {file: safetensors_bytes(packed(arrays)), CATALOG: _catalog_bytes(catalog)}
    _rewrite(target, values, {**data, **added}, card)
    return target


def _opened(target: Path) -> tuple[dict[str, Any], Manifest, dict[str, bytes]]:
    """JSON values of the manifest but for its files, the manifest, and every file."""
    read, _ = read_manifest(target)
    manifest, values = parse_manifest(read, target / MANIFEST), with_prior_keys(read)
    del values["files"]
    return values, manifest, verify_files(target, manifest.files)


def _rewrite(target: Path, values: dict[str, Any], files: Mapping[str, bytes], card: Card) -> None:
    with _replacing(target) as folder:
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


def _write_files(folder: Path, contents: BundleContents) -> None:
    manifest = json.loads(json.dumps(contents.manifest, allow_nan=False))
    rows = len(contents.columns["galaxy_id"])
    manifest = {"format": FORMAT, "n_galaxies": rows, **manifest}
    for name, entry in manifest["models"].items():
        entry["weights"] = f"{name}.safetensors"
        atomic_write_bytes(folder / entry["weights"], contents.weights[name].read_bytes())
        _write_encoded(folder, name, entry, contents.codes[name])
    for key, entry in manifest["clusterings"].items():
        entry["model"], entry["features"] = key.split("/")
        entry["file"] = f"{key.replace('/', '.')}.safetensors"
        atomic_write_bytes(folder / entry["file"], safetensors_bytes(packed(contents.arrays[key])))
    for key, entry in manifest.get("priors", {}).items():
        entry["file"] = _prior_file(key)
        atomic_write_bytes(folder / entry["file"], contents.priors[key].read_bytes())
    catalog = pa.table({name: pa.array(values) for name, values in contents.columns.items()})
    atomic_write_bytes(folder / CATALOG, _catalog_bytes(catalog))
    _write_manifest(folder, manifest, contents.card)


def _write_encoded(folder: Path, name: str, entry: dict[str, Any], encoded: np.ndarray) -> None:
    """Code maps as a compressed archive, latents as half-precision numbers."""
    if encoded.dtype.kind == "f":
        entry[LATENTS] = f"{name}.encoded.safetensors"
        latents = np.ascontiguousarray(encoded, np.float16)
        atomic_write_bytes(folder / entry[LATENTS], safetensors_bytes({LATENTS: latents}))
    else:
        entry["codes"] = f"{name}.codes.npz"
        atomic_write_bytes(folder / entry["codes"], _codes_bytes(encoded))


def _write_manifest(folder: Path, values: dict[str, Any], card: Card) -> None:
    """Write the model card, then the manifest with every hash, then its seal.

    values: JSON values, which are written as they are, in their order: a bundle that is written
    again changes in what was put into it alone.
    """
    files = {p.name: _file_entry(p) for p in folder.iterdir() if p.name not in (MANIFEST, SEAL)}
    files[CARD] = {"sha256": "0" * 64, "bytes": 0}  # until it is written, from what it tells of
    values["files"] = files
    atomic_write_bytes(folder / CARD, card(parse_manifest(values, folder / MANIFEST)).encode())
    files[CARD] = _file_entry(folder / CARD)
    values["files"] = dict(sorted(files.items()))
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    atomic_write_bytes(folder / MANIFEST, text.encode())
    digest = sha256_of(folder / MANIFEST)
    atomic_write_bytes(folder / SEAL, seal_line(digest).encode())


def _file_entry(path: Path) -> dict[str, str | int]:
    return {"sha256": sha256_of(path), "bytes": path.stat().st_size}


def _codes_bytes(codes: np.ndarray) -> bytes:
    kind = np.uint8 if codes.max(initial=0) < 256 else np.uint16
    stream = io.BytesIO()
    np.savez_compressed(stream, codes=codes.astype(kind))
    return stream.getvalue()


def _catalog_bytes(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    real = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    rest = [name for name in table.column_names if name not in real]
    # Sorted by their bytes, real numbers take two thirds of the room.
    options = {"use_dictionary": rest, "use_byte_stream_split": real}
    pq.write_table(table, stream, compression="zstd", **options)
    return stream.getvalue()
