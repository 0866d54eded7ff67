"""What is compiled in less time computes the same, alone and inside of what is traced."""

import logging
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import jaxlib.version
import numpy as np

from jaxst.compiling import _options, jit_quickly


@jit_quickly(static_argnames="power", level=1)
def powers(x, *, power):
    """Sines to a power."""
    return jnp.sin(x) ** power


X = np.linspace(0, 3, 7, dtype=np.float32)


def test_the_same_is_computed():
    np.testing.assert_allclose(powers(X, power=3), np.sin(X) ** 3, rtol=1e-6)


def test_it_can_be_part_of_what_is_traced():
    np.testing.assert_allclose(jax.jit(lambda x: powers(x, power=2))(X), np.sin(X) ** 2, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(lambda x: powers(x, power=2))(X), np.sin(X) ** 2, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(lambda: powers(X, power=2))(), np.sin(X) ** 2, rtol=1e-6)
    assert jax.eval_shape(lambda: powers(X, power=2)).shape == X.shape
    slopes = jax.vmap(jax.grad(lambda x: powers(x, power=2)))(jnp.asarray(X))
    np.testing.assert_allclose(slopes, np.sin(2 * X), atol=1e-6)


def test_it_is_compiled_once_for_each_shape(caplog):
    @jit_quickly()
    def halved(x):
        return x / 2

    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        for length in (4, 4, 5, 5):
            halved(X[:length])
    assert sum("Compiling jit(halved)" in message for message in caplog.messages) == 2


def test_options_are_for_processors_alone(monkeypatch):
    options = _options(1)
    assert options["xla_backend_optimization_level"] == 1
    assert ("xla_cpu_use_fusion_emitters" in options) == (jaxlib.version.__version_info__ < (0, 11, 1))
    for backend in ("gpu", "tpu"):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        assert _options(1) == {}


def test_importing_chooses_no_device():
    """What is to be set before, such as their number, still can be."""
    code = "import jaxst, jax; jax.config.update('jax_num_cpu_devices', 2); assert jax.device_count() == 2"
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    subprocess.run([sys.executable, "-c", code], check=True, env={**environment, "JAX_PLATFORMS": "cpu"})
