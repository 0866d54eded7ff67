"""The rule: bin -> bench -> jaxst -> jaxst.kernels -> jax, optax, numpy, scipy; torch in bench alone; no cycles."""

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Folder of the repository to package, as in setup.cfg; the layers that each one may import beside itself.
FOLDERS = {"jaxst": "jaxst", "kernels": "jaxst.kernels", "bin": "jaxst.bin", "bench": "jaxst.bench"}
BELOW = {
    "jaxst": {"jaxst.kernels"},
    "jaxst.kernels": set(),
    "jaxst.bin": {"jaxst", "jaxst.bench"},
    "jaxst.bench": {"jaxst", "jaxst.kernels"},
}
KERNELS_MAY_USE = {"jax", "jaxtyping", "numpy", "optax", "scipy"}
BENCH_ALONE = {"torch", "torchaudio"}
NOWHERE = {"matplotlib.pyplot", "matplotlib.pylab", "pylab"}


def source_files(root: Path) -> dict[str, Path]:
    """Dotted module name to file."""
    modules = {}
    for folder, package in FOLDERS.items():
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root / folder).with_suffix("").parts
            modules[".".join([package, *parts]).removesuffix(".__init__")] = path
    return modules


def layer(module: str) -> str | None:
    """The package of ours that a module is in; `None` for others."""
    inside = [name for name in BELOW if module == name or module.startswith(f"{name}.")]
    return max(inside, key=len, default=None)


def imported(name: str, path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """All that a file imports, inside functions too. `from a import b` is a.b where that is a module or not ours."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *filter(None, [base])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in modules or layer(base) is None else base


def first_cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, the first one again at the end; empty if there are none."""
    finished: set[str] = set()

    def visit(module: str, trail: list[str]) -> list[str]:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in finished:
            return []
        for other in sorted(graph[module]):
            if found := visit(other, [*trail, module]):
                return found
        finished.add(module)
        return []

    return next((found for module in sorted(graph) if (found := visit(module, []))), [])


def violations(root: Path) -> list[str]:
    modules = source_files(root)
    graph: dict[str, set[str]] = {name: set() for name in modules}
    problems = []
    for name, path in modules.items():
        own = layer(name)
        assert own is not None
        for target in imported(name, path, modules):
            other, top = layer(target), target.partition(".")[0]
            if target in modules:
                graph[name].add(target)
            elif other is not None:
                problems.append(f"{name} imports {target}, which is no module")
            if other is not None and other != own and other not in BELOW[own]:
                problems.append(f"{name} imports {target}: {own} may not import {other}")
            if own == "jaxst.kernels" and other is None and top not in KERNELS_MAY_USE | sys.stdlib_module_names:
                problems.append(f"{name} imports {target}: kernels know {', '.join(sorted(KERNELS_MAY_USE))}")
            if own != "jaxst.bench" and top in BENCH_ALONE:
                problems.append(f"{name} imports {target}: only bench may")
            if any(target == banned or target.startswith(f"{banned}.") for banned in NOWHERE):
                problems.append(f"{name} imports {target}: nothing may")
    if cycle := first_cycle(graph):
        problems.append(f"cycle: {' -> '.join(cycle)}")
    return problems


def test_the_repository_keeps_the_rule():
    assert violations(ROOT) == []


def test_every_folder_is_looked_at():
    layers = {layer(name) for name in source_files(ROOT)}
    assert layers == set(BELOW)
    assert {"jaxst", "jaxst.kernels.stft", "jaxst.bin.transfer", "jaxst.report.page"} <= source_files(ROOT).keys()


# A tree that keeps the rule, with one file too many in each test below.
TREE = {
    "kernels/__init__.py": "",
    "kernels/stft.py": "from functools import partial\nimport jax.numpy as jnp\nimport scipy.signal",
    "kernels/patches.py": "import numpy as np\nfrom jaxst.kernels.stft import frame\nfrom . import stft",
    "jaxst/__init__.py": "from jaxst.transfer import transfer",
    "jaxst/errors.py": "",
    "jaxst/transfer.py": "import optax\nfrom jaxst import errors\nfrom jaxst.kernels.stft import stft",
    "jaxst/report/__init__.py": "from jaxst.report.page import render",
    "jaxst/report/page.py": "from matplotlib.figure import Figure\nfrom ..errors import JaxstError",
    "bin/__init__.py": "",
    "bin/flags.py": "from absl import flags",
    "bin/transfer.py": "from jaxst import transfer\nfrom jaxst.bin import flags",
    "bench/__init__.py": "",
    "bench/engine.py": "import torch\nfrom jaxst.kernels import stft\nimport jaxst",
}


@pytest.fixture
def tree(tmp_path):
    def write(**extra):
        for name, text in {**TREE, **extra}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_a_tree_that_keeps_the_rule_passes(tree):
    assert violations(tree()) == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("kernels/mel.py", "from jaxst.errors import JaxstError", "jaxst.kernels may not import jaxst"),
        ("kernels/mel.py", "from jaxst import errors", "jaxst.kernels may not import jaxst"),
        ("kernels/mel.py", "import jaxst", "jaxst.kernels may not import jaxst"),
        ("kernels/mel.py", "from .. import errors", "jaxst.kernels may not import jaxst"),
        ("kernels/mel.py", "def f():\n    import librosa", "kernels know jax, jaxtyping, numpy, optax, scipy"),
        ("jaxst/sweep.py", "from jaxst.bin import flags", "jaxst may not import jaxst.bin"),
        ("jaxst/sweep.py", "import jaxst.bin.flags", "jaxst may not import jaxst.bin"),
        ("jaxst/report/figures.py", "from jaxst.bench import engine", "jaxst may not import jaxst.bench"),
        ("jaxst/sweep.py", "import jaxst.nothing", "which is no module"),
        ("bin/sweep.py", "from jaxst.kernels.stft import stft", "jaxst.bin may not import jaxst.kernels"),
        ("kernels/stft.py", "import jaxst.bench.engine", "jaxst.kernels may not import jaxst.bench"),
        ("bench/quality.py", "from jaxst.bin import transfer", "jaxst.bench may not import jaxst.bin"),
        ("jaxst/sweep.py", "if True:\n    import torch.nn", "only bench may"),
        ("kernels/mel.py", "from torch import nn", "only bench may"),
        ("jaxst/plots.py", "import matplotlib.pyplot as plt", "nothing may"),
        ("bench/plots.py", "from matplotlib import pyplot as plt", "nothing may"),
        ("jaxst/plots.py", "from matplotlib.pyplot import plot", "nothing may"),
        (
            "jaxst/errors.py",
            "from jaxst.transfer import Result",
            "cycle: jaxst.transfer -> jaxst.errors -> jaxst.transfer",
        ),
        ("jaxst/errors.py", "from jaxst import __version__", "cycle: jaxst -> jaxst.transfer -> jaxst.errors -> jaxst"),
        ("kernels/stft.py", "from jaxst.kernels import patches", "cycle: jaxst.kernels.stft -> jaxst.kernels.patches"),
        ("jaxst/report/page.py", "def f():\n    from . import render", "cycle: jaxst.report -> jaxst.report.page"),
    ],
)
def test_a_tree_that_breaks_the_rule_is_found(tree, name, text, message):
    found = violations(tree(**{name: text}))
    assert any(message in problem for problem in found), found
