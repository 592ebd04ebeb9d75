"""Whether a survey is the one that a bundle was made from.

The fingerprint of its pixels says so at once. Made again on another processor, the last bit of a
pixel may differ, and with it the fingerprint; the models then still encode the galaxies to the code
maps that the bundle holds. Loads torch only for the second look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from galaxy_explorer.errors import SurveyError

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.survey.store import Survey

ENCODED_AGAIN = 64  # galaxies, evenly among all
SAME_CODES = 0.99  # share of codes; of galaxies rendered by somebody else a third or so agrees
CURE = "give the survey that the bundle was made from, or ingest it again in the same way"


def check_survey(bundle: Bundle, survey: Survey) -> None:
    """Raise SurveyError where a survey is not the one that a bundle was made from."""
    if survey.meta["fingerprint"] == bundle.manifest.survey.fingerprint:
        return
    ours, theirs = bundle.column("galaxy_id"), survey.column("galaxy_id")
    common = int(np.isin(ours, theirs).sum())
    if not common:
        raise SurveyError(f"{survey.path}: none of the galaxies of {bundle.path} is there; {CURE}")
    if not np.array_equal(ours, theirs):
        raise SurveyError(
            f"{survey.path}: {common:,} of the {len(ours):,} galaxies of {bundle.path} are there,"
            f" among {len(theirs):,}, but not all of them in its order; {CURE}"
        )
    if not _encodes_alike(bundle, survey):
        raise SurveyError(
            f"{survey.path}: the {common:,} galaxies of {bundle.path} have their names there, but"
            f" its pixels are not those (another fingerprint, other code maps); {CURE}"
        )


def _encodes_alike(bundle: Bundle, survey: Survey) -> bool:
    """Whether a model of the bundle encodes galaxies of the survey as the bundle has them."""
    from galaxy_explorer.models.inference import encode_stamps

    name = bundle.manifest.display_model
    config, meta = bundle.load_model(name).config, survey.meta
    if (config.stamp_size, config.channels) != (meta["stamp_size"], meta["channels"]):
        return False
    rows = np.unique(np.linspace(0, len(bundle) - 1, ENCODED_AGAIN).astype(np.int64))
    found = encode_stamps(bundle.load_model(name), survey.model_input(rows))
    known = bundle.encoded(name)[rows]
    if known.dtype.kind == "u":
        return float((found == known).mean()) >= SAME_CODES
    return np.allclose(found.astype(np.float32), known.astype(np.float32), rtol=0.01, atol=0.01)
