"""The recordings that come with the package: see `clips/README.md` for their licenses."""

from pathlib import Path

from jaxst.errors import AudioError

_CLIPS = Path(__file__).parent / "clips"


def example(name: str) -> str:
    """Path of a bundled recording, such as "guitar" or "water".

    Raises:
        AudioError: if there is none of that name.
    """
    paths = {path.stem: path for path in sorted(_CLIPS.glob("*.flac"))}
    if name not in paths:
        raise AudioError(f"no example is called {name!r}; there are {', '.join(paths)}")
    return str(paths[name])
