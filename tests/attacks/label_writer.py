"""A process that labels without end: `python -m tests.attacks.label_writer LOG NAME [COUNT]`.

Writes the identifier of each event to standard output once the store has returned it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from galaxy_explorer.labels.log import Change, Provenance
from galaxy_explorer.labels.store import LabelStore

GIVEN = Provenance("ab" * 32, "k512/codes", "0.1.0")
ENDLESS = 10**9


def main() -> None:
    """Label until killed, or COUNT times."""
    path, name, *count = sys.argv[1:]
    store = LabelStore(Path(path), GIVEN)
    for i in range(int(count[0]) if count else ENDLESS):
        event = store.record(name, [Change(f"g{i % 1000}", "stage", f"T{i % 7}")])[0]
        sys.stdout.write(f"{event.event_id}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
