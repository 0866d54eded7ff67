"""The losses of three presets of `jaxst.methods` in PyTorch, as fast as PyTorch was found to compute them.

Filters are frozen and targets cached; only what is moved has a gradient. Each of these is kept because it is faster, by
the ratio of times without it (two shared cores, one thread, 4 s at 16 kHz, value and gradient):

* Taps along one axis as channels, where published code has `conv2d` of one or two: 1.4 to 2 times, of single banks of
  7 to 15 taps squared 2 to 4 times. FFT of wide filters: 1.3 to 1.8 times with 32 filters a bank, 1.1 with 128 of two
  planes, slower with 128 of one. Both together: 2.5 (32) and 2 (128) times of one plane, 2.8 and 2.2 of two.
* Gradients together with values, bank by bank: 1.2 times with `conv2d`, 1.2 to 1.4 with FFT, and memory for one bank.
* The Gram matrices' distance and its gradient as one product each: 1.1 times with 128 filters.
* Products of frames, for 4,096 filters over 11 of 167 frames: 1.8 times.

Not faster, by the ratio of times with it: channel-last filters and maps (0.5 to 1.7 of channels, mostly above 1;
`conv2d` 1 to 3.3); patches by `unfold` and a matrix product (0.8 to 8 of channels; 0.9 to 1.5 over time); FFT over time
(8 with 512 filters); a gradient of FFT convolutions by hand (0.96 to 1.05); maps with time before frequency (8);
`torch.compile` of the banks (1.02 with 32 filters, 1.16 with 128).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from jaxst.bench.torch_baseline.settings import tensor
from jaxst.bench.torch_baseline.transforms import stft

FFT_INPUTS = 8  # to a filter, by number of filters, from which on FFT is the fastest

Tensors = Callable[[torch.Tensor], torch.Tensor]


class Baseline(NamedTuple):
    """A loss, in two forms.

    Attributes:
        loss: of a tensor on the device, to a scalar; for `jaxst.bench.torch_baseline.solve`.
        evaluate: of an array, to value and gradient.
    """

    loss: Tensors
    evaluate: Callable[[np.ndarray], tuple[float, np.ndarray]]


def ulyanov(
    style: np.ndarray,
    filters: np.ndarray,
    *,
    n_fft: int,
    hop_length: int,
    gain: float = 0.1,
    content: np.ndarray | None = None,
    content_weight: float = 1e-2,
    statistic: str = "fastest",
    device: str = "cpu",
) -> Baseline:
    """Ulyanov & Lebedev (2016): the loss of features `(frames, frequency)`, which are log(1 + gain magnitude).

    Args:
        style: waveform at unit RMS.
        filters: `(frames, frequency, filters)`.
        n_fft, hop_length: of the STFT.
        gain: 0.1 for magnitudes as those of samples at -20 dB RMS.
        content: waveform; none for textures.
        content_weight: of the content term.
        statistic: a key of `STATISTICS`, or `fastest`.
        device: of PyTorch.
    """
    bank = tensor(filters.transpose(2, 1, 0), device)

    def respond(features: torch.Tensor) -> torch.Tensor:
        return functional.conv1d(features.T[None], bank).relu_()

    def analyze(waveform: np.ndarray) -> torch.Tensor:
        spectrum = stft(tensor(waveform, device), n_fft=n_fft, hop_length=hop_length)
        return respond(torch.log1p(gain * spectrum.abs()))

    with torch.no_grad():
        target = analyze(style)
        _, n_filters, n_frames = target.shape
        fastest = "frames" if n_frames < n_filters else "matrices"
        distance = STATISTICS[fastest if statistic == "fastest" else statistic](target)
        kept = None if content is None else analyze(content)

    def loss(features: torch.Tensor) -> torch.Tensor:
        maps = respond(features)
        value = distance(maps)
        return value if kept is None else value + content_weight * functional.mse_loss(maps, kept, reduction="sum")

    return _baseline(loss, device)


def caracalla_roebel(
    style: np.ndarray,
    banks: Sequence[np.ndarray],
    *,
    n_fft: int,
    hop_length: int,
    constant: float = 1000.0,
    convolution: str = "fastest",
    at_once: bool = True,
    device: str = "cpu",
) -> Baseline:
    """Caracalla & Roebel (2019, arXiv:1905.03637): the loss of a waveform at the style's level.

    Args:
        style: waveform.
        banks: filters of shape (frames, frequency, 1, filters).
        n_fft, hop_length: of the centered transform with a Hann window.
        constant: C of the compression log(1 + C magnitude / peak) / log(1 + C), the peak being the style's.
        convolution: a key of `CONVOLUTIONS`, or `fastest`.
        at_once: whether gradients are taken together with values; published codes keep the maps of all banks.
        device: of PyTorch.
    """
    sound = tensor(style, device)
    transform = partial(stft, n_fft=n_fft, hop_length=hop_length)
    gain = constant / transform(sound).abs().amax()

    def features(x: torch.Tensor) -> torch.Tensor:
        return (torch.log1p(gain * transform(x).abs()) / math.log1p(constant)).T[None]

    return _baseline(_per_frequency(features, sound, banks, 1.0, convolution, at_once), device)


def ri_spectrogram(
    style: np.ndarray,
    banks: Sequence[np.ndarray],
    *,
    n_fft: int,
    hop_length: int,
    steepness: float = 10.0,
    convolution: str = "fastest",
    at_once: bool = True,
    device: str = "cpu",
) -> Baseline:
    """Caracalla & Roebel (2020, arXiv:1910.09497): the same of both parts of the STFT, and averaged over the banks.

    Args:
        style: waveform.
        banks: filters of shape (frames, frequency, 2, filters).
        n_fft, hop_length: of the centered transform with a Hann window.
        steepness: of the compression 2 sigmoid(steepness part / largest) - 1, the largest being the style's.
        convolution: a key of `CONVOLUTIONS`, or `fastest`.
        at_once: whether gradients are taken together with values; published codes keep the maps of all banks.
        device: of PyTorch.
    """
    sound = tensor(style, device)

    def parts(x: torch.Tensor) -> torch.Tensor:
        return torch.view_as_real(stft(x, n_fft=n_fft, hop_length=hop_length)).permute(2, 1, 0)

    gain = steepness / 2 / parts(sound).abs().amax()

    def features(x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(gain * parts(x))

    return _baseline(_per_frequency(features, sound, banks, 1 / len(banks), convolution, at_once), device)


def _per_frequency(
    features: Tensors,
    style: torch.Tensor,
    banks: Sequence[np.ndarray],
    weight: float,
    convolution: str,
    at_once: bool,
) -> Tensors:
    """Relative difference of the Gram matrices at each frequency, of features `(planes, frequency, frames)`."""
    seen = features(style)
    parts = [_bank(seen, tensor(bank.transpose(3, 2, 1, 0), style.device), weight, convolution) for bank in banks]

    def loss(x: torch.Tensor) -> torch.Tensor:
        seen = features(x)
        return torch.stack([_AtOnce.apply(seen, part) if at_once else part(seen) for part in parts]).sum()

    return loss


def _bank(style: torch.Tensor, filters: torch.Tensor, weight: float, convolution: str) -> Tensors:
    """One bank's term of features like the style's."""
    if convolution == "fastest":
        convolution = "FFT" if filters[0].numel() >= FFT_INPUTS * len(filters) else "channels"
    convolve = CONVOLUTIONS[convolution](filters, style.shape[1:])

    def respond(seen: torch.Tensor) -> torch.Tensor:
        return convolve(seen).relu_().permute(1, 0, 2)  # frequency, filter, time

    maps = respond(style)
    distance = _between_matrices(maps)
    scale = weight / torch.sum((maps @ maps.mT / maps.shape[-1]) ** 2)
    return lambda seen: scale * distance(respond(seen))


def _baseline(loss: Tensors, device: str) -> Baseline:
    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = tensor(x, device, requires_grad=True)
        value = loss(leaf)
        (gradient,) = torch.autograd.grad(value, leaf)
        return value.item(), gradient.cpu().numpy()

    return Baseline(loss, evaluate)


# ---------------------------------------------------------------------------------------------------- convolutions


def _by_conv2d(filters: torch.Tensor, shape: Sequence[int]) -> Tensors:
    return lambda seen: functional.conv2d(seen[None], filters)[0]


def _by_channels(filters: torch.Tensor, shape: Sequence[int]) -> Tensors:
    """The taps along the longer axis laid out as channels: one or two, as there are else, leave a CPU's units idle."""
    axis = 2 if filters.shape[3] >= filters.shape[2] else 1
    taps = filters.shape[axis + 1]
    flat = filters.movedim(axis + 1, 2).flatten(1, 2).unsqueeze(axis + 1).contiguous()

    def convolve(seen: torch.Tensor) -> torch.Tensor:
        channels = seen.unfold(axis, taps, 1).movedim(-1, 1).flatten(0, 1)
        return functional.conv2d(channels[None], flat)[0]

    return convolve


