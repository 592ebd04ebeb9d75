"""A file is either what it was or what it was to become, never something between."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

from galaxy_explorer.errors import in_words
from galaxy_explorer.utils import files
from galaxy_explorer.utils.files import (
    atomic_path,
    atomic_write_bytes,
    atomic_write_text,
    cache_folder,
    can_write,
    raise_if_full,
    save_arrays,
    sha256_of,
)

KILLS = 20
SIZE = 4_000_000

WRITER = """
import sys
from pathlib import Path
from galaxy_explorer.utils.files import atomic_write_bytes
path, size = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
while True:
    for letter in b"AB":
        atomic_write_bytes(path, bytes([letter]) * size)
"""


def test_bytes_and_text_come_back(tmp_path: Path) -> None:
    atomic_write_bytes(tmp_path / "deep" / "er" / "a.bin", b"\x00\xff")
    atomic_write_text(tmp_path / "a.txt", "pitch angle: 12°\n")
    assert (tmp_path / "deep" / "er" / "a.bin").read_bytes() == b"\x00\xff"
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "pitch angle: 12°\n"


def test_the_temporary_file_has_the_same_suffix_and_folder(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "table.parquet") as temporary:
        assert temporary.suffix == ".parquet"
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"x")


def write_half(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"ne")
        raise RuntimeError("half way")


def test_an_error_while_writing_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    atomic_write_bytes(path, b"old")
    with pytest.raises(RuntimeError, match="half way"):
        write_half(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    atomic_write_bytes(tmp_path / "a.bin", b"x")
    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o644


def test_sha256_agrees_with_hashlib_across_the_block_size(tmp_path: Path) -> None:
    for size in (0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 7):
        data = os.urandom(1) * size
        (tmp_path / "a.bin").write_bytes(data)
        assert sha256_of(tmp_path / "a.bin") == hashlib.sha256(data).hexdigest()


@pytest.mark.slow
def test_a_killed_writer_never_leaves_a_torn_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    whole = {bytes([letter]) * SIZE for letter in b"AB"}
    atomic_write_bytes(path, b"A" * SIZE)
    for kill in range(KILLS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(SIZE)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(0.003 * kill)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert path.read_bytes() in whole


@pytest.mark.parametrize(
    "error",
    [SafetensorError("I/O error: No space left on device"), OSError(28, "No space left on device")],
)
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path, monkeypatch, error) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(files, "save_file", full)
    with pytest.raises(OSError, match="No space left") as caught:
        save_arrays(tmp_path / "a.safetensors", {"a": np.zeros(3)})
    assert str(tmp_path / "a.safetensors") in str(caught.value)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["/dev/null/cache", "~/.cache"])
def test_without_a_place_for_a_cache_a_temporary_folder_is_used(
    monkeypatch, tmp_path, place
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda _: place)
    folder = cache_folder()
    assert can_write(folder)
    assert not any(tmp_path.iterdir())


def test_a_cache_that_can_be_written_is_used(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / name))
    assert cache_folder() == tmp_path / "galaxy_explorer"


FULL = os.strerror(errno.ENOSPC)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "Error writing bytes to file"),
        SafetensorError(f"Error while serializing: I/O error: {FULL} (os error {errno.ENOSPC})"),
    ],
)
def test_a_full_disk_is_one_sentence_with_file_and_cure(tmp_path: Path, error: Exception) -> None:
    path = tmp_path / "weights.safetensors"
    with pytest.raises(OSError) as raised, atomic_path(path):  # noqa: PT011 (its words follow)
        raise error
    assert raised.value.errno == errno.ENOSPC
    words = in_words(raised.value)
    assert words.startswith(f"{path}: not written: {FULL}; make room")
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_names_its_file_keeps_the_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised, atomic_path(tmp_path / "a"):
        (tmp_path / "absent").read_bytes()
    assert in_words(raised.value) == f"{tmp_path / 'absent'}: {os.strerror(errno.ENOENT)}"


def test_a_full_disk_is_no_damage_of_what_is_read(tmp_path: Path) -> None:
    raise_if_full(OSError("truncated"), tmp_path)
    raise_if_full(ValueError("no table"), tmp_path)
    with pytest.raises(OSError, match="not written") as raised:
        raise_if_full(OSError(errno.ENOSPC, "Error writing bytes"), tmp_path)
    assert raised.value.filename == str(tmp_path)
