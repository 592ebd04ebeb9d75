"""The means to spoil a bundle and to make its hashes fit again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from galaxy_explorer import load_bundle
from galaxy_explorer.errors import BundleError

MODEL = "k16-modern-8x8"
WEIGHTS, CODES = f"{MODEL}.safetensors", f"{MODEL}.codes.npz"
MIXTURE = f"{MODEL}.codes.safetensors"
LATENTS = "convae-conv.encoded.safetensors"
FULL_MIXTURE = "convae-conv.latents.safetensors"
CATALOG = "catalog.parquet"


NO_WEIGHTS = (lambda a: a.astype(np.float32), lambda a: a * np.float16("nan"))
"""What makes stored weights of no use: another number format, what is no number."""


def spoil_head(arrays: dict[str, np.ndarray], attack: str) -> None:
    """Make weights another network's: head "missing", one "extra", or of another "shape"."""
    if attack == "missing":
        del arrays["head.bias"]
    elif attack == "extra":
        arrays["more"] = np.zeros(2, np.float16)
    else:
        arrays["head.bias"] = arrays["head.bias"][None]


def read_manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def reseal(folder: Path, manifest: dict | str) -> None:
    """Write a manifest, text or object, with a seal that fits it."""
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    (folder / "manifest.json").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.sha256").write_text(f"{digest}  manifest.json\n")


def replace_file(folder: Path, name: str, data: bytes) -> None:
    """Replace a file so that every hash fits, as an attacker would."""
    (folder / name).write_bytes(data)
    manifest = read_manifest(folder)
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    reseal(folder, manifest)


def refused(folder: Path, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)
