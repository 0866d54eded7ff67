"""The style loss of Caracalla & Roebel (2019, arXiv:1905.03637) in PyTorch, as fast as plain PyTorch is on a CPU.

Filters are frozen and targets cached. Of what gives the same numbers, these were slower on two cores: channel-last
filters and maps (1.2 times with 32 filters a bank, 2 with 128), maps with time before frequency (8 times), and
`torch.compile` and `einsum` no faster. The gradient of the products is written by hand, one product instead of two.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch


class _Gram(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps):
        ctx.save_for_backward(maps)
        return torch.matmul(maps, maps.transpose(1, 2))

    @staticmethod
    def backward(ctx, cotangent):  # pyright: ignore[reportIncompatibleMethodOverride]
        (maps,) = ctx.saved_tensors
        return torch.matmul(cotangent + cotangent.transpose(1, 2), maps)


def _magnitude(x: torch.Tensor, window: torch.Tensor, hop_length: int) -> torch.Tensor:
    """Frequency first: (257, 251)."""
    return torch.stft(x, len(window), hop_length, window=window, center=True, return_complex=True).abs()


def _by_conv2d(bank: np.ndarray) -> Callable[[torch.Tensor], torch.Tensor]:
    filters = torch.from_numpy(np.ascontiguousarray(bank.transpose(3, 2, 1, 0)))
    return lambda values: torch.nn.functional.conv2d(values[None, None], filters)[0]


def _by_fft(bank: np.ndarray, shape: Sequence[int]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Circular over sizes that transform fast and hold the signal; what is wrong at the edge is cut off."""
    sizes = [next(n for n in range(size, 2 * size) if _is_smooth(n)) for size in shape]
    filters = torch.from_numpy(np.ascontiguousarray(bank[:, :, 0].transpose(2, 1, 0)))
    response = torch.fft.rfft2(filters, sizes).conj().resolve_conj()
    rows, columns = (size - width + 1 for size, width in zip(shape, filters.shape[1:], strict=True))
    return lambda values: torch.fft.irfft2(torch.fft.rfft2(values, sizes) * response, sizes)[:, :rows, :columns]


def _is_smooth(number: int) -> bool:
    for factor in (2, 3, 5):
        while number % factor == 0:
            number //= factor
    return number == 1


def make_evaluation(
    style: np.ndarray,
    banks: Sequence[np.ndarray],
    *,
    n_fft: int,
    hop_length: int,
    constant: float,
    fft_width: float,
    threads: int,
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Value and gradient of the loss as a function of the waveform.

    Args:
        style: waveform.
        banks: filters of shape (time, frequency, 1, filters).
        n_fft, hop_length: of the centered transform with a Hann window.
        constant: C of the compression log(1 + C magnitude / peak) / log(1 + C), the peak being the style's.
        fft_width: banks of filters at least as wide are convolved by FFT, others by `conv2d`.
        threads: of PyTorch.
    """
    torch.set_num_threads(threads)
    window = torch.hann_window(n_fft)
    shape = n_fft // 2 + 1, 1 + len(style) // hop_length
    convolutions = [_by_conv2d(bank) if len(bank) < fft_width else _by_fft(bank, shape) for bank in banks]

    peak = _magnitude(torch.from_numpy(style), window, hop_length).amax()

    def statistics(x):
        magnitude = _magnitude(x, window, hop_length)
        spectrogram = torch.log1p(magnitude * (constant / peak)) / math.log1p(constant)
        for convolve in convolutions:
            maps = torch.relu_(convolve(spectrogram)).permute(1, 0, 2)  # frequency, filter, time
            yield _Gram.apply(maps) / maps.shape[-1]

    with torch.no_grad():
        targets = list(statistics(torch.from_numpy(style)))
        norms = [torch.sum(target**2) for target in targets]

    def evaluate(x):
        leaf = torch.tensor(x, requires_grad=True)
        parts = zip(statistics(leaf), targets, norms, strict=True)
        loss = sum(torch.sum((found - target) ** 2) / norm for found, target, norm in parts)
        loss.backward()
        return loss.item(), leaf.grad.numpy()

    return evaluate
