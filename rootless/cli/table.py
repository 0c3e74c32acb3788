"""All verbs: their words, the module that has each, and a sentence for the list of commands."""

from __future__ import annotations

# verb: (module below rootless.cli.verbs, summary); "image ls" is a verb of two words
VERBS = {
    "attach": ("attach", "Connect to the streams of a running container"),
    "commit": ("commit", "Make an image of a container"),
    "completion": ("completion", "Print the completion script of a shell"),
    "cp": ("cp", "Copy files between a container and the host"),
    "create": ("create", "Make a container without starting it"),
    "diff": ("diff", "Show what a container changed in its files"),
    "doctor": ("doctor", "Check what this host can do, and say what mends it"),
    "events": ("events", "Show what happens to containers, images, volumes and networks"),
    "exec": ("exec", "Run a command in a running container"),
    "explain": ("explain", "Show a container as processes, namespaces, ids, mounts"),
    "export": ("export", "Write a container's file system to a tar"),
    "images": ("images", "List images"),
    "import": ("import_", "Make an image of a root file system's tar"),
    "info": ("info", "Show this host and the choices made on it"),
    "inspect": ("inspect", "Show everything about containers, images or volumes"),
    "kill": ("kill", "Send a signal to containers"),
    "load": ("load", "Load images from an archive"),
    "logs": ("logs", "Show what a container wrote"),
    "pause": ("pause", "Freeze containers"),
    "port": ("port", "List the published ports of a container"),
    "prune": ("prune", "Remove stopped containers and unused images"),
    "ps": ("ps", "List containers"),
    "pull": ("pull", "Fetch an image"),
    "rename": ("rename", "Give a container another name"),
    "restart": ("restart", "Stop and start containers"),
    "rm": ("rm", "Remove containers"),
    "rmi": ("rmi", "Remove images"),
    "run": ("run", "Make a container and run a command in it"),
    "runtime": ("runtime", "An OCI runtime that needs no root, as a command of its own"),
    "save": ("save", "Write images to an archive"),
    "start": ("start", "Start containers"),
    "stats": ("stats", "Show what containers use"),
    "stop": ("stop", "Stop containers"),
    "tag": ("tag", "Give an image a further name"),
    "top": ("top", "List the processes of a container"),
    "unpause": ("unpause", "Let frozen containers go on"),
    "unshare": ("unshare", "Run a command in your user namespace, as its root"),
    "update": ("update", "Change the limits of containers"),
    "version": ("version", "Show versions"),
    "wait": ("wait", "Wait until containers end, and print their exit status"),
    "container prune": ("container_prune", "Remove stopped containers"),
    "image prune": ("image_prune", "Remove unused images"),
    "volume create": ("volume_create", "Make a volume"),
    "volume inspect": ("volume_inspect", "Show everything about volumes"),
    "volume ls": ("volume_ls", "List volumes"),
    "volume prune": ("volume_prune", "Remove volumes that no container uses"),
    "volume rm": ("volume_rm", "Remove volumes"),
}

GROUPS = {
    "container": "Verbs of containers",
    "image": "Verbs of images",
    "volume": "Verbs of volumes",
    "system": "Verbs of the whole",
}

# other spellings, docker's and podman's
ALIASES = {
    "container attach": "attach",
    "container stats": "stats",
    "container update": "update",
    "container commit": "commit",
    "container cp": "cp",
    "container create": "create",
    "container diff": "diff",
    "container exec": "exec",
    "container export": "export",
    "container inspect": "inspect",
    "container kill": "kill",
    "container list": "ps",
    "container logs": "logs",
    "container ls": "ps",
    "container pause": "pause",
    "container port": "port",
    "container ps": "ps",
    "container rename": "rename",
    "container restart": "restart",
    "container rm": "rm",
    "container run": "run",
    "container start": "start",
    "container stop": "stop",
    "container top": "top",
    "container unpause": "unpause",
    "container wait": "wait",
    "image import": "import",
    "image inspect": "inspect",
    "image list": "images",
    "image load": "load",
    "image ls": "images",
    "image pull": "pull",
    "image rm": "rmi",
    "image save": "save",
    "image tag": "tag",
    "system events": "events",
    "system info": "info",
    "system prune": "prune",
    "volume list": "volume ls",
    "volume remove": "volume rm",
}

# what `inspect` looks at when it is a verb of a group
INSPECTS = {"container inspect": "container", "image inspect": "image"}

# parsed without click
LEAN = frozenset(
    """run exec ps start stop logs inspect images create rm kill wait attach port version rename
    unshare""".split()
)
