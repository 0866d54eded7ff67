"""What a user can do wrong. Each message is one line: what is wrong, the value, and what to do."""


class JaxstError(Exception):
    """Base of every mistake below; binaries print it after `error:` and exit with status 2."""


class AudioError(JaxstError):
    """A recording cannot be read or used."""


class ConfigError(JaxstError):
    """An option has a value that it cannot have."""


class OutputError(JaxstError):
    """A result cannot be written where it should go."""


class InterruptionError(JaxstError):
    """A run was ended before there was anything to keep."""


class ResourceError(JaxstError):
    """The machine has too little of something."""
