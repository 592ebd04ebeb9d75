"""Writing a survey block by block, so that memory stays flat and a killed run can go on.

    spec = SurveySpec(name="sim", source="simulated", band="r", pixel_scale_arcsec=0.396,
                      state="linear")
    writer = SurveyWriter("surveys/sim", spec, recipe={"n": 12000, "seed": 0})
    for start in range(writer.cursor, 12000, 256):        # cursor is 0, or where a kill struck
        writer.append(
            stamps,                                       # (n, C, S, S) float32
            {"galaxy_id": ids, "ttype": ttype, "sky": sky, "sky_sigma": sigma, "pitch": pitch},
            extras={"truth": truth, "psf": psf},          # (n, ...), kept in extras.zarr/<name>
            rejects=[],                                   # list of Reject
            cursor=start + 256,                           # where to go on after this block
        )
    survey = writer.finish({"catalog_rows": 12000})

Until `finish` everything lies in `SURVEY.partial`. A block counts once its state is written; what
a kill left beyond that is written again by the next run. `finish` writes `survey.json` last and
then renames the folder, so a survey is whole or absent. The same blocks give the same survey. The
catalogue is written in parts, a block each, and joined at the end without loading them all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import zarr
from numpy.typing import ArrayLike, NDArray
from zarr.codecs import BloscCodec

from galaxy_explorer.errors import SurveyError
from galaxy_explorer.settings import VERSION
from galaxy_explorer.survey.preprocessing import SPLITS, split_of, ttype_class
from galaxy_explorer.survey.store import (
    CATALOG,
    CHUNK_ROWS,
    EXTRAS,
    FORMAT,
    KEY_COLUMN,
    META,
    OLD_ORIENTATION,
    REJECTS,
    SCALE_COLUMN,
    STAMPS,
    Reject,
    Survey,
    SurveySpec,
    fingerprint,
)
from galaxy_explorer.utils.files import atomic_path, atomic_write_text, naming
from galaxy_explorer.utils.tables import write_csv

FIXED = {
    "galaxy_id": pa.string(),
    "ra": pa.float64(),
    "dec": pa.float64(),
    "ttype": pa.float64(),
    "ttype_class": pa.int8(),
    "split": pa.string(),
    "source": pa.string(),
    "sky": pa.float64(),
    "sky_sigma": pa.float64(),
}
DERIVED = ("ttype_class", "split", "source")
BATCH_ROWS = 4096

Columns = Mapping[str, ArrayLike | pa.Array]


def catalogue_part(columns: Columns, rows: int, source: str) -> pa.Table:
    """The catalogue of one block: fixed columns first (unknown numbers NaN), then the others.

    Raises SurveyError for a missing galaxy_id, a derived column or a column of another length.
    """
    arrays = {}
    for name, values in columns.items():
        if isinstance(values, pa.ChunkedArray):
            array = values.combine_chunks()
        else:
            array = values if isinstance(values, pa.Array) else pa.array(np.asarray(values))
        if len(array) != rows:
            found = f"{len(array)} values for {rows} rows"
            raise SurveyError(f"catalogue block: column {name} has {found}")
        arrays[name] = array
    if "galaxy_id" not in arrays:
        raise SurveyError("catalogue block: the column galaxy_id is missing")
    if taken := sorted(set(arrays) & set(DERIVED)):
        raise SurveyError(f"catalogue block: {', '.join(taken)} are made here; rename yours")
    ids = arrays["galaxy_id"].cast(pa.string())
    keys = arrays.get(KEY_COLUMN, ids)
    unknown = pa.array(np.full(rows, np.nan))
    ttype = _floats(arrays.get("ttype", unknown))
    derived = {
        "galaxy_id": ids,
        "ttype_class": pa.array(ttype_class(ttype)),
        "split": pa.array([split_of(name) for name in keys.to_pylist()], pa.string()),
        "source": pa.array([source] * rows, pa.string()),
    }
    fixed = {
        name: derived[name] if name in derived else pa.array(_floats(arrays.get(name, unknown)))
        for name in FIXED
    }
    others = {name: values for name, values in arrays.items() if name not in FIXED}
    return pa.table({**fixed, **others})


def _floats(array: pa.Array) -> Any:
    values = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(values), values, np.nan)


def write_part(table: pa.Table, path: Path) -> None:
    """Write one part, whole or not at all."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def join_parts(parts: list[Path], out: Path) -> None:
    """Join parts into one Parquet file, a batch at a time.

    A column that some parts lack is empty there; one whose types differ between sources becomes
    float64 if all are numbers and text otherwise.
    """
    types: dict[str, pa.DataType] = dict(FIXED)
    for part in parts:
        for field in pq.read_schema(part):
            known = types.setdefault(field.name, field.type)
            if pa.types.is_null(known):
                types[field.name] = field.type
            elif known != field.type and not pa.types.is_null(field.type):
                both = (known, field.type)
                numbers = all(pa.types.is_integer(t) or pa.types.is_floating(t) for t in both)
                types[field.name] = pa.float64() if numbers else pa.string()
    schema = pa.schema([pa.field(name, kind) for name, kind in types.items()])
    with atomic_path(out) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for batch in _regrouped(parts, schema):
            writer.write_table(batch, row_group_size=BATCH_ROWS)


