"""Files that are either whole or absent: write aside, sync, then rename; locks; kept results.

Also what must be known of a file of the user's before it is read: how it is packed and encoded.

Results of finished stages are kept so that a rerun resumes and changed inputs are redone.
"""

from __future__ import annotations

import atexit
import bz2
import codecs
import errno
import gzip
import hashlib
import json
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from galaxy_explorer.errors import CURES, BadCatalog, TrainingError
from galaxy_explorer.settings import VERSION

BLOCK_BYTES = 1 << 20
INPUTS_MARK = "inputs.json"
OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""The number of the system's error in a message of safetensors."""
UNPACK: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""Of encodings, at the start of a text; UTF-32 before UTF-16, which begins alike."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path` in one step.

    After an error or a kill `path` holds what it held before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        with naming(path):
            yield temporary
            sync(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
            sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name what could not be written: a write that failed, also of safetensors, does not say."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        told = OS_ERROR.search(str(error))
        code = getattr(error, "errno", None) or (int(told[1]) if told else None)
        reason = os.strerror(code) if code else str(error)
        raise OSError(code or errno.EIO, f"not written: {reason}", str(path)) from error


def raise_if_full(error: Exception, path: Path) -> None:
    """Raise OSError for `path` where reading failed because its disk takes no copy."""
    if isinstance(error, OSError) and error.errno in CURES:
        reason = f"not written: {os.strerror(error.errno or 0)}"
        raise OSError(error.errno, reason, str(path)) from error


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def save_arrays(
    path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays as safetensors, whole or not at all. Raises OSError where there is no room."""
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with atomic_path(path) as temporary:
        save_file(plain, temporary, metadata=None if metadata is None else dict(metadata))


def can_write(folder: Path) -> bool:
    """Whether files can be made in a folder, which is made where it is absent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def temporary_folder(name: str) -> Path:
    """A folder that goes with this process. Raises OSError where none can be made."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # not where a forked process ends
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def cache_folder() -> Path:
    """The user's cache folder; a temporary one where that cannot be written or there is no home."""
    import platformdirs

    own = Path(platformdirs.user_cache_dir("galaxy_explorer"))
    return own if own.is_absolute() and can_write(own) else temporary_folder("galaxy-explorer")


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write `data` so that `path` is never seen half written."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def atomic_write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 so that `path` is never seen half written."""
    atomic_write_bytes(path, text.encode())


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as hexadecimal digits, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def training_folder(folder: Path, inputs: Mapping[str, Any]) -> Path:
    """The folder of a training: emptied where it was begun from other inputs, marked with these."""
    if folder.is_dir() and not begun_from(folder, inputs):
        shutil.rmtree(folder)
    atomic_write_text(folder / INPUTS_MARK, json.dumps(inputs, sort_keys=True))
    return folder


def begun_from(folder: Path, inputs: Mapping[str, Any]) -> bool:
    """Whether `training_folder` marked a folder with these inputs."""
    mark = folder / INPUTS_MARK
    return mark.is_file() and mark.read_text() == json.dumps(inputs, sort_keys=True)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; the system gives it back however the process ends.

    Raises TrainingError if another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, mode=0o644)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise TrainingError(
            f"{path}: another run is training this model; wait for its end, or give --out"
            " another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class StageResult:
    """What a stage leaves: arrays, and facts that are JSON values."""

    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class StageCache:
    """One file a stage in `folder`, written in one step, with a key made of all its inputs."""

    folder: Path

    def has(self, stage: str, inputs: Mapping[str, Any]) -> bool:
        """Whether the stage has been finished with these inputs."""
        return self._read(stage, _key(inputs), arrays=False) is not None

    def peek(self, stage: str) -> StageResult | None:
        """What the stage last left, whatever its inputs were; None if it never finished."""
        return self._read(stage, None)

    def get(
        self, stage: str, inputs: Mapping[str, Any], compute: Callable[[], StageResult]
    ) -> StageResult:
        """The stored result of a stage if its inputs are the same, else the computed one."""
        key = _key(inputs)
        stored = self._read(stage, key)
        if stored is not None:
            return stored
        result = compute()
        metadata = {"key": key, "facts": json.dumps(result.facts)}
        save_arrays(self._path(stage), result.arrays, metadata)
        return result

    def _path(self, stage: str) -> Path:
        return self.folder / f"{stage.replace('/', '.')}.safetensors"

    def _read(self, stage: str, key: str | None, *, arrays: bool = True) -> StageResult | None:
        path = self._path(stage)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as stored:
                metadata = stored.metadata() or {}
                if "facts" not in metadata or key not in (None, metadata.get("key")):
                    return None
                names = list(stored.keys()) if arrays else []
                values = {name: stored.get_tensor(name) for name in names}
        except (SafetensorError, OSError):
            # A damaged result is worth no more than an absent one: the stage is run again.
            return None
        return StageResult(values, json.loads(metadata["facts"]))


def _key(inputs: Mapping[str, Any]) -> str:
    text = json.dumps({**inputs, "software": VERSION}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def unpacked_beside(path: Path, staged: Path, named: str, most: int | None) -> tuple[Path, str]:
    """The file, unpacked beside `staged` where it is compressed, and its suffix without that.

    most: bytes when unpacked, else half of the free disk. Raises BadCatalog for more.
    """
    with path.open("rb") as stream:
        head = stream.read(8)
    opener = next((way for magic, way in UNPACK.items() if head.startswith(magic)), None)
    suffix = path.suffix.lower()
    if opener is None:
        return path, suffix
    if suffix in {".gz", ".bz2"}:
        suffix = Path(path.stem).suffix.lower()
    unpacked = staged.with_name(staged.name + ".unpacked")
    room = most or shutil.disk_usage(staged.parent).free // 2
    with opener(path, "rb") as packed, unpacked.open("wb") as stream:
        while block := packed.read(BLOCK_BYTES):
            room -= len(block)
            if room < 0:
                unpacked.unlink()
                raise BadCatalog(
                    f"{named}: unpacked it is too large; unpack it, and cut it into parts"
                )
            stream.write(block)
    return unpacked, suffix


def encoding_of(path: Path, named: str) -> str:
    """Encoding of a text: by its mark, else UTF-8 where all of it is, else one byte a character.

    Raises BadCatalog for binary data.
    """
    with path.open("rb") as stream:
        head = stream.read(4)
        for mark, encoding in MARKS.items():
            if head.startswith(mark):
                return encoding
        decoder = codecs.getincrementaldecoder("utf-8")()
        stream.seek(0)
        utf8, extended = True, False
        while block := stream.read(BLOCK_BYTES):
            if b"\0" in block:
                raise BadCatalog(
                    f"{named}: cannot be read as a table (binary data, no text, or UTF-16 without "
                    "its mark: save it as UTF-8)"
                )
            extended = extended or any(0x80 <= byte < 0xA0 for byte in set(block))
            try:
                decoder.decode(block) if utf8 else None
            except UnicodeDecodeError:
                utf8 = False
    if utf8 and not decoder.getstate()[0]:  # nor a character that is cut at the end
        return "utf-8-sig"
    return "cp1252" if extended else "latin-1"


def has_odd_quotes(path: Path) -> bool:
    """Whether a file has an odd number of quotes, one of which then is not closed."""
    with path.open("rb") as stream:
        blocks = iter(lambda: stream.read(BLOCK_BYTES), b"")
        return sum(block.count(b'"') for block in blocks) % 2 == 1


MAX_KEPT_HEADER = 8192


class HashedFiles:
    """Files of a line of JSON and compressed bytes, each called by the hash of its content.

    Nothing can be read back but what was kept. names: what they are called, all that comes before
    24 hexadecimal digits included; about: what every header says; the `kept` used last stay.
    """

    def __init__(
        self, folder: Path, names: re.Pattern[str], about: Mapping[str, Any], kept: int
    ) -> None:
        self.folder, self._names, self._about, self._kept = folder, names, dict(about), kept

    def put(self, prefix: str, header: Mapping[str, Any], content: bytes) -> str:
        """Keep a header and a content; returns the file's name. Raises OSError on a full disk."""
        text = json.dumps({**header, **self._about}, sort_keys=True).encode()
        data = text + b"\n" + zlib.compress(content)
        path = self.folder / f"{prefix}{hashlib.sha256(data).hexdigest()[:24]}"
        if path.exists():
            os.utime(path)
            return path.name
        atomic_write_bytes(path, data)
        paths = [one for one in self.folder.iterdir() if self._names.fullmatch(one.name)]
        if len(paths) > self._kept:
            for one in sorted(paths, key=lambda one: one.stat().st_mtime_ns)[: -self._kept]:
                one.unlink(missing_ok=True)
        return path.name

    def get(self, name: str, length: int) -> tuple[dict[str, Any], bytes]:
        """Header and content of `length` bytes. Raises KeyError where it is not, or not whole."""
        if not self._names.fullmatch(name):
            raise KeyError(name)
        try:
            with (self.folder / name).open("rb") as stream:
                data = stream.read(MAX_KEPT_HEADER + 2 * length)
            os.utime(self.folder / name)
            if not name.endswith(hashlib.sha256(data).hexdigest()[:24]):
                raise ValueError("damaged")
            text, _, packed = data.partition(b"\n")
            header = json.loads(text)
            if any(header[key] != value for key, value in self._about.items()):
                raise ValueError("about something else")
            return header, zlib.decompressobj().decompress(packed, length)
        except (OSError, ValueError, LookupError, zlib.error) as error:
            raise KeyError(name) from error
