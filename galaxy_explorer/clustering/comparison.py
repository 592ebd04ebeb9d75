"""Do two clusterings of the same galaxies agree?"""

from __future__ import annotations

import numpy as np


def compare_labels(left: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """Adjusted Rand index and adjusted mutual information of two clusterings of N galaxies.

    left, right: clusters (N,). Both scores are 1 for the same partition, whatever its numbers, and
    0 on average for independent ones.
    """
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

    return {
        "ari": float(adjusted_rand_score(left, right)),
        "ami": float(adjusted_mutual_info_score(left, right)),
    }
