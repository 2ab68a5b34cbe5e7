"""Errors that a user can mend: each message says what was expected, what came and what to do."""


class ConfigError(ValueError):
    """A config that cannot be run."""


class DamagedError(ConfigError):
    """A file that does not hold what was saved in it."""


# What a shell adds to the number of a signal: 130 is the end by SIGINT, 143 by SIGTERM.
ENDED_BY = 128
# The number of SIGPIPE, which not every system knows by its name.
BROKEN_PIPE = 13


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, which ends a command as SIGINT does."""


class RequestError(ValueError):
    """A run, a model or a file cannot give what was asked of it."""
