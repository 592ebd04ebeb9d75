"""Bundles with a false prior: refused at once, or when the network is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load, save

from galaxy_explorer import load_bundle
from galaxy_explorer.errors import BundleError
from tests.attacks.bundle_tools import (
    NO_WEIGHTS,
    read_manifest,
    refused,
    replace_file,
    reseal,
    spoil_head,
)
from tests.small_bundle import PRIOR

FILE, KEY = f"{PRIOR}.pixelcnn.prior.safetensors", f"{PRIOR}/pixelcnn"


def entry(manifest: dict) -> dict:
    return manifest["priors"][KEY]


CHANGES = {
    "": lambda m: m.update(priors=[]),
    ".none": lambda m: m["priors"].update(none=entry(m)),
    f".{KEY}": lambda m: m["priors"].update({KEY: 3}),
    f".{KEY}.config": lambda m: entry(m).pop("config"),
    f".{KEY}.config.layers": lambda m: entry(m)["config"].update(layers=10**9),
    f".{KEY}.config.features": lambda m: entry(m)["config"].update(features="many"),
    f".{KEY}.config ": lambda m: entry(m)["config"].update(height=9),
    f".{KEY}.file": lambda m: entry(m).update(file="elsewhere.safetensors"),
    f".{KEY}.fields": lambda m: entry(m)["fields"].pop(),
    f".{KEY}.fields[0]": lambda m: entry(m)["fields"][0].update(code="import os"),
    f".{KEY}.fields[0] ": lambda m: entry(m)["fields"][0].update(low=99),
    f".{KEY}.fields[0]  ": lambda m: entry(m)["fields"][0].update(spread=0),
    f".{KEY}.fields[0]   ": lambda m: entry(m)["fields"][0].update(log=True),
    f".{KEY}.fields[0].name": lambda m: entry(m)["fields"][0].update(name=""),
    f".{KEY}.fields[1].mean": lambda m: entry(m)["fields"][1].update(mean=None),
    f".{KEY}.default_guidance": lambda m: entry(m).update(default_guidance=50),
    f".{KEY}.steps": lambda m: entry(m).update(steps=-1),
    f".{KEY}.metrics.nll": lambda m: entry(m)["metrics"].update(nll="<b>"),
    f".{KEY}.curve": lambda m: entry(m).update(curve=[{"step": 1}]),
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_field_out_of_range_is_named(bundle, field):
    manifest = read_manifest(bundle)
    CHANGES[field](manifest)
    reseal(bundle, manifest)
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle)
    assert f"manifest.json: priors{field.strip()}" in str(caught.value)


@pytest.mark.parametrize("change", NO_WEIGHTS)
def test_weights_of_no_use_are_refused_at_once(bundle, change):
    arrays = load((bundle / FILE).read_bytes())
    arrays["head.bias"] = change(arrays["head.bias"])
    replace_file(bundle, FILE, save(arrays))
    refused(bundle, FILE)


@pytest.mark.parametrize("attack", ["missing", "extra", "shape", "config", "scale", "unknown"])
def test_weights_of_another_prior_are_refused_when_loaded(bundle, attack):
    arrays, manifest = load((bundle / FILE).read_bytes()), read_manifest(bundle)
    if attack == "scale":
        arrays["head.weight.scale"] = np.ones(3, np.float32)
    elif attack == "config":
        entry(manifest)["config"]["kernel"] = 2
    elif attack == "unknown":
        entry(manifest)["config"]["hook"] = "print"
    else:
        spoil_head(arrays, attack)
    reseal(bundle, manifest)
    replace_file(bundle, FILE, save(arrays))
    with pytest.raises(BundleError, match=FILE):
        load_bundle(bundle).load_prior(PRIOR)


def test_a_bundle_without_priors_is_whole(bundle):
    manifest = read_manifest(bundle)
    del manifest["priors"], manifest["files"][FILE]
    (bundle / FILE).unlink()
    reseal(bundle, manifest)
    assert load_bundle(bundle).priors == {}
