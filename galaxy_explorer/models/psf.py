"""The PSF layer of the report (section 4.1, eq. 9 and 10): each image is blurred by its own PSF.

In the VQ-VAE with this layer the decoder draws the galaxy un-convolved. Pixels are in units of the
sky's sigma. The encoder sees their arcsinh; the decoder draws positive light on a canvas larger
than the stamp, and the PSF of the image blurs it. Noise is no part of the picture: it belongs in
the likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from galaxy_explorer.models.layers import UPSAMPLINGS, Decoder
from galaxy_explorer.models.vqvae import VQVAE, VQVAEConfig, VQVAEOutput


class PSFConvolution(nn.Module):
    """Convolve images with a PSF each, by zero-padded FFT (report, eq. 10).

    The middle pixel of a PSF is its centre: h // 2 on each axis, of odd and of even sizes. PSFs are
    divided by their sum, so that flux is kept. A canvas larger than the stamp lets light from
    outside the stamp enter: what comes back is the central part of `output_size` (the whole canvas
    without it), beyond the canvas there is darkness.
    """

    def __init__(self, output_size: int | None = None) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, images: Tensor, psf: Tensor) -> Tensor:
        """Blur images (B, C, H, W) by psf (B, h, w); returns (B, C, S, S), or H by W.

        Raises ValueError unless there is one PSF an image, and where the canvas is too small.
        """
        if psf.ndim != 3 or len(psf) != len(images):
            raise ValueError(f"{len(images)} images need as many PSFs, not {tuple(psf.shape)}")
        size = padded_size(images, psf)
        transfer = transfer_function(psf, size)[:, None]  # (B, 1, P, Q / 2 + 1)
        blurred = torch.fft.irfft2(torch.fft.rfft2(images, size) * transfer, size)
        blurred = blurred[..., : images.shape[-2], : images.shape[-1]]
        return blurred if self.output_size is None else central(blurred, self.output_size)


def padded_size(images: Tensor, psf: Tensor) -> tuple[int, int]:
    """A size (P, Q) that is fast and at which nothing wraps round."""
    rows, columns = (_fast_length(images.shape[axis] + psf.shape[axis] - 1) for axis in (-2, -1))
    return rows, columns


def _fast_length(length: int) -> int:
    """The first number from `length` on without a prime factor above 5: quick for an FFT."""
    rest = length
    for factor in (2, 3, 5):
        while rest % factor == 0:
            rest //= factor
    return length if rest == 1 else _fast_length(length + 1)


def transfer_function(psf: Tensor, size: tuple[int, int]) -> Tensor:
    """Fourier transform (B, P, Q / 2 + 1) of PSFs (B, h, w), of unit sum and centred on (0, 0).

    Rolled on the last two axes only: a roll of the first would hand PSFs to other images.
    """
    psf = psf / psf.sum((-2, -1), keepdim=True)
    rows, columns = psf.shape[-2:]
    canvas = nn.functional.pad(psf, (0, size[1] - columns, 0, size[0] - rows))  # (B, P, Q)
    transfer: Tensor = torch.fft.rfft2(canvas.roll((-(rows // 2), -(columns // 2)), (-2, -1)))
    return transfer


def central(images: Tensor, size: int) -> Tensor:
    """The central `size` by `size` pixels of images (..., H, W); raises ValueError if smaller."""
    margins = [images.shape[axis] - size for axis in (-2, -1)]
    if min(margins) < 0:
        raise ValueError(f"a canvas of {tuple(images.shape[-2:])} holds no stamp of {size}")
    top, left = (margin // 2 for margin in margins)
    return images[..., top : top + size, left : left + size]


MARGIN_CELLS = 2  # cells of the code map around the stamp: 8 px hold 87 % of a PSF's light
SOFTENING, SCALE, PEDESTAL = 4.5, 0.17, 0.02  # of the arcsinh stretch, in sigma of the sky
BRIGHTEST = 12.0  # arcsinh of the brightest pixel, 80,000 sigma: keeps a wild start finite
DARK = -4.0  # where the decoder begins: 0.02 sigma of light
RINGS = 24  # of spatial frequency, in which the error of the light is known
LEVELS = 3  # of peak S/N, likewise


@dataclass(frozen=True)
class PSFVQVAEConfig(VQVAEConfig):
    """A VQ-VAE with the PSF layer; the defaults are those of CANDELS F160W stamps.

    psf_size: pixels of a side of the PSFs that it is trained with. upsampling: how the decoder
    doubles a map, one of `layers.UPSAMPLINGS`; bundles that do not say have the first, models that
    are trained now the second. Raises ValueError for another one.
    """

    kind: ClassVar[str] = "psf-vqvae"
    eight_bit: ClassVar[bool] = False  # its output is an exponent: rounding shows in bright cores

    stamp_size: int = 84
    map_size: int = 21
    psf_size: int = 61
    upsampling: str = "transposed"

    def __post_init__(self) -> None:
        """Refuse shapes and layers that there are not."""
        super().__post_init__()
        if self.upsampling not in UPSAMPLINGS:
            raise ValueError(f"upsampling {self.upsampling!r} is none of {list(UPSAMPLINGS)}")

    @property
    def name(self) -> str:
        """Short name, such as k512-psf-21x21."""
        return f"k{self.num_embeddings}-psf-{self.map_size}x{self.map_size}"


def stretched(pixels: Tensor) -> Tensor:
    """The encoder's view of pixels in sigma of the sky, sky subtracted."""
    return SCALE * torch.asinh(pixels / SOFTENING) + PEDESTAL


