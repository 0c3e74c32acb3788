"""`rootless-generator`: run by the user's systemd whenever it loads its units.

    rootless-generator NORMAL-DIR [EARLY-DIR LATE-DIR]
    rootless-generator -dryrun [-user] [-v]      print the units, and what is wrong with others

Source: systemd.generator(7).  It must be quick, wait for nothing, and one bad file must not keep
the others from their units.
"""

from __future__ import annotations

import os
import sys

from rootless.errors import RootlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.quadlet.generate import Made

_HELP = """usage: rootless-generator [-dryrun] [-user] [-v] [NORMAL-DIR [EARLY-DIR LATE-DIR]]

Turns .container, .volume and .image files into units of the user's systemd, which runs it by
itself.  By hand:

  -dryrun, --dryrun   print the units instead of writing them
  -user, --user       units of the user; there are no others
  -v, --verbose       say which directories are read and what is written
  -no-kmsg-log        accepted; errors go to standard error
  -version            print the version
"""


def program(argument: str = "") -> list[str]:
    """Return the command that starts `rootless`: beside this program, else on the PATH."""
    beside = os.path.dirname(os.path.realpath(argument or sys.argv[0]))
    path = os.environ.get("PATH", "") or "/usr/local/bin:/usr/bin:/bin"
    for directory in (beside, *path.split(":")):
        candidate = os.path.join(directory, "rootless")
        found = directory.startswith("/") and os.path.isfile(candidate)
        if found and os.access(candidate, os.X_OK):
            return [candidate]
    return [sys.executable, "-m", "rootless"]


def main(arguments: list[str] | None = None) -> int:
    """Run the generator; return its exit status: 1 if a file could not be translated."""
    words = sys.argv[1:] if arguments is None else arguments
    flags = {word.lstrip("-") for word in words if word.startswith("-")}
    places = [word for word in words if not word.startswith("-")]
    unknown = flags - {"dryrun", "user", "v", "verbose", "no-kmsg-log", "version", "h", "help"}
    if unknown or (not places and not flags & {"dryrun", "version", "h", "help"}):
        sys.stderr.write(_HELP)
        return 1
    if flags & {"h", "help"}:
        sys.stdout.write(_HELP)
        return 0
    if "version" in flags:
        # the package's face imports the engine for others; it is loaded already
        print(sys.modules["rootless"].__version__)
        return 0
    return _generate(places[0] if places else "", flags)


def _generate(directory: str, flags: set[str]) -> int:
    from rootless.quadlet import generate, search_paths

    talks = flags & {"v", "verbose"}
    if talks:
        for directory_read in search_paths.all_directories():
            sys.stderr.write(f"rootless-generator: reading {directory_read}\n")
    units = generate.all_units(program())
    if "dryrun" in flags:
        for one in units:
            if one.text:
                sys.stdout.write(f"---{generate.unit_name(one)}---\n{one.text}\n")
        return _tell_all(units)
    try:
        os.makedirs(directory, exist_ok=True)
        for path in generate.write(units, directory):
            if talks:
                sys.stderr.write(f"rootless-generator: wrote {path}\n")
    except OSError as error:
        what = f"{error.filename or directory}: {(error.strerror or '').lower()}"
        _tell(RootlessError(what))
        _tell_all(units)
        return 1
    return _tell_all(units)


def _tell_all(units: list[Made]) -> int:
    """What is wrong with any of them; 1 if anything is."""
    errors = [one.error for one in units if one.error is not None]
    for error in errors:
        _tell(error)
    return 1 if errors else 0


def _tell(error: RootlessError) -> None:
    sys.stderr.write(f"rootless-generator: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"rootless-generator: hint: {error.hint}\n")
