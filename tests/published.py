"""The formulas of the named methods in NumPy, written down from their sources: slow, and with nothing of jaxst in them.

Each takes the waveforms of signal, style and content, the window and hop of each STFT in samples, the banks of filters
that were drawn, `(frames, inputs, filters)` or `(frames, frequencies, planes, filters)`, and the sample rate. It
returns the weighted style loss and the weighted content loss; the latter with weight 1 where none was published.
"""

import itertools

import librosa
import numpy as np
import scipy.signal
import scipy.stats

RMS = 0.1  # of the recordings that published codes are taken to see, instead of 1


def stft(x, n_fft, hop_length):
    """`(frames, frequency)`, edges reflected. librosa's last frame has one wrong sample where it ends with the padded
    signal."""
    padded = np.pad(np.asarray(x, np.float64), n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length]
    return np.fft.rfft(frames * scipy.signal.get_window("hann", n_fft))


def responses(features, filters, slope=0.0):
    """Features `(frames, frequency, planes)` correlated with one bank inside of their bounds, and rectified."""
    if filters.ndim == 3:
        features = features.reshape(len(features), -1)
        n_taps = len(filters)
        y = np.array(
            [np.einsum("jc,jcn->n", features[t : t + n_taps], filters) for t in range(len(features) - n_taps + 1)]
        )
    else:
        y = np.stack(
            [
                sum(
                    scipy.signal.correlate2d(features[:, :, plane], filters[:, :, plane, n], mode="valid")
                    for plane in range(features.shape[2])
                )
                for n in range(filters.shape[-1])
            ],
            axis=-1,
        )
    return np.where(y > 0, y, slope * y)


def gram(rows):
    """F^T F / frames."""
    return rows.T @ rows / len(rows)


def per_frequency(y):
    """H(x, i, j) = mean over time of F_i(x) F_j(x), of responses `(frames, frequency, filters)`."""
    return np.einsum("txi,txj->xij", y, y) / len(y)


def squares(a, b=0.0):
    """|a - b|^2."""
    return np.sum((a - b) ** 2)


def each(function, *waveforms):
    """One value for each."""
    return tuple(function(waveform) for waveform in waveforms)


# Ulyanov & Lebedev 2016 and what is built on it


def ulyanov(x, s, c, resolutions, banks, rate):
    """log1p |X|, one convolution over time; sums of squares, 1 and 1e-2."""
    return _ulyanov(*each(lambda w: np.log1p(RMS * np.abs(stft(w, *resolutions[0])))[..., None], x, s, c), banks)


def mel(x, s, c, resolutions, banks, rate):
    """The same on 128 mel bands of magnitudes, three times those relative to the style's mean."""
    filters = librosa.filters.mel(sr=rate, n_fft=resolutions[0][0], n_mels=128, dtype=np.float64)
    x, s, c = each(lambda w: np.abs(stft(w, *resolutions[0])) @ filters.T, x, s, c)
    return _ulyanov(*each(lambda bands: np.log1p(3 * bands / s.mean())[..., None], x, s, c), banks)


def sines_tensor(x, s, c, resolutions, banks, rate):
    """The same on features instead of waveforms: `(frames, partials, (frequency, magnitude, phase))`."""
    return _ulyanov(x, s, c, banks)


def _ulyanov(x, s, c, banks):
    fx, fs, fc = each(lambda features: responses(features, banks[0]), x, s, c)
    return squares(gram(fx), gram(fs)), 1e-2 * squares(fx, fc)


def ulyanov_limit(x, s, c, resolutions, banks, rate):
    """What 4,096 filters of deviation sqrt(2) sqrt(2 / ((frequencies + 4096) 11)) give on average."""
    features = each(lambda w: np.log1p(RMS * np.abs(stft(w, *resolutions[0]))), x, s, c)
    variance = 2 * 2 / ((features[0].shape[1] + 4096) * 11)
    style, content = _limit(*each(lambda rows: _patches(rows, 11), *features))
    return (4096 * variance) ** 2 * style, 1e-2 * 4096 * variance * content


