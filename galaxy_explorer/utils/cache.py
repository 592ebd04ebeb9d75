"""Results of finished stages, kept so that a rerun resumes and changed inputs are redone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from galaxy_explorer import __version__
from galaxy_explorer.utils.files import atomic_path


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
        arrays = {name: np.ascontiguousarray(array) for name, array in result.arrays.items()}
        metadata = {"key": key, "facts": json.dumps(result.facts)}
        with atomic_path(self._path(stage)) as temporary:
            save_file(arrays, temporary, metadata=metadata)
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
    text = json.dumps({**inputs, "software": __version__}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
