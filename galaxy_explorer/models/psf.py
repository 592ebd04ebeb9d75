"""The PSF layer of the report (section 4.1, eq. 9 and 10): each image is blurred by its own PSF."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
