"""Git repositories as contexts and as sources of ADD.

A repository is a stranger's: no hooks run (a fresh clone has none of its own, and templates are
off), only the transports git, http(s) and ssh are used, `ext::` and its like never, the user's and
the host's configuration of git is not read, submodules may not name local paths, and what could be
a flag is never in a flag's place.  Credentials go by the environment, never by the command line,
and addresses are shown without them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit, urlunsplit

from rootless.errors import HostError, StorageError, UsageError

_SECONDS = 600
_DEEPEST = 16  # submodules of submodules

# from the address of a repository to the one that git is given, and settings for it
Reach = Callable[[str], tuple[str, list[tuple[str, str]]]]


@dataclass(frozen=True)
class Address:
    """A repository, and what of it is wanted."""

    remote: str
    reference: str = ""
    subdirectory: str = ""
    checksum: str = ""
    submodules: bool = True
    keep: bool = False


@dataclass(frozen=True)
class Checkout:
    """What was fetched: the directory, the commit, the address as it may be shown."""

    path: str
    commit: str
    shown: str


def is_repository(text: str) -> bool:
    """Whether a context or a source names a git repository."""
    if text.startswith(("git://", "ssh://", "git@")):
        return True
    if text.startswith(("http://", "https://")):
        try:
            return urlsplit(text).path.endswith(".git")
        except ValueError:
            return False  # who fetches it says what is wrong
    if text.startswith("github.com/"):
        return True
    # scp-like, as in user@host:path.git
    head, colon, path = text.partition(":")
    return bool(
        colon and "@" in head and "/" not in head and path.partition("#")[0].endswith(".git")
    )


def parse(text: str) -> Address:
    """`ADDRESS[?branch=…&tag=…&ref=…&subdir=…&checksum=…][#REF[:SUBDIRECTORY]]`.  UsageError."""
    if text.startswith("github.com/"):
        text = "https://" + text
    remote, _, fragment = text.partition("#")
    reference, _, subdirectory = fragment.partition(":")
    checksum, submodules, keep = "", True, False
    head, question, query = remote.partition("?")
    if question:
        remote = head
        for name, values in parse_qs(query, keep_blank_values=True).items():
            value = values[-1]
            if name in ("ref", "branch", "tag"):
                prefix = {"branch": "refs/heads/", "tag": "refs/tags/"}.get(name, "")
                reference = prefix + value
            elif name == "subdir":
                subdirectory = value
            elif name in ("checksum", "commit"):
                checksum = value
            elif name == "submodules":
                submodules = value not in ("0", "false")
            elif name == "keep-git-dir":
                keep = value not in ("0", "false")
            else:
                raise UsageError(
                    f'the address of the git repository has an unknown part "{name}"',
                    hint="ref, branch, tag, subdir, checksum, submodules or keep-git-dir",
                )
    for one in (remote, reference, checksum):
        if one.startswith("-") or "\n" in one or "\0" in one:
            raise UsageError("the address of the git repository cannot be meant")
    if ".." in subdirectory.split("/"):
        raise UsageError(f'the directory "{subdirectory}" is outside the git repository')
    return Address(remote, reference, subdirectory.strip("/"), checksum, submodules, keep)


def shown(remote: str) -> str:
    """The address without what may be a password."""
    if "://" not in remote:
        return remote
    try:
        parts = urlsplit(remote)
    except ValueError:
        # any text may be asked about, as that of a RUN
        scheme, _, rest = remote.partition("://")
        return f"{scheme}://***@{rest.rpartition('@')[2]}" if "@" in rest else remote
    if "@" not in parts.netloc:
        return remote
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]))


def checkout(
    text: str | Address,
    directory: str,
    *,
    keep_git: bool = False,
    secret: Callable[[str], bytes | None] = lambda _: None,
    ssh_agent: str = "",
    reach: Reach | None = None,
) -> Checkout:
    """Fetch a repository into an existing directory.

    `secret`: asked for GIT_AUTH_TOKEN and GIT_AUTH_HEADER.  `ssh_agent`: the socket for ssh://.
    `reach`: asked for each address that git is to go to, also those that submodules have.
    Raises UsageError, HostError (no git), StorageError (git failed).
    """
    address = parse(text) if isinstance(text, str) else text
    header = _header(address, secret)
    remote, more = address.remote, list[tuple[str, str]]()
    if reach is not None:
        remote, more = reach(remote)
        if header:
            remote = address.remote  # a token goes nowhere else
    environment = _environment(address, header, ssh_agent, more)
    tree = os.path.join(directory, "tree")
    os.mkdir(tree, 0o755)
    run = _Runner(tree, environment, address)
    run("init", "--quiet", "--template=", ".")
    run("remote", "add", "origin", remote)
    wanted = address.reference or "HEAD"
    _fetch(run, wanted)
    commit = run("rev-parse", "HEAD").strip()
    if address.checksum and not commit.startswith(address.checksum):
        raise StorageError(
            f"the git repository {shown(address.remote)} has the commit {commit} there, not "
            f"{address.checksum}"
        )
    if address.submodules and reach is not None:
        _submodules(run, reach)
    elif address.submodules and os.path.exists(os.path.join(tree, ".gitmodules")):
        run("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1")
    if not (keep_git or address.keep):
        _forget_git(tree)
    path = tree
    if address.subdirectory:
        from rootless.build import resolve

        root = resolve.open_root(tree)
        try:
            real = resolve.canonical(root, address.subdirectory)
            found = resolve.lookup(root, real)
        finally:
            os.close(root)
        if found is None:
            raise UsageError(
                f'the git repository {shown(address.remote)} has no "{address.subdirectory}"'
            )
        path = os.path.join(tree, real)
    return Checkout(path, commit, shown(address.remote))


def _submodules(run: _Runner, reach: Reach, level: int = 0) -> None:
    """Fetch what a tree has in it, one level after the other: a stranger's repository could name
    services of this machine there."""
    if not os.path.exists(os.path.join(run.tree, ".gitmodules")):
        return
    if level == _DEEPEST:
        raise StorageError(f"the git repository has submodules {_DEEPEST} levels deep")
    run("submodule", "--quiet", "init")
    try:
        listed = run("config", "--local", "--null", "--get-regexp", r"^submodule\..*\.url$")
    except StorageError:
        return  # git knows of none
    for one in listed.split("\0"):
        name, newline, remote = one.partition("\n")
        if newline:
            found, more = reach(remote)
            run.add(more)
            run("config", "--local", name, found)
    try:
        run("submodule", "--quiet", "update", "--depth=1")
    except StorageError:
        # servers of plain files give no part of a history
        run("submodule", "--quiet", "update")
    # from the index, whose paths git has looked at
    for one in run("ls-files", "--stage", "-z").split("\0"):
        head, _, path = one.partition("\t")
        if head.startswith("160000 "):
            _submodules(run.below(path), reach, level + 1)


def _fetch(run: _Runner, wanted: str) -> None:
    """Check out a reference or a commit, of as little history as the server gives."""
    try:
        run("fetch", "--quiet", "--depth=1", "--no-tags", "--", "origin", wanted)
        run("checkout", "--quiet", "--detach", "FETCH_HEAD")
        return
    except StorageError as error:
        shallow = error
    # servers of plain files give no part of a history, and not every server gives a commit that
    # nothing points to: then everything is fetched
    branches = "+refs/heads/*:refs/remotes/origin/*"
    try:
        run("fetch", "--quiet", "--tags", "--", "origin", "HEAD", branches)
        if wanted == "HEAD":
            run("checkout", "--quiet", "--detach", "FETCH_HEAD")
            return
    except StorageError:
        raise shallow from None
    name = wanted.removeprefix("refs/heads/")
    for candidate in (f"refs/remotes/origin/{name}", wanted, f"refs/tags/{wanted}"):
        try:
            commit = f"{candidate}^{{commit}}"
            found = run("rev-parse", "--verify", "--quiet", "--end-of-options", commit)
        except StorageError:
            continue
        run("checkout", "--quiet", "--detach", found.strip())
        return
    raise shallow


def _environment(
    address: Address, header: str, ssh_agent: str, more: list[tuple[str, str]]
) -> dict[str, str]:
    made = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "git:http:https:ssh",
        "GIT_SSH_COMMAND": "ssh -F /dev/null -oBatchMode=yes",
    }
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
                 "SSL_CERT_FILE", "GIT_SSL_CAINFO"):  # fmt: skip
        if name in os.environ:
            made[name] = os.environ[name]
    known = os.path.expanduser("~/.ssh/known_hosts")
    if os.path.exists(known):
        made["GIT_SSH_COMMAND"] += f" -oUserKnownHostsFile={known}"
    if ssh_agent:
        made["SSH_AUTH_SOCK"] = ssh_agent
    settings = [
        ("core.hooksPath", "/dev/null"),
        ("protocol.ext.allow", "never"),
        ("protocol.file.allow", "never"),
        ("core.symlinks", "true"),
        ("transfer.fsckObjects", "true"),
        ("credential.helper", ""),
        ("advice.detachedHead", "false"),
        ("init.defaultBranch", "main"),
    ]
    if header:
        parts = urlsplit(address.remote)
        server = f"http.{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
        settings.append((f"{server}.extraHeader", header))
        # curl sends the header again to wherever the server redirects, another host included
        settings.append((f"{server}.followRedirects", "false"))
    made["GIT_CONFIG_COUNT"] = "0"
    _add_settings(made, [*settings, *more])
    return made


def _add_settings(environment: dict[str, str], settings: list[tuple[str, str]]) -> None:
    first = int(environment["GIT_CONFIG_COUNT"])
    for number, (name, value) in enumerate(settings, first):
        environment[f"GIT_CONFIG_KEY_{number}"] = name
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    environment["GIT_CONFIG_COUNT"] = str(first + len(settings))


def _header(address: Address, secret: Callable[[str], bytes | None]) -> str:
    if not address.remote.startswith(("http://", "https://")):
        return ""
    host = urlsplit(address.remote).hostname or ""
    for name in (f"GIT_AUTH_HEADER.{host}", "GIT_AUTH_HEADER"):
        if value := secret(name):
            return "Authorization: " + value.decode("utf-8", "replace").strip()
    for name in (f"GIT_AUTH_TOKEN.{host}", "GIT_AUTH_TOKEN"):
        if value := secret(name):
            import base64

            pair = b"x-access-token:" + value.strip()
            return "Authorization: basic " + base64.b64encode(pair).decode()
    return ""


class _Runner:
    def __init__(self, tree: str, environment: dict[str, str], address: Address) -> None:
        self.tree = tree
        self._environment = environment
        self._address = address

    def add(self, settings: list[tuple[str, str]]) -> None:
        """Settings for all that follows."""
        _add_settings(self._environment, settings)

    def below(self, path: str) -> _Runner:
        """The same for the repository of a submodule."""
        return _Runner(os.path.join(self.tree, path), dict(self._environment), self._address)

    def __call__(self, *words: str) -> str:
        import subprocess

        argv = ["git", "-C", self.tree, *words]
        try:
            done = subprocess.run(
                argv, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=_SECONDS, check=False,
            )  # fmt: skip
        except FileNotFoundError:
            raise HostError(
                "git is needed for a repository and is not installed", hint="apt install git"
            ) from None
        except subprocess.TimeoutExpired:
            raise StorageError(
                f"git {words[0]} of {shown(self._address.remote)} took longer than "
                f"{_SECONDS} seconds"
            ) from None
        if done.returncode == 0:
            return done.stdout.decode("utf-8", "replace")
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")
        # the address may have a password in it
        last = said[-1].replace(self._address.remote, shown(self._address.remote))
        raise StorageError(
            f"git {words[0]} of {shown(self._address.remote)} failed: {last}",
            hint="check the address, and the name after the # if there is one",
        )


def _forget_git(tree: str) -> None:
    import shutil

    for base, names, files in os.walk(tree):
        if ".git" in names:
            shutil.rmtree(os.path.join(base, ".git"), ignore_errors=True)
            names.remove(".git")
        if ".git" in files:
            os.unlink(os.path.join(base, ".git"))
