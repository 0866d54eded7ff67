"""What the solver minimizes: weighted terms over all resolutions, as one scalar and a value for each term."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxst.config import Config
from jaxst.representation import Resolution, Scale, fit_scale, log_magnitudes, magnitudes, resolution_at
from jaxst.statistics import StyleSummary, content_distance, style_distance, summarize_style


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Target:
    """What a signal is compared with at one resolution.

    Attributes:
        scale: what turns magnitudes into features.
        style: the style's summary.
        content: `(channels, frames, frequency)` features of the content, or `None` for texture synthesis.
        resolution: the STFT of all of these.
        patch_frames: K.
    """

    scale: Scale
    style: StyleSummary
    content: Float[Array, "channels frames frequency"] | None
    resolution: Resolution = field(metadata={"static": True})
    patch_frames: int = field(metadata={"static": True})


def make_target(
    resolution: Resolution,
    patch_frames: int,
    styles: Sequence[Float[Array, " _"]],
    mix: Sequence[float],
    content: Float[Array, "channels time"] | None,
    config: Config,
) -> Target:
    """Analyze style and content waveforms at one resolution.

    Args:
        resolution: the STFT.
        patch_frames: K.
        styles: waveforms of equal level, any lengths.
        mix: a weight for each of them.
        content: the waveform to keep the content of, if any.
        config: for whitening, compression, centering and bias.
    """
    spectra = [magnitudes(style, resolution) for style in styles]
    scale = fit_scale(
        jnp.concatenate(spectra),
        whitening=config.whitening,
        compression=config.compression,
        centering=config.centering,
        bias=config.bias,
    )
    summary = summarize_style([log_magnitudes(spectrum, scale) for spectrum in spectra], mix, patch_frames=patch_frames)
    kept = None if content is None else log_magnitudes(magnitudes(content, resolution), scale)
    return Target(scale, summary, kept, resolution, patch_frames)


def make_targets(
    styles: Sequence[Float[Array, " _"]],
    mix: Sequence[float],
    content: Float[Array, "channels time"] | None,
    sample_rate: int,
    config: Config,
) -> tuple[Target, ...]:
    """Analyze style and content waveforms at every resolution of `config`: what `loss_terms` compares with.

    Args:
        styles, mix, content: as for `make_target`.
        sample_rate: of all of them, in Hz.
        config: for windows, hops, patch_frames and what `make_target` takes.
    """
    sizes = zip(config.windows, config.hops, config.patch_frames, strict=True)
    return tuple(
        make_target(resolution_at(window, hop, sample_rate), patch_frames, styles, mix, content, config)
        for window, hop, patch_frames in sizes
    )


def loss_terms(
    x: Float[Array, "channels time"], targets: Sequence[Target], config: Config
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The weighted sum and the unweighted terms, each the mean over the resolutions.

    Returns:
        The loss to minimize, and the terms by name: `style`, and `content` if there is one.
    """
    style, content = jnp.zeros(()), jnp.zeros(())
    for target in targets:
        features = log_magnitudes(magnitudes(x, target.resolution), target.scale)
        style += style_distance(features, target.style, patch_frames=target.patch_frames) / len(targets)
        if target.content is not None:
            content += content_distance(features, target.content, patch_frames=target.patch_frames) / len(targets)
    if targets[0].content is None:
        return config.style_weight * style, {"style": style}
    return config.style_weight * style + config.content_weight * content, {"style": style, "content": content}
