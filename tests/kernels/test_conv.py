from functools import cache, partial

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from jaxst.kernels.conv import choose_method, convolve

METHODS = ["direct", "product", "fft", "overlap_save"]
PADDINGS = ["valid", "same"]
# Features and filters: odd, even and single widths, a filter as large as the signal, one and several channels.
BANKS = [
    ((2, 3, 13, 4), (5, 4, 6)),
    ((13, 1), (4, 1, 3)),
    ((2, 13, 3), (13, 3, 2)),
    ((7, 5), (1, 5, 3)),
    ((2, 1, 9, 8, 3), (3, 4, 3, 5)),
    ((9, 8, 1), (4, 5, 1, 2)),
    ((2, 9, 8, 2), (1, 8, 2, 3)),
    ((9, 8, 2), (9, 1, 2, 1)),
]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@cache
def jitted(method, padding="valid"):
    return jax.jit(partial(convolve, method=method, padding=padding))


@cache
def pulled_back(method, padding):
    """The cotangent of x for one of the output."""
    return jax.jit(lambda x, filters, g: jax.vjp(partial(convolve, method=method, padding=padding), x, filters)[1](g))


def definition(x, filters, padding):
    """One output, filter and channel after the other, in float64, with zeros around: half of them on either side."""
    *widths, n_channels, n_filters = filters.shape
    n_axes = len(widths)
    x, filters = np.asarray(x, np.float64), np.asarray(filters, np.float64)
    if padding == "same":
        margins = [(width // 2 - (width % 2 == 0), width // 2) for width in widths]
        x = np.pad(x, [(0, 0)] * (x.ndim - n_axes - 1) + margins + [(0, 0)])
    batch, space = x.shape[: -n_axes - 1], x.shape[-n_axes - 1 : -1]
    y = np.zeros((*batch, *(n - k + 1 for n, k in zip(space, widths, strict=True)), n_filters))
    for index in np.ndindex(*y.shape):
        corner = index[len(batch) : -1]
        patch = x[(*index[: len(batch)], *(slice(t, t + k) for t, k in zip(corner, widths, strict=True)))]
        for channel in range(n_channels):
            y[index] += np.sum(patch[..., channel] * filters[..., channel, index[-1]])
    return y


def by_lax(x, filters, padding):
    """JAX's own convolution, for its gradient."""
    n_axes = filters.ndim - 2
    axes = "HW"[:n_axes]
    flat = x.reshape(-1, *x.shape[-n_axes - 1 :])
    numbers = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    y = jax.lax.conv_general_dilated(flat, filters, (1,) * n_axes, padding.upper(), dimension_numbers=numbers)
    return y.reshape(*x.shape[: -n_axes - 1], *y.shape[1:])


def assert_close(actual, expected, *, relative=2e-6):
    """Equal up to a share of the largest value: rounding in a sum goes with its largest terms."""
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=relative * np.abs(expected).max())


# -------------------------------------------------------------------------------------------------------- value


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("x_shape", "shape"), BANKS)
def test_every_method_is_the_definition(x_shape, shape, padding):
    x, filters = noise(*x_shape), noise(*shape, seed=1)
    expected = definition(x, filters, padding)
    for method in METHODS:
        assert_close(jitted(method, padding)(x, filters), expected)


@pytest.mark.parametrize("method", METHODS)
def test_one_channel_is_scipys_correlation(method):
    x, filters = noise(60, 50, 1), noise(16, 9, 1, 3, seed=1)
    for padding in PADDINGS:
        result = jitted(method, padding)(x, filters)
        for n in range(3):
            # scipy's "same" has the odd zero of an even width in front, ours behind.
            ahead = np.pad(x[..., 0], ((0, padding == "same"), (0, 0)))
            expected = scipy.signal.correlate(ahead, filters[..., 0, n], mode=padding, method="direct")
            assert_close(result[..., n], expected[padding == "same" :])


