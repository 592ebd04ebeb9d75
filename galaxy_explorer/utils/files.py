"""Files that are either whole or absent: write aside, sync, then rename; locks; kept results.

Results of finished stages are kept so that a rerun resumes and changed inputs are redone.
"""

from __future__ import annotations

import atexit
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from galaxy_explorer.errors import CURES, TrainingError
from galaxy_explorer.settings import VERSION

HASH_BLOCK_BYTES = 1 << 20
OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""The number of the system's error in a message of safetensors."""


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
        while block := stream.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


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