def _regrouped(parts: list[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """Tables of BATCH_ROWS rows whatever the parts held, so that the file never depends on them."""
    waiting = schema.empty_table()
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches(batch_size=BATCH_ROWS):
            table = pa.table(batch)
            arrays = [
                table[field.name].cast(field.type)
                if field.name in table.column_names
                else pa.nulls(table.num_rows, field.type)
                for field in schema
            ]
            waiting = pa.concat_tables([waiting, pa.table(arrays, schema=schema)])
            while waiting.num_rows >= BATCH_ROWS:
                yield waiting.slice(0, BATCH_ROWS).combine_chunks()
                waiting = waiting.slice(BATCH_ROWS)
    if waiting.num_rows:
        yield waiting.combine_chunks()


# Pictures have always been kept as they are drawn, FITS only since surveys say their orientation.
_ORIENTED = {"linear": ("orientation",), "arcsinh": ()}
PROGRESS = "progress"
STATE = "state.json"


class SurveyWriter:
    """Writes one source into a survey (see the module's example).

    `recipe` is JSON that names the run; a run can only be resumed with the same recipe. With
    `append` the stamps join an existing survey of the same size, channels and stretch state.

    Raises SurveyError where the survey exists already, the source is in it already, what is there
    does not fit, or an interrupted run had another recipe.
    """

    def __init__(
        self, path: str | Path, spec: SurveySpec, *, recipe: Mapping[str, Any], append: bool = False
    ) -> None:
        self._final = Path(path)
        self._work = self._final.with_name(self._final.name + ".partial")
        self._progress = self._work / PROGRESS
        self._spec = spec
        self._state: dict[str, Any] = {}
        with naming(self._final):
            _settle(self._final, self._work)
            if (self._progress / STATE).exists():
                self._resume(dict(recipe))
            else:
                self._begin(dict(recipe), append=append)
        self._stamps = zarr.open_array(self._work / STAMPS, mode="r+")

    @property
    def stamp_shape(self) -> tuple[int, int, int]:
        """(C, S, S)."""
        return (self._spec.channels, self._spec.stamp_size, self._spec.stamp_size)

    @property
    def state(self) -> str:
        """Stretch state of the stamps: "arcsinh" or "linear"."""
        return self._spec.state

    @property
    def sources(self) -> list[str]:
        """Names of the sources, this one last."""
        base = self._state["base"]
        before = base["sources"] if base else []
        return [*(entry["source"] for entry in before), self._spec.source]

    @property
    def rows(self) -> int:
        """Galaxies in the survey so far, earlier sources included."""
        return int(self._state["rows"])

    @property
    def cursor(self) -> int:
        """The `cursor` of the last block that counts; 0 at the start."""
        return int(self._state["cursor"])

    @property
    def rejected(self) -> int:
        """Rejected catalogue rows of this source so far."""
        return int(self._state["rejected"])

    @property
    def added(self) -> int:
        """Galaxies of this source so far."""
        return self.rows - int(self._state["base_rows"])

    @property
    def part_paths(self) -> list[Path]:
        """Catalogue parts (Parquet) of the blocks that count, earlier sources included."""
        return [self._part(number) for number in range(self._state["parts"])]

    def append(
        self,
        stamps: NDArray[np.float32],
        columns: Columns,
        *,
        cursor: int,
        extras: Mapping[str, NDArray[Any]] | None = None,
        rejects: Sequence[Reject] = (),
    ) -> None:
        """Add a block; it counts in full once this returns, and not at all before.

        `stamps` (n, C, S, S), n may be 0. `columns` has galaxy_id and any of ra, dec (deg), ttype,
        sky, sky_sigma and the user's own; ttype_class, split and source are made here.

        Raises SurveyError for another shape, a non-finite pixel or columns that do not fit.
        """
        count = len(stamps)
        if stamps.shape[1:] != self._stamps.shape[1:]:
            raise SurveyError(f"stamps of shape {stamps.shape[1:]}, not {self._stamps.shape[1:]}")
        if not np.isfinite(stamps).all():
            raise SurveyError("a stamp holds NaN or infinity; replace or reject it first")
        with naming(self._final):
            if count:
                self._store(self._stamps, stamps)
                for name, values in (extras or {}).items():
                    folder = self._work / EXTRAS / name
                    if not folder.exists():
                        _create(folder, (0, *values.shape[1:]), values.dtype)
                    self._store(zarr.open_array(folder, mode="r+"), values)
                part = catalogue_part(columns, count, self._spec.source)
                write_part(part, self._part(self._state["parts"]))
            with (self._progress / REJECTS).open("a", newline="") as stream:
                write_csv(stream, rejects)
                rejects_bytes = stream.tell()
            self._save(
                rows=self.rows + count,
                parts=self._state["parts"] + bool(count),
                rejects_bytes=rejects_bytes,
                rejected=self.rejected + len(rejects),
                cursor=cursor,
            )

    def finish(self, counts: Mapping[str, Any]) -> Survey:
        """Join the catalogue, fingerprint the survey, move it to its place and open it.

        `counts` are further facts about this source, JSON values, such as catalog_rows.
        """
        with naming(self._final):
            join_parts(self.part_paths, self._work / CATALOG)
            shutil.copyfile(self._progress / REJECTS, self._work / REJECTS)
            for stale in self._work.rglob("*.partial"):
                stale.unlink()
            counts = {"accepted": self.added, "rejected": self.rejected, **counts}
            base = self._state["base"]
            meta: dict[str, Any] = {**(base or self._spec.meta)}
            if base and base["pixel_scale_arcsec"] != self._spec.pixel_scale_arcsec:
                meta["pixel_scale_arcsec"] = None
            names = pq.read_schema(self._work / CATALOG).names
            sources = [*(base["sources"] if base else []), {"source": self._spec.source, **counts}]
            catalog = self._work / CATALOG
            counts = dict.fromkeys(("galaxies", "rejected", "with_ttype", *SPLITS), 0)
            counts["rejected"] = sum(int(entry["rejected"]) for entry in sources)
            for batch in pq.ParquetFile(catalog).iter_batches(columns=["split", "ttype"]):
                counts["galaxies"] += batch.num_rows
                counts["with_ttype"] += int(np.isfinite(batch["ttype"].to_numpy()).sum())
                for split in SPLITS:
                    counts[split] += pc.sum(pc.equal(batch["split"], split)).as_py() or 0
            meta = {
                "format": FORMAT,
                **meta,
                "pixel_scale_column": SCALE_COLUMN if SCALE_COLUMN in names else None,
                "sources": sources,
                "counts": counts,
                "fingerprint": fingerprint(self._work),
                "software": f"galaxy_explorer {VERSION}",
            }
            atomic_write_text(self._work / META, json.dumps(meta, indent=2) + "\n")
            _settle(self._final, self._work)
            return Survey.open(self._final)

    def _begin(self, recipe: dict[str, Any], *, append: bool) -> None:
        if self._work.exists():
            shutil.rmtree(self._work)
        if self._final.exists() and not append:
            cure = "choose another folder, or --append to add a source"
            raise SurveyError(f"{self._final}: exists already; {cure}")
        base = Survey.open(self._final) if append else None
        self._progress.mkdir(parents=True)
        if base is None:
            _create(self._work / STAMPS, (0, *self.stamp_shape), np.dtype("<f4"))
            with (self._progress / REJECTS).open("w", newline="") as stream:
                write_csv(stream, [Reject._fields])
        else:
            meta = base.meta
            mine = self._spec.meta
            mine["band"] = mine["band"] or meta["band"]
            names = ("stamp_size", "channels", "band", "frame", *_ORIENTED[self._spec.state])
            silent = {"orientation": OLD_ORIENTATION, "frame": "of each source"}
            for name in names:
                had, has = (known.get(name, silent.get(name)) for known in (meta, mine))
                if had != has:
                    raise SurveyError(
                        f"{self._final}: its {name} is {had}, the new source has {has}"
                    )
            if meta["stretch"]["state"] != self._spec.state:
                raise SurveyError(
                    f"{self._final}: its stamps are {meta['stretch']['state']}, the new source is "
                    f"{self._spec.state}; make a survey of its own"
                )
            if self._spec.source in [entry["source"] for entry in meta["sources"]]:
                raise SurveyError(f"{self._final}: holds the source {self._spec.source} already")
            for name in (STAMPS, EXTRAS):
                if (self._final / name).exists():
                    shutil.copytree(self._final / name, self._work / name)
            shutil.copyfile(self._final / CATALOG, self._part(0))
            shutil.copyfile(self._final / REJECTS, self._progress / REJECTS)
        rows = len(base) if base else 0
        self._state = {
            "recipe": recipe,
            "rows": rows,
            "base_rows": rows,
            "parts": int(base is not None),
            "cursor": 0,
            "rejected": 0,
            "base": base.meta if base else None,
        }
        self._save(rejects_bytes=(self._progress / REJECTS).stat().st_size)

    def _resume(self, recipe: dict[str, Any]) -> None:
        self._state = json.loads((self._progress / STATE).read_text())
        if self._state["recipe"] != json.loads(json.dumps(recipe)):
            cure = "repeat the first command, or delete that folder to start afresh"
            raise SurveyError(f"{self._work}: begun with other options; {cure}")
        for folder in (self._work / STAMPS, *(self._work / EXTRAS).glob("*")):
            array = zarr.open_array(folder, mode="r+")
            array.resize((min(self.rows, array.shape[0]), *array.shape[1:]))
        with (self._progress / REJECTS).open("rb+") as stream:
            stream.truncate(self._state["rejects_bytes"])

    def _part(self, number: int) -> Path:
        return self._progress / f"part-{number:06d}.parquet"

    def _save(self, **changes: Any) -> None:
        self._state.update(changes)
        atomic_write_text(self._progress / STATE, json.dumps(self._state))

    def _store(self, array: Any, values: NDArray[Any]) -> None:
        end = self.rows + len(values)
        array.resize((end, *array.shape[1:]))
        array[self.rows : end] = values


def _create(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    chunks = (CHUNK_ROWS, *shape[1:])
    codec = BloscCodec(cname="zstd", clevel=5, shuffle="shuffle")
    zarr.create_array(path, shape=shape, chunks=chunks, dtype=dtype, compressors=codec)


def _settle(final: Path, work: Path) -> None:
    """Finish what a kill in the middle of `finish` left: `survey.json` in `work` says go on."""
    old = final.with_name(final.name + ".old.partial")
    if (work / META).exists():
        shutil.rmtree(work / PROGRESS, ignore_errors=True)
        if final.exists() and not old.exists():
            final.rename(old)
        work.rename(final)
    elif old.exists() and not final.exists():
        old.rename(final)
    if old.exists():
        shutil.rmtree(old)
