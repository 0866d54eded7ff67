"""What the solver minimizes: weighted terms over all resolutions and layers, as one scalar and a value for each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxst.auditory import Hearing, hearing_terms
from jaxst.config import Config
from jaxst.network import Layer, Responses
from jaxst.representation import Analysis
from jaxst.statistics import gaussian, gram, rhythm

# What responses are grouped by, for each statistic.
GROUPINGS = {"gram": "all", "per-frequency": "frequency", "gaussian": "filter"}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LayerStyle:
    """One layer of the network and what the style makes it respond.

    Attributes:
        layer: its filters.
        summary: the style's statistic.
        rhythm: the style's autocorrelation, if it is compared.
        originals: the style's responses themselves, `(groups, frames, values)` of each recording, if the result is kept
            away from them.
    """

    layer: Layer
    summary: gram.GramSummary | gaussian.Gaussians
    rhythm: rhythm.Rhythm | None
    originals: tuple[Float[Array, "groups _ values"], ...]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Target:
    """What a signal is compared with at one resolution.

    Attributes:
        analysis: what turns waveforms into features.
        layers: of the network.
        content: the content's responses in each layer; none for texture synthesis.
    """

    analysis: Analysis
    layers: tuple[LayerStyle, ...]
    content: tuple[Float[Array, "_ _ _ _"], ...] = ()


def make_targets(
    styles: Sequence[Float[Array, " _"]], mix: Sequence[float], sample_rate: int, config: Config
) -> tuple[Target, ...]:
    """Analyze the style at every resolution of the configuration.

    Args:
        styles: waveforms of equal level, any lengths.
        mix: a weight for each of them.
        sample_rate: of all of them, in Hz.
        config: for representation, network, statistic and which terms there are.
    """
    analyses = config.representation.fit(styles, sample_rate)
    return tuple(
        _make_target(analysis, index, styles, mix, sample_rate, config) for index, analysis in enumerate(analyses)
    )


def _make_target(
    analysis: Analysis,
    index: int,
    styles: Sequence[Array],
    mix: Sequence[float],
    sample_rate: int,
    config: Config,
) -> Target:
    features = [analysis.features(style[None]) for style in styles]
    frame_rate = sample_rate / analysis.resolution.hop_length

    def summarize(layer: Layer) -> LayerStyle:
        responses = [layer.respond(x)[0] for x in features]
        return LayerStyle(
            layer,
            gaussian.summarize(responses, mix)
            if config.statistic == "gaussian"
            else gram.summarize(responses, mix, layer.product),
            None if config.autocorrelation_weight is None else rhythm.summarize(responses, mix, frame_rate=frame_rate),
            () if config.diversity_weight is None else tuple(responses),
        )

    layers = config.network.fit([x[0] for x in features], index, GROUPINGS[config.statistic])
    return Target(analysis, tuple(summarize(layer) for layer in layers))


def with_content(targets: Sequence[Target], content: Float[Array, "channels time"]) -> tuple[Target, ...]:
    """The same targets with a content to keep."""

    def respond(target: Target) -> tuple[Float[Array, "_ _ _ _"], ...]:
        features = target.analysis.features(content)
        return tuple(style.layer.respond(features) for style in target.layers)

    return tuple(replace(target, content=respond(target)) for target in targets)


def loss_terms(
    features: Sequence[Any], targets: Sequence[Target], config: Config, hearing: Hearing | None = None
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The weighted sum and the unweighted terms, each the mean over the resolutions of the sum over the layers.

    Args:
        features: `(channels, frames, frequency, planes)` at each resolution, and what is heard if that is compared.
        targets: at each resolution.
        config: for weights and normalization.
        hearing: what is heard of style and content.

    Returns:
        The loss to minimize, and the terms by name: `style`, `content` if there is one, and those of `variation`,
        `autocorrelation`, `diversity`, `texture`, `copying`, `onsets` and `harmony` that have a weight. Only the
        loss is to be differentiated, and only by the features, in reverse mode.
    """
    weights = {
        "style": config.style_weight,
        "content": config.content_weight if targets[0].content else None,
        "variation": config.variation_weight,
        "autocorrelation": config.autocorrelation_weight,
        "diversity": config.diversity_weight,
    }
    weights = {name: weight for name, weight in weights.items() if weight is not None}
    seen = features if hearing is None else features[:-1]
    total, terms = jnp.zeros(()), {name: jnp.zeros(()) for name in weights}
    for x, target in zip(seen, targets, strict=True):
        if "variation" in terms:
            variation = total_variation(x) / len(targets)
            total += weights["variation"] * variation
            terms["variation"] += variation
        for bank, style in enumerate(target.layers):
            content = target.content[bank] if target.content else None
            share = _bank_weight(config, bank, len(target.layers)) / len(targets)
            constants, tree = jax.tree.flatten((style, content, weights))
            part, values = cast(tuple, _weighted_terms(x, constants, tree, config.normalization))
            total += share * part
            for name, value in values.items():
                terms[name] += share * value
    if hearing is not None:
        relative = {
            "texture": (config.style_weight, config.texture_weight),
            "copying": (config.style_weight, config.copying_weight),
            "onsets": (config.content_weight, config.onset_weight),
            "harmony": (config.content_weight, config.harmony_weight),
        }
        for name, value in hearing_terms(features[-1], hearing).items():
            weight, share = relative[name]
            if share is not None:
                total += weight * share * value
                terms[name] = value
    return total, terms


