"""jaxst: audio style transfer and sound-texture synthesis by differentiable DSP in JAX."""

from jaxst.audio import Recording, read, write
from jaxst.config import Config
from jaxst.errors import AudioError, ConfigError, JaxstError, OutputError
from jaxst.evaluation import Evaluation, evaluate
from jaxst.examples import example
from jaxst.resynthesis import Resynthesis, resynthesize
from jaxst.solver import Progress, Status
from jaxst.style import Style, analyze_style
from jaxst.style_file import load_style, save_style
from jaxst.sweep.run import Sweep, sweep
from jaxst.transfer import Result, texture, transfer
from jaxst.version import __version__

__all__ = [
    "AudioError",
    "Config",
    "ConfigError",
    "Evaluation",
    "JaxstError",
    "OutputError",
    "Progress",
    "Recording",
    "Result",
    "Resynthesis",
    "Status",
    "Style",
    "Sweep",
    "__version__",
    "analyze_style",
    "evaluate",
    "example",
    "load_style",
    "read",
    "resynthesize",
    "save_style",
    "sweep",
    "texture",
    "transfer",
    "write",
]
