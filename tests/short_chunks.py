"""Chunks of about a second, for tests of what is long."""

import pytest

from jaxst import chunks


def shorten(patch: pytest.MonkeyPatch) -> None:
    """An eighth of all lengths, or less."""
    seconds = {"CHUNK_SECONDS": 1.0, "GIVEN_SECONDS": 0.05, "FADE_SECONDS": 0.1, "GRAIN_SECONDS": 0.05}
    for name, length in seconds.items():
        patch.setattr(chunks, name, length)
