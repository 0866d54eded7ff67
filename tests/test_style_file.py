"""Learned styles on disk: what comes back is what was learned, and what is no such file is refused in one line."""

import dataclasses
import json
from contextlib import suppress

import jax
import numpy as np
import pytest

import jaxst
from jaxst import audio
from jaxst.config import HEARING, configure
from jaxst.errors import AudioError, ConfigError, OutputError
from jaxst.methods import METHODS
from jaxst.task import _configured as configured

RATE = 4_000
# One of each kind of network, statistic and representation.
OPTIONS = {
    "arccos": {"windows": (64.0,), "hops": (16.0,), "patch_frames": (5,)},
    "ulyanov": {"n_filters": 300, "filter_seed": 3, "phase_iterations": 3},
    "kanak": {"shapes": ((3, 3), (5, 5)), "n_filters": 3, "phase_iterations": 3},
    "gaussian-ot": {"shapes": ((11, 5), (3, 3)), "n_filters": 3},
    "autocorrelation": {"shapes": ((0, 2), (0, 4)), "n_filters": 5},
}


def clip(name, seconds=0.4):
    recording = audio.resample(jaxst.read(jaxst.example(name)), RATE)
    samples = recording.samples.mean(axis=0, keepdims=True)[:, 2_000:]
    return jaxst.Recording(samples[:, : round(seconds * RATE)], RATE, name)


@pytest.fixture(scope="module")
def water():
    return clip("water", 0.5)


@pytest.fixture(scope="module")
def saved(water, tmp_path_factory):
    path = tmp_path_factory.mktemp("style") / "water.npz"
    jaxst.save_style(path, jaxst.analyze_style(water, method="ulyanov", **OPTIONS["ulyanov"]))
    return path


@pytest.mark.parametrize("method", OPTIONS)
def test_a_run_with_a_style_from_a_file_is_the_run_with_the_recording(method, water, tmp_path):
    path = tmp_path / "style.npz"
    options = OPTIONS[method]
    shaping = {name: value for name, value in options.items() if name != "phase_iterations"}
    style = jaxst.analyze_style([water, clip("tabla")], style_mix=[2, 1], method=method, **shaping)
    jaxst.save_style(path, style)
    loaded = jaxst.load_style(path)
    assert (loaded.name, loaded.sample_rate, loaded.length) == (style.name, style.sample_rate, style.length)
    assert loaded.config == style.config
    # Filters are drawn again and not written; all else is what it was.
    for one, other in zip(*(jax.tree.leaves((s.targets, s.hearing)) for s in (style, loaded)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert (loaded.hearing is None) == (method != "arccos")
    n_filters = sum(layer.layer.filters.size for layer in style.targets[0].layers if hasattr(layer.layer, "filters"))
    with np.load(path) as file:
        assert sum(values.size for name, values in file.items() if values.dtype.kind == "f") < 300_000
        assert n_filters == 0 or not any(values.size == n_filters for values in file.values())
    run = {"method": method, "steps": 3, "content_weight": 0.1}
    run |= {"phase_iterations": 3, "init": "content", **options}
    direct = jaxst.transfer(clip("guitar"), [water, clip("tabla")], style_mix=[2, 1], **run)
    for source in (path, str(path), [path], loaded):
        result = jaxst.transfer(clip("guitar"), source, steps=3, content_weight=0.1, init="content", phase_iterations=3)
        assert result.config == direct.config
        assert result.history.keys() == direct.history.keys()
        for name, values in result.history.items():
            np.testing.assert_allclose(values, direct.history[name], rtol=1e-3, err_msg=name)
        np.testing.assert_allclose(result.audio.samples, direct.audio.samples, atol=1e-3)


def test_a_texture_can_be_made_of_it(saved, water):
    result = jaxst.texture(saved, steps=2, phase_iterations=3)
    assert result.audio.samples.shape == water.samples.shape
    assert result.audio.rms == pytest.approx(water.rms, rel=0.1)
    assert result.config.method == "ulyanov"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "kanak"}, "method=kanak: the style water was learned for method=ulyanov"),
        ({"sample_rate": 8_000}, "sample_rate=8000: the style water was learned at 4000 Hz"),
        ({"filter_seed": 4}, "filter_seed=4: the style water was learned with other values"),
        ({"n_filters": 200}, "n_filters=200: the style water was learned with other values"),
        ({"compression": 2.0}, "compression=2.0: the style water was learned with other values"),
        ({"windows": (64.0,)}, r"windows=\(64.0,\): the style water was learned with other values"),
        ({"statistic": "per-frequency"}, "statistic="),
        ({"autocorrelation_weight": 1.0}, "autocorrelation_weight=1.0: the style water was learned with other values"),
        ({"init": "style"}, "init=style needs the style's recording"),
    ],
)
def test_what_it_was_not_learned_for_is_refused(options, message, saved):
    with pytest.raises(ConfigError, match=message) as error:
        jaxst.transfer(clip("guitar"), saved, steps=1, phase_iterations=3, **options)
    assert "\n" not in str(error.value)


def test_a_mix_of_one_learned_style_is_refused(saved):
    with pytest.raises(jaxst.JaxstError) as error:
        jaxst.transfer(clip("guitar"), [saved, clip("water")], steps=1)
    assert "\n" not in str(error.value)


def refusal(path):
    with pytest.raises(AudioError) as error:
        jaxst.load_style(path)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "does not exist" in refusal(tmp_path / "none.npz")
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    refusal(folder)


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "foreign.npz"
    for content in (b"", b"RIFF....WAVE", b"PK\x03\x04", b"\x93NUMPY", bytes(1_000)):
        path.write_bytes(content)
        refusal(path)
    np.savez(path, a=np.zeros(3))
    assert "is no style that jaxst wrote" in refusal(path)
    np.savez(path, jaxst=np.array({"version": 1}, dtype=object))  # a pickle, which is never opened
    refusal(path)
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    refusal(path)


