"""Exceptions. `except FeatureError` catches everything that this package raises on purpose."""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "DecodeError",
    "FeatureError",
    "InputError",
    "OutputError",
    "SchemaMismatchError",
    "UnknownFeatureError",
    "UnknownSymbolError",
]


class FeatureError(Exception):
    """Base class of all errors of this package.

    Attributes
    ----------
    path : str or None
        File that the error is about.
    line : int or None
        Line number from 1, in line-based inputs.
    offset : int or None
        Byte offset: of the line in the uncompressed text, or of the data in the file.
    symbol : str or None
        Symbol that the error is about.
    """

    path: str | None
    line: int | None
    offset: int | None
    symbol: str | None

    def __init__(
        self,
        message: str = "",
        *,
        path: str | None = None,
        line: int | None = None,
        offset: int | None = None,
        symbol: str | None = None,
        errno: int | None = None,
    ) -> None:
        super().__init__(message)
        self.path, self.line, self.offset, self.symbol = path, line, offset, symbol
        if errno is not None:
            self._set_errno(errno)

    def _set_errno(self, errno: int) -> None:
        """Store the number of the system error, where the class has one."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ConfigError(FeatureError, ValueError):
    """An option, a feature set or an instrument is described wrongly."""


class SchemaMismatchError(FeatureError):
    """Frames, models or state of another feature set."""


class UnknownSymbolError(FeatureError, KeyError):
    """The engine or the input does not have the symbol."""


class UnknownFeatureError(FeatureError, KeyError):
    """The feature set does not have the feature."""


class DecodeError(FeatureError, ValueError):
    """Bytes that are not what they should be: an input file, a frame, a state snapshot."""


class _SystemError(FeatureError, OSError):
    """An error with a number of the system."""

    def _set_errno(self, errno: int) -> None:
        self.errno = errno


class InputError(_SystemError):
    """The system did not let a file be read; `errno` says why."""


class OutputError(_SystemError):
    """A file could not be written; nothing was left behind."""
