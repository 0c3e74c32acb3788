"""Two hundred Dockerfiles of the kinds that people write, with what they build on.

Scope: forty texts (`build_corpus.txt`) times five habits, stand-ins for base images, a context.
The images stand for those of the same name: one shell, and tools that leave something to compare.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

TEXTS = {
    block.split("\n", 1)[0].strip(): block.split("\n", 1)[1]
    for block in (Path(__file__).parent / "build_corpus.txt").read_text().split("== ")[1:]
}

# `apt-get install a b` leaves files named after a and b, a compiler what it has read, and so on
_TOOL = r"""#!/bin/sh
set -e
name=${0##*/}
each() { dir=$1; shift; mkdir -p "$dir"
    for word; do case $word in -*) ;; *) echo "$name $word" >"$dir/${word%%=*}";; esac; done; }
output() { mkdir -p "$(dirname "$1")"; { echo "#!$name"; find "$2" -type f | sort | while read f
    do case $f in "./$1"|"$1"|*/target/*) ;; *) echo "$f"; cat "$f";; esac; done; } >"$1.new"
    mv "$1.new" "$1"; chmod 755 "$1"; }
case "$name $1" in
'apt-get update') mkdir -p /var/lib/apt/lists; echo lists >/var/lib/apt/lists/list;;
'apt-get install'|'apk add') shift; each /usr/share/doc "$@";;
'pip install') shift; [ "$1" != --no-cache-dir ] || shift
    if [ "$1" = -r ]; then each /usr/lib/python $(cat "$2"); else each /usr/lib/python "$@"; fi;;
'poetry install') each /usr/lib/python poetry-project;;
'python -m') [ "$2" != venv ] || { mkdir -p "$3/bin"; ln -s /usr/bin/python "$3/bin/python"; }
    echo "python $*";;
'python manage.py') mkdir -p static; echo collected >static/all.css;;
'npm ci'|'npm install'|'yarn install')
    each node_modules $(sed -n 's/.*"dep-\([a-z]*\)".*/\1/p' package.json);;
'npm run'|'yarn build') output dist/index.html src; echo "console" >dist/server.js;;
'go mod') each /go/pkg $(sed -n 's/^require //p' go.mod);;
'go build') output "$3" "${4:-.}";;
'cargo build') output target/release/app rust;;
'mvn -B') if [ "$2" = package ]; then output target/app.jar java; else each /root/.m2 deps; fi;;
'gradle build') output target/app.jar java;;
*) ;;
esac
"""
_TOOLS = (
    "apt-get apk pip poetry python npm yarn node go cargo mvn gradle java nginx gunicorn "
    "redis-server celery"
).split()
_APPLETS = (
    "sh bash cat ls mkdir rm cp mv ln chmod chown echo find sort sed dirname touch env id test "
    "true basename wc grep"
).split()
_PASSWD = {
    "root": 0, "daemon": 1, "www-data": 33, "node": 1000, "postgres": 70, "nobody": 65534,
    "celery": 300, "app": 400,
}  # fmt: skip
_DIRECTORIES = (
    "bin etc root tmp var var/www usr usr/bin usr/local usr/local/bin usr/share usr/share/doc srv "
    "opt home"
).split()
_GROUPADD = r"""#!/bin/sh
exit 0
"""

PATH = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
# what distinguishes the images: their configuration
BASES = {
    "debian": 'CMD ["bash"]',
    "alpine": 'CMD ["/bin/sh"]',
    "static": "ENV SSL_CERT_FILE=/etc/ssl/certs/ca.crt\nWORKDIR /",
    "nginx": 'ENV NGINX_VERSION=1.27.0\nEXPOSE 80\nSTOPSIGNAL SIGQUIT\nCMD ["nginx"]\n'
    "RUN mkdir -p /usr/share/nginx/html /etc/nginx/conf.d && "
    "echo x >/etc/nginx/conf.d/default.conf && echo old >/usr/share/nginx/html/50x.html",
    "httpd": 'WORKDIR /usr/local/apache2\nEXPOSE 80\nCMD ["httpd-foreground"]',
    "php": 'ENV PHP_INI_DIR=/usr/local/etc/php\nENTRYPOINT ["docker-php-entrypoint"]\n'
    'WORKDIR /var/www/html\nCMD ["php-fpm"]\nEXPOSE 9000\nSTOPSIGNAL SIGQUIT',
    "python": 'ENV PYTHON_VERSION=3.12.4 LANG=C.UTF-8\nCMD ["python3"]',
    "node": 'ENV NODE_VERSION=22.3.0 YARN_VERSION=1.22.22\nENTRYPOINT ["docker-entrypoint.sh"]\n'
    'CMD ["node"]\nRUN mkdir -p /home/node && chown node:node /home/node',
    "golang": "ENV GOLANG_VERSION=1.22.4 GOPATH=/go\nENV PATH=$GOPATH/bin:$PATH\nWORKDIR /go",
    "maven": "ENV MAVEN_HOME=/usr/share/maven\nWORKDIR /root",
    "gradle": "ENV GRADLE_HOME=/opt/gradle\nRUN mkdir -p /home/gradle && chown 1000 /home/gradle",
    "openjdk": 'ENV JAVA_HOME=/opt/java LANG=en_US.UTF-8\nCMD ["jshell"]',
    "tomcat": "ENV CATALINA_HOME=/usr/local/tomcat\nWORKDIR /usr/local/tomcat\n"
    "RUN mkdir -p webapps/examples conf && echo x >webapps/examples/a && echo y >conf/server.xml",
    "rust": "ENV CARGO_HOME=/usr/local/cargo\nENV PATH=/usr/local/cargo/bin:$PATH",
    "postgres": "ENV PGDATA=/var/lib/postgresql/data\nVOLUME /var/lib/postgresql/data\n"
    "RUN mkdir /docker-entrypoint-initdb.d\nSTOPSIGNAL SIGINT\nEXPOSE 5432",
    "redis": 'VOLUME /data\nWORKDIR /data\nEXPOSE 6379\nCMD ["redis-server"]',
}

_CONTEXT = {
    "site/index.html": "<h1>page</h1>\n",
    "site/app.css": "h1 { color: red }\n",
    "site/nginx.conf": "server { listen 80; }\n",
    "site/img/logo.svg": "<svg/>\n",
    "scripts/entrypoint.sh": '#!/bin/sh\nexec "$@"\n',
    "scripts/job.sh": "#!/bin/sh\ndate\n",
    "requirements.txt": "flask==3.0\nredis==5.0\n",
    "pyproject.toml": "[project]\nname = 'app'\n",
    "manage.py": "print()\n",
    "app/__init__.py": "",
    "app/__main__.py": "print('app')\n",
    "app/data/seed.json": "{}\n",
    "tests/test_app.py": "def test(): pass\n",
    "package.json": '{"name": "app",\n"dependencies": {\n"dep-express": "4",\n"dep-pg": "8"}}\n',
    "package-lock.json": "{}\n",
    "src/server.js": "listen()\n",
    "src/lib/util.js": "exports.x = 1\n",
    "go.mod": "module app\nrequire mux\nrequire zap\n",
    "cmd/main.go": "package main\n",
    "cmd/util/util.go": "package util\n",
    "pom.xml": "<project/>\n",
    "java/App.java": "class App {}\n",
    "java/app.properties": "a=b\n",
    "Cargo.toml": "[package]\n",
    "rust/main.rs": "fn main() {}\n",
    "sql/1.sql": "create table a;\n",
    "sql/2.sql": "create table b;\n",
    "mono/web/package.json": '{"dep-react": "1"}\n',
    "mono/web/src/index.js": "render()\n",
    "mono/api/main.go": "package api\n",
    "mono/shared/types.ts": "type A = 1\n",
    "sp ace.txt": "space\n",
    "README.md": "# app\n",
    ".git/HEAD": "ref: refs/heads/main\n",
    "node_modules/left/over.js": "stale\n",
}
IGNORED = (
    "# not for the image\n.git\nnode_modules\n**/*.md\n!README.md\nDockerfile*\n.dockerignore\n"
)
_WHEN = 1485449953


def base_tar(path: Path, busybox: Path) -> None:
    """The files of all base images."""
    with tarfile.open(path, "w") as archive:

        def add(name: str, data: bytes, mode: int = 0o644) -> None:
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), mode, _WHEN
            archive.addfile(info, io.BytesIO(data))

        for name in _DIRECTORIES:
            info = tarfile.TarInfo(name)
            info.type, info.mtime = tarfile.DIRTYPE, _WHEN
            info.mode = 0o1777 if name == "tmp" else 0o755
            archive.addfile(info)
        add(
            "etc/passwd",
            "".join(f"{n}:x:{i}:{i}::/:/bin/sh\n" for n, i in _PASSWD.items()).encode(),
        )
        add("etc/group", "".join(f"{n}:x:{i}:\n" for n, i in _PASSWD.items()).encode())
        add("bin/busybox", busybox.read_bytes(), 0o755)
        add("usr/bin/tool", _TOOL.encode(), 0o755)
        for name in ("groupadd", "useradd", "addgroup", "adduser"):
            add(f"usr/bin/{name}", _GROUPADD.encode(), 0o755)
        links = [(f"bin/{one}", "busybox") for one in _APPLETS]
        for name, target in [*links, *((f"usr/bin/{one}", "tool") for one in _TOOLS)]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mtime = tarfile.SYMTYPE, target, _WHEN
            archive.addfile(info)


def context(top: Path) -> None:
    """The common context: a repository with a bit of everything."""
    import os

    for name, text in _CONTEXT.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") and "job" not in name else 0o644)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, text in {"tool/run": "#!/bin/sh\necho tool\n", "tool/doc.txt": "doc\n"}.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(text), 0o755, _WHEN
            info.uid = info.gid = 33
            archive.addfile(info, io.BytesIO(text.encode()))
    (top / "bundle.tar").write_bytes(out.getvalue())
    for base, names, files in os.walk(top):
        for name in [*files, *names]:
            os.utime(os.path.join(base, name), (_WHEN, _WHEN))


# ------------------------------------------------------------ habits


def _as_is(text: str) -> str:
    return text


def _versioned(text: str) -> str:
    """The version of the base, a build argument, and labels that use it."""
    first, rest = text.split("\n", 1)
    name = first.split()[1]
    alias = " ".join(first.split()[2:])
    return (
        f"ARG BASE={name}\nARG REVISION=none\nFROM ${{BASE}} {alias}\n{rest}"
        "ARG REVISION\nARG CREATED=today\n"
        'LABEL org.opencontainers.image.revision="${REVISION}" created=$CREATED-${REVISION:-x}\n'
    )


def _user(text: str) -> str:
    """A user for what runs, and files of theirs."""
    if text.rstrip().rpartition("\nFROM ")[2].startswith("scratch"):
        return text + "COPY --chown=10001:10001 README.md /licenses/README.md\nUSER 10001:10001\n"
    return (
        text + "USER root\nRUN mkdir -p /home/app/.cache && chown -R 10001:0 /home/app "
        "&& chmod -R g=u /home/app\nENV HOME=/home/app\nUSER 10001\nWORKDIR /home/app\n"
        "COPY --chown=10001:0 README.md .\nRUN id -u >whoami\n"
    )


def _slim(text: str) -> str:
    """One more stage that takes what was made."""
    last = text.rstrip().rpartition("\nFROM ")[2] or text
    if last.split()[0] == "scratch":
        return text + "COPY --from=debian /etc/passwd /etc/passwd\nCOPY site/img /img/\n"
    lines = text.split("\n")
    number = max(index for index, line in enumerate(lines) if line.startswith("FROM "))
    if " AS " not in lines[number]:
        lines[number] += " AS everything"
    stage = lines[number].split(" AS ")[1]
    return "\n".join(lines) + (
        f"FROM {stage} AS checked\nRUN ls /etc >/tmp/listing\nFROM alpine\n"
        f"COPY --from={stage} /etc/passwd /taken/\nCOPY --from=checked /tmp/listing /taken/\n"
        'COPY . /context/\nENTRYPOINT ["/bin/sh"]\nCMD ["-c", "ls /taken"]\n'
    )


def _dressed(text: str) -> str:
    """What people put around: a health check, variables, a volume, another shell, triggers."""
    if text.rstrip().rpartition("\nFROM ")[2].startswith("scratch"):
        return text + "ENV A=1\nENV B=$A-${A:+set}\nEXPOSE 9090/udp\nVOLUME /state\n"
    return text + (
        'ENV PATH="/opt/app/bin:${PATH}" TZ=Etc/UTC\nENV CONF=${TZ}/conf OLD=${NOT_SET:-old}\n'
        "RUN mkdir -p /state/sub && echo kept >/state/sub/file\nVOLUME /state\n"
        'SHELL ["/bin/sh", "-ec"]\nRUN printf "%s\\n" "$CONF" "$OLD" >/etc/conf\n'
        "HEALTHCHECK --interval=5m --timeout=3s CMD test -e /etc/conf || exit 1\n"
        "ONBUILD COPY . /onbuild\nEXPOSE 9090/udp 9091\nSTOPSIGNAL SIGTERM\n"
    )


HABITS: dict[str, Callable[[str], str]] = {
    "as-is": _as_is,
    "versioned": _versioned,
    "user": _user,
    "slim": _slim,
    "dressed": _dressed,
}
CASES = {
    f"{name}+{habit}": change(text)
    for name, text in TEXTS.items()
    for habit, change in HABITS.items()
}


def local(text: str) -> str:
    """With the stand-ins: names of images become localhost/NAME."""
    names = "|".join(BASES)
    text = re.sub(rf"^(FROM |ARG BASE=)({names})\b", r"\1localhost/\2", text, flags=re.M)
    return re.sub(rf"--from=({names}) ", r"--from=localhost/\1 ", text)
