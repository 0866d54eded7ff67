from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from jaxst.network import InfiniteNetwork, RandomNetwork
from jaxst.statistics import gram

FRAMES, FREQUENCIES = 14, 9
GROUPINGS = ("all", "frequency", "filter")


def features(n_channels=2, n_planes=1, seed=0, n_frames=FRAMES):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.standard_normal((n_channels, n_frames, FREQUENCIES, n_planes)), jnp.float32)


def fit(network, x, grouping="all", index=0):
    return jax.jit(partial(network.fit, index=index, grouping=grouping))([x[0]])


@jax.jit
def respond(layer, x):
    return layer.respond(x)


def correlate(x, filters, padding="valid"):
    """By scipy: one channel `(frames, frequencies, planes)` with one filter, `(frames, frequencies, planes)`."""
    pairs = zip(np.moveaxis(np.asarray(x, np.float64), -1, 0), np.moveaxis(np.asarray(filters), -1, 0), strict=True)
    return sum(scipy.signal.correlate2d(plane, taps, mode=padding) for plane, taps in pairs)


@pytest.mark.parametrize("n_planes", [1, 2])
@pytest.mark.parametrize("shape", [(3, 1), (2, 4), (5, 3), (FREQUENCIES, FRAMES), (1, 1)])
def test_responses_are_rectified_correlations(shape, n_planes):
    x = features(n_planes=n_planes)
    (layer,) = fit(RandomNetwork(shapes=(shape,), n_filters=3, slope=0.2), x)
    assert layer.filters.shape == (shape[1], shape[0], n_planes, 3)
    y = respond(layer, x).reshape(2, FRAMES - shape[1] + 1, -1, 3)
    for channel, response in zip(x, y, strict=True):
        for n in range(3):
            expected = correlate(channel, layer.filters[..., n])
            np.testing.assert_allclose(response[..., n], np.where(expected > 0, expected, 0.2 * expected), atol=1e-5)


@pytest.mark.parametrize("n_planes", [1, 3])
def test_filters_over_all_frequencies_are_correlated_over_time(n_planes):
    x = features(n_planes=n_planes)
    (layer,) = fit(RandomNetwork(shapes=((0, 4),), n_filters=5), x)
    assert layer.filters.shape == (4, FREQUENCIES * n_planes, 5)
    y = respond(layer, x)
    assert y.shape == (2, 1, FRAMES - 3, 5)
    filters = np.asarray(layer.filters).reshape(4, FREQUENCIES, n_planes, 5)
    for channel, response in zip(x, y, strict=True):
        for n in range(5):
            expected = np.maximum(correlate(channel, filters[..., n])[:, 0], 0)
            np.testing.assert_allclose(response[0, :, n], expected, atol=1e-5)


def test_padding_keeps_the_size():
    x = features()
    (layer,) = fit(RandomNetwork(shapes=((3, 5),), n_filters=2, padding="same"), x)
    y = respond(layer, x).reshape(2, FRAMES, FREQUENCIES, 2)
    expected = np.maximum(correlate(x[1], layer.filters[..., 1], padding="same"), 0)
    np.testing.assert_allclose(y[1, ..., 1], expected, atol=1e-5)