def _patches(rows, n_frames):
    return np.stack([rows[t : t + n_frames].ravel() for t in range(len(rows) - n_frames + 1)])


def _arccos(u, v):
    """E[relu(w.u) relu(w.v)] for w ~ N(0, 1), of all pairs of rows (Cho & Saul 2009)."""
    norms = np.linalg.norm(u, axis=1)[:, None] * np.linalg.norm(v, axis=1)
    angle = np.arccos(np.clip(u @ v.T / norms, -1, 1))
    return norms / (2 * np.pi) * (np.sin(angle) + (np.pi - angle) * np.cos(angle))


def _limit(u, v, w):
    """Mean squared kernels of signal and style, and kernels of signal and content at equal times."""
    style = np.mean(_arccos(u, u) ** 2) - 2 * np.mean(_arccos(u, v) ** 2) + np.mean(_arccos(v, v) ** 2)
    pairs = (np.trace(_arccos(a, b)) for a, b in ((u, u), (u, w), (w, w)))
    return style, np.dot([1, -2, 1], list(pairs))


def arccos(x, s, c, resolutions, banks, rate):
    """Three resolutions: levels compensated, centered, a bias, and the limit over 15, 9 and 7 frames; relative. What
    is heard is apart, `arccos_heard`."""
    losses = []
    for (n_fft, hop_length), n_frames in zip(resolutions, (15, 9, 7), strict=True):
        magnitudes = [np.abs(stft(w, n_fft, hop_length)) for w in (x, s, c)]
        mean = magnitudes[1].mean(axis=0)
        gain = np.maximum(mean, 1e-3 * mean.max()) ** -0.85
        gain *= 0.3 / np.mean(gain * mean)
        logs = [np.log1p(gain * values) for values in magnitudes]
        centered = [values - 0.95 * logs[1].mean(axis=0) for values in logs]
        bias = 0.5 * np.sqrt(np.mean(np.sum(centered[1] ** 2, axis=1)))
        rows = [np.column_stack([values, np.full(len(values), bias)]) for values in centered]
        u, v, w = (_patches(values, n_frames) for values in rows)
        style, content = _limit(u, v, w)
        losses.append((style / np.mean(_arccos(v, v) ** 2), 0.1 * content / np.trace(_arccos(w, w))))
    return tuple(np.mean(losses, axis=0))


def arccos_heard(x, s, c, rate):
    """Terms by name, without weights."""
    bands = [analytic_bands(w, rate) for w in (s, x, c)]
    power = np.sum(np.abs(bands[0]) ** 2, axis=1) / len(s)
    floor = 1e-8 * np.maximum(power, 1e-8 * power.max())
    envelopes = [slow_envelopes(b, len(w), floor, rate) for b, w in zip(bands, (s, x, c), strict=True)]
    ends = [int(min(40, e.shape[1] / 10)) for e in envelopes[:2]]  # a tenth of a second or of all
    wanted, statistics = (envelope_statistics(e[:, n:-n], 400) for e, n in zip(envelopes[:2], ends, strict=True))
    least = (1e-3, 1e-3, 0.5, 1, 0.1, 1e-3, 0.3, 0.3)
    errors = [
        squares(block, other) / max(squares(other), smallest**2 * other.size)
        for block, other, smallest in zip(statistics, wanted, least, strict=True)
    ]
    lines, kept = (_fine_structure(w, rate) for w in (x, c))
    level = np.linalg.norm(kept, axis=1)
    agreement = np.sum(lines * kept, axis=1) / np.linalg.norm(lines, axis=1) / level
    return {
        "texture": np.mean(errors),
        "onsets": 1 - np.corrcoef(*(_rise(e, 400) for e in envelopes[1:]))[0, 1],
        "harmony": 1 - np.average(agreement, weights=level),
    }


