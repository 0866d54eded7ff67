"""The flags of the binaries that tell of what they did in files that they name."""

from pathlib import Path

from absl import flags

REPORT = flags.DEFINE_string("report", None, "Folder for report.html: players, spectrograms, numbers and settings.")
JSON = flags.DEFINE_string("json", None, "File for all numbers and settings as JSON.")


def report_page() -> Path | None:
    """The file that `--report` asks for, if any."""
    return Path(REPORT.value) / "report.html" if REPORT.value else None