def test_groups_are_everything_or_frequencies_or_filters():
    """The same numbers, ordered otherwise; time stays where it is."""
    x = features()
    network = RandomNetwork(shapes=((3, 2),), n_filters=4)
    every, by_frequency, by_filter = (respond(fit(network, x, grouping)[0], x) for grouping in GROUPINGS)
    frames, frequencies = FRAMES - 1, FREQUENCIES - 2
    assert every.shape == (2, 1, frames, frequencies * 4)
    assert by_frequency.shape == (2, frequencies, frames, 4)
    assert by_filter.shape == (2, 4, frames, frequencies)
    maps = np.asarray(every).reshape(2, frames, frequencies, 4)
    np.testing.assert_array_equal(by_frequency, maps.transpose(0, 2, 1, 3))
    np.testing.assert_array_equal(by_filter, maps.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("scale", ["glorot", "fan_in", "one"])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize("shape", [(0, 6), (4, 5)])
def test_filters_have_their_distribution(shape, distribution, scale):
    n_filters, n_planes, gain = 1000, 2, 0.7
    options = {"distribution": distribution, "filter_scale": scale, "filter_gain": gain}
    (layer,) = fit(RandomNetwork(shapes=(shape,), n_filters=n_filters, **options), features(n_planes=n_planes))
    values = np.asarray(layer.filters, np.float64)
    inputs, taps = (FREQUENCIES * n_planes, 6) if shape[0] == 0 else (n_planes, 20)
    size = {"glorot": np.sqrt(2 / ((inputs + n_filters) * taps)), "fan_in": (inputs * taps) ** -0.5, "one": 1.0}[scale]
    deviation = gain * size * (1 if distribution == "normal" else 3**-0.5)
    assert values.std() == pytest.approx(deviation, rel=0.02)
    assert abs(values.mean()) < 0.02 * deviation
    largest = np.abs(values).max() / (gain * size)
    assert 0.99 < largest <= 1 if distribution == "uniform" else largest > 3.5
    kurtosis = np.mean(values**4) / np.mean(values**2) ** 2
    assert kurtosis == pytest.approx(3 if distribution == "normal" else 1.8, rel=0.05)


def test_filters_follow_from_their_seed_and_banks_differ():
    x = features()
    network = RandomNetwork(shapes=((3, 3), (3, 3)), n_filters=8)
    one, again = fit(network, x), fit(network, features(seed=1, n_frames=40))
    other = fit(RandomNetwork(filter_seed=1, shapes=((3, 3), (3, 3)), n_filters=8), x)
    np.testing.assert_array_equal(one[0].filters, again[0].filters)
    for a, b in ((one[0], one[1]), (one[0], other[0])):
        assert abs(np.corrcoef(np.ravel(a.filters), np.ravel(b.filters))[0, 1]) < 0.4


def test_banks_span_what_the_largest_of_them_do():
    assert RandomNetwork(shapes=((11, 5), (3, 27), (0, 2))).span(0, "frequency") == (11, 27)
    assert InfiniteNetwork(patch_frames=(21, 5), patch_bins=7).span(1, "frequency") == (7, 5)
    assert InfiniteNetwork(patch_frames=(21, 5)).span(1, "all") == (1, 5)


@pytest.mark.parametrize("n_planes", [1, 2])
def test_infinitely_many_filters_respond_with_the_patches_and_a_constant(n_planes):
    x = features(n_planes=n_planes)
    (layer,) = fit(InfiniteNetwork(bias=0.5, patch_frames=(3, 7)), x, index=1)
    y = respond(layer, x)
    assert y.shape == (2, 1, FRAMES, FREQUENCIES * n_planes + 1)
    np.testing.assert_array_equal(y[:, 0, :, :-1], x.reshape(2, FRAMES, -1))
    constant = 0.5 * np.sqrt(np.mean(np.sum(np.asarray(x[0]) ** 2, axis=(1, 2))))  # of the style, the first channel
    np.testing.assert_allclose(y[..., -1], constant, rtol=1e-5)
    assert layer.product.rectified
    assert layer.product.patch_frames == 7


def test_at_each_frequency_they_respond_with_the_frequencies_around():
    x = features()
    (layer,) = fit(InfiniteNetwork(bias=0.0, patch_frames=(3,), patch_bins=4), x, grouping="frequency")
    y = respond(layer, x)
    assert y.shape == (2, FREQUENCIES - 3, FRAMES, 5)
    for low in range(FREQUENCIES - 3):
        np.testing.assert_array_equal(y[:, low, :, :-1], x[:, :, low : low + 4, 0])


@pytest.mark.parametrize(
    ("grouping", "bins", "n_filters", "tolerance"), [("frequency", 3, 2000, 0.05), ("all", 0, 8000, 0.05)]
)
def test_many_filters_have_about_the_gram_matrices_of_infinitely_many(grouping, bins, n_filters, tolerance):
    """Distances of style and of content, as sums over so many filters: the finite network with a constant as one more
    plane would have a bias; here there is none."""
    x, s, c = (features(n_channels=1, seed=seed) + 0.5 for seed in range(3))
    finite = RandomNetwork(shapes=((bins, 4),), n_filters=n_filters, filter_gain=1.3)
    limit = InfiniteNetwork(bias=0.0, patch_frames=(4,), patch_bins=bins or 1, like=n_filters, filter_gain=1.3)

    @jax.jit
    def distances(network):
        (layer,) = network.fit([s[0]], 0, grouping)
        summary = gram.summarize([layer.respond(s)[0]], (1.0,), layer.product)
        style = layer.power**2 * gram.style_distance(layer.respond(x), summary)
        content, _ = gram.content_distance(layer.respond(x), layer.respond(c), layer.product)
        return style, layer.power**2 * summary.sq_norm, layer.power * content

    for measured, expected in zip(distances(finite), distances(limit), strict=True):
        assert float(measured) == pytest.approx(float(expected), rel=tolerance)
