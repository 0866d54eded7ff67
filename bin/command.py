"""A command line from its first word to its exit status: every mistake becomes one line."""

import sys
import traceback
from collections.abc import Callable

from absl import flags

from jaxst.bin import flags as shared
from jaxst.errors import JaxstError
from jaxst.methods import METHODS

DEBUG = flags.DEFINE_bool("debug", False, "Show a traceback instead of one line when something fails.")
HELP = flags.DEFINE_bool("help", False, "Show this text.")

MISTAKE = 2
INTERRUPTED = 130


def run(main: Callable[[], int], module: str, usage: str) -> None:
    """Parse the command line, run `main` and exit: with what it returns, with 2 after a mistake, with 130 after Ctrl-C.

    Args:
        main: takes its options from flags and returns the exit status.
        module: name of the module that defines the binary's own flags, for `--help`.
        usage: first lines of `--help`.
    """
    _parse(module, usage)
    sys.exit(_guarded(main))


def fail(message: str, status: int = MISTAKE) -> int:
    """Say in one line on stderr what is wrong (and where, with `--debug`), and return the exit status."""
    if sys.exc_info()[0] is not None and flags.FLAGS.is_parsed() and DEBUG.value:
        traceback.print_exc()
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status


def _parse(module: str, usage: str) -> None:
    try:
        rest = flags.FLAGS(sys.argv)
    except flags.Error as error:
        sys.exit(fail(str(error)))
    if HELP.value:
        helps = (flags.FLAGS.module_help(name) for name in (module, shared.__name__, __name__))
        print("\n\n".join([usage, *helps]))
        sys.exit(0)
    if shared.METHOD.value == "help":
        print("\n".join(f"{name}: {method.summary} [{method.source}]" for name, method in METHODS.items()))
        sys.exit(0)
    if rest[1:]:
        sys.exit(fail(f"{rest[1]!r} is not a flag; options are written --name=value, see --help"))


def _guarded(main: Callable[[], int]) -> int:
    try:
        return main()
    except JaxstError as error:
        return fail(str(error))
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        return fail(f"unexpected {type(error).__name__}: {error}; run with --debug for a traceback", 1)