class PSFVQVAE(VQVAE):
    """A VQ-VAE whose reconstruction is convolved with a PSF of each image (eq. 10).

    Buffers: `psf` (P, P), the mean PSF of the survey, through which `decode` shows galaxies. How
    far the light is from the truth, measured after the training (see `deconvolution.prior`):
    `error_levels` (LEVELS,), ln of peak S/N, and by level and ring of frequency `error_gain` and
    `error_power` (LEVELS, RINGS), the latter as a logarithm.
    """

    config: PSFVQVAEConfig
    psf: Tensor
    error_levels: Tensor
    error_gain: Tensor
    error_power: Tensor

    def __init__(self, config: PSFVQVAEConfig) -> None:
        super().__init__(config)
        self.decoder = Decoder(
            config.channels, config.embedding_dim, config.stages, config.upsampling
        )
        self.blur = PSFConvolution(config.stamp_size)
        psf = torch.zeros(config.psf_size, config.psf_size)
        psf[config.psf_size // 2, config.psf_size // 2] = 1.0
        self.register_buffer("psf", psf)
        self.register_buffer("error_levels", torch.arange(float(LEVELS)))
        self.register_buffer("error_gain", torch.ones(LEVELS, RINGS))
        self.register_buffer("error_power", torch.zeros(LEVELS, RINGS))
        bias = self.decoder.up[-1].bias
        if isinstance(bias, Tensor):
            nn.init.constant_(bias, DARK)

    def draw(self, vectors: Tensor) -> Tensor:
        """Un-convolved light (B, 1, C, C) of code vectors (B, D, h, w), positive.

        The map is extended by MARGIN_CELLS of zeros, so that the canvas is larger than the stamp.
        """
        around = nn.functional.pad(vectors, (MARGIN_CELLS,) * 4)
        drawn = self.decoder(around).float()  # (B, 1, C, C)
        return torch.sinh(nn.functional.softplus(drawn).clamp(max=BRIGHTEST))

    def forward(self, stamps: Tensor, psf: Tensor | None = None) -> VQVAEOutput:
        """Reconstruct stretched stamps (B, 1, S, S) through psf (B, P, P), or the mean PSF."""
        quantized = self.quantizer(self.encoder(stamps))
        psf = self.psf.expand(len(stamps), -1, -1) if psf is None else psf
        blurred = self.blur(self.draw(quantized.vectors), psf)
        return VQVAEOutput(stretched(blurred), quantized.code_indices, quantized.loss)

    def canvas(self, code_indices: Tensor) -> Tensor:
        """Un-convolved light (B, 1, C, C) of code maps (B, h, w), on the whole canvas."""
        return self.draw(self.quantizer.lookup(code_indices))

    def decode_vectors(self, *levels: Tensor) -> Tensor:
        """Stretched stamps (B, 1, S, S) as the survey's mean PSF shows the galaxies."""
        (vectors,) = levels
        psf = self.psf.expand(len(vectors), -1, -1)
        return stretched(self.blur(self.draw(vectors), psf))
