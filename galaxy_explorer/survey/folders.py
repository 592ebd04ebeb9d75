"""Pictures in a folder or a zip archive, and how a catalogue's names find them.

A folder is indexed once. Names are compared as they are, then without regard to case and Unicode
form, to the suffix, and to the sub-folder: the first of these that fits counts, and two files that
fit equally well are refused.
"""

from __future__ import annotations

import os
import stat
import unicodedata
import zipfile
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.fits_images import called_beside
from galaxy_explorer.survey.images import AS_PNG, COMPRESSED, SUFFIXES, Image, read_image
from galaxy_explorer.survey.inventory import Reasons
from galaxy_explorer.survey.limits import MAX_FILE_BYTES
from galaxy_explorer.survey.readers import FileState, Reader, file_state

MAX_NAME_CHARACTERS = 255
MAX_MEMBERS = 5_000_000
"""Files of a zip archive; its directory lies in memory."""


def is_picture(name: str) -> bool:
    """Whether a file is one of the kinds that are read, by its name."""
    return _bare(name) != name.lower()


def _bare(name: str) -> str:
    """A name in lower case without the suffixes of pictures; others, as in J1237.5, stay."""
    bare = name.lower()
    for packed in (*COMPRESSED, ".fz"):
        bare = bare.removesuffix(packed)
    for suffix in SUFFIXES:
        if bare.endswith(suffix) and len(bare) > len(suffix):
            return bare.removesuffix(suffix)
    return name.lower()


def _suffix(path: str) -> str:
    """The suffix of a picture, in lower case: .jpg, .fits.gz."""
    name = path.rpartition("/")[2].lower()
    return name[len(_bare(name)) :]


def _alike(one: str, two: str) -> int:
    """How many characters two names begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), len(one))


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


class PictureIndex:
    """Paths of pictures, relative and with slashes; `root` is where they lie, for longer names.

    others: files of kinds that are not read, to name them where they are what is looked for.
    """

    def __init__(self, paths: Iterable[str], root: str, others: Iterable[str] = ()) -> None:
        self.paths = sorted(paths)
        self._others = {_key(one.rpartition("/")[2].partition(".")[0]): one for one in others}
        self._root = _key(root).strip("/")
        # By path, path without suffix, file name, file name without suffix.
        self._ways: tuple[dict[str, list[str]], ...] = ({}, {}, {}, {})
        for path in self.paths:
            key = _key(path)
            name = key.rpartition("/")[2]
            for way, form in zip(self._ways, (key, _bare(key), name, _bare(name)), strict=True):
                way.setdefault(form, []).append(path)
        self._names = sorted(self._ways[3])

    def find(self, name: str) -> str:
        """The path of the picture that a catalogue calls `name`.

        Raises BadImage naming both where two fit equally well, and the nearest where none fits.
        """
        plain = name.replace("\\", "/")
        if len(plain) > MAX_NAME_CHARACTERS * 8 or "\0" in plain:
            raise BadImage(name[:80], "is no file name")
        wanted = os.path.normpath(plain)
        if wanted == ".." or wanted.startswith(("../", "/")) or plain[1:3] == ":/":
            full = _key(wanted).strip("/")
            if not self._root or not full.startswith(self._root + "/"):
                raise BadImage(name, f"lies outside the folder{self._hint(wanted)}")
            wanted = full[len(self._root) + 1 :]
        for found in self._tiers(_key(wanted)):
            exact = [
                p for p in found if f"/{p}.".startswith(f"/{wanted}.") or f"/{wanted}." in f"/{p}."
            ]
            fitting = exact if len(exact) == 1 else found
            if len(fitting) > 1:
                both = " and ".join(fitting[:2])
                raise BadImage(name, f"{len(fitting)} files fit equally well, such as {both}")
            if fitting:
                return fitting[0]
        if any(len(part.encode()) > MAX_NAME_CHARACTERS for part in plain.split("/")):
            raise BadImage(name[:80], "is no file name")
        stem = _bare(_key(wanted).rpartition("/")[2])
        other = self._others.get(stem) or self._others.get(stem.partition(".")[0])
        if other and _key(other).rpartition("/")[2].startswith(stem):
            words = f"{other} is of a kind that is not read; {AS_PNG}, or unpack it"
            raise BadImage(name, words)
        raise BadImage(name, f"no such file in the folder{self._hint(wanted)}")

    def _tiers(self, key: str) -> Iterator[list[str]]:
        by_path, by_stem, by_name, by_bare_name = self._ways
        yield by_path.get(key, [])
        yield by_stem.get(key, [])
        yield by_stem.get(_bare(key), [])
        if "/" not in key:
            yield by_name.get(key, [])
            yield by_bare_name.get(key, [])
            yield by_bare_name.get(_bare(key), [])
            return
        # A name with more folders than there are below the root: those of the root itself.
        parts = PurePosixPath(key).parts
        for start in range(1, len(parts)):
            if not f"/{self._root}".endswith("/" + "/".join(parts[:start])):
                continue
            rest = "/".join(parts[start:])
            yield by_path.get(rest, [])
            yield by_stem.get(rest, []) or by_stem.get(_bare(rest), [])

    def _hint(self, wanted: str) -> str:
        """Words on the file that is called most like it."""
        if not self.paths:
            return ": there is no picture in it"
        name = _bare(_key(wanted).rpartition("/")[2])
        place = bisect_left(self._names, name)
        near = self._names[max(place - 1, 0) : place + 1]
        best = max(near, key=lambda other: _alike(other, name))
        return f"; the nearest is {self._ways[3][best][0]}"


class _IndexedSource:
    """What a folder and an archive of pictures share."""

    def __init__(self, hdu: int | None, what: str, index: PictureIndex) -> None:
        self._hdu = hdu
        self.index = index
        kinds = Counter(_suffix(path) for path in index.paths).most_common()
        each = f" ({', '.join(f'{count:,} {suffix}' for suffix, count in kinds)})" if kinds else ""
        self.kind = f"{what}: {len(index.paths):,} pictures{each}"
        self.shared: list[str] = []

    def file_of(self, row: CatalogRow) -> str:
        """Path of the row's picture; where there is none, what the catalogue calls it."""
        try:
            return self.locate(row)
        except BadImage:
            return row.image or row.galaxy_id

    def locate(self, row: CatalogRow) -> str:
        """Path of the row's picture. Raises BadImage where there is none, or several fit."""
        if not (row.image or row.galaxy_id):
            raise BadImage("catalogue", "the row has no id")
        return self._find(row.image or row.galaxy_id)

    def _find(self, name: str) -> str:
        return self.index.find(name)

    @property
    def reader(self) -> Reader:
        """What reads its pictures."""
        raise NotImplementedError

    def fetch(self, row: CatalogRow) -> Image:
        """Read the row's picture."""
        name = self.locate(row)
        return self.reader.read(name, name)

    def unused(self, rows: Iterable[CatalogRow]) -> int:
        """Pictures that no row names."""
        used = Counter(self.file_of(row) for row in rows)
        several = [path for path in self.index.paths if used[path] > 1]
        if several:
            self.shared = [
                f"{len(several):,} pictures are those of several rows, {several[0]} first"
            ]
        return sum(path not in used for path in self.index.paths)


