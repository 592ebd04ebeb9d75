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

Until `finish` everything lies in `SURVEY.partial`, blocks in files of their own until they fill a
shard. A block counts once its state is written; what a kill left beyond that is written again by
the next run. Stamps that are 8-bit pictures are stored so, until one comes that is not. `finish`
writes `survey.json` last and then renames the folder, so a survey is whole or absent. The same
blocks give the same survey. The catalogue is written in parts, a block each, and joined at the end
without loading them all.
"""

from __future__ import annotations

import json
import shutil
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.errors import SurveyError
from galaxy_explorer.settings import VERSION
from galaxy_explorer.survey.preprocessing import SPLITS, split_of, ttype_class
from galaxy_explorer.survey.shards import (
    Shard,
    Spool,
    as_eight_bits,
    joined_hash,
    load_block,
    open_array,
    save_block,
)
from galaxy_explorer.survey.store import (
    CATALOG,
    EXTRAS,
    FORMAT,
    HASHES,
    KEY_COLUMN,
    META,
    OLD_ORIENTATION,
    REJECTS,
    SCALE_COLUMN,
    STAMPS,
    Reject,
    Survey,
    SurveySpec,
)
from galaxy_explorer.utils.files import atomic_path, atomic_write_text, naming
from galaxy_explorer.utils.tables import MOST_EXACT, write_csv

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
    float64 if all are numbers that it holds to the last digit, and text otherwise. So do whole
    numbers with gaps, which are read as floats.
    """
    kinds = {name: {kind} for name, kind in FIXED.items()}
    for part in parts:
        for field in pq.read_schema(part):
            kinds.setdefault(field.name, set()).add(field.type)
    types: dict[str, pa.DataType] = {}
    for name, found in kinds.items():
        known = {kind for kind in found if not pa.types.is_null(kind)}
        numbers = all(pa.types.is_integer(t) or pa.types.is_floating(t) for t in known)
        gaps = any(map(pa.types.is_integer, known)) and _has_gaps(parts, name)
        if len(known) < 2 and not (gaps and _largest_whole(parts, name) > MOST_EXACT):
            types[name] = next(iter(known), pa.null())
        elif numbers and _largest_whole(parts, name) <= MOST_EXACT:
            types[name] = pa.float64()
        else:
            types[name] = pa.string()
    schema = pa.schema([pa.field(name, kind) for name, kind in types.items()])
    with atomic_path(out) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for batch in _regrouped(parts, schema):
            writer.write_table(batch, row_group_size=BATCH_ROWS)


def _has_gaps(parts: list[Path], name: str) -> bool:
    """Whether a column is empty anywhere, or some parts lack it."""
    return any(
        name not in pq.read_schema(part).names
        or pq.read_table(part, columns=[name])[name].null_count
        for part in parts
    )


def _largest_whole(parts: list[Path], name: str) -> int:
    """The largest magnitude in a column of those parts that have whole numbers in it."""
    most = 0
    for part in parts:
        field = next((one for one in pq.read_schema(part) if one.name == name), None)
        if field is not None and pa.types.is_integer(field.type):
            ends = pc.min_max(pq.read_table(part, columns=[name])[name]).as_py()
            most = max([most, *(abs(end) for end in ends.values() if end is not None)])
    return most


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
INPUTS = "inputs"
"""In a recipe: what a run reads by name, and what tells it from what lies there later."""
WIDE = f"{PROGRESS}/wide.zarr"
HASH_LINE = 65  # bytes
PIXELS = ("float32", "uint8, over 255")  # as they are stored, in words of survey.json


