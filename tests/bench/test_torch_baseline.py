from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxst
from jaxst import audio
from jaxst.config import configure
from jaxst.kernels.griffin_lim import griffin_lim, random_phase
from jaxst.kernels.mel import invert_mel, mel_filters, mel_spectrogram
from jaxst.kernels.spectrogram import magnitude
from jaxst.kernels.stft import istft, stft
from jaxst.losses import loss_terms, make_targets, with_content
from jaxst.methods import METHODS

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: what jaxst is measured against goes untested; pip install jaxst[bench]"
)

from jaxst.bench.torch_baseline import losses, settings, solve, transforms  # noqa: E402

RATE, TIME = 8_000, 8_000
SIZES = {"n_fft": 256, "hop_length": 64}
BANKS = {"caracalla-roebel": losses.caracalla_roebel, "ri-spectrogram": losses.ri_spectrogram}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    settings.prepare(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def clips():
    """A second of style, content and what is moved, at unit RMS. The last one is in noise of -20 dB: the phase of what
    is hardly there is rounding, and with it the gradient of a logarithm."""
    water, guitar = (audio.resample(jaxst.read(jaxst.example(name)), RATE).samples[0] for name in ("water", "guitar"))
    noisy = water + 0.1 * np.sqrt(np.mean(water**2)) * np.random.default_rng(0).standard_normal(water.shape)
    samples = water[RATE : RATE + TIME], guitar[RATE : RATE + TIME], noisy[3 * RATE : 3 * RATE + TIME]
    return [np.asarray(x / np.sqrt(np.mean(x**2)), np.float32) for x in samples]


@partial(jax.jit, static_argnums=2)
def learned(style, content, config):
    """What the engine knows of a style, and of a content unless that is `None`."""
    targets = make_targets([style], (1.0,), RATE, config)
    return targets if content is None else with_content(targets, content[None])


@partial(jax.jit, static_argnums=2)
def engine(x, targets, config):
    """The engine's value and gradient: of features `(frames, frequency)`, or of a waveform."""

    def loss(x):
        features = [x[None, ..., None]] if x.ndim == 2 else [target.analysis.features(x[None]) for target in targets]
        return loss_terms(features, targets, config)[0]

    return jax.value_and_grad(loss)(x)


def sizes(targets):
    return dict(zip(("n_fft", "hop_length"), targets[0].analysis.resolution, strict=True))


def filters(targets):
    return [np.asarray(style.layer.filters) for style in targets[0].layers]


def assert_same(found, expected):
    """Value and gradient, the latter as a share of its norm."""
    (value, gradient), (wanted, slope) = found, expected
    assert value == pytest.approx(float(wanted), rel=1e-4)
    assert gradient.shape == slope.shape
    assert gradient.dtype == np.float32
    assert np.linalg.norm(gradient - slope) < 1e-4 * np.linalg.norm(slope)


# --------------------------------------------------------------------------------------------------------- losses


@pytest.mark.parametrize("has_content", [True, False])
@pytest.mark.parametrize(("n_filters", "kind"), [(6, "matrices"), (256, "frames")])
def test_ulyanov_is_that_of_the_engine(clips, n_filters, kind, has_content):
    """Which compares products of frames where they are fewer than filters."""
    style, content, x = clips
    method = METHODS["ulyanov"]
    config = configure(method.transfer if has_content else method.texture, n_filters=n_filters)
    targets = learned(style, content if has_content else None, config)
    features = np.asarray(targets[0].analysis.features(jnp.asarray(x)))[..., 0]
    expected = engine(jnp.asarray(features), targets, config)
    assert hasattr(targets[0].layers[0].summary, "frames") == (kind == "frames")
    kept = {"content": content, "content_weight": config.content_weight} if has_content else {}
    for statistic in (*losses.STATISTICS, "fastest"):
        baseline = losses.ulyanov(style, *filters(targets), **sizes(targets), **kept, statistic=statistic)
        assert_same(baseline.evaluate(features), expected)


@pytest.mark.parametrize("method", BANKS)
def test_losses_of_waveforms_are_those_of_the_engine(clips, method):
    style, _, x = clips
    config = configure(METHODS[method].texture, n_filters=4)
    targets = learned(style, None, config)
    expected = engine(jnp.asarray(x), targets, config)
    for convolution in (*losses.CONVOLUTIONS, "fastest"):
        baseline = BANKS[method](style, filters(targets), **sizes(targets), convolution=convolution)
        assert_same(baseline.evaluate(x), expected)


def banks(n_planes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal((*taps, n_planes, 3)).astype(np.float32) for taps in ((3, 3), (2, 9), (19, 19))]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("convolution", [*losses.CONVOLUTIONS, "fastest"])
@pytest.mark.parametrize(("build", "n_planes"), [*zip(BANKS.values(), (1, 2), strict=True)])
def test_the_loss_of_a_tensor_is_that_of_an_array(clips, build, n_planes, convolution, at_once):
    style, _, x = clips
    baseline = build(style, banks(n_planes), **SIZES, convolution=convolution, at_once=at_once)
    value, gradient = baseline.evaluate(x)
    leaf = torch.tensor(x, requires_grad=True)
    (3 * baseline.loss(leaf)).backward()
    assert baseline.loss(leaf.detach()).item() == pytest.approx(value, rel=1e-6)
    assert_same((value, leaf.grad.numpy() / 3), (value, gradient))
    assert_same((value, gradient), build(style, banks(n_planes), **SIZES).evaluate(x))
    assert baseline.evaluate(style)[0] == pytest.approx(0, abs=1e-8)


def test_nothing_stays_behind_on_the_cpu(clips):
    """PyTorch's device without memory stands for one that tests do not have: it refuses to meet tensors of another."""
    style, content, _ = clips
    x = torch.zeros(TIME, device="meta", requires_grad=True)
    for (build, n_planes), convolution in zip(
        [*zip(BANKS.values(), (1, 2), strict=True)] * 3, sorted(losses.CONVOLUTIONS) * 2, strict=True
    ):
        loss = build(style, banks(n_planes), **SIZES, convolution=convolution, device="meta").loss
        (gradient,) = torch.autograd.grad(loss(x), x)
        assert gradient.is_meta
    for statistic in losses.STATISTICS:
        bank = np.ones((3, 129, 5), np.float32)
        loss = losses.ulyanov(style, bank, **SIZES, content=content, statistic=statistic, device="meta").loss
        features = torch.zeros(126, 129, device="meta", requires_grad=True)
        (gradient,) = torch.autograd.grad(loss(features), features)
        assert gradient.is_meta
    spectrum = transforms.stft(x.detach(), **SIZES)
    assert transforms.griffin_lim(spectrum.abs(), **SIZES, length=TIME, iterations=2).is_meta
    invert = transforms.mel_inverter(np.eye(5, 9), iterations=2, device="meta")
    assert invert(torch.zeros(4, 5, device="meta")).is_meta


# ----------------------------------------------------------------------------------------------------- transforms


def assert_close(actual, expected, *, relative):
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=relative * np.abs(expected).max())


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("transform", [SIZES, {"n_fft": 300, "hop_length": 70}, {"n_fft": 255, "hop_length": 100}])
def test_transforms_are_those_of_the_kernels(clips, transform, batched):
    x = np.stack(clips) if batched else clips[0]
    spectrum = jax.jit(partial(stft, **transform))(x)
    found = transforms.stft(torch.from_numpy(x), **transform)
    assert_close(found.numpy(), np.asarray(spectrum), relative=2e-6)
    changed = np.asarray(spectrum) * np.linspace(0, 2, spectrum.shape[-1], dtype=np.float32)
    for length in (None, TIME):
        back = transforms.istft(settings.tensor(changed), **transform, length=length)
        expected = jax.jit(partial(istft, **transform, length=length))(changed)
        assert_close(back.numpy(), np.asarray(expected), relative=2e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.99])
