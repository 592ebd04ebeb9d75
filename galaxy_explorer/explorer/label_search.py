"""What annotators have said of each galaxy, as a column that a search can name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import LabelError
from galaxy_explorer.explorer.label_session import label_store
from galaxy_explorer.labels.vocabulary import NOTE

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle


def label_columns(bundle: Bundle) -> dict[str, NDArray[Any]]:
    """The column "label" (N,): all labels of a galaxy by anyone, joined by ";", empty for none.

    No column where the label log cannot be opened.
    """
    try:
        layers = label_store(bundle).layers()
    except LabelError:
        return {}
    said: dict[str, set[str]] = {}
    for layer in layers.values():
        for galaxy, values in layer.galaxies().items():
            given = {value.label for aspect, value in values.items() if aspect != NOTE}
            said.setdefault(galaxy, set()).update(given - {""})
    ids = bundle.column("galaxy_id")
    return {"label": np.array([";".join(sorted(said.get(str(one), ()))) for one in ids], str)}
