"""One exception for each exit code of the command (docs/cli.md), so that a caller decides by type and never by text."""

from __future__ import annotations

from typing import Dict, Optional, Sequence, Type


class SealstoneError(Exception):
    """Something went wrong. ``str()`` is what the command said."""

    #: The exit code that this stands for; None where the command never ran or never ended.
    exit_code: Optional[int] = None

    def __init__(self, message: str, hint: Optional[str] = None, warnings: Sequence[str] = ()) -> None:
        super().__init__(message)
        #: What the command said.
        self.message = message
        #: What it says can be done, if it does.
        self.hint = hint
        #: What it warned of before.
        self.warnings = tuple(warnings)


class FailedError(SealstoneError):
    """Something failed, a registry refused, or a check found damage."""

    exit_code = 1


class UsageError(SealstoneError):
    """An argument is not one: a reference, a size, a kernel argument."""

    exit_code = 2


class UntrustedError(SealstoneError):
    """A digest, a size, a format or a signature does not hold: the input is not what it says it is, or is forbidden."""

    exit_code = 3


class NoSpaceError(SealstoneError):
    """The disk or file system is full, or would be."""

    exit_code = 4


class NotFoundError(SealstoneError):
    """The repository, image, artifact, device or file is not there."""

    exit_code = 5


class BusyError(SealstoneError):
    """Somebody else holds the repository or the device: it is mounted, or another program writes to it."""

    exit_code = 6


class UnsupportedError(SealstoneError):
    """This program, kernel or file system cannot do it."""

    exit_code = 7


class CancelledError(SealstoneError):
    """The caller cancelled it. Nothing is half-visible; it can be run again."""

    exit_code = 130


class NotInstalledError(SealstoneError):
    """There is no such program, or it cannot be run."""


class ProtocolError(SealstoneError):
    """The program answered with something else than this package knows: their versions do not fit, or it was killed."""


_BY_CODE: Dict[int, Type[SealstoneError]] = {
    kind.exit_code: kind for kind in SealstoneError.__subclasses__() if kind.exit_code is not None
}


def of_exit(code: int, message: str, hint: Optional[str], warnings: Sequence[str]) -> SealstoneError:
    """The exception that an exit code stands for."""
    kind = _BY_CODE.get(code)
    if kind is None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with the unknown code {code}"
        return ProtocolError(f"the program {how}: {message}", hint, warnings)
    return kind(message, hint, warnings)