def half_cosines(places, edges):
    """One filter for each three edges in a row."""
    rows = []
    for low, center, high in zip(edges, edges[1:], edges[2:], strict=False):
        up = np.cos(np.pi / 2 * (places - center) / (high - center))
        rows.append(np.where((places > low) & (places < high), up, 0))
    return np.array(rows)


def erb(hz):
    """Glasberg & Moore's scale, with their own constants."""
    return 21.33 * np.log10(1 + 0.00437 * hz)


def subbands(x, rate, edges):
    """Filtered signals, from zeros around x."""
    padded = np.pad(x, (0, rate))
    filters = half_cosines(erb(np.fft.rfftfreq(len(padded), 1 / rate)), edges)
    return np.fft.irfft(np.fft.rfft(padded) * filters, len(padded))


def analytic_bands(x, rate, n_bands=30):
    """From 20 Hz to 10 kHz or half the rate."""
    return scipy.signal.hilbert(subbands(x, rate, np.linspace(erb(20), erb(min(10_000, rate / 2)), n_bands + 2)))


def slow_envelopes(bands, length, floor, rate, exponent=0.3):
    """(|band|^2 + floor)^(exponent / 2), about 400 times a second, without what is faster than 0.9 to 1 times half of
    that: filtered at the full rate, then decimated."""
    step = max(1, round(rate / 400))
    compressed = (np.abs(bands) ** 2 + np.reshape(floor, (-1, 1))) ** (exponent / 2)
    place = np.fft.rfftfreq(bands.shape[1], 1 / rate) / (rate / step / 2)
    low_pass = np.cos(np.pi / 2 * np.clip((place - 0.9) / 0.1, 0, 1)) ** 2
    slow = np.fft.irfft(np.fft.rfft(compressed) * low_pass, bands.shape[1])
    return slow[:, : length // step * step : step]


def _rise(envelopes, frame_rate):
    """Of logarithms within 20 ms, mean over bands, of envelopes below 40 Hz."""
    n_frames, mean = envelopes.shape[1], envelopes.mean(axis=1, keepdims=True)
    frequencies = np.fft.rfftfreq(8 * n_frames, 1 / frame_rate)
    spectrum = np.fft.rfft(envelopes - mean, 8 * n_frames) / np.sqrt(1 + (frequencies / 40) ** 4)
    slow = np.fft.irfft(spectrum)[:, :n_frames] + mean
    logarithms, lag = np.log(np.maximum(slow, 0) + 1e-3), round(0.02 * frame_rate)
    return np.maximum(logarithms[:, lag:] - logarithms[:, :-lag], 0).mean(axis=0)


def _fine_structure(x, rate):
    """Magnitudes in windows of 128 ms from 60 to 4000 Hz, less their mean over neighbors, under a Hann window."""
    hop_length = 32 * rate // 1000
    magnitudes = np.abs(stft(x, 4 * hop_length, hop_length))
    frequencies = np.fft.rfftfreq(4 * hop_length, 1 / rate)
    width = 125 + frequencies[1]
    rows = []
    for frequency in frequencies[(frequencies >= 60) & (frequencies < 4000)]:
        weights = 1 + np.cos(np.pi * np.minimum(np.abs(frequencies - frequency) / width, 1))
        rows.append(magnitudes[:, frequencies == frequency][:, 0] - np.average(magnitudes, axis=1, weights=weights))
    return np.transpose(rows)


def _modulation_bands(envelopes, filters):
    n_fft = 2 * (filters.shape[1] - 1)
    return np.fft.irfft(np.fft.rfft(envelopes, n_fft)[:, None] * filters, n_fft)


def envelope_statistics(s, rate):
    """McDermott & Simoncelli 2011, of envelopes `(bands, frames)` in the time domain: level, variance, skewness,
    kurtosis, correlation, modulation power, C1, C2."""
    z = scipy.stats.zscore(s, axis=1)
    frequencies, n_bands = np.linspace(0, rate / 2, 4097), len(s)
    centers = 0.5 * 400 ** (np.arange(20) / 19)
    constant_q = np.concatenate([half_cosines(frequencies, [c / 2, c, 3 * c / 2]) for c in centers])
    middle = (frequencies > 1) & (frequencies < 100)
    constant_q /= np.sqrt(np.mean(np.sum(constant_q[:, middle] ** 2, axis=0)))
    power = np.sum(_modulation_bands(z, constant_q) ** 2, axis=-1) / z.shape[1]

    octaves = half_cosines(np.log2(np.maximum(frequencies, 1e-9)), np.log2(100 / 2.0 ** np.arange(7, -2, -1)))
    slow = _modulation_bands(z, octaves)
    c1 = [
        [np.sum(slow[k, n] * slow[k + o, n]) / np.linalg.norm(slow[k, n]) / np.linalg.norm(slow[k + o, n])
         for o in (1, 2) for k in range(n_bands - o)]
        for n in range(1, 7)
    ]  # fmt: skip
    analytic = scipy.signal.hilbert(slow)[..., : z.shape[1]]
    c2 = np.empty((6, n_bands, 2))
    for n, k in itertools.product(range(6), range(n_bands)):
        low, high = analytic[k, n], analytic[k, n + 1]
        value = np.sum(np.conj(low**2 / np.abs(low)) * high) / np.linalg.norm(low) / np.linalg.norm(high)
        c2[n, k] = value.real, value.imag
    return (
        s.mean(axis=1),
        s.var(axis=1) / s.mean(axis=1) ** 2,
        scipy.stats.skew(s, axis=1),
        scipy.stats.kurtosis(s, axis=1, fisher=False),
        np.corrcoef(s)[np.triu_indices(n_bands, 1)],
        power,
        np.array(c1),
        c2,
    )


# Two-dimensional filters


def single_layer(x, s, c, resolutions, banks, rate):
    """Mahoney et al.: Gram over channel x frequency, sums over time; 1 / (4 C^2 H W) and 1e2 / (4 C H W)."""
    features = each(lambda w: np.log1p(RMS * np.abs(stft(w, *resolutions[0])))[..., None], x, s, c)
    y, y_style, y_content = (responses(values, banks[0], slope=0.2) for values in features)
    width, height, channels = y.shape
    sums, style_sums = (width * gram(values.reshape(len(values), -1)) for values in (y, y_style))
    style = squares(sums, style_sums) / (4 * channels**2 * height * width)
    return style, 1e2 * squares(y, y_content) / (4 * channels * height * width)


def _peak_normalized(w, s, size):
    """log(1 + C X) / log(1 + C), C = 1000, X relative to the style's largest magnitude."""
    largest = np.abs(stft(s, *size)).max()
    return (np.log1p(1000 * np.abs(stft(w, *size)) / largest) / np.log1p(1000))[..., None]


def _real_imaginary(w, s, size, steepness):
    """2 sigmoid(steepness x) - 1 of both parts x, relative to the style's largest."""
    parts, style_parts = (np.stack([stft(v, *size).real, stft(v, *size).imag], axis=-1) for v in (w, s))
    return 2 / (1 + np.exp(-steepness * parts / np.abs(style_parts).max())) - 1


def kanak(x, s, c, resolutions, banks, rate):
    """H(i, j, x), sums over time; 0.01 times its mean squared difference, the responses' one; mean over the banks."""
    features = each(lambda w: _peak_normalized(w, s, resolutions[0]), x, s, c)
    losses = []
    for filters in banks:
        y, y_style, y_content = each(lambda values, bank=filters: responses(values, bank), *features)
        sums = [len(y) * per_frequency(values) for values in (y, y_style)]
        losses.append((0.01 * np.mean((sums[0] - sums[1]) ** 2), np.mean((y - y_content) ** 2)))
    return tuple(np.mean(losses, axis=0))


def caracalla_roebel(x, s, c, resolutions, banks, rate):
    """Sum over the banks of |H - H_style|^2 / |H_style|^2."""
    features = each(lambda w: _peak_normalized(w, s, resolutions[0]), x, s, c)
    return tuple(np.sum(_relative(features, banks), axis=0))


def ri_spectrogram(x, s, c, resolutions, banks, rate):
    """Mean over the banks of the same."""
    features = each(lambda w: _real_imaginary(w, s, resolutions[0], 10), x, s, c)
    return tuple(np.mean(_relative(features, banks), axis=0))


def _relative(features, banks):
    losses = []
    for filters in banks:
        y, y_style, y_content = each(lambda values, bank=filters: responses(values, bank), *features)
        h, h_style = per_frequency(y), per_frequency(y_style)
        losses.append((squares(h, h_style) / squares(h_style), squares(y, y_content) / squares(y_content)))
    return losses


def gaussian_ot(x, s, c, resolutions, banks, rate):
    """Mean over the banks of the squared 2-Wasserstein distance of each filter's Gaussian over frequency, relative to
    that of silence."""
    features = each(lambda w: _real_imaginary(w, s, resolutions[0], 30), x, s, c)
    losses = []
    for filters in banks:
        y, y_style, y_content = each(lambda values, bank=filters: responses(values, bank), *features)
        distance = norm = 0.0
        for n in range(filters.shape[-1]):
            mean, style_mean = y[..., n].mean(axis=0), y_style[..., n].mean(axis=0)
            covariance, style_covariance = (np.cov(v[..., n], rowvar=False, bias=True) for v in (y, y_style))
            distance += squared_wasserstein(mean, covariance, style_mean, style_covariance)
            norm += squares(style_mean) + np.trace(style_covariance)
        losses.append((distance / norm, squares(y, y_content) / squares(y_content)))
    return tuple(np.mean(losses, axis=0))


def squared_wasserstein(mean_a, covariance_a, mean_b, covariance_b):
    """|m - n|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2), by eigenvalues: the matrices may be singular."""
    root = _root(covariance_a)
    traces = np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.trace(_root(root @ covariance_b @ root))
    return squares(mean_a, mean_b) + traces


def _root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def autocorrelation(x, s, c, resolutions, banks, rate):
    """Antognini et al. 2019: Gram matrices; autocorrelations; 1e-3 times the likeness to the style, shifted."""
    features = each(lambda w: np.log1p(RMS * np.abs(stft(w, *resolutions[0])))[..., None], x, s, c)
    frame_rate = rate / resolutions[0][1]
    losses = []
    for filters in banks:
        y, y_style, y_content = each(lambda values, bank=filters: responses(values, bank), *features)
        style = squares(gram(y), gram(y_style)) / squares(gram(y_style))
        first = min(round(0.2 * frame_rate), len(y_style) // 2)
        last = max(first, min(round(2 * frame_rate), len(y) // 2, len(y_style) // 2))
        lags = range(first, last + 1)
        own, wanted = (np.array([np.mean(v[: len(v) - lag] * v[lag:], axis=0) for lag in lags]) for v in (y, y_style))
        style += squares(own, wanted) / squares(wanted)
        shifted = sum(np.correlate(y[:, n], y_style[:, n], mode="full") for n in range(y.shape[1]))
        likeness = shifted.max() / np.sqrt(squares(y) * squares(y_style))
        style += 1e-3 / (2 * (1 - likeness) + 1e-6)
        losses.append((style, squares(y, y_content) / squares(y_content)))
    return tuple(np.mean(losses, axis=0))


FORMULAS = {
    "arccos": arccos,
    "ulyanov": ulyanov,
    "ulyanov-limit": ulyanov_limit,
    "single-layer": single_layer,
    "kanak": kanak,
    "caracalla-roebel": caracalla_roebel,
    "ri-spectrogram": ri_spectrogram,
    "gaussian-ot": gaussian_ot,
    "autocorrelation": autocorrelation,
    "sines": ulyanov,
    "sines-tensor": sines_tensor,
    "mel": mel,
}
