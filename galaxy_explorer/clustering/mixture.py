"""Bayesian Gaussian mixture (report, section 2.3): fitted by scikit-learn, served by numpy.

A fitted mixture is four arrays, so it can be stored as numbers and used without scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

BLOCK_ROWS = 4096
WEIGHT_TOLERANCE = 1e-6
MEMBER_FRACTION = 0.1
TOLERANCE = 1e-3
"""A fit ends where the bound rises by less, in nats a galaxy: what scikit-learn takes for mixtures
whose bound is a mean. That of a Bayesian one is a sum over the galaxies."""


@dataclass(frozen=True)
class Mixture:
    """A Gaussian mixture of K components over P features, as arrays.

    weights (K,): expected share of each component, sum 1. means (K, P).
    precisions_cholesky: (K, P, P) upper triangular for full covariances, or (K, P) for diagonal
    ones. log_constants (K,): all of the log probability that does not depend on the galaxy, so
    ln p(x, k) = log_constants[k] - |(x - means[k]) precisions_cholesky[k]|^2 / 2.
    """

    weights: np.ndarray
    means: np.ndarray
    precisions_cholesky: np.ndarray
    log_constants: np.ndarray

    @property
    def n_components(self) -> int:
        """Number of components K."""
        return len(self.weights)

    def log_joint(self, features: np.ndarray) -> np.ndarray:
        """Logarithm of p(x, k), shape (N, K), for features (N, P).

        Raises ValueError for another P.
        """
        x = np.asarray(features, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.means.shape[1]:
            raise ValueError(f"features {x.shape} where (N, {self.means.shape[1]}) is expected")
        joint = np.empty((len(x), self.n_components))
        for start in range(0, len(x), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            rows = x[block]
            for k, factor in enumerate(self.precisions_cholesky):
                mean, full = self.means[k], factor.ndim == 2
                whitened = rows @ factor - mean @ factor if full else (rows - mean) * factor
                # half the squared Mahalanobis distance to the component
                joint[block, k] = self.log_constants[k] - np.square(whitened).sum(1) / 2
        return joint

    def responsibilities(self, features: np.ndarray) -> np.ndarray:
        """Probability of each component for each galaxy, shape (N, K), rows sum to 1."""
        joint = self.log_joint(features)
        joint = np.exp(joint - joint.max(1, keepdims=True))
        shares: np.ndarray = joint / joint.sum(1, keepdims=True)
        return shares

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Most probable component of each galaxy, int16 (N,)."""
        labels: np.ndarray = self.log_joint(features).argmax(1)
        return labels.astype(np.int16)

    def arrays(self) -> dict[str, np.ndarray]:
        """The mixture as plain float64 arrays."""
        return {name: np.ascontiguousarray(getattr(self, name)) for name in ARRAY_NAMES}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Mixture:
        """Rebuild a mixture. Raises ValueError naming the array that does not fit."""
        if missing := [name for name in ARRAY_NAMES if name not in arrays]:
            raise ValueError(f"{missing[0]} is missing")
        mixture = cls(**{name: arrays[name] for name in ARRAY_NAMES})
        mixture.check()
        return mixture

    def check(self) -> None:
        """Raise ValueError where shapes, types or weights cannot be a mixture's."""
        if self.means.ndim != 2 or 0 in self.means.shape:
            raise ValueError(f"means {self.means.shape} is not (K, P)")
        k, p = self.means.shape
        shapes: dict[str, list[tuple[int, ...]]] = {
            "weights": [(k,)],
            "means": [(k, p)],
            "log_constants": [(k,)],
        }
        shapes["precisions_cholesky"] = [(k, p), (k, p, p)]
        for name, allowed in shapes.items():
            array = getattr(self, name)
            if array.shape not in allowed or array.dtype != np.float64:
                raise ValueError(f"{name} is {array.dtype} {array.shape}, not float64 {allowed}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds values that are not finite")
        if (self.weights < 0).any() or abs(self.weights.sum() - 1) > WEIGHT_TOLERANCE:
            raise ValueError("weights are negative or do not sum to 1")


ARRAY_NAMES = ("weights", "means", "precisions_cholesky", "log_constants")


def fit_mixture(
    features: np.ndarray,
    *,
    n_components: int = 64,
    seed: int = 0,
    covariance_type: str = "full",
    reg_covar: float = 1e-3,
    weight_concentration: float | None = None,
    n_init: int = 1,
    max_iter: int = 300,
) -> Mixture:
    """Fit `n_components` Gaussians to features (N, P) by variational inference.

    covariance_type: "full" or "diag". reg_covar: added to the variances, in units of the features
    squared. weight_concentration: prior of the Dirichlet process, None for 1 / n_components; small
    values empty components. Deterministic by seed.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import BayesianGaussianMixture

    x = np.asarray(features, dtype=np.float64)
    model = BayesianGaussianMixture(
        n_components=min(n_components, len(x)),
        covariance_type=covariance_type,
        reg_covar=reg_covar,
        weight_concentration_prior=weight_concentration,
        n_init=n_init,
        max_iter=max_iter,
        tol=TOLERANCE * len(x),
        random_state=seed,
    )
    with warnings.catch_warnings():
        # Where components share many galaxies the bound creeps on; then max_iter is the stop rule.
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            model.fit(x)
        except ValueError:
            # Where features depend on each other or never change, the covariance of all galaxies,
            # which is the prior, cannot be inverted; with the same ridge as the others it can.
            variances = x.var(axis=0, ddof=1) + reg_covar
            full = covariance_type == "full"
            prior = np.cov(x.T) + reg_covar * np.eye(x.shape[1]) if full else variances
            model.set_params(covariance_prior=prior)
            model.fit(x)
    return mixture_from_sklearn(model)


def mixture_from_sklearn(model: Any) -> Mixture:
    """The arrays of a fitted scikit-learn BayesianGaussianMixture ("full" or "diag").

    The constants collect the expectations of the log weights and log precisions under the
    variational posterior (Bishop 2006, eqs. 10.64-10.66).
    """
    from scipy.special import digamma

    # of the log stick-breaking weights of a Dirichlet process
    ones, rest = model.weight_concentration_
    both = digamma(ones + rest)
    remaining = np.concatenate([[0.0], np.cumsum(digamma(rest) - both)[:-1]])
    log_weights = np.asarray(digamma(ones) - both + remaining)  # (K,)
    # of the log normalising constant of each Gaussian
    p = model.means_.shape[1]
    freedom = np.asarray(model.degrees_of_freedom_)
    factors = np.asarray(model.precisions_cholesky_)
    diagonal = np.diagonal(factors, axis1=1, axis2=2) if factors.ndim == 3 else factors
    spread = p * np.log(2.0) + digamma(0.5 * (freedom - np.arange(p)[:, None])).sum(0)
    gaussian = np.log(diagonal).sum(1) - 0.5 * p * np.log(2 * np.pi)
    log_normaliser = np.asarray(
        gaussian - 0.5 * p * np.log(freedom) + 0.5 * (spread - p / model.mean_precision_)
    )
    return Mixture(
        weights=np.asarray(model.weights_),
        means=np.asarray(model.means_),
        precisions_cholesky=factors,
        log_constants=log_weights + log_normaliser,
    )


def effective_number(labels: np.ndarray, n_components: int) -> int:
    """Clusters that hold more than a tenth of an even share of the galaxies.

    With N galaxies and K components: clusters of more than N / (10 K) members.
    """
    counts = np.bincount(labels, minlength=n_components)
    return int((counts > MEMBER_FRACTION * len(labels) / n_components).sum())
