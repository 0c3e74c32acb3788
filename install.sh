#!/bin/sh
# Installs rootless: for all users when run as root, for the person who runs it otherwise.
#
#   ./install.sh [--hello] [--prefix DIR] [--python FILE] [--wheel FILE] [--no-packages]
#   ./install.sh --uninstall [--prefix DIR]
#
#   --hello          run a first container at the end
#   --prefix DIR     install to DIR/lib/rootless, DIR/bin and DIR/share/man
#                    (default: /usr/local as root, ~/.local otherwise)
#   --python FILE    the Python to use, 3.11 to 3.14 (default: the system's)
#   --wheel FILE     install this self-contained wheel: needs neither compiler nor pip
#   --no-packages    as root: install no system packages, only say what is missing
#   --uninstall      remove the program; images, containers and volumes stay
#   --help           this text
#
# It may be run again at any time.  If anything fails, an older installation goes on working.

set -eu
umask 022

prefix='' python='' wheel='' action=install packages=yes hello=no
source=$(cd "$(dirname "$0")" && pwd)
user=$(id -u)
me=$(id -un 2>/dev/null || id -u)

say() { printf '%s\n' "$*"; }
die() {
    printf 'error: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}
have() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1; }
value() { [ -n "${2:-}" ] || die "$1 needs a value" "see ./install.sh --help"; }

while [ $# -gt 0 ]; do
    case $1 in
        --prefix | --python | --wheel)
            value "$1" "${2:-}"
            case $1 in
                --prefix) prefix=$2 ;;
                --python) python=$2 ;;
                --wheel) wheel=$2 ;;
            esac
            shift
            ;;
        --prefix=*) prefix=${1#*=} ;;
        --python=*) python=${1#*=} ;;
        --wheel=*) wheel=${1#*=} ;;
        --no-packages) packages=no ;;
        --hello) hello=yes ;;
        --uninstall) action=uninstall ;;
        -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) die "unknown option $1" "see ./install.sh --help" ;;
    esac
    shift
done

if [ -z "$prefix" ]; then
    if [ "$user" = 0 ]; then prefix=/usr/local; else prefix=${HOME:?}/.local; fi