@pytest.mark.parametrize("version", [2, 99])
def test_a_style_of_another_version_is_refused(version, saved, tmp_path):
    with np.load(saved) as file:
        arrays = dict(file)
    header = json.loads(str(arrays["jaxst"]))
    path = tmp_path / "newer.npz"
    np.savez(path, **{**arrays, "jaxst": np.array(json.dumps({**header, "version": version}))})
    assert f"version {version}, not 3; learn it anew" in refusal(path)


def test_damaged_contents_are_refused(saved, tmp_path):
    with np.load(saved) as file:
        arrays = dict(file)
    path, header = tmp_path / "damaged.npz", json.loads(str(arrays["jaxst"]))
    style, version = header["style"], header["version"]
    damaged = [
        "{",
        "[]",
        "null",
        json.dumps({"version": version}),
        json.dumps({"version": version, "style": None}),
        json.dumps({"version": version, "style": []}),
        json.dumps({"version": version, "style": {"kind": "system", "fields": {}}}),
        json.dumps({"version": version, "style": {"kind": "Style", "fields": {}}}),
        json.dumps({"version": version, "style": {**style, "fields": {**style["fields"], "targets": 1}}}),
        json.dumps({"version": version, "style": {**style, "fields": {**style["fields"], "config": None}}}),
        json.dumps(
            {"version": version, "style": {**style, "fields": {**style["fields"], "spectrum": {"array": "none"}}}}
        ),
    ]
    for text in damaged:
        np.savez(path, **{**arrays, "jaxst": np.array(text)})
        refusal(path)
    for name in arrays.keys() - {"jaxst"}:
        for values in (arrays[name] * np.nan, np.array("text"), None):
            changed = {**arrays, name: values} if values is not None else {n: v for n, v in arrays.items() if n != name}
            np.savez(path, **changed)
            refusal(path)


def test_a_file_that_was_cut_off_or_has_wrong_bytes_is_refused(saved, tmp_path):
    content, path = saved.read_bytes(), tmp_path / "damaged.npz"
    for share in (0.02, 0.3, 0.7, 0.999):
        path.write_bytes(content[: int(share * len(content))])
        refusal(path)
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for position in rng.integers(0, len(content), 8):
            damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        with suppress(AudioError):  # but a byte that says nothing, such as the time of writing, may be any
            jaxst.load_style(path)


def test_a_style_is_written_where_it_can_be_and_nothing_is_overwritten_unasked(saved, tmp_path):
    style = jaxst.load_style(saved)
    with pytest.raises(OutputError, match=r"a style is saved as \.npz"):
        jaxst.save_style(tmp_path / "style.wav", style)
    with pytest.raises(OutputError):
        jaxst.save_style(tmp_path / "missing" / "style.npz", style)
    path = tmp_path / "style.npz"
    jaxst.save_style(path, style)
    with pytest.raises(OutputError, match="exists"):
        jaxst.save_style(path, style)
    jaxst.save_style(path, style, overwrite=True)
    assert jaxst.load_style(path).name == style.name
    assert [entry.name for entry in tmp_path.iterdir()] == ["style.npz"]


def test_a_mix_of_what_was_mixed_before_is_refused(saved, water):
    with pytest.raises(ConfigError, match=r"^style_mix=5,1: the style water was mixed when learned"):
        jaxst.transfer(water, saved, style_mix=[5, 1], method="ulyanov")


def test_a_rate_of_zero_is_refused(saved):
    with pytest.raises(ConfigError, match=r"^sample_rate=0: the style water was learned at 4000 Hz"):
        jaxst.texture(saved, sample_rate=0)


def test_filters_that_would_be_drawn_otherwise_are_noticed(saved, tmp_path):
    with np.load(saved) as file:
        arrays = dict(file)
    header = json.loads(str(arrays["jaxst"]))
    header["filters"] = [value + 0.1 for value in header["filters"]]
    other = tmp_path / "other.npz"
    np.savez(other, **(arrays | {"jaxst": np.array(json.dumps(header))}))
    with pytest.raises(AudioError, match="JAX now draws other filters from its seed; learn it anew"):
        jaxst.load_style(other)


def test_a_runs_own_weights_of_what_is_heard_count_and_not_those_of_the_learning(saved):
    """Styles are learned for transfers and for textures, whose presets have other weights."""
    preset = METHODS["arccos"]
    learned = dataclasses.replace(jaxst.load_style(saved), config=preset.texture)
    assert configured(preset.transfer, {}, learned) == preset.transfer
    assert configured(preset.texture, {}, learned) == preset.texture
    assert configured(preset.transfer, {"texture_weight": 0.5}, learned).texture_weight == 0.5
    assert configured(preset.transfer, {"texture_weight": 0}, learned).texture_weight is None
    deaf = dataclasses.replace(learned, config=configure(preset.texture, **dict.fromkeys(HEARING, 0)))
    assert configured(preset.transfer, {}, deaf) == configure(preset.transfer, **dict.fromkeys(HEARING, 0))
    with pytest.raises(ConfigError, match=r"^texture_weight=0.5: the style water was learned with other values"):
        configured(preset.transfer, {"texture_weight": 0.5}, deaf)


def test_weights_may_differ_from_those_that_it_was_learned_with(water):
    style = jaxst.analyze_style(water, method="autocorrelation", **OPTIONS["autocorrelation"])
    result = jaxst.texture(style, autocorrelation_weight=2.0, steps=1)
    assert result.config.autocorrelation_weight == 2