@pytest.mark.parametrize("method", METHODS)
def test_a_filter_with_one_tap_shifts(method):
    """Without flip: y[t] = x[t + 2]."""
    x = noise(9, 1)
    y = jitted(method)(x, np.array([0, 0, 1, 0], np.float32)[:, None, None])
    np.testing.assert_allclose(y, x[2:8], atol=1e-6)


@given(
    x=hnp.arrays(np.float32, (11, 6, 2), elements=st.integers(-9, 9).map(float)),
    filters=hnp.arrays(np.float32, (4, 3, 2, 3), elements=st.integers(-9, 9).map(float)),
    padding=st.sampled_from(PADDINGS),
)
@settings(deadline=None, max_examples=40)
def test_the_gradient_is_the_adjoint(x, filters, padding):
    """<convolve(x), y> = <x, gradient(y)>: exactly, as sums of small whole numbers are not rounded."""
    for method in ("direct", "product"):
        y = np.asarray(jitted(method, padding)(x, filters))
        cotangent = np.roll(y, 1)
        pulled, _ = pulled_back(method, padding)(x, filters, cotangent)
        assert np.sum(y.astype(float) * cotangent) == np.sum(x.astype(float) * np.asarray(pulled, float))


@pytest.mark.parametrize(
    ("x_shape", "shape"),
    [
        ((40, 150, 1), (5, 9, 1, 3)),
        ((150, 40, 2), (31, 7, 2, 3)),
        ((2, 9, 1000, 1), (3, 64, 1, 2)),
        ((700, 2), (40, 2, 3)),
    ],
)
def test_pieces_of_a_long_axis_join(x_shape, shape):
    """Several pieces along either axis, the last one incomplete: JAX's own convolution in double precision."""
    x, filters = noise(*x_shape), noise(*shape, seed=1)
    with jax.enable_x64(True):
        exact, exact_filters = jnp.asarray(x, jnp.float64), jnp.asarray(filters, jnp.float64)
        expected = jax.jit(partial(by_lax, padding="valid"))(exact, exact_filters)
        assert_close(jitted("overlap_save")(x, filters), np.asarray(expected))
        double = jax.jit(partial(convolve, filters=filters, method="overlap_save"))(exact)
        assert double.dtype == np.float64
        assert_close(double, np.asarray(expected), relative=1e-13)


# ----------------------------------------------------------------------------------------------------- gradient


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("x_shape", "shape"), BANKS)
def test_every_gradient_is_that_of_jaxs_own_convolution(x_shape, shape, padding):
    x, filters = noise(*x_shape), noise(*shape, seed=1)
    value, pull_back = jax.vjp(jax.jit(partial(by_lax, filters=filters, padding=padding)), jnp.asarray(x))
    cotangent = noise(*value.shape, seed=2)
    (expected,) = pull_back(jnp.asarray(cotangent))
    for method in METHODS:
        gradient, none = pulled_back(method, padding)(x, filters, cotangent)
        assert_close(gradient, expected)
        np.testing.assert_array_equal(none, np.zeros(shape))


@pytest.mark.parametrize("method", METHODS)
def test_gradients_in_a_loop_are_those_outside(method):
    filters = noise(3, 4, 2, 3)

    @jax.jit
    def gradient(x):
        return jax.grad(lambda x: jnp.sum(jax.nn.relu(convolve(x, filters, padding="same", method=method)) ** 2))(x)

    x = jnp.asarray(noise(9, 8, 2, seed=1))
    descended, _ = jax.lax.scan(lambda x, _: (x - 0.01 * gradient(x), None), x, length=3)
    for _ in range(3):
        x = x - 0.01 * gradient(x)
    assert_close(descended, x)


@pytest.mark.parametrize(
    ("method", "modes"), [(method, ["rev"] if method == "direct" else ["fwd", "rev"]) for method in METHODS]
)
def test_derivatives_of_first_and_second_order(method, modes):
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        x, filters = jnp.asarray(rng.standard_normal((2, 5, 4, 2))), rng.standard_normal((3, 2, 2, 3))
        function = jax.jit(lambda x: jnp.sum(jnp.tanh(convolve(x, filters, padding="same", method=method))))
        assert function(x).dtype == np.float64
        for order in (1, 2):
            check_grads(function, (x,), order=order, modes=modes, atol=1e-6, rtol=1e-6)


