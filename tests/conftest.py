"""Strict settings for every test: two CPU devices, no implicit broadcasting, shapes and types checked at run time."""

import os

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2".strip()

from jaxtyping import install_import_hook

install_import_hook("jaxst", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
