"""A command line from its first word to its exit status: every mistake becomes one line."""

import gc
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from absl import flags

from jaxst.bin import flags as shared
from jaxst.errors import InterruptionError, JaxstError

DEBUG = flags.DEFINE_bool("debug", False, "Show a traceback instead of one line when something fails.")
HELP = flags.DEFINE_bool("help", False, "Show this text.")

MISTAKE = 2
INTERRUPTED = 130
UNREAD = 141


def run(main: Callable[[], int], usage: str, *, modules: Sequence[str], listing: Callable[[], str | None]) -> None:
    """Parse the command line, run `main` and exit: with what it returns, with 2 after a mistake, with 130 after Ctrl-C,
    with 141 where whoever read the output has left.

    Args:
        main: takes its options from flags and returns the exit status.
        usage: first lines of `--help`.
        modules: names of the modules that define the binary's flags, beside those that all share, for `--help`.
        listing: gives what to print instead of running, where a flag asks for a list.
    """

    def parse_and_run() -> int:
        gc.set_threshold(100_000, 20, 20)  # garbage is looked for rarely: it took a fifteenth of a second run
        status = _parse(usage, modules, listing)
        status = main() if status is None else status
        sys.stdout.flush()  # here, where it may still fail quietly
        return status

    sys.exit(_guarded(parse_and_run))


def fail(message: str, status: int = MISTAKE) -> int:
    """Say in one line on stderr what is wrong (and where, with `--debug`), and return the exit status."""
    if sys.exc_info()[0] is not None and flags.FLAGS.is_parsed() and DEBUG.value:
        traceback.print_exc()
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status


def _parse(usage: str, modules: Sequence[str], listing: Callable[[], str | None]) -> int | None:
    """Set the flags; the exit status if that leaves nothing to run."""
    try:
        rest = flags.FLAGS(sys.argv)
    except flags.Error as error:
        return fail(str(error))
    if HELP.value:
        helps = (flags.FLAGS.module_help(name) for name in (*modules, shared.__name__, __name__))
        print("\n\n".join([usage, *helps]))
        return 0
    if (text := listing()) is not None:
        print(text)
        return 0
    if rest[1:]:
        return fail(f"{rest[1]!r} is not a flag; options are written --name=value, see --help")
    return None


def _guarded(main: Callable[[], int]) -> int:
    try:
        return main()
    except (KeyboardInterrupt, InterruptionError):
        print("interrupted: nothing was written", file=sys.stderr)
        return INTERRUPTED
    except JaxstError as error:
        return fail(str(error))
    except BrokenPipeError:  # who reads has read enough, such as `head`: the rest goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except Exception as error:
        return fail(f"unexpected {type(error).__name__}: {error}; run with --debug for a traceback", 1)