def test_direct_refuses_forward_mode_and_has_second_derivatives_in_reverse():
    x, filters = jnp.asarray(noise(7, 2)), noise(3, 2, 2, seed=1)

    def loss(x, method):
        return jnp.sum(convolve(x, filters, method=method) ** 3)

    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(partial(loss, method="direct"), (x,), (x,))
    second = {
        method: jax.jit(jax.jacrev(jax.grad(partial(loss, method=method))))(x) for method in ("direct", "product")
    }
    assert_close(second["direct"], second["product"], relative=1e-5)


# ------------------------------------------------------------------------------------------------ choice, errors


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((11, 1025, 4096), "product"),
        ((32, 257, 512), "product"),
        ((101, 64, 128), "direct"),
        ((128, 1, 64), "product"),
        ((512, 1, 64), "fft"),
        ((3, 3, 1, 32), "product"),
        ((5, 5, 2, 128), "product"),
        ((11, 11, 1, 32), "overlap_save"),
        ((27, 27, 1, 128), "overlap_save"),
        ((101, 1, 1, 32), "overlap_save"),
        ((101, 2, 2, 128), "overlap_save"),
        ((3, 3, 16, 32), "direct"),
        ((15, 15, 16, 32), "overlap_save"),
        ((15, 15, 64, 64), "direct"),
    ],
)
def test_the_choice(shape, expected):
    assert choose_method(shape) == expected


@pytest.mark.parametrize(
    ("x_shape", "shape", "primitive"),
    [
        ((40, 30), (3, 30, 8), "dot_general"),
        ((9, 9, 100), (3, 3, 100, 4), "conv_general_dilated"),
        ((600, 1), (512, 1, 4), "fft"),
    ],
)
def test_the_choice_is_followed(x_shape, shape, primitive):
    program = str(jax.make_jaxpr(convolve)(noise(*x_shape), noise(*shape)))
    assert [name for name in ("dot_general[", "conv_general_dilated[", "fft[") if name in program] == [f"{primitive}["]


def test_filters_follow_the_type_of_the_features():
    with jax.enable_x64(True):
        single, double = noise(9, 2), noise(3, 2, 4).astype(np.float64)
        for method in METHODS:
            assert jitted(method)(single, double).dtype == np.float32


@pytest.mark.parametrize(
    ("x_shape", "shape", "arguments", "message"),
    [
        ((9, 2), (3, 4, 5), {}, r"channels and all axes that x of shape \(9, 2\) ends with"),
        ((2,), (3, 2, 5), {}, r"filters of shape \(3, 2, 5\) must be"),
        ((9, 2), (3, 3, 2, 5), {}, r"filters of shape \(3, 3, 2, 5\) must be"),
        ((9, 9, 9, 2), (3, 3, 3, 2, 5), {}, r"must be \(width, channels, n_filters\) or \(height, width"),
        ((9, 2), (2, 5), {}, r"filters of shape \(2, 5\) must be"),
        ((9, 2), (3, 2, 5), {"padding": "full"}, "padding='full' must be 'valid' or 'same'"),
        (
            (9, 2),
            (3, 2, 5),
            {"method": "gemm"},
            "method='gemm' must be 'auto' or one of direct, product, fft, overlap_save",
        ),
        ((9, 8, 1), (3, 9, 1, 5), {}, r"filters of \(3, 9\) do not fit into \(9, 8\) without padding"),
    ],
)
def test_what_does_not_fit_is_refused(x_shape, shape, arguments, message):
    with pytest.raises(ValueError, match=message):
        convolve(jnp.zeros(x_shape), jnp.zeros(shape), **arguments)


@pytest.mark.parametrize("method", METHODS)
def test_a_filter_larger_than_the_signal_fits_with_padding(method):
    x, filters = noise(5, 2), noise(8, 2, 3, seed=1)
    assert_close(jitted(method, "same")(x, filters), definition(x, filters, "same"))
