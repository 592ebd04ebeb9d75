"""What each stage of an evaluation takes, from nothing, on a copy of a bundle.

Run as

    python -m benchmarks.evaluate_cost trained/report surveys/report quick
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from galaxy_explorer.evaluation.run import evaluate_bundle


def main(bundle: Path, survey: Path, grid: str) -> None:
    """Print seconds and peak memory of each group of stages."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(bundle, Path(folder) / bundle.name))
        evaluation = evaluate_bundle(copy, survey, grid=grid, say=print)
    print("| stages | seconds | peak memory so far, MiB |\n|---|---|---|")
    for cost in evaluation.costs:
        print(f"| {cost.stage} | {cost.seconds:.1f} | {cost.peak_mib:.0f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "quick")
