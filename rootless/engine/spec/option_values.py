"""How values of options are kept, and which forms of them the library takes.

One vocabulary serves the command line and the library.  The library also understands the words of
docker's Python client where they differ (`environment`, `volumes`, `ports`, `remove`, …).
"""

from __future__ import annotations

from rootless.engine.common import arguments
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.images.registry.http import Settings


class OptionValues:
    """Attributes with defaults; names that are not known are refused.

    LISTS, FLAGS, TEXTS: the names by what they hold without a value: [], False or None.
    NUMBERS: those of TEXTS that hold whole numbers.  ARGV: those that may be lists of arguments.
    ALIASES: other names for them.
    """

    LISTS: tuple[str, ...] = ()
    FLAGS: tuple[str, ...] = ()
    TEXTS: tuple[str, ...] = ()
    NUMBERS: tuple[str, ...] = ()
    ARGV: tuple[str, ...] = ()
    ALIASES: dict[str, str] = {}

    def __init__(self, **words: object) -> None:
        table = self.__dict__
        for name in self.LISTS:
            table[name] = []
        for name in self.FLAGS:
            table[name] = False
        for name in self.TEXTS:
            table[name] = None
        for name, value in words.items():
            self._take(name, value)

    def _take(self, name: str, value: object) -> None:
        if name in self.ALIASES:
            name = self.ALIASES[name]
        if name not in self.__dict__:
            raise UsageError(
                f'unknown option "{name}"', hint="options are named as the command line's, with _"
            )
        if name in _COMMANDS:
            self.__dict__[name] = arguments.command(value)
        elif name in self.LISTS:
            self.__dict__[name] = _list(name, value)
        elif name in self.FLAGS:
            self.__dict__[name] = _flag(name, value)
        elif name in self.NUMBERS:
            self.__dict__[name] = _number(name, value)
        elif value is None or isinstance(value, str):
            self.__dict__[name] = value
        elif name in self.ARGV and isinstance(value, (list, tuple)):
            self.__dict__[name] = arguments.words(_shown(name), value)
        elif name == "restart" and isinstance(value, dict):
            self.__dict__[name] = _restart(value)
        else:
            self.__dict__[name] = arguments.word(_shown(name), value)


def _health_options(table: dict[str, Any]) -> dict[str, object]:
    """Make options of docker's Python client's one table, with times in nanoseconds."""
    names = {
        "interval": "health_interval",
        "timeout": "health_timeout",
        "start_period": "health_start_period",
        "start_interval": "health_start_interval",
    }
    made: dict[str, object] = {}
    for key, value in table.items():
        low = key.lower().replace("startperiod", "start_period")
        low = low.replace("startinterval", "start_interval")
        if not value and low in (*names, "test", "retries"):
            continue  # docker's API: what the image says, or the default
        if low == "test":
            made["health_cmd"] = value
        elif low == "retries":
            made["health_retries"] = value
        elif low in names:
            made[names[low]] = f"{value / 1000000000}s"
        else:
            raise UsageError(f'unknown key "{key}" of a health check')
    return made


class ContainerValues(OptionValues):
    """What ContainerOptions has besides its table of fields."""

    if TYPE_CHECKING:
        image: str
        command: list[str]
        create_command: list[str]
        registry: tuple[bool | None, Settings | None]

    def __init__(self, image: str, **words: object) -> None:
        self.image = image
        # how the image is fetched, if it must be: as `tls_verify` and `settings` of `pull`
        self.registry = (None, None)
        if words.get("healthcheck"):
            words.update(_health_options(words.pop("healthcheck")))  # type: ignore[arg-type]
        super().__init__(**words)


class ExecOptions(OptionValues):
    """Options of `exec`."""

    LISTS = ("command", "env", "env_file")
    FLAGS = ("detach", "interactive", "tty", "privileged")
    TEXTS = ("workdir", "user", "detach_keys")
    ALIASES = {"environment": "env", "stdin_open": "interactive", "working_dir": "workdir"}

    if TYPE_CHECKING:
        command: list[str]
        env: list[str]
        env_file: list[str]
        detach: bool
        interactive: bool
        tty: bool
        privileged: bool
        workdir: str | None
        user: str | None
        detach_keys: str | None