def _by_fft(filters: torch.Tensor, shape: Sequence[int]) -> Tensors:
    """Circular over sizes that transform fast and hold the signal; what is wrong at the edge is cut off."""
    sizes = [next(n for n in range(size, 2 * size) if _is_smooth(n)) for size in shape]
    planes = torch.fft.rfft2(filters, sizes).conj().resolve_conj().unbind(1)
    rows, columns = (size - width + 1 for size, width in zip(shape, filters.shape[2:], strict=True))

    def convolve(seen: torch.Tensor) -> torch.Tensor:
        spectra = torch.fft.rfft2(seen, sizes)
        product = spectra[0] * planes[0]
        for spectrum, responses in zip(spectra[1:], planes[1:], strict=True):
            product = torch.addcmul(product, spectrum, responses)
        return torch.fft.irfft2(product, sizes)[:, :rows, :columns]

    return convolve


def _is_smooth(number: int) -> bool:
    for factor in (2, 3, 5):
        while number % factor == 0:
            number //= factor
    return number == 1


CONVOLUTIONS: Mapping[str, Callable[[torch.Tensor, Sequence[int]], Tensors]] = {
    "conv2d": _by_conv2d,
    "channels": _by_channels,
    "FFT": _by_fft,
}


# ------------------------------------------------------------------------------------------------ Gram statistics


