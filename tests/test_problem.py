"""The filter at the end of a run, without the run."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from jaxst import problem
from jaxst.config import Config
from jaxst.losses import make_targets
from jaxst.network import InfiniteNetwork
from jaxst.representation import LogMagnitude, resolution_at
from jaxst.spectrum import cross_spectrum, mean_power, power_spectrum

RATE, LENGTH = 8_000, 8_000
CONFIG = Config(
    representation=LogMagnitude(windows=(32.0,), hops=(16.0,)),
    network=InfiniteNetwork(patch_frames=(3,)),
    variable="waveform",
    content_spectrum=0.5,
)


def colored(seed, pole, channels=2):
    """Noise at unit level, dark or bright."""
    noise = np.random.default_rng(seed).standard_normal((channels, LENGTH))
    x = scipy.signal.lfilter([1.0], [1.0, -pole], noise)
    return jnp.asarray(x / np.sqrt(np.mean(x**2, axis=1, keepdims=True)), jnp.float32)


@pytest.fixture(scope="module")
def pose():
    """Poses a dark content with a bright style."""
    content, style = colored(0, 0.8), colored(1, -0.6)

    @jax.jit
    def learn(style):
        resolution = resolution_at(32.0, 16.0, RATE)
        targets = make_targets([style[0]], (1.0,), RATE, CONFIG)
        return targets, power_spectrum(style[:1], resolution)[0], cross_spectrum(style, resolution)

    targets, spectrum, image = learn(style)

    def pose(config, *, has_content=True, in_place=False):
        samples = content if has_content else 0 * content
        posed = problem.pose(config, targets, None, spectrum, image, samples, sample_rate=RATE, has_content=has_content)
        assert posed.image is not None
        source = mean_power(problem.long_term(config, samples, sample_rate=RATE))
        source = source if has_content and config.content_spectrum is not None else None
        return replace(posed, spectrum=source, image=posed.image if in_place else None)

    return pose


def decibels(x):
    """In bands of several hundred Hz, relative to the whole, mean over channels."""
    frequencies, power = scipy.signal.welch(np.asarray(x), RATE, nperseg=512)
    bands = np.digitize(frequencies, np.linspace(0, RATE / 2, 9)[1:-1])
    means = np.array([power[:, bands == band].mean() for band in range(8)])
    return 10 * np.log10(means / means.mean())


def distance(x, y):
    """In decibels, of spectra's shapes."""
    return decibels(x) - decibels(y)


def test_the_result_goes_as_far_towards_the_contents_spectrum_as_wanted(pose):
    """Half way, in decibels, at every frequency; other levels of the result change nothing but its level."""
    content, result = colored(0, 0.8), 0.3 * colored(2, -0.6)
    posed, apart = pose(CONFIG), distance(result, content)
    parameters = posed.variable.parameters(result)
    assert np.abs(apart).max() > 10
    for share in (0.0, 0.5, 1.0):
        config = replace(CONFIG, content_spectrum=share)
        finished = problem.finish(config, posed, parameters, sample_rate=RATE)
        assert finished.shape == result.shape
        left = distance(finished, content)
        np.testing.assert_allclose(left - left.mean(), (1 - share) * (apart - apart.mean()), atol=1.5)
        if share == 0:
            np.testing.assert_allclose(finished, result, atol=1e-5)
    louder = problem.finish(CONFIG, posed, 7 * parameters, sample_rate=RATE)
    np.testing.assert_allclose(
        louder, 7 * problem.finish(CONFIG, posed, parameters, sample_rate=RATE), rtol=1e-3, atol=1e-3
    )


def test_all_channels_are_filtered_alike(pose):
    """What is the same in both stays the same."""
    result = jnp.repeat(colored(2, -0.6, channels=1), 2, axis=0)
    posed = pose(CONFIG)
    left, right = problem.finish(CONFIG, posed, posed.variable.parameters(result), sample_rate=RATE)
    np.testing.assert_allclose(left, right, atol=1e-6)
    assert np.abs(left - result[0]).max() > 0.1


@pytest.mark.parametrize("share", [None, 1.0])
def test_nothing_is_filtered_that_has_no_content_or_no_share(share, pose):
    """A texture has none, and most methods want none."""
    config, result = replace(CONFIG, content_spectrum=share), colored(2, -0.6)
    posed = pose(config, has_content=share is None)
    assert posed.spectrum is None
    finished = problem.finish(config, posed, posed.variable.parameters(result), sample_rate=RATE)
    np.testing.assert_allclose(finished, result, atol=1e-6)


@pytest.mark.parametrize("has_content", [True, False])
def test_the_image_is_that_of_the_content_or_else_of_the_style(has_content, pose):
    config = replace(CONFIG, content_spectrum=None)
    posed, result = pose(config, has_content=has_content, in_place=True), colored(2, -0.6)
    result = jnp.stack([result[0] + result[1], result[0] - 0.2 * result[1]])  # in another image
    finished = problem.finish(config, posed, posed.variable.parameters(result), sample_rate=RATE)
    wanted = colored(0, 0.8) if has_content else colored(1, -0.6)
    before, after, aim = (np.corrcoef(x)[0, 1] for x in (result, finished, wanted))
    assert abs(before - aim) > 0.4
    assert after == pytest.approx(aim, abs=0.05)


def test_silence_stays_silent(pose):
    silence = jnp.zeros((2, LENGTH))
    posed = pose(CONFIG, in_place=True)
    np.testing.assert_array_equal(problem.finish(CONFIG, posed, silence, sample_rate=RATE), silence)
