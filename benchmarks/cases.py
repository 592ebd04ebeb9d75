"""Share of the cases that this program takes right: small inputs as people really have them.

    python -m benchmarks.cases [FOLDER] [--only WORD] [--seconds 300]

A case is a folder with a script try.sh that exits with 0 where the behaviour is right and with 2
where it could not be tried. It is run from the source folder and finds GE (the command), PY (its
interpreter), BUNDLES (the folder of bundles) and OMP_NUM_THREADS = 1 in its environment.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT = ROOT.parent / "shared" / "cases"
NOT_TRIED = 2
COMMAND = '#!/bin/sh\nexec "{python}" -m galaxy_explorer "$@"\n'


def tried(case: Path, environment: dict[str, str], seconds: float) -> tuple[str, str]:
    """What came of a case ("right", "WRONG", "not tried") and the last line that it printed."""
    try:
        done = subprocess.run(
            ["bash", str(case / "try.sh")], cwd=ROOT, env=environment, timeout=seconds,
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "WRONG", f"not done after {seconds:g} s"
    lines = (done.stdout + done.stderr).strip().splitlines()
    verdicts = [line for line in lines if line.startswith(("RIGHT", "WRONG"))]
    outcome = {0: "right", NOT_TRIED: "not tried"}.get(done.returncode, "WRONG")
    return outcome, (verdicts or lines or [""])[-1][:160]


def kind_of(case: Path) -> str:
    """The kind of a case: its folder's name up to the first underscore, after the one above."""
    return f"{case.parent.name}: {case.name.partition('_')[0]}"


def main() -> None:
    """Try the cases and print a line for each that is not right, each kind, and all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=DEFAULT)
    parser.add_argument("--only", default="", help="a word in the name of a case")
    parser.add_argument("--seconds", type=float, default=300.0, help="at most, for one case")
    arguments = parser.parse_args()
    found = sorted(path.parent for path in arguments.folder.rglob("try.sh"))
    cases = [case for case in found if arguments.only in case.name]
    if not cases:
        print(f"skipped: {arguments.folder} has no cases (folders with a try.sh)")
        return
    outcomes: dict[str, Counter[str]] = {}
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = Path(folder) / "galaxy-explorer"
        command.write_text(COMMAND.format(python=sys.executable))
        command.chmod(0o755)
        # Without a path of one's own: only then is this source the one that is tried.
        own = {"GE": str(command), "PY": sys.executable, "BUNDLES": str(ROOT / "trained")}
        own |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "TMPDIR": folder}
        for case in cases:
            outcome, words = tried(case, {**os.environ, **own}, arguments.seconds)
            outcomes.setdefault(kind_of(case), Counter())[outcome] += 1
            if outcome != "right":
                print(f"{outcome:9} {case.name}: {words}", flush=True)
    total: Counter[str] = Counter()
    for kind, counts in outcomes.items():
        total += counts
        print(f"{kind:28} {counts['right']:3} of {counts.total() - counts['not tried']}")
    share = total["right"] / max(total.total() - total["not tried"], 1)
    print(
        f"right {total['right']} of {total.total() - total['not tried']} = {100 * share:.1f} %, "
        f"not tried {total['not tried']}, in {time.monotonic() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