@dataclass(frozen=True)
class FolderReader(Reader):
    """Files of a folder by their relative paths."""

    folder: Path
    hdu: int | None

    def read(self, place: Any, name: str) -> Image:
        """Read a file."""
        return read_image(self.folder / place, name=name, hdu=self.hdu)


class FolderSource(_IndexedSource):
    """A folder of pictures: the catalogue's image column, else the id, names the file.

    Links to files are followed wherever they lead; folders that are links are not, unless they lead
    to another place in the folder.
    """

    def __init__(self, folder: Path, hdu: int | None = None) -> None:
        self._folder = folder
        self.listing = list_pictures(folder)
        root = folder.resolve().as_posix()
        index = PictureIndex(self.listing.pictures, root, self.listing.others)
        super().__init__(hdu, "folder", index)

    @property
    def reader(self) -> FolderReader:
        """What reads its files."""
        return FolderReader(self._folder.absolute(), self._hdu)

    def _find(self, name: str) -> str:
        """As the index does; else by way of folders that are links to others of this folder."""
        try:
            return self.index.find(name)
        except BadImage:
            path = self._folder / name.replace("\\", "/")
            root = self._folder.resolve()
            if _inside(path, root) and (real := path.resolve().relative_to(root).as_posix()) in (
                self.index.paths
            ):
                return real
            raise

    def notes(self) -> list[str]:
        """What the summary says of the folder."""
        return [*self.listing.words(), *self.shared]


@dataclass(frozen=True)
class ZipReader(Reader):
    """Members of a zip archive by their paths, each read from its place in it."""

    file: FileState
    hdu: int | None

    def read(self, place: Any, name: str) -> Image:
        """Read a member, within the limits of a file."""
        archive, members = _opened_zip(self.file)
        try:
            with archive.open(members[place]) as stream:
                data = stream.read(MAX_FILE_BYTES + 1)
        except (OSError, RuntimeError, ValueError, EOFError, NotImplementedError) as error:
            raise BadImage(name, f"cannot be unpacked ({error}); unpack the archive") from error
        except (zipfile.BadZipFile, zlib.error) as error:
            raise BadImage(name, f"is damaged in the archive ({error})") from error
        return read_image(data, name=name, hdu=self.hdu)


