"""Options that several verbs have in the same words."""

from __future__ import annotations

from rootless.cli.options import flag, several, text

ALL_UNUSED = flag("-a --all", "Remove all unused images, not just dangling ones")
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
