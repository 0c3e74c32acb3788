"""The verbs of `rootless-runtime` and their options: names of runc and crun."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, number, several, text

_bundle = text(
    "-b --bundle", "DIR", "Path of the bundle directory (default .)", complete="directory"
)
_config = text(
    "-f --config",
    "FILE",
    "Override the configuration file (default: config.json of the bundle)",
    complete="file",
)
_console = text(
    "--console-socket",
    "PATH",
    "Path of a socket that receives the console's descriptor",
    complete="file",
)
_pid_file = text("--pid-file", "FILE", "Write the process ID to a file", complete="file")
_preserve = number(
    "--preserve-fds", "N", "Pass N additional file descriptors, from 3 on, to the process"
)
_detach = flag("-d --detach", "Detach from the container's process")
_format = text("-f --format", "FORMAT", "Output format: table or json", complete="table json")
_rare = (
    flag(
        "--no-pivot", "Do not use pivot_root", fails="chroot alone would let the container escape"
    ),
    flag("--no-new-keyring", "Do not create a new session keyring"),
    flag("--no-subreaper", "Accepted for compatibility, ignored"),
)

VERBS = {
    "create": Verb(
        "create", "ID", "Create a container",
        (_bundle, _config, _console, _pid_file, _preserve, *_rare), minimum=1, maximum=1,
    ),
    "start": Verb("start", "ID", "Start a created container", minimum=1, maximum=1),
    "run": Verb(
        "run", "ID", "Create and run a container, and delete it after it exits",
        (_bundle, _config, _console, _pid_file, _preserve, *_rare,
         _detach,
         flag("--keep", "Do not delete the container after it exits")),
        minimum=1, maximum=1,
    ),
    "state": Verb("state", "ID", "Output the state of a container as JSON", minimum=1, maximum=1),
    "kill": Verb(
        "kill", "ID [SIGNAL]", "Send a signal to the first process of a container (default TERM)",
        (flag("-a --all",
            "Send the signal to all processes of the container"),), minimum=1, maximum=2,
    ),
    "delete": Verb(
        "delete", "ID", "Delete a stopped container",
        (flag("-f --force", "Kill the container if it is still running; ignore a missing one"),
         flag("--regex", "Take ID as a regular expression", fails="name each container")),
        minimum=1, maximum=1,
    ),
    "exec": Verb(
        "exec", "ID [COMMAND [ARGUMENT...]]", "Execute a new process in a container",
        (
            text("-p --process", "FILE", "Path of the process.json file", complete="file"),
            _console, _pid_file, _preserve,
            _detach,
            flag("-t --tty", "Allocate a pseudo-TTY"),
            text("-u --user", "UID[:GID]", "UID (and optionally GID) of the process"),
            several("-g --additional-gids", "GID", "Add a supplementary GID"),
            text("--cwd", "DIR", "Current working directory in the container"),
            several("-e --env", "NAME=VALUE", "Set an environment variable"),
            several("-c --cap", "CAPABILITY", "Add a capability"),
            flag("--no-new-privs", "Set the no_new_privs flag of the process"),
            text("--cgroup", "PATH", "Path of a sub-cgroup of the container's cgroup"),
            text("--apparmor", "PROFILE", "Set the AppArmor profile of the process"),
            text("--process-label", "LABEL", "Set the SELinux label of the process"),
            flag("--ignore-paused", "Allow exec in a paused container"),
        ),
        minimum=1, stop_early=True,
    ),
    "ps": Verb(
        "ps", "ID [OPTION...]", "List the processes of a container",
        (_format,),
        minimum=1, stop_early=True,
    ),
    "list": Verb(
        "list", "", "List containers",
        (_format,
         flag("-q --quiet", "Display only container IDs")), maximum=0,
    ),
    "pause": Verb("pause", "ID", "Suspend all processes of a container", minimum=1, maximum=1),
    "resume": Verb("resume", "ID",
        "Resume all processes of a paused container", minimum=1, maximum=1),
    "update": Verb(
        "update", "ID", "Update the resource limits of a container",
        (
            text("-r --resources", "FILE",
                "Path of a JSON file with the resources (- for standard input)"),
            number("--memory", "BYTES", "Memory limit in bytes"),
            number("--memory-swap", "BYTES", "Limit of memory plus swap in bytes"),
            number("--memory-reservation", "BYTES", "Memory soft limit in bytes"),
            number("--cpu-period", "MICROSECONDS", "CPU CFS period in microseconds"),
            number("--cpu-quota", "MICROSECONDS", "CPU CFS quota in microseconds"),
            number("--cpu-share", "NUMBER", "CPU shares (relative weight)"),
            text("--cpuset-cpus", "LIST", "CPUs to use"),
            text("--cpuset-mems", "LIST", "Memory nodes to use"),
            number("--pids-limit", "NUMBER", "Maximum number of processes"),
            number("--blkio-weight", "NUMBER", "Block I/O weight (relative weight)"),
        ),
        minimum=1, maximum=1,
    ),
    "spec": Verb(
        "spec", "", "Create a new specification file",
        (_bundle, flag("--rootless",
            "Generate a configuration for a rootless container")), maximum=0,
    ),
    "features": Verb("features", "", "Show the enabled features as JSON", maximum=0),
    "stats": Verb("stats", "ID",
        "Display statistics of a container as JSON, once", minimum=1, maximum=1),
    "events": Verb(
        "events", "ID", "Display statistics of a container as JSON",
        (flag("--stats", "Print the statistics once and exit"), text("--interval", "DURATION",
            "Interval between two statistics, as in 5s")),
        minimum=1, maximum=1,
    ),
}  # fmt: skip
