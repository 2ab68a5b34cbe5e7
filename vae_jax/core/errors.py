"""Errors that a user can mend: each message says what was expected, what came and what to do."""


class ConfigError(ValueError):
    """A config that cannot be run."""


class DamagedError(ConfigError):
    """A file that does not hold what was saved in it."""


class RequestError(ValueError):
    """A run, a model or a file cannot give what was asked of it."""
