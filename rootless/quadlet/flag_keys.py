"""Keys of `.container` files that are options of `run`.

Made from rootless/cli/container_flags.py by `python -m rootless.cli.generate`; not to be edited.
"""

from __future__ import annotations

# key: flag; the last assignment counts
LAST = {
    "CgroupsMode": "--cgroups",
    "Entrypoint": "--entrypoint",
    "HealthCmd": "--health-cmd",
    "HealthInterval": "--health-interval",
    "HealthLogDestination": "--health-log-destination",
    "HealthMaxLogCount": "--health-max-log-count",
    "HealthMaxLogSize": "--health-max-log-size",
    "HealthOnFailure": "--health-on-failure",
    "HealthRetries": "--health-retries",
    "HealthStartPeriod": "--health-start-period",
    "HealthStartupCmd": "--health-startup-cmd",
    "HealthStartupInterval": "--health-startup-interval",
    "HealthStartupRetries": "--health-startup-retries",
    "HealthStartupSuccess": "--health-startup-success",
    "HealthStartupTimeout": "--health-startup-timeout",
    "HealthTimeout": "--health-timeout",
    "HostName": "--hostname",
    "IP": "--ip",
    "IP6": "--ip6",
    "LogDriver": "--log-driver",
    "Memory": "--memory",
    "PidsLimit": "--pids-limit",
    "Pull": "--pull",
    "ShmSize": "--shm-size",
    "StopSignal": "--stop-signal",
    "StopTimeout": "--stop-timeout",
    "Timezone": "--tz",
    "UserNS": "--userns",
    "WorkingDir": "--workdir",
}
# each assignment is one value
EACH = {
    "AddHost": "--add-host",
    "DNS": "--dns",
    "DNSOption": "--dns-option",
    "DNSSearch": "--dns-search",
    "ExposeHostPort": "--expose",
    "GIDMap": "--gidmap",
    "GroupAdd": "--group-add",
    "LogOpt": "--log-opt",
    "NetworkAlias": "--network-alias",
    "PublishPort": "--publish",
    "Tmpfs": "--tmpfs",
    "UIDMap": "--uidmap",
    "Ulimit": "--ulimit",
}
# each word of each assignment is one value
WORDS = {
    "AddCapability": "--cap-add",
    "Annotation": "--annotation",
    "DropCapability": "--cap-drop",
    "Environment": "--env",
    "Label": "--label",
    "Sysctl": "--sysctl",
}
# there or not
FLAGS = {
    "EnvironmentHost": "--env-host",
    "ReadOnly": "--read-only",
    "RunInit": "--init",
}