fi
case $prefix in /*) ;; *) prefix=$(pwd)/$prefix ;; esac
# the launcher quotes the path for Python and the kernel reads its first line
case $prefix in *[!A-Za-z0-9/._+@-]*) die "the prefix $prefix has unusual characters in it" \
    "choose one of letters, digits and . _ + @ - /" ;; esac
lib=$prefix/lib/rootless
bin=$prefix/bin
pages=$prefix/share/man/man1
mark='written by install.sh of rootless'
# where systemd looks for programs that make units of users; only root can write there
generator=/usr/local/lib/systemd/user-generators/rootless-generator

# The manual pages that this script has written.
remove_pages() {
    for page in "$pages"/rootless.1 "$pages"/rootless-*.1; do
        if [ -e "$page" ] && grep -q "$mark" "$page"; then rm -f "$page"; fi
    done
}

# ---------------------------------------------------------------- uninstall

if [ "$action" = uninstall ]; then
    [ -e "$lib" ] || [ -e "$bin/rootless" ] || {
        say "rootless is not installed under $prefix"
        exit 0
    }
    if [ -e "$bin/rootless" ] && ! grep -q "$mark" "$bin/rootless"; then
        die "$bin/rootless was not written by this script" "remove it the way it was installed"
    fi
    data=${ROOTLESS_DATA_DIR:-${XDG_DATA_HOME:-${HOME:-}/.local/share}/rootless}
    if [ -d "$data" ]; then
        say "your images, containers and volumes stay in $data"
        say "(files of mapped ids there can be removed in a user namespace, while the program is"
        say "installed: rootless unshare rm -rf $data)"
    fi
    rm -f "$bin/rootless"
    for name in rootless-runtime rootless-generator; do
        if [ -e "$bin/$name" ] && grep -q "$mark" "$bin/$name"; then
            rm -f "$bin/$name"
        fi
    done
    for module in "$prefix"/lib*/python3*/*-packages/rootless.py; do
        grep -q "$mark" "$module" 2>/dev/null || continue
        directory=${module%/*}
        rm -f "$module" "$directory"/__pycache__/rootless.*.pyc
        rmdir "$directory/__pycache__" "$directory" "${directory%/*}" 2>/dev/null || :
    done
    remove_pages
    if [ "$user" != 0 ]; then rmdir "$pages" "${pages%/*}" 2>/dev/null || :; fi
    if [ "$(readlink "$generator")" = "$bin/rootless-generator" ]; then
        rm -f "$generator"
        # what systemd's own packages do not make there
        rmdir "${generator%/*}" "$(dirname "${generator%/*}")" 2>/dev/null || :
    fi
    rm -rf "$lib"
    say "removed $bin/rootless and $lib"
    exit 0
fi

# ---------------------------------------------------------------- system packages

manager=
for candidate in apt-get dnf zypper pacman apk; do
    if have "$candidate"; then
        manager=$candidate
        break
    fi
done

# The package of this host's distribution that has a thing.
package_of() {
    case $manager:$1 in
        apt-get:newuidmap) echo uidmap ;;
        apk:newuidmap) echo shadow-subids ;;
        zypper:newuidmap | pacman:newuidmap) echo shadow ;;
        *:newuidmap) echo shadow-utils ;;
        *:slirp4netns) echo slirp4netns ;;
        *:fuse-overlayfs) echo fuse-overlayfs ;;
        *:fusermount3) echo fuse3 ;;
        *:certificates) echo ca-certificates ;;
        pacman:python) echo python ;;
        *:python) echo python3 ;;
        apt-get:headers) echo "python3-dev libc6-dev" ;;
        apk:headers) echo "python3-dev musl-dev linux-headers" ;;
        pacman:headers) echo python ;;
        *:headers) echo python3-devel ;;
        apt-get:pip) echo python3-venv ;;
        apk:pip) echo py3-pip ;;
        pacman:pip) echo python-pip ;;
        *:pip) echo python3-pip ;;
        *:cc) echo gcc ;;
        *:make) echo make ;;
        apt-get:static) echo "musl-tools libc6-dev" ;;
        dnf:static) echo glibc-static ;;
        zypper:static) echo glibc-devel-static ;;
        pacman:static) echo musl ;;
        apk:static) echo musl-dev ;;
    esac
}

install_command() {
    case $manager in
        apt-get) echo "apt-get install -y --no-install-recommends" ;;
        dnf) echo "dnf install -y" ;;
        zypper) echo "zypper --non-interactive install" ;;
        pacman) echo "pacman -S --needed --noconfirm" ;;
        apk) echo "apk add" ;;
        *) echo "install the packages" ;;
    esac
}

# Things that a running engine uses, and that building it uses.
missing_for_running() {
    for thing in newuidmap slirp4netns fuse-overlayfs fusermount3; do
        have "$thing" || echo "$thing"
    done
    # the registry client checks certificates against the system's list
    for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \
        /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
        [ ! -e "$file" ] || return 0
    done
    echo certificates
}

can_link_static() {
    have musl-gcc && return 0
    have cc || have gcc || return 1
    probe=$(mktemp -d) || return 1
    echo 'int main(void) { return 0; }' >"$probe/t.c"
    status=0
    "$(command -v cc || command -v gcc)" -static -o "$probe/t" "$probe/t.c" 2>/dev/null || status=1
    rm -rf "$probe"
    return $status
}

missing_for_building() {
    have cc || have gcc || echo cc
    have make || echo make
    can_link_static || echo static
    [ -n "$python" ] || return 0
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' ||
        echo headers
    "$python" -c 'import ensurepip' 2>/dev/null || "$python" -m pip --version >/dev/null 2>&1 ||
        echo pip
}

packages_for() {
    for thing in "$@"; do package_of "$thing"; done | tr ' ' '\n' | sort -u | tr '\n' ' ' |
        sed 's/ $//'
}

install_packages() {
    # shellcheck disable=SC2046  # one word for each package
    set -- $(packages_for "$@")
    [ $# -gt 0 ] || return 0
    say "installing system packages: $*"
    output=$(mktemp)
    status=0
    run_manager "$@" >"$output" 2>&1 </dev/null || status=1
    # a list of packages that is old, or was never fetched, is the usual reason
    if [ $status != 0 ] && [ "$manager" = apt-get ] && apt-get update -q >>"$output" 2>&1; then
        status=0
        run_manager "$@" >"$output" 2>&1 </dev/null || status=1
    fi
    [ $status = 0 ] || cat "$output" >&2
    rm -f "$output"
    [ $status = 0 ] || die "could not install: $*" "install them by hand, then run this again"
}

run_manager() {
    # shellcheck disable=SC2046  # the command is several words
    DEBIAN_FRONTEND=noninteractive $(install_command) "$@"
}

# ---------------------------------------------------------------- python

# A Python of 3.11 to 3.14 that every user of the installation can start.
fits() {
    [ -x "$1" ] || return 1
    real=$(readlink -f "$1") || return 1
    if [ "$user" = 0 ]; then
        # an interpreter in somebody's home (pyenv, conda) is closed to everybody else
        case $real in /home/* | /root/* | "${HOME:-/root}"/*) return 1 ;; esac
    fi
    # a shim is a script that looks for the real one at every start
    [ "$(head -c 2 "$real" 2>/dev/null | tr -d '\0')" != '#!' ] || return 1
    "$real" -IS -c 'import sys
sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 14) and sys.prefix == sys.base_prefix))' \
        2>/dev/null
}

find_python() {
    for candidate in /usr/bin/python3 /usr/bin/python3.14 /usr/bin/python3.13 /usr/bin/python3.12 \
        /usr/bin/python3.11 /usr/local/bin/python3 "$(command -v python3 2>/dev/null || :)"; do
        if [ -n "$candidate" ] && fits "$candidate"; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}

if [ -n "$python" ]; then
    fits "$python" || die "$python is not a Python 3.11 to 3.14 that all users can start"
else
    python=$(find_python) || python=
    if [ -z "$python" ] && [ "$user" = 0 ] && [ "$packages" = yes ] && [ -n "$manager" ]; then
        install_packages python
        python=$(find_python) || python=
    fi
    [ -n "$python" ] || die "no Python 3.11 to 3.14 was found" \
        "as root: $(install_command) $(package_of python) (or a package of a newer version, such as python3.11)"
fi

# shellcheck disable=SC2046  # one word for each thing
if [ "$user" = 0 ] && [ "$packages" = yes ] && [ -n "$manager" ]; then
    install_packages $(missing_for_running) $([ -n "$wheel" ] || missing_for_building)
fi

# ---------------------------------------------------------------- build

new=$lib/new.$$
old=$lib/old.$$
temporary=
# directories that were not there, innermost first
made=
for directory in "$bin" "${lib%/*}" "$prefix"; do
    [ -d "$directory" ] || made="$made $directory"
done
# shellcheck disable=SC2317,SC2329  # called by the trap
cleanup() {
    status=$?
    trap - EXIT
    # between the two renames of the exchange: put the old one back
    if [ -d "$old" ] && [ ! -d "$lib/site" ]; then mv "$old" "$lib/site"; fi
    rm -rf "$new" "$old"
    [ -z "$temporary" ] || rm -rf "$temporary"
    # nothing was installed before, and nothing is now
    rmdir "$lib" 2>/dev/null || :
    # shellcheck disable=SC2086  # one word for each directory
    [ -z "$made" ] || rmdir $made 2>/dev/null || :
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

mkdir -p "$lib" "$bin" || die "cannot write to $prefix" "choose another place with --prefix"
temporary=$(mktemp -d)

if [ -n "$wheel" ]; then
    [ -f "$wheel" ] || die "there is no wheel $wheel"
    say "unpacking $wheel"
    "$python" -IS - "$wheel" "$new" <<'PYTHON' || die "$wheel is not a wheel of rootless"
import os, sys, zipfile

wheel, site = sys.argv[1:]
try:
    with zipfile.ZipFile(wheel) as archive:
        if "rootless/__init__.py" not in archive.namelist():
            sys.exit("there is no package rootless in it")
        archive.extractall(site)
except (OSError, zipfile.BadZipFile) as error:
    sys.exit(str(error))
# zip archives unpacked by Python lose the mode; these are programs
programs = os.path.join(site, "rootless", "bin")
for name in os.listdir(programs):
    os.chmod(os.path.join(programs, name), 0o755)
PYTHON
else
    [ -f "$source/pyproject.toml" ] || die "$source has no pyproject.toml" \
        "run install.sh from a clone, or with --wheel FILE"
    missing=$(missing_for_building | tr '\n' ' ')
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086  # one word for each thing
        die "building needs what is not here: ${missing% }" \
            "as root: $(install_command) $(packages_for $missing); or install with --wheel FILE, which needs none of it"
    fi
    # built in a copy, so that the clone stays as it is
    mkdir "$temporary/source"
    for item in pyproject.toml setup.py MANIFEST.in README.md LICENSE helpers rootless; do
        [ ! -e "$source/$item" ] || cp -R "$source/$item" "$temporary/source/"
    done
    rm -f "$temporary"/source/rootless/bin/rootless-* "$temporary"/source/rootless/*/*.so
    find "$temporary/source" -name __pycache__ -prune -exec rm -rf {} +
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv "$temporary/venv"
        builder=$temporary/venv/bin/python
    else
        builder=$python
    fi
    say "building rootless (about a minute)"
    if ! "$builder" -m pip install --quiet --disable-pip-version-check --no-warn-script-location \
        --no-compile --target "$new" "$temporary/source" >"$temporary/log" 2>&1; then
        cat "$temporary/log" >&2
        die "the build failed" "nothing was changed; the lines above say why"
    fi
    # console scripts of the libraries are of no use here
    rm -rf "${new:?}/bin"