class SurveyWriter:
    """Writes one source into a survey (see the module's example).

    `recipe` is JSON that names the run; a run can only be resumed with the same recipe. Its
    "inputs" say by name in which state the run found what it reads. With `append` the stamps join
    an existing survey of the same size, channels and stretch state.

    Raises SurveyError where the survey exists already, the source is in it already, what is there
    does not fit, or an interrupted run had another recipe or read what has changed since.
    """

    def __init__(
        self, path: str | Path, spec: SurveySpec, *, recipe: Mapping[str, Any], append: bool = False
    ) -> None:
        self._final = Path(path)
        self._work = self._final.with_name(self._final.name + ".partial")
        self._progress = self._work / PROGRESS
        self._spec = spec
        self._state: dict[str, Any] = {}
        self._spools: dict[str, Spool] = {}
        self._ends: list[int] = []  # of the catalogue's parts, in rows
        with naming(self._final):
            _settle(self._final, self._work)
            if (self._progress / STATE).exists():
                self._resume(dict(recipe))
            else:
                self._begin(dict(recipe), append=append)
            for part in self.part_paths:
                before = self._ends[-1] if self._ends else 0
                self._ends.append(before + pq.read_metadata(part).num_rows)

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
    def folder(self) -> Path:
        """Where blocks lie that `append` is given by name."""
        return self._progress

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
        stamps: NDArray[Any],
        columns: Columns,
        *,
        cursor: int,
        extras: Mapping[str, NDArray[Any]] | None = None,
        rejects: Sequence[Reject] = (),
    ) -> None:
        """Add a block; it counts in full once this returns, and not at all before.

        `stamps` (n, C, S, S), n may be 0, float32, or uint8 for 8-bit pictures. `columns` has
        galaxy_id and any of ra, dec (deg), ttype, sky, sky_sigma and the user's own; ttype_class,
        split and source are made here.

        Raises SurveyError for another shape, a non-finite pixel or columns that do not fit.
        """
        if stamps.shape[1:] != self.stamp_shape:
            raise SurveyError(f"stamps of shape {stamps.shape[1:]}, not {self.stamp_shape}")
        if not np.isfinite(stamps).all():
            raise SurveyError("a stamp holds NaN or infinity; replace or reject it first")
        part = catalogue_part(columns, len(stamps), self._spec.source) if len(stamps) else None
        arrays = dict(extras or {}) if len(stamps) else {}
        bits = as_eight_bits(stamps) if self.state == "arcsinh" else None
        arrays[STAMPS] = stamps if bits is None else bits
        named = {name: f"block-{self._state['blocks']:09d}-{name}.npy" for name in arrays}
        with naming(self._final):
            for name, values in arrays.items():
                save_block(self._progress / named[name], values)
            self._count(named, part, len(stamps), cursor=cursor, rejects=rejects)
        for shard in self.ready():
            self.wrote(shard, shard.write())

    def append_saved(
        self, block: str, columns: Columns, rows: int, *, cursor: int, rejects: Sequence[Reject]
    ) -> None:
        """Add a block whose stamps `save_block` has put into `folder` under a name, checked.

        What `ready` then returns is the caller's to write. Raises SurveyError for columns that do
        not fit.
        """
        part = catalogue_part(columns, rows, self._spec.source) if rows else None
        with naming(self._final):
            self._count({STAMPS: block}, part, rows, cursor=cursor, rejects=rejects)

    def _count(
        self,
        blocks: Mapping[str, str],
        part: pa.Table | None,
        rows: int,
        *,
        cursor: int,
        rejects: Sequence[Reject],
    ) -> None:
        """Take in a block whose arrays lie in files."""
        if part is not None:
            path = self._progress / blocks[STAMPS]
            if (
                self._spools[STAMPS].dtype == np.uint8
                and load_block(path, slice(0)).dtype != np.uint8
            ):
                self._widen()
            for name, block in blocks.items():
                if name not in self._spools:
                    values = load_block(self._progress / block, slice(0))
                    folder = f"{EXTRAS}/{name}"
                    self._spools[name] = self._spool(folder, values.shape[1:], values.dtype)
                self._spools[name].add(block, rows)
            write_part(part, self._part(self._state["parts"]))
            self._ends.append(self.rows + rows)
        with (self._progress / REJECTS).open("a", newline="") as stream:
            write_csv(stream, rejects)
            rejects_bytes = stream.tell()
        self._save(
            rows=self.rows + rows,
            parts=self._state["parts"] + (part is not None),
            blocks=self._state["blocks"] + 1,
            rejects_bytes=rejects_bytes,
            rejected=self.rejected + len(rejects),
            cursor=cursor,
        )

    def ready(self) -> list[Shard]:
        """The shards whose rows are all there and that were not returned before."""
        return list(self._shards(last=False))

    def wrote(self, shard: Shard, digest: str) -> None:
        """Count a shard that `ready` returned, in that order, once it is written."""
        spool = next((one for one in self._spools.values() if one.path == shard.array), None)
        if spool is None:
            return  # of stamps that were made float32 since
        freed = spool.committed()
        if spool is self._spools[STAMPS]:
            with (self._progress / HASHES).open("r+b") as stream:
                stream.seek((spool.state["shards"] - 1) * HASH_LINE)
                stream.write(f"{digest}\n".encode())
        self._save()
        for path in freed:
            path.unlink(missing_ok=True)

    def _shards(self, *, last: bool) -> Iterator[Shard]:
        for name, spool in self._spools.items():
            while shard := spool.next_shard(last=last):
                if name == STAMPS:
                    names = self._names(shard.start, shard.start + shard.rows)
                    shard = replace(shard, names=names)
                yield shard

    def _names(self, start: int, stop: int) -> tuple[str, ...]:
        """Ids of the galaxies from row `start` to before `stop`."""
        names: list[str] = []
        number = bisect_right(self._ends, start)
        first = self._ends[number - 1] if number else 0
        while first + len(names) < stop:
            names += pq.read_table(self._part(number), columns=["galaxy_id"])[0].to_pylist()
            number += 1
        return tuple(names[start - first : stop - first])

    def finish(self, counts: Mapping[str, Any]) -> Survey:
        """Join the catalogue, fingerprint the survey, move it to its place and open it.

        `counts` are further facts about this source, JSON values, such as catalog_rows.
        """
        with naming(self._final):
            stamps = self._spools[STAMPS]
            hashes = (self._progress / HASHES).read_text().split()[: stamps.state["shards"]]
            hashes += filter(None, [shard.write() for shard in self._shards(last=True)])
            if stamps.state["array"] != STAMPS:
                shutil.rmtree(self._work / STAMPS, ignore_errors=True)
                stamps.path.rename(self._work / STAMPS)
            atomic_write_text(self._work / HASHES, "".join(f"{one}\n" for one in hashes))
            join_parts(self.part_paths, self._work / CATALOG)
            shutil.copyfile(self._progress / REJECTS, self._work / REJECTS)
            for stale in self._work.rglob("*.partial"):
                stale.unlink()
            counts = {"accepted": self.added, "rejected": self.rejected, **counts}
            base = self._state["base"]
            meta: dict[str, Any] = {"format": FORMAT, **(base or self._spec.meta)}
            if base and base["pixel_scale_arcsec"] != self._spec.pixel_scale_arcsec:
                meta["pixel_scale_arcsec"] = None
            names = pq.read_schema(self._work / CATALOG).names
            sources = [*(base["sources"] if base else []), {"source": self._spec.source, **counts}]
            meta |= {
                "format": FORMAT,
                "pixels": PIXELS[stamps.dtype == np.uint8],
                "pixel_scale_column": SCALE_COLUMN if SCALE_COLUMN in names else None,
                "sources": sources,
                "counts": _counts(self._work / CATALOG, sources),
                "fingerprint": joined_hash(hashes, open_array(self._work / STAMPS)),
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
        if base is not None:
            self._check_base(base.meta)
        self._progress.mkdir(parents=True)
        dtype = np.dtype("<f4" if self.state == "linear" else "u1")
        if base is not None:
            dtype = open_array(self._final / STAMPS).dtype
        self._spools = {STAMPS: self._spool(STAMPS, self.stamp_shape, dtype)}
        hashes = ""
        if base is None:
            with (self._progress / REJECTS).open("w", newline="") as stream:
                write_csv(stream, [Reject._fields])
        else:
            self._spools[STAMPS].take_over(open_array(self._final / STAMPS), len(base), "before")
            for name in base.extra_names:
                old = open_array(self._final / EXTRAS / name)
                self._spools[name] = self._spool(f"{EXTRAS}/{name}", old.shape[1:], old.dtype)
                self._spools[name].take_over(old, old.shape[0], f"before-{name}")
            if self._spools[STAMPS].written:
                hashes = (self._final / HASHES).read_text()
            shutil.copyfile(self._final / CATALOG, self._part(0))
            shutil.copyfile(self._final / REJECTS, self._progress / REJECTS)
        (self._progress / HASHES).write_text(hashes)
        rows = len(base) if base else 0
        self._state = {
            "recipe": recipe,
            "rows": rows,
            "base_rows": rows,
            "parts": int(base is not None),
            "blocks": 0,
            "cursor": 0,
            "rejected": 0,
            "base": base.meta if base else None,
        }
        self._save(rejects_bytes=(self._progress / REJECTS).stat().st_size)

    def _check_base(self, meta: dict[str, Any]) -> None:
        """Raise SurveyError where the source does not fit into the survey that is there."""
        mine = self._spec.meta
        mine["band"] = mine["band"] or meta["band"]
        names = ("stamp_size", "channels", "band", "frame", *_ORIENTED[self._spec.state])
        silent = {"orientation": OLD_ORIENTATION, "frame": "of each source"}
        for name in names:
            had, has = (known.get(name, silent.get(name)) for known in (meta, mine))
            if had != has:
                raise SurveyError(f"{self._final}: its {name} is {had}, the new source has {has}")
        if meta["stretch"]["state"] != self._spec.state:
            raise SurveyError(
                f"{self._final}: its stamps are {meta['stretch']['state']}, the new source is "
                f"{self._spec.state}; make a survey of its own"
            )
        if self._spec.source in [entry["source"] for entry in meta["sources"]]:
            raise SurveyError(f"{self._final}: holds the source {self._spec.source} already")

    def _resume(self, recipe: dict[str, Any]) -> None:
        self._state = json.loads((self._progress / STATE).read_text())
        begun, mine = self._state["recipe"], json.loads(json.dumps(recipe))
        cure = "delete that folder to start afresh"
        if "arrays" not in self._state or (INPUTS in mine and INPUTS not in begun):
            raise SurveyError(f"{self._work}: begun by an earlier version; {cure}")
        if begun | {INPUTS: None} != mine | {INPUTS: None}:
            cure = f"repeat the first command, or {cure}"
            raise SurveyError(f"{self._work}: begun with other options; {cure}")
        for name, state in mine.get(INPUTS, {}).items():
            if state != begun[INPUTS].get(name):
                words = f"the {name} has changed since this run was begun; put it back"
                raise SurveyError(f"{self._work}: {words}, or {cure}")
        for name, state in self._state["arrays"].items():
            if state["array"] == WIDE and not (self._work / WIDE).exists():
                state["array"] = STAMPS  # `finish` had begun
            self._spools[name] = Spool(self._work.absolute(), self._progress.absolute(), state)
        with (self._progress / REJECTS).open("rb+") as stream:
            stream.truncate(self._state["rejects_bytes"])

    def _widen(self) -> None:
        """Go on in float32: a stamp has come that is no 8-bit picture."""
        old, spool = self._spools[STAMPS], self._spool(WIDE, self.stamp_shape, np.dtype("<f4"))
        spool.take_over(open_array(old.path), old.written, "wide")
        spool.state["pending"] += old.state["pending"]
        self._spools[STAMPS] = spool

    def _spool(self, name: str, shape: Sequence[int], dtype: np.dtype[Any]) -> Spool:
        return Spool.begin(self._work.absolute(), self._progress.absolute(), name, shape, dtype)

    def _part(self, number: int) -> Path:
        return self._progress / f"part-{number:06d}.parquet"

    def _save(self, **changes: Any) -> None:
        arrays = {name: spool.state for name, spool in self._spools.items()}
        self._state.update(changes, arrays=arrays)
        atomic_write_text(self._progress / STATE, json.dumps(self._state))


def _counts(catalog: Path, sources: list[dict[str, Any]]) -> dict[str, int]:
    """Galaxies in all and of each split, those with a type, and rows that were rejected."""
    counts = dict.fromkeys(("galaxies", "rejected", "with_ttype", *SPLITS), 0)
    counts["rejected"] = sum(int(entry["rejected"]) for entry in sources)
    for batch in pq.ParquetFile(catalog).iter_batches(columns=["split", "ttype"]):
        counts["galaxies"] += batch.num_rows
        counts["with_ttype"] += int(np.isfinite(batch["ttype"].to_numpy()).sum())
        for split in SPLITS:
            counts[split] += pc.sum(pc.equal(batch["split"], split)).as_py() or 0
    return counts


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
