"""The one exception family: an error the user can fix, reported in one line.

Commands catch `FerError`, print its message and end with exit code 2; anything else is a defect of
ours and keeps its traceback.
"""

from __future__ import annotations

EXIT_USAGE = 2


class FerError(Exception):
    """A user's mistake. The message names the file or value, what was expected and what to do next."""


class ConfigError(FerError):
    """A configuration key or value that cannot be used."""


class OutputError(FerError):
    """A file that could not be written."""


class DataError(FerError):
    """Faces that are missing, unreadable or mislabelled."""


class CheckpointError(FerError):
    """A checkpoint that is missing, damaged or of another model."""


class ClusterError(FerError):
    """Processes that cannot work together, or no longer do."""


class TrainingError(FerError):
    """A training run that cannot start or resume."""