fi
# manual pages are written anew, where man(1) finds them
rm -rf "${new:?}"/rootless-*.data "$new/share"

"$python" -m compileall -q "$new" >/dev/null 2>&1 || :
# An installation of root's is for all users, whatever the archive's modes were.
chmod -R a+rX "$new"

launcher() {
    "$python" -IS -c 'import sys
sys.path.insert(0, sys.argv[1])
from rootless import packing
_, site, module, note, python = sys.argv
paths = [site, site + "/rootless/_vendor"]
sys.stdout.write(packing.launcher(python, module, note, paths))' "$1" "$2" "$mark" "$python"
}

launcher "$new" cli.main >"$temporary/try"
if ! "$python" -IS "$temporary/try" version >"$temporary/log" 2>&1; then
    cat "$temporary/log" >&2
    die "the new program does not start" "nothing was changed; the lines above say why"
fi

for name in rootless rootless-runtime rootless-generator; do
    if [ -e "$bin/$name" ] && ! grep -q "$mark" "$bin/$name"; then
        die "$bin/$name exists and was not written by this script" "remove it, or use --prefix"
    fi
done
if [ -d "$lib/site" ]; then mv "$lib/site" "$old"; fi
mv "$new" "$lib/site"
# one file with all bytecode makes a command start faster; without it everything works as well
"$python" -IS -c 'import sys
sys.path.insert(0, sys.argv[1])
from rootless import packing
packing.write()' "$lib/site" 2>/dev/null || :
rm -rf "$old"
for name in rootless rootless-runtime rootless-generator; do
    case $name in
        rootless) module=cli.main ;;
        rootless-runtime) module=cli.oci.main ;;
        *) module=quadlet.generator ;;
    esac
    launcher "$lib/site" "$module" >"$bin/.rootless.$$"
    chmod 755 "$bin/.rootless.$$"
    mv "$bin/.rootless.$$" "$bin/$name"
