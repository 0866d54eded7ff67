"""The recordings that come with the package: present, readable, short, sounding, and with their licenses."""

from importlib import resources

import pytest

from jaxst import audio
from jaxst.errors import AudioError
from jaxst.examples import example

NAMES = [
    path.name.removesuffix(".flac")
    for path in resources.files("jaxst").joinpath("clips").iterdir()
    if path.name.endswith(".flac")
]


def test_the_documented_examples_are_there():
    assert {"guitar", "water"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_a_short_recording_that_sounds_and_does_not_clip(name):
    recording = audio.read(example(name))
    assert 1 < recording.duration < 20
    assert recording.rms > 0.01
    assert abs(recording.samples).max() < 1


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_its_license_beside_it(name):
    table = resources.files("jaxst").joinpath("clips/README.md").read_text(encoding="utf-8")
    [row] = [line for line in table.splitlines() if line.startswith(f"| {name}.flac |")]
    assert any(license in row for license in ("CC0", "public domain", "CC-BY", "CC BY"))


@pytest.mark.parametrize("name", ["", "nothing", "guitar.flac", "../clips/guitar"])
def test_an_unknown_example_is_answered_with_the_known_ones(name):
    with pytest.raises(AudioError) as caught:
        example(name)
    assert repr(name) in str(caught.value)
    assert all(known in str(caught.value) for known in NAMES)