@pytest.mark.parametrize("has_phase", [True, False])
def test_griffin_lim_takes_the_steps_of_the_kernel(clips, momentum, has_phase):
    """Eight of them: what is rounded otherwise grows with each."""
    values = np.array(magnitude(stft(jnp.asarray(np.stack(clips)), **SIZES)))
    values[0, 3:9] = 0
    phase = np.asarray(random_phase(jax.random.key(0), jnp.asarray(values))) if has_phase else None
    search = {**SIZES, "length": TIME, "iterations": 8, "momentum": momentum}
    expected = jax.jit(partial(griffin_lim, **search))(values, phase=phase).waveform
    start = None if phase is None else settings.tensor(phase)
    found = transforms.griffin_lim(torch.from_numpy(values), **search, phase=start)
    for result, wanted in zip(found.numpy(), np.asarray(expected), strict=True):
        assert_close(result, wanted, relative=1e-4)


def test_mel_inversion_takes_the_steps_of_the_kernel(clips):
    bank = mel_filters(sample_rate=RATE, n_fft=256, n_mels=20)
    mel = mel_spectrogram(magnitude(stft(jnp.asarray(clips[0]), **SIZES)), filters=bank)
    for iterations in (1, 2, 50):
        expected = jax.jit(partial(invert_mel, filters=bank, iterations=iterations))(mel)
        given = settings.tensor(np.asarray(mel))
        found = transforms.mel_inverter(bank, iterations=iterations)(given)
        assert_close(found.numpy(), np.asarray(expected), relative=1e-5)
        np.testing.assert_array_equal(given, mel)
        assert found.min() == 0