def total_variation(features: Float[Array, "channels frames frequency planes"]) -> Float[Array, ""]:
    """Mean absolute difference of neighbors in time, plus that of neighbors in frequency."""
    axes = [axis for axis in (1, 2) if features.shape[axis] > 1]
    return sum((jnp.mean(jnp.abs(jnp.diff(features, axis=axis))) for axis in axes), jnp.zeros(()))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _weighted_terms(
    features: Array, constants: list[Array], tree: Any, normalization: str
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The weighted sum of one layer's terms, and the terms.

    Where there is a derivative it is taken at once, as it is of one number: responses, many times the size of features,
    are in memory for one layer at a time, and nothing is computed twice. Only the sum has one, only by features.

    Args:
        features: of the signal.
        constants: leaves of the layer's style, the content's responses and the weights of the terms.
        tree: their structure. (JAX builds it of dummies here, which no typed dataclass takes.)
        normalization: see `Config`.
    """
    return _summed(features, constants, tree, normalization)


def _summed(features, constants, tree, normalization):
    style, content, weights = jax.tree.unflatten(tree, constants)
    terms = _layer_terms(features, style, content, normalization)
    return sum((weights[name] * value for name, value in terms.items()), jnp.zeros(())), terms


def _weighted_terms_forward(features, constants, tree, normalization):
    return jax.value_and_grad(_summed, has_aux=True)(features, constants, tree, normalization)


def _weighted_terms_backward(tree, normalization, gradient, cotangents):
    return cotangents[0] * gradient, None


_weighted_terms.defvjp(_weighted_terms_forward, _weighted_terms_backward)


def _layer_terms(
    features: Array, style: LayerStyle, content: Responses | None, normalization: str
) -> dict[str, Float[Array, ""]]:
    layer = style.layer
    responses = layer.respond(features)
    if isinstance(style.summary, gaussian.Gaussians):
        distance = gaussian.style_distance(responses, style.summary)
    else:
        distance = gram.style_distance(responses, style.summary)
    _, n_groups, n_frames, n_values = responses.shape
    entries = n_groups * n_values
    scale = {
        "relative": 1 / style.summary.sq_norm,
        "sum": layer.power**2,
        "mean": n_frames**2 / (entries * n_values),
        "gatys": n_frames / (4 * layer.n_filters * entries),
    }[normalization]
    terms = {"style": scale * distance}
    if content is not None:
        distance, norm = gram.content_distance(responses, content, layer.product)
        scale = {
            "relative": 1 / norm,
            "sum": layer.power,
            "mean": 1 / (entries * n_frames),
            "gatys": 1 / (4 * entries * n_frames),
        }[normalization]
        terms["content"] = scale * distance
    if style.rhythm is not None:
        terms["autocorrelation"] = rhythm.rhythm_distance(responses, style.rhythm)
    if style.originals:
        terms["diversity"] = rhythm.copying(responses, style.originals)
    return terms


def _bank_weight(config: Config, bank: int, n_banks: int) -> float | Float[Array, ""]:
    weights = getattr(config.network, "bank_weights", ())
    return weights[bank % len(weights)] if weights else 1 / n_banks
