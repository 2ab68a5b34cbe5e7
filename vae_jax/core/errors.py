"""Errors that a user can mend: each message says what was expected, what came and what to do."""


class ConfigError(ValueError):
    """A config that cannot be run."""


class RequestError(ValueError):
    """Something was asked of a run, a model or a file that it cannot give."""
