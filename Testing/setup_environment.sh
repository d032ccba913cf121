#!/usr/bin/env bash
# Makes .venv with the project and the given extras in it, and checks off-screen rendering.
# The Makefile calls it; it does nothing when nothing has changed.
#
#   Testing/setup_environment.sh EXTRAS [rendering]
#
# PYTHON=/path/to/python chooses the interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

extras=$1
rendering=${2:-}
venv=.venv

say() { printf '%s\n' "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

fits() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; }
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }
has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# apt_get ARGUMENTS...: run apt-get where that needs no password, else return 1.
apt_get() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then
        DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >&2
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >&2
    else
        return 1
    fi
}

# install_packages NAMES...: install those of the names that this release knows.
install_packages() {
    apt_get update || return 1
    local known=() name
    for name in "$@"; do
        apt-cache show "$name" >/dev/null 2>&1 && known+=("$name")
    done
    [ ${#known[@]} -gt 0 ] && apt_get install --yes --no-install-recommends "${known[@]}"
}

find_python() {
    local candidate first=
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
        command -v "$candidate" >/dev/null && fits "$candidate" || continue
        if has_venv "$candidate"; then
            command -v "$candidate"
            return
        fi
        first=${first:-$candidate}
    done
    command -v "$first" || true
}

make_venv() {
    local python version
    python=$(find_python)
    if [ -z "$python" ]; then
        fail "no Python 3.10 to 3.13 found${PYTHON:+ at $PYTHON} (python3 is $(python3 --version 2>&1 || true))." \
            "Install one, or name it: make PYTHON=/path/to/python3.12 ..."
    fi
    version=$(version_of "$python")
    if ! has_venv "$python"; then
        install_packages "python$version-venv" || true
        has_venv "$python" || fail "$python cannot make virtual environments." \
            "Install its venv package: sudo apt-get install python$version-venv"
    fi
    say "making $venv with $python (Python $version)"
    "$python" -m venv --clear "$venv"
}

# A virtual environment does not survive a move of the checkout, nor the removal of its Python.
venv_is_usable() {
    [ -x "$venv/bin/python" ] && fits "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1 &&
        [ "$(cat "$venv/made-in" 2>/dev/null)" = "$PWD" ] &&
        { [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$(version_of "$venv/bin/python")" ]; }
}

if ! venv_is_usable; then
    make_venv
    printf '%s\n' "$PWD" >"$venv/made-in"
fi

# The stamp is a copy of what the installation depends on.
stamp="$venv/installed-${extras//,/-}"
if ! cmp -s pyproject.toml "$stamp"; then
    say "installing the project with [$extras]; this can take a few minutes"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extras]"
    cp pyproject.toml "$stamp"
fi

# Slicer's views draw through EGL. Opening a display without a window shows whether EGL and a driver are there.
can_render() {
    "$venv/bin/python" - <<'PYTHON'
import ctypes
import sys

try:
    egl = ctypes.CDLL("libEGL.so.1")
except OSError:
    sys.exit(1)
pointer = ctypes.c_void_p
egl.eglGetProcAddress.restype = egl.eglGetDisplay.restype = pointer
egl.eglGetDisplay.argtypes = [pointer]
egl.eglInitialize.argtypes = [pointer, pointer, pointer]


def displays():
    surfaceless_mesa, default = 0x31DD, None
    address = egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
    if address:
        yield ctypes.CFUNCTYPE(pointer, ctypes.c_uint, pointer, pointer)(address)(surfaceless_mesa, default, None)
    yield egl.eglGetDisplay(default)


sys.exit(not any(display and egl.eglInitialize(display, None, None) for display in displays()))
PYTHON
}

if [ "$rendering" = rendering ] && [ "$(uname -s)" = Linux ] && ! can_render 2>/dev/null; then
    say "installing Mesa for off-screen rendering"
    install_packages libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri || true
    can_render 2>/dev/null || fail "off-screen rendering is not possible: no working EGL." \
        "Install it: sudo apt-get install libegl1 libgl1 libgl1-mesa-dri." \
        "Tests that draw nothing run without it: $venv/bin/python -m pytest Testing/unit"
fi

# The panel's tests draw nothing on a screen, but Qt still loads these.
can_host_panel() {
    QT_QPA_PLATFORM=offscreen "$venv/bin/python" -c 'import PySide6.QtUiTools, PySide6.QtWidgets'
}

if "$venv/bin/python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("PySide6") is None)' &&
    [ "$(uname -s)" = Linux ] && ! can_host_panel >/dev/null 2>&1; then
    say "installing the libraries that Qt loads"
    install_packages libegl1 libgl1 libxkbcommon0 libdbus-1-3 libfontconfig1 libglib2.0-0 libglib2.0-0t64 || true
    can_host_panel >/dev/null || fail "Qt cannot be loaded, see above." \
        "Install its libraries: sudo apt-get install libegl1 libgl1 libxkbcommon0 libdbus-1-3 libfontconfig1"
fi
