"""The judge of a bundle: what the manifest says of it, and the network itself.

A supervised network that has learnt T from real stamps of the train split, independent of whatever
draws the galaxies that it judges.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxy_explorer.bundle_fields import ManifestError, integer_in, known_in, number_in, object_in
from galaxy_explorer.bundle_models import check_weights
from galaxy_explorer.errors import BundleError

if TYPE_CHECKING:
    from galaxy_explorer.models.judge_file import StoredJudge

JUDGE = "judge.safetensors"
CURE = "run galaxy-explorer evaluate --emulator again"


@dataclass(frozen=True)
class Reading:
    """How well T is read: r, its correlation with the catalogued T; errors in stages.

    rms: root mean square error. bias: mean error, below 0 where T is read too early.
    """

    r: float
    rms: float
    bias: float

    @property
    def words(self) -> str:
        """All three."""
        side = "early" if self.bias < 0 else "late"
        return (
            f"r {self.r:.2f}, rms error {self.rms:.1f}, on average {abs(self.bias):.1f} too {side}"
        )


@dataclass(frozen=True)
class JudgeEntry:
    """The judge as the manifest describes it, measured with the weights that ship.

    n: held-out galaxies with a T. real: read from their stamps. drawn: by the name of a model,
    read from what it draws of their codes or latents, under noise as of real stamps.
    """

    n: int
    real: Reading
    drawn: dict[str, Reading]

    def of(self, model: str) -> str:
        """What is known of its errors, in stages, on what a model draws, in words."""
        kinds = {f"{self.n} held-out real galaxies": self.real}
        if model in self.drawn:
            kinds["the same galaxies as the model draws them"] = self.drawn[model]
        return "; ".join(f"{kind}: {reading.words}" for kind, reading in kinds.items())


def check_judge(manifest: dict[str, Any], models: dict[str, Any], files: dict[str, Any]) -> None:
    """The judge of a manifest; there may be none."""
    if "judge" not in manifest:
        return
    entry = object_in(manifest, "judge", "")
    known_in(entry, "file", files, "judge.")
    integer_in(entry, "n", "judge.", 1, 1 << 40)
    _check_reading(object_in(entry, "real", "judge."), "judge.real.")
    drawn = object_in(entry, "drawn", "judge.")
    for name in drawn:
        if name not in models:
            raise ManifestError(f"judge.drawn.{name}", "is not a model of this bundle")
        _check_reading(object_in(drawn, name, "judge.drawn."), f"judge.drawn.{name}.")


def _check_reading(values: dict[str, Any], where: str) -> None:
    number_in(values, "r", where, -1, 1)
    number_in(values, "rms", where, 0, 1000)
    number_in(values, "bias", where, -1000, 1000)


def read_judge(manifest: dict[str, Any], data: dict[str, bytes], folder: Path) -> JudgeEntry | None:
    """What is said of the judge, None where there is none.

    Raises BundleError naming the file whose weights are not numbers.
    """
    entry = manifest.get("judge")
    if entry is None:
        return None
    try:
        check_weights(data[entry["file"]], folder / entry["file"])
    except BundleError as error:
        raise BundleError(f"{error}; {CURE}") from None
    drawn = {name: _reading(values) for name, values in entry["drawn"].items()}
    return JudgeEntry(entry["n"], _reading(entry["real"]), drawn)


def _reading(values: dict[str, Any]) -> Reading:
    return Reading(*(float(values[name]) for name in ("r", "rms", "bias")))


def open_judge(data: bytes, path: Path, survey: dict[str, Any]) -> StoredJudge:
    """The network of verified bytes, in evaluation mode; loads torch at the first call.

    survey: as in the manifest. Raises BundleError where it does not read such stamps.
    """
    from galaxy_explorer.models.judge_file import parse_judge

    try:
        return parse_judge(data, channels=survey["channels"], side=survey["stamp_size"])
    except ValueError as error:
        raise BundleError(f"{path}: not the judge of these stamps: {error}; {CURE}") from None
