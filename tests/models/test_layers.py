from __future__ import annotations

import pytest
import torch
from torch import nn

from galaxy_explorer.models.layers import Decoder, ResizeConvolution
from galaxy_explorer.models.psf import PSFVQVAE, PSFVQVAEConfig
from galaxy_explorer.models.vqvae import VQVAE, VQVAEConfig

# Table 1 of the report: name, features, filter, stride, non-linearity.
TABLE_1 = [
    ("Conv2D_res1", 32, "3x3", "1x1", "ReLu"),
    ("Conv2D_res2", 128, "1x1", "1x1", "ReLu"),
    ("Conv2D_1", 64, "4x4", "2x2", "ReLu"),
    ("Conv2D_2", 128, "4x4", "2x2", "ReLu"),
    ("Conv2D_3", 128, "3x3", "1x1", "ReLu"),
    ("Conv2D_4", 64, "1x1", "1x1", ""),
    ("Conv2D_5", 128, "3x3", "1x1", "ReLu"),
    ("Conv2DTranspose_1", 64, "4x4", "2x2", "ReLu"),
    ("Conv2DTranspose_2", 1, "4x4", "2x2", ""),
]


def test_layers_are_those_of_table_1() -> None:
    rows = VQVAE(VQVAEConfig()).layer_table()
    listed = [(r.name, r.features, r.filter, r.stride, r.nonlinearity) for r in rows]
    assert listed == TABLE_1


def test_defaults_are_those_of_table_2() -> None:
    config = VQVAEConfig()
    assert (config.stamp_size, config.map_size) == (64, 16)
    assert (config.num_embeddings, config.embedding_dim, config.commitment_cost) == (512, 64, 0.25)
    model = VQVAE(config)
    assert len(model.encoder.residual) - 1 == 2  # residual layers; the last entry is a ReLU


def test_the_clustering_variant_adds_one_stride_2_layer_on_each_side() -> None:
    rows = VQVAE(VQVAEConfig(map_size=8)).layer_table()
    halving = [r for r in rows if r.stride == "2x2"]
    assert len(halving) == 6
    assert {r.filter for r in halving} == {"4x4"}


@pytest.mark.parametrize(("stamp", "side"), [(64, 16), (64, 8), (84, 21), (64, 2)])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_of_maps_and_reconstructions(stamp: int, side: int, channels: int) -> None:
    config = VQVAEConfig(stamp_size=stamp, map_size=side, channels=channels, num_embeddings=7)
    output = VQVAE(config)(torch.rand(2, channels, stamp, stamp))
    assert output.reconstruction.shape == (2, channels, stamp, stamp)
    assert output.code_indices.shape == (2, side, side)


def test_resized_convolution_is_interpolation_then_convolution() -> None:
    torch.manual_seed(0)
    layer, x = ResizeConvolution(5, 7), torch.randn(2, 5, 9, 9)
    dark = nn.functional.pad(x, (2,) * 4)
    larger = nn.functional.interpolate(dark, scale_factor=2, mode="bilinear")
    expected = nn.functional.conv2d(larger, layer.weight, layer.bias, padding=1)[..., 4:-4, 4:-4]
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def grid_power(images: torch.Tensor) -> float:
    """Power at a period of 2 pixels over that at frequencies a little lower."""
    size = images.shape[-1]
    window = torch.hann_window(size, periodic=False)
    power = torch.fft.rfft2(images * window * window[:, None]).abs().square().mean((0, 1))
    half, rows = size // 2, [0, 1, 2, size - 2, size - 1]
    return float(power[rows, half].mean() / power[rows, half - 8 : half - 3].mean())


@pytest.mark.parametrize(("upsampling", "grid"), [("transposed", True), ("resized", False)])
def test_only_transposed_convolutions_make_a_grid(upsampling: str, *, grid: bool) -> None:
    """Untrained decoders on smooth maps of random vectors."""
    torch.manual_seed(0)
    ratios = []
    for _ in range(4):
        decoder = Decoder(1, 64, 2, upsampling)
        smooth = nn.functional.interpolate(torch.randn(8, 64, 4, 4), size=16, mode="bicubic")
        with torch.inference_mode():
            ratios.append(grid_power(decoder(smooth)))
    assert (min(ratios) > 3) if grid else (max(ratios) <= 1.1)


def test_the_table_names_how_the_decoder_doubles() -> None:
    rows = PSFVQVAE(PSFVQVAEConfig(num_embeddings=7, upsampling="resized")).layer_table()
    doubling = [(row.name, row.filter) for row in rows[-2:]]
    assert doubling == [("ResizeConv2D_1", "3x3"), ("ResizeConv2D_2", "3x3")]


@pytest.mark.parametrize("wrong", [{"map_size": 10}, {"map_size": 64}, {"quantizer": "none"}])
def test_impossible_shapes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"halving|none"):
        VQVAEConfig(**wrong)  # type: ignore[arg-type]


def test_config_round_trip_and_name() -> None:
    config = VQVAEConfig(map_size=8, num_embeddings=16, quantizer="paper")
    assert VQVAEConfig.from_dict(config.to_dict()) == config
    assert config.name == "k16-paper-8x8"


def test_every_parameter_gets_a_gradient() -> None:
    model = VQVAE(VQVAEConfig(quantizer="paper", num_embeddings=8))
    stamps = torch.rand(4, 1, 64, 64)
    output = model(stamps)
    ((output.reconstruction - stamps).square().mean() + output.quantization_loss).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []
