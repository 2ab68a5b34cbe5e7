"""Errors that a user can mend: each message says what was expected, what came and what to do."""


class ConfigError(ValueError):
    """A config that cannot be run."""


class RequestError(ValueError):
    """A run, a model or a file cannot give what was asked of it."""