# one program with its arguments
_COMMANDS = ("command", "create_command")


def _number(name: str, value: object) -> int | None:
    if value is None:
        return None
    try:
        return int(str(value))
    except ValueError:
        flag = name.replace("_", "-")
        raise UsageError(f'invalid --{flag} "{value}"', hint="a whole number") from None


def _shown(name: str) -> str:
    return f"the option {name}"


def _flag(name: str, value: object) -> bool:
    # bool("false") is True
    if isinstance(value, str):
        raise UsageError(f'the option {name} is True or False, not "{value}"')
    return bool(value)


def _restart(policy: dict[str, object]) -> str:
    """docker-py: {"Name": "on-failure", "MaximumRetryCount": 5}."""
    unknown = [key for key in policy if key not in ("Name", "MaximumRetryCount")]
    if unknown:
        raise UsageError(
            f'unknown word "{unknown[0]}" of a restart policy', hint="Name, MaximumRetryCount"
        )
    name, count = str(policy.get("Name") or "no"), policy.get("MaximumRetryCount")
    return f"{name}:{count}" if count else name


def _list(name: str, value: object) -> list[str]:
    """Words; a table becomes NAME=VALUE words, or what the flag of that name expects."""
    if isinstance(value, dict):
        made = []
        for key, one in value.items():
            key = arguments.word(_shown(name), key)
            # docker-py: {"80/tcp": [8080, 8081]} is two ports
            several = one if name == "publish" and isinstance(one, list) else [one]
            made += [_pair(name, key, part) for part in several]
        return made
    if isinstance(value, (list, tuple)):
        return [_in_list(name, one) for one in value]
    return arguments.words(_shown(name), value)


def _in_list(name: str, value: object) -> str:
    if name == "ulimit" and isinstance(value, dict):
        # docker-py: Ulimit(name="nofile", soft=1024, hard=2048)
        low = {str(key).lower(): one for key, one in value.items()}
        soft, hard = low.get("soft"), low.get("hard")
        soft, hard = hard if soft is None else soft, soft if hard is None else hard
        return f"{low.get('name')}={soft}:{hard}"
    return arguments.word(_shown(name), value)


def _pair(name: str, key: str, value: object) -> str:
    if name == "volume":
        # docker-py: {source: {"bind": target, "mode": "ro"}}
        if not isinstance(value, dict):
            return f"{key}:{arguments.word(_shown(name), value)}"
        if unknown := [one for one in ("bind", *value) if one not in value or one not in _BIND]:
            raise UsageError(
                f'the volume "{key}" is described by bind and mode, not {value!r}',
                hint=f"what about {unknown[0]}?",
            )
        return f"{key}:{value['bind']}:{value.get('mode', 'rw')}"
    if name == "publish" and isinstance(value, tuple):
        # docker-py: {"80/tcp": 8080} or (address, port), or (address,) for any port
        return ":".join([*(str(one) for one in value), *([""] if len(value) == 1 else []), key])
    if value is None:
        return key
    text = str(value) if isinstance(value, bool) else arguments.word(_shown(name), value)
    if name == "publish":
        return f"{text}:{key}"
    # docker-py: tmpfs={"/mnt": "size=3G,uid=1000"}
    if name in ("add_host", "tmpfs"):
        return f"{key}:{text}" if text else key
    return f"{key}={text}"


_BIND = ("bind", "mode")


def truth(flag: str, value: str | None, otherwise: bool) -> bool:
    """Whether an option that is true or false by its value is so.  Raises UsageError."""
    if value in (None, ""):
        return otherwise
    if value not in ("true", "false", "1", "0"):
        raise UsageError(f'the option {flag} is true or false, not "{value}"')
    return value in ("true", "1")
