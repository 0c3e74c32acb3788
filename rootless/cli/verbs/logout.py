"""`rootless logout`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag
from rootless.cli.verbs._registry_options import AUTHFILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "logout",
    "[REGISTRY]",
    "Log out of a registry",
    (flag("-a --all", "Remove the credentials of all registries"), AUTHFILE),
    maximum=1,
    complete=("registry",),
    text="REGISTRY is docker.io by default. Credentials in docker's own file are not removed.",
    examples="rootless logout quay.io\nrootless logout --all",
)


def run(call: Call) -> int:
    """Forget, and say where another password is left."""
    from rootless.cli import output
    from rootless.errors import UsageError

    given = call.options
    engine = call.engine()
    authfile = given["authfile"] or ""
    if given["all"]:
        if call.words:
            raise UsageError("--all takes no REGISTRY", hint="leave one of them out")
        engine.logout_all(authfile=authfile)
        output.line("Removed login credentials for all registries")
        return 0
    name = call.words[0] if call.words else "docker.io"
    left = engine.logout(name, authfile=authfile)
    output.line(f"Removed login credentials for {name}")
    for place in left:
        engine.progress.message(f"note: there is another password for it in {place}")
    return 0