# -------------------------------------------------------------------------------------------------------- solvers


CURVATURES = torch.tensor([1.0, 3.0, 10.0, 30.0])
START = np.array([1.0, -2.0, 0.5, 3.0], np.float32)


def quadratic(x):
    return (CURVATURES * x**2).sum() / 2


def test_adam_is_that_of_the_paper():
    """Kingma & Ba (2015), algorithm 1."""
    x, mean, square, expected = START.astype(float), 0.0, 0.0, []
    for step in range(1, 21):
        expected.append(quadratic(torch.tensor(x)).item())
        slope = CURVATURES.numpy() * x
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        x = x - 0.1 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    expected.append(quadratic(torch.tensor(x)).item())
    solution = solve.adam(quadratic, START, steps=20, learning_rate=0.1)
    np.testing.assert_allclose(solution.result, x, rtol=1e-5)
    np.testing.assert_allclose(solution.losses, expected, rtol=1e-5)


@pytest.mark.parametrize("memory", [1, 5])
def test_lbfgs_takes_the_steps_that_pytorch_takes(memory):
    """Stopped after each number of them."""
    results, values = [], []
    for steps in range(1, 7):
        x = torch.tensor(START, requires_grad=True)
        settled = {"tolerance_grad": 0, "tolerance_change": 0, "line_search_fn": "strong_wolfe"}
        optimizer = torch.optim.LBFGS([x], max_iter=steps, max_eval=1000, history_size=memory, **settled)

        def closure(x=x, optimizer=optimizer):
            optimizer.zero_grad()
            value = quadratic(x)
            value.backward()
            return value

        optimizer.step(closure)
        results.append(x.detach().numpy())
        values.append(quadratic(x).item())
    solution = solve.lbfgs(quadratic, START, steps=6, memory=memory)
    np.testing.assert_array_equal(solution.result, results[-1])
    np.testing.assert_allclose(solution.losses, [quadratic(torch.tensor(START)).item(), *values], rtol=1e-6)


def test_lbfgs_ends_where_no_step_is_left():
    solution = solve.lbfgs(quadratic, START, steps=500)
    assert 2 < len(solution.losses) < 501
    assert solution.losses[-1] < 1e-10


@pytest.mark.parametrize("solver", [partial(solve.adam, learning_rate=0.05), solve.lbfgs])
def test_solvers_lower_the_loss_of_a_clip(clips, solver):
    style, _, x = clips
    baseline = losses.caracalla_roebel(style, banks(1), **SIZES)
    solution = solver(baseline.loss, x, steps=8)
    assert solution.losses.shape == solution.seconds.shape == (9,)
    assert solution.losses[0] == pytest.approx(baseline.evaluate(x)[0], rel=1e-6)
    assert solution.losses[-1] == pytest.approx(baseline.evaluate(solution.result)[0], rel=1e-5)
    assert solution.losses[-1] < 0.8 * solution.losses[0]
    assert solution.seconds[0] > 0
    assert np.all(np.diff(solution.seconds) > 0)
    assert solution.seconds_to(float(solution.losses[4])) <= solution.seconds[4]
    assert solution.seconds_to(float(solution.losses.min() / 2)) == np.inf