done
# of commands that are gone none may stay; without pages everything works as well
remove_pages
"$python" -IS -c 'import sys
sys.path.insert(0, sys.argv[1])
from rootless.cli import man
man.write(*sys.argv[2:])' "$lib/site" "$pages" "$mark" 2>/dev/null ||
    say "the manual pages could not be written to $pages"
if [ "$user" = 0 ] && [ -d /usr/lib/systemd ]; then
    mkdir -p "${generator%/*}"
    ln -sfn "$bin/rootless-generator" "$generator"
fi
# where this Python looks for modules below the prefix, if anywhere
modules=$("$python" -I -c 'import site, sys
places = [*site.getsitepackages(), site.getusersitepackages()]
print(next((one for one in places if one.startswith(sys.argv[1] + "/")), ""))' "$prefix") || modules=
if [ -n "$modules" ]; then
    if [ -e "$modules/rootless.py" ] && ! grep -q "$mark" "$modules/rootless.py"; then
        say "$modules/rootless.py was not written by this script and stays as it is"
        modules=
    else
        mkdir -p "$modules"
        "$python" -IS -c 'import sys
sys.path.insert(0, sys.argv[1])
from rootless import packing
sys.stdout.write(packing.library(*sys.argv[1:]))' "$lib/site" "$mark" >"$modules/.rootless.$$"
        chmod 644 "$modules/.rootless.$$"
        mv "$modules/.rootless.$$" "$modules/rootless.py"
    fi
fi
say "installed $bin/rootless ($("$bin/rootless" version 2>/dev/null | head -n 1))"
[ -z "$modules" ] || say "$python has the library, too: import rootless"

# ---------------------------------------------------------------- this host

asked=no
ask() {
    if [ "$user" != 0 ] && [ "$asked" = no ]; then
        say
        say "This host lacks some things. For its administrator:"
        asked=yes
    fi
    say "  - $1:"
    say "      $2"
}

missing=$(missing_for_running | tr '\n' ' ')
# shellcheck disable=SC2086  # one word for each thing
[ -z "$missing" ] || ask "not found: ${missing% }" "$(install_command) $(packages_for $missing)"

for device in /dev/fuse /dev/net/tun; do
    if [ "$user" = 0 ]; then
        [ -e "$device" ] || modprobe "$(basename "$device")" 2>/dev/null || :
        if [ -e "$device" ] && [ "$(stat -c %a "$device")" != 666 ] && chmod 666 "$device" 2>/dev/null; then
            say "$device is now open to all users, as udev makes it on every distribution"
        fi
    fi
    if [ ! -e "$device" ]; then
        ask "$device does not exist" "modprobe $(basename "$device")"
    elif [ ! -w "$device" ]; then
        ask "$device is closed to you" "chmod 666 $device"
    fi
done

setting() {
    file=/proc/sys/$(echo "$1" | tr . /)
    if [ -r "$file" ] && [ "$(cat "$file")" = "$2" ]; then
        ask "user namespaces are restricted by $1=$2" \
            "echo $1=$3 >/etc/sysctl.d/80-rootless.conf && sysctl --system"
    fi
}
setting kernel.unprivileged_userns_clone 0 1
setting user.max_user_namespaces 0 28633
setting kernel.apparmor_restrict_unprivileged_userns 1 0

if [ "$user" != 0 ] && ! { grep -Eq "^($me|$user):" /etc/subuid && grep -Eq "^($me|$user):" /etc/subgid; } 2>/dev/null &&
    ! { have getsubids && getsubids "$me" >/dev/null 2>&1; }; then
    # ids that nobody has: the rule is the program's
    ask "you have no subordinate ids (containers work with a single id until then)" \
        "$("$python" -IS -c 'import os, sys
sys.path.insert(0, sys.argv[1])
from rootless.userns import subids
print(subids.grant(os.getuid()))' "$lib/site")"
fi

say
case :${PATH:-}: in
    *:"$bin":*) ;;
    *) say "$bin is not on your PATH. For this shell: export PATH=$bin:\$PATH" ;;
esac
if [ "$hello" = yes ]; then
    say "What this host can do: rootless doctor     The first container:"
    "$bin/rootless" run --rm rootless/hello
else
    say "Next: rootless run --rm rootless/hello     What this host can do: rootless doctor"
fi
