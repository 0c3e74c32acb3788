"""The verbs of `rootless-runtime` and their options: names of runc and crun."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, number, several, text

_bundle = text("-b --bundle", "DIR", "the directory with config.json (.)", complete="directory")
_config = text("-f --config", "FILE", "another configuration than DIR/config.json", complete="file")
_console = text("--console-socket", "PATH", "a socket that gets the terminal", complete="file")
_pid_file = text("--pid-file", "FILE", "write the pid of the process to FILE", complete="file")
_preserve = number("--preserve-fds", "N", "N further descriptors, from 3 on, are the process's")
_rare = (
    flag("--no-pivot", "refused: leaving the old root by chroot alone would be a way out"),
    flag("--no-new-keyring", "leave it the session keyring of the caller"),
    flag("--no-subreaper", "taken and not used"),
)

VERBS = {
    "create": Verb(
        "create", "ID", "Make a container, which waits for `start`",
        (_bundle, _config, _console, _pid_file, _preserve, *_rare), minimum=1, maximum=1,
    ),
    "start": Verb("start", "ID", "Let a created container run", minimum=1, maximum=1),
    "run": Verb(
        "run", "ID", "Make a container, run it and remove it",
        (_bundle, _config, _console, _pid_file, _preserve, *_rare,
         flag("-d --detach", "do not wait for its end"),
         flag("--keep", "do not remove it at its end")),
        minimum=1, maximum=1,
    ),
    "state": Verb("state", "ID", "Print the state of a container as JSON", minimum=1, maximum=1),
    "kill": Verb(
        "kill", "ID [SIGNAL]", "Send a signal to the first process (TERM)",
        (flag("-a --all", "to all its processes"),), minimum=1, maximum=2,
    ),
    "delete": Verb(
        "delete", "ID", "Remove a container that has ended",
        (flag("-f --force", "kill it first; no error when it does not exist"),
         flag("--regex", "refused: name each container")), minimum=1, maximum=1,
    ),
    "exec": Verb(
        "exec", "ID [COMMAND [ARGUMENT...]]", "Run a further process in a container",
        (
            text("-p --process", "FILE", "the process as in config.json", complete="file"),
            _console, _pid_file, _preserve,
            flag("-d --detach", "do not wait for its end"),
            flag("-t --tty", "with a terminal"),
            text("-u --user", "UID[:GID]", "as this user"),
            several("-g --additional-gids", "GID", "a further group"),
            text("--cwd", "DIR", "in this directory"),
            several("-e --env", "NAME=VALUE", "with this variable"),
            several("-c --cap", "CAPABILITY", "with this capability"),
            flag("--no-new-privs", "it and its children gain no rights by executing"),
            text("--cgroup", "PATH", "in this cgroup below the container's"),
            text("--apparmor", "PROFILE", "confined by this profile"),
            text("--process-label", "LABEL", "with this label of SELinux"),
            flag("--ignore-paused", "wait in a frozen container instead of refusing"),
        ),
        minimum=1, stop_early=True,
    ),
    "ps": Verb(
        "ps", "ID [OPTION...]", "List the processes of a container",
        (text("-f --format", "FORMAT", "table or json", complete="table json"),),
        minimum=1, stop_early=True,
    ),
    "list": Verb(
        "list", "", "List containers",
        (text("-f --format", "FORMAT", "table or json", complete="table json"),
         flag("-q --quiet", "ids only")), maximum=0,
    ),
    "pause": Verb("pause", "ID", "Freeze a container", minimum=1, maximum=1),
    "resume": Verb("resume", "ID", "Let a frozen container go on", minimum=1, maximum=1),
    "update": Verb(
        "update", "ID", "Change limits",
        (
            text("-r --resources", "FILE", "linux.resources as JSON; - for standard input"),
            number("--memory", "BYTES", "memory"),
            number("--memory-swap", "BYTES", "memory and swap together"),
            number("--memory-reservation", "BYTES", "memory that is taken last"),
            number("--cpu-period", "MICROSECONDS", "length of a period"),
            number("--cpu-quota", "MICROSECONDS", "processor time in a period"),
            number("--cpu-share", "NUMBER", "weight against others"),
            text("--cpuset-cpus", "LIST", "processors"),
            text("--cpuset-mems", "LIST", "memory nodes"),
            number("--pids-limit", "NUMBER", "processes"),
            number("--blkio-weight", "NUMBER", "weight of reads and writes"),
        ),
        minimum=1, maximum=1,
    ),
    "spec": Verb(
        "spec", "", "Write a configuration to begin with",
        (_bundle, flag("--rootless", "for a user without root")), maximum=0,
    ),
    "features": Verb("features", "", "Print what this runtime knows as JSON", maximum=0),
    "stats": Verb("stats", "ID", "Print statistics as JSON, once", minimum=1, maximum=1),
    "events": Verb(
        "events", "ID", "Print statistics as JSON",
        (flag("--stats", "once, and end"), text("--interval", "DURATION", "as 5s")),
        minimum=1, maximum=1,
    ),
}  # fmt: skip
