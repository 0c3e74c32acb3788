"""Options that several verbs have in the same words."""

from __future__ import annotations

from rootless.cli.options import flag, several, text

ALL_UNUSED = flag("-a --all", "Remove all unused images, not just dangling ones")
CIDFILE = several(
    "--cidfile", "FILE", "Act on the container whose ID is in a file", complete="file"
)
FILTER = several("-f --filter", "KEY=VALUE", "Act on the containers that match a filter of ps")
LATEST = flag("-l --latest", "Act on the container that was created last")
CHOICE = (LATEST, CIDFILE, FILTER)
CHANGE = several(
    "-c --change", "INSTRUCTION", "Apply a Dockerfile instruction, as in 'CMD [\"sh\"]'"
)
FORCE = flag("-f --force", "Do not prompt for confirmation")
IIDFILE = text("--iidfile", "FILE", "Write the image ID to a file", complete="file")
MESSAGE = text("-m --message", "TEXT", "Set the commit message")
NO_TRUNC = flag("--no-trunc", "Do not truncate output")
NOHEADING = flag("-n --noheading", "Do not print the table headings")
OUTPUT = text("-o --output", "FILE", "Write to a file instead of standard output", complete="file")
QUIET = flag("-q --quiet", "Suppress the progress output")
NAMES_ONLY = flag("-q --quiet", "Print only names")
