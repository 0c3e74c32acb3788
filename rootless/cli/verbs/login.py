"""`rootless login`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, text
from rootless.cli.verbs._registry_options import AUTHFILE, CERT_DIR, TLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.documents import Json

VERB = Verb(
    "login",
    "[REGISTRY]",
    "Log in to a registry",
    (
        AUTHFILE,
        CERT_DIR,
        flag("--get-login", "Print the user that is logged in"),
        text(
            "-p --password", "PASSWORD", "Password for the registry (visible in the process list)"
        ),
        flag("--password-stdin", "Read the password from standard input"),
        TLS,
        text("-u --username", "NAME", "Username for the registry"),
        flag("-v --verbose", "Print where the credentials are stored"),
    ),
    maximum=1,
    complete=("registry",),
    text="REGISTRY is a host with an optional port and namespace (default docker.io). The "
    "password is verified and then stored in $XDG_RUNTIME_DIR/containers/auth.json, in "
    "$REGISTRY_AUTH_FILE or --authfile, or by a credential helper. Credentials stored by "
    "podman, skopeo and docker are used as well.",
    examples="rootless login quay.io\nrootless login -u ann --password-stdin quay.io <secret",
)


def run(call: Call) -> int:
    """Ask for what is missing, try it, keep it."""
    from rootless.cli import output
    from rootless.cli.verbs import _registry_options as registry
    from rootless.errors import RegistryError

    given = call.options
    engine = call.engine()
    name = call.words[0] if call.words else "docker.io"
    _agree(given)
    known = engine.logged_in(name, authfile=given["authfile"] or "")
    if given["get_login"]:
        return _tell(name, known)
    words: Json = {"authfile": given["authfile"] or "", "tls_verify": registry.verify(given),
             "cert_dir": given["cert_dir"] or ""}  # fmt: skip
    if known and not given["username"] and not given["password_stdin"] and not given["password"]:
        try:
            engine.login(registry=name, **words)
        except RegistryError:
            pass
        else:
            output.line(f"Already logged in to {name} as {known}")
            return 0
    user, password = _ask(given, known)
    where = engine.login(user, password, registry=name, **words)
    if given["verbose"]:
        output.line(f"Used: {where['Kept']}")
    output.line("Login Succeeded!")
    return 0


def _agree(given: dict[str, Json]) -> None:
    from rootless.errors import UsageError

    if given["password"] is not None and given["password_stdin"]:
        raise UsageError("--password and --password-stdin exclude each other",
                         hint="give one of them")  # fmt: skip
    if given["password_stdin"] and not given["username"]:
        raise UsageError("--password-stdin needs --username", hint="-u NAME --password-stdin")


def _tell(name: str, known: str) -> int:
    from rootless.cli import output
    from rootless.errors import UsageError

    if not known:
        raise UsageError(f"you are not logged in to {name}", hint=f"rootless login {name}")
    output.line(known)
    return 0


def _ask(given: dict[str, Json], known: str) -> tuple[str, str]:
    """Name and password, from the options, standard input, or the person."""
    import sys

    from rootless.errors import UsageError

    if given["password_stdin"]:
        # one end of line belongs to whoever wrote it with echo
        text = sys.stdin.buffer.read(1 << 16).decode()
        password = text.removesuffix("\n").removesuffix("\r")
        if not password:
            raise UsageError("standard input has no password", hint="echo PASSWORD | rootless ...")
        return given["username"], password
    user, password = given["username"], given["password"]
    if (user is None or password is None) and not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask for a password",
            hint="rootless login -u NAME --password-stdin",
        )
    import getpass

    if user is None:
        shown = f" ({known})" if known else ""
        user = input(f"Username{shown}: ") or known
    if password is None:
        password = getpass.getpass("Password: ")
    return user, password