@lru_cache(maxsize=4)
def _opened_zip(file: FileState) -> tuple[zipfile.ZipFile, dict[str, str]]:
    """An archive, once a process, and its pictures by their paths with slashes.

    Raises BadImage where it is none or has too many files.
    """
    path = file.path
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise BadImage(str(path), f"is no zip archive ({error}); unpack it") from error
    members = [one for one in archive.infolist() if is_picture(one.filename)]
    if len(members) > MAX_MEMBERS:
        raise BadImage(str(path), f"more than {MAX_MEMBERS} files; unpack it")
    # Some archives from Windows have backslashes; those of macOS a twin of each file.
    plain = {one.filename.replace("\\", "/"): one.filename for one in members}
    return archive, {name: own for name, own in plain.items() if not _is_hidden(name)}


class ZipSource(_IndexedSource):
    """A zip archive of pictures."""

    def __init__(self, path: Path, hdu: int | None = None) -> None:
        self._file = file_state(path)
        _, members = _opened_zip(self._file)
        root = path.with_suffix("").resolve().as_posix()
        super().__init__(hdu, "zip archive", PictureIndex(members, root))

    @property
    def reader(self) -> ZipReader:
        """What reads its members."""
        return ZipReader(self._file, self._hdu)

    def notes(self) -> list[str]:
        """What the summary says of the archive."""
        return [f"{len(self.index.paths):,} pictures read from the zip archive", *self.shared]


class Listing:
    """The files of a folder.

    pictures, others: relative paths of those that are read and of those of another kind. left_out:
    all that are not read, by kind or reason.
    """

    def __init__(self) -> None:
        self.pictures: list[str] = []
        self.left_out = Reasons()
        self.others: list[str] = []
        self.linked = 0

    def words(self) -> list[str]:
        """What a summary says of it."""
        words = []
        if self.linked:
            words.append(
                f"{self.linked:,} pictures are links to files outside the folder, followed"
            )
        if beside := [name for name in self.pictures if called_beside(name)]:
            some = ", ".join(beside[:3]) + (", ..." if len(beside) > 3 else "")
            words.append(
                f"{len(beside):,} pictures are called like masks, weights, errors or PSFs ({some}):"
                " each of them counts as a galaxy's where it is named"
            )
        if self.left_out.count:
            words.append(f"left out: {', '.join(self.left_out.lines())}")
        return words


def _is_hidden(path: str) -> bool:
    """Whether a file or a folder above it is hidden, or the twin that macOS makes of a file."""
    return any(part.startswith((".", "__MACOSX")) for part in path.split("/") if part != "..")


def list_pictures(folder: Path) -> Listing:
    """The pictures of a folder and of those in it, each of its other files counted by a reason."""
    listing, root = Listing(), folder.resolve()

    def closed(error: OSError) -> None:
        place = Path(str(error.filename))
        name = place.relative_to(folder).as_posix() if place.is_relative_to(folder) else str(place)
        listing.left_out.add(f"folder that cannot be listed: {error.strerror}", name)

    for place, folders, names in os.walk(folder, onerror=closed):
        for name in [name for name in folders if _is_hidden(name)]:
            folders.remove(name)
            listing.left_out.add(
                "hidden folder", (Path(place) / name).relative_to(folder).as_posix()
            )
        for name in folders:
            path = Path(place) / name
            if path.is_symlink() and not _inside(path, root):
                why = "linked folder outside this one, to be named itself"
                listing.left_out.add(why, path.relative_to(folder).as_posix())
        for name in names:
            path = Path(place) / name
            relative = path.relative_to(folder).as_posix()
            if why := _no_picture(path, relative):
                listing.left_out.add(why, os.fsencode(relative).decode("utf-8", "replace"))
                if why.startswith("."):
                    listing.others.append(relative)
                continue
            listing.linked += path.is_symlink() and not _inside(path, root)
            listing.pictures.append(relative)
    return listing


def _no_picture(path: Path, relative: str) -> str:
    """Why a file of a folder is no picture that can be read; empty where it is one."""
    name = path.name
    if os.fsencode(relative) != relative.encode("utf-8", "replace"):
        return "name that is not UTF-8; rename it"
    if not is_picture(name):
        suffix = path.suffix.lower()
        plain = suffix and suffix.isprintable() and not _is_hidden(name)
        return suffix if plain else "without a suffix"
    if _is_hidden(name):
        return "hidden file"
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        regular = False
    return "" if regular else "broken link or special file"


def _inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, RuntimeError, ValueError):
        return False
