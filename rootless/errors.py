"""The tree of errors that a person or a program can meet.

    RootlessError                     exit status 125
    +-- UsageError                    a flag, reference or value cannot be understood
    +-- NotFound                      a thing named does not exist
    |   +-- ImageNotFound
    |   +-- ContainerNotFound
    |   +-- VolumeNotFound
    |   `-- NetworkNotFound
    +-- Conflict                      a name is taken, a thing is in use or in the wrong state
    |   `-- InUse                     a thing that is in use, or runs, cannot be removed
    +-- HostError                     this host cannot do what was asked
    +-- TimedOut                      it took longer than the caller would wait
    +-- CommandFailed                 a command that had to succeed did not
    +-- NotOffered                    docker has it, and it is not here
    +-- StorageError                  layers, archives, disk
    |   +-- DigestMismatch
    |   `-- DamagedDocument           what is kept of one thing cannot be read
    +-- RegistryError                 a registry refused, stalled or lied
    +-- RuntimeFailure                the launch of a container failed
    |   +-- CommandNotExecutable      exit status 126
    |   `-- CommandNotFound           exit status 127
    `-- Interrupted                   exit status 130

The message is one sentence in lower case that contains the offending value; ``hint`` is a second
one with the remedy.  This module is loaded by every command, so it imports nothing.
"""

from __future__ import annotations


class RootlessError(Exception):
    """Base of all errors raised on purpose.  ``str(error)`` is the sentence."""

    exit_code = 125

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(RootlessError):
    """A flag, a reference or a value cannot be understood."""


class NotFound(RootlessError):
    """A thing that was named does not exist."""


class ImageNotFound(NotFound):
    """No image has this name or id."""


class ContainerNotFound(NotFound):
    """No container has this name or id."""


class VolumeNotFound(NotFound):
    """No volume has this name."""


class NetworkNotFound(NotFound):
    """No network has this name."""


class Conflict(RootlessError):
    """A name is taken, or a thing is in use or in a state that forbids the request."""


class InUse(Conflict):
    """A thing that is in use, or that runs, cannot be removed."""


class HostError(RootlessError):
    """This host cannot do what was asked; the hint names what its administrator can do."""


class TimedOut(RootlessError, TimeoutError):
    """It took longer than the caller would wait; `output`, `error`: what was written until then."""

    def __init__(
        self, message: str, *, hint: str = "", output: bytes = b"", error: bytes = b""
    ) -> None:
        super().__init__(message, hint=hint)
        self.output = output
        self.error = error


class CommandFailed(RootlessError):
    """A command that had to succeed did not.

    `exit_code` and `exit_status` are how it ended, `output` and `error` what it wrote.
    """

    def __init__(
        self, where: str, command: list[str], code: int, *, output: bytes, error: bytes
    ) -> None:
        words = " ".join(command)
        told = (error.strip() or output.strip()).decode(errors="replace").splitlines()[-5:]
        super().__init__(f"{words} ended with {code} in {where}", hint="\n".join(told))
        self.command = command
        self.exit_code = self.exit_status = code
        self.output = output
        self.error = self.stderr = error


class NotOffered(RootlessError):
    """What docker's Python client has and this library has not."""


class StorageError(RootlessError):
    """Layers, archives or the disk failed."""


class DigestMismatch(StorageError):
    """Content does not have the digest or the size that was promised."""


class DamagedDocument(StorageError):
    """A document of the store is not JSON, or of another shape.

    `path`: which one; `problem`: what is wrong with it.
    """

    def __init__(self, message: str, *, hint: str = "", path: str = "", problem: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.problem = problem


class NewerDocument(DamagedDocument):
    """A document of the store is of a version that this program does not know: not to be repaired,
    and not to be written anew."""


class RegistryError(RootlessError):
    """A registry refused, stalled or lied."""


class RuntimeFailure(RootlessError):
    """A container could not be launched."""


class CommandNotExecutable(RuntimeFailure):
    """The command exists and cannot be executed."""

    exit_code = 126


class CommandNotFound(RuntimeFailure):
    """The command does not exist in the container."""

    exit_code = 127


class Interrupted(RootlessError):
    """The person pressed ^C."""

    exit_code = 130