def _between_matrices(style: torch.Tensor) -> Tensors:
    """|G(x) - G(s)|^2 of maps `(groups, filters, frames)`."""
    target = torch.bmm(style, style.mT) / style.shape[-1]
    return lambda maps: _MatrixDistance.apply(maps, target)


def _between_frames(style: torch.Tensor) -> Tensors:
    """The same by products of frames, |F F^T| = |F^T F|: less work where there are fewer frames than filters."""
    style = style.contiguous()
    center = torch.bmm(style.mT, style).square().mean()
    return lambda maps: _FrameDistance.apply(maps, style, center)


STATISTICS: Mapping[str, Callable[[torch.Tensor], Tensors]] = {
    "matrices": _between_matrices,
    "frames": _between_frames,
}


class _MatrixDistance(torch.autograd.Function):
    """The gradient by hand is one product, 4 / frames (G(x) - G(s)) F; that of two factors would be two."""

    @staticmethod
    def forward(ctx, maps, target):
        difference = torch.baddbmm(target, maps, maps.mT, beta=-1, alpha=1 / maps.shape[-1])
        ctx.save_for_backward(maps, difference)
        return difference.square().sum()

    @staticmethod
    def backward(ctx, cotangent):  # pyright: ignore[reportIncompatibleMethodOverride]
        maps, difference = ctx.saved_tensors
        return torch.bmm(difference, maps).mul_(cotangent * (4 / maps.shape[-1])), None


class _FrameDistance(torch.autograd.Function):
    """mean k(x, x')^2 - 2 mean k(x, s)^2 + mean k(s, s')^2, less the last one, `center`, before it is averaged."""

    @staticmethod
    def forward(ctx, maps, style, center):
        own, shared = torch.bmm(maps.mT, maps), torch.bmm(maps.mT, style)
        ctx.save_for_backward(maps, style, own, shared)
        return (own.square() - center).mean() - 2 * (shared.square() - center).mean()

    @staticmethod
    def backward(ctx, cotangent):  # pyright: ignore[reportIncompatibleMethodOverride]
        maps, style, own, shared = ctx.saved_tensors
        scale = -4 / shared[0].numel()
        by_shared = torch.bmm(style, shared.mT)
        gradient = torch.baddbmm(by_shared, maps, own, beta=scale, alpha=4 / own[0].numel())
        return gradient.mul_(cotangent), None, None


class _AtOnce(torch.autograd.Function):
    """A term whose gradient is taken together with its value: maps are in memory for one bank at a time."""

    @staticmethod
    def forward(ctx, seen, term):
        if not ctx.needs_input_grad[0]:
            return term(seen)
        with torch.enable_grad():
            leaf = seen.detach().requires_grad_()
            value = term(leaf)
            ctx.save_for_backward(*torch.autograd.grad(value, leaf))
        return value.detach()

    @staticmethod
    def backward(ctx, cotangent):  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradient,) = ctx.saved_tensors
        return cotangent * gradient, None
