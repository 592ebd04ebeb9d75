"""Folders that are tables in parts: HATS catalogues, Cutana's batches, folders of Parquet files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_explorer.errors import BadCatalog
from galaxy_explorer.utils.files import atomic_path

CUTANA_IMAGES, CUTANA_TABLE = "images.zarr", "images_metadata.parquet"
HATS_MARKS = ("hats.properties", "properties", "collection.properties")
PRIMARY = re.compile(r"^hats_primary_table_url\s*=\s*(\S+)\s*$", re.MULTILINE)
NUMBERS = re.compile(r"(\d+)")


def cutana_batches(folder: Path) -> list[Path]:
    """Folders of a Cutana run, or the one that is itself a batch; empty where it is none."""
    found = [one.parent for one in [folder / CUTANA_TABLE, *folder.glob(f"*/{CUTANA_TABLE}")]]
    return sorted((one for one in found if (one / CUTANA_TABLE).is_file()
                   and (one / CUTANA_IMAGES).is_dir()), key=_natural)  # fmt: skip


def parquet_parts(folder: Path) -> list[Path]:
    """Parquet files of a HATS catalogue or of a folder that holds nothing else; else none."""
    marks = [folder / mark for mark in HATS_MARKS if (folder / mark).is_file()]
    if marks:
        primary = PRIMARY.search(marks[-1].read_text(errors="replace"))
        if primary and (folder / primary[1]).resolve().is_relative_to(folder.resolve()):
            folder = folder / primary[1]
        return sorted(folder.glob("dataset/Norder=*/**/*.parquet"), key=_natural)
    files = [one for one in folder.rglob("*") if one.is_file() and not one.name.startswith(".")]
    tables = [one for one in files if one.suffix.lower() == ".parquet"]
    others = [one for one in files if one.suffix.lower() not in {".parquet", ".md", ".json"}]
    return [] if others else sorted(tables, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Numbers in a path count as numbers: Npix=9 comes before Npix=10."""
    parts = NUMBERS.split(path.as_posix())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def table_parts(folder: Path) -> list[Path]:
    """Tables that a folder is made of, in the order of its pictures; empty where it is none."""
    batches = cutana_batches(folder)
    return [batch / CUTANA_TABLE for batch in batches] if batches else parquet_parts(folder)


def join_tables(parts: Sequence[Path], out: Path) -> list[str]:
    """Write the plain columns of Parquet files into one, a batch at a time; those left out.

    Raises BadCatalog, naming the file, where one lacks a column or cannot be read.
    """
    try:
        schema = pq.read_schema(parts[0])
        plain = pa.schema([one for one in schema if not _is_heavy(one.type)])
        with atomic_path(out) as temporary, pq.ParquetWriter(temporary, plain) as writer:
            for part in parts:
                file = pq.ParquetFile(part)
                if missing := set(plain.names) - set(file.schema_arrow.names):
                    raise BadCatalog(f"{part}: no column {min(missing)}, which {parts[0]} has")
                for batch in file.iter_batches(columns=plain.names):
                    table = pa.table(batch).select(plain.names)
                    writer.write_table(table.cast(plain))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadCatalog(f"{parts[0].parent}: cannot be read as a table ({error})") from error
    return [one.name for one in schema if _is_heavy(one.type)]


def _is_heavy(kind: pa.DataType) -> bool:
    """Whether pictures may be in a column: nothing else has to be copied for the catalogue."""
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return bool(pa.types.is_nested(kind) or binary)
