# Makes or reuses a virtual environment with the package in it. Sourced by the scripts
# beside it, which then call prepare_environment.
#
# The environment is $CHAM_VENV where that is set, else the active one ($VIRTUAL_ENV),
# else .venv in the checkout. What was installed is noted in a file inside it, so that
# the next run installs nothing.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

say() { printf '==> %s\n' "$*" >&2; }

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Sets `python` to the environment's Python, with the package and `extras` installed.
# extras: "" or "[dev]".
prepare_environment() {
    local extras="$1"
    local environment="${CHAM_VENV:-${VIRTUAL_ENV:-$root/.venv}}"
    case "$environment" in
        /*) ;;
        *) environment="$PWD/$environment" ;;
    esac
    python="$environment/bin/python"
    if ! "$python" -m pip --version >/dev/null 2>&1; then
        make_environment "$environment"
    fi
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "The environment $environment holds $("$python" --version); 3.11 or newer is needed." \
            "Set CHAM_VENV to a new folder, or unset it and VIRTUAL_ENV."
    install_package "$environment" "$extras"
}

make_environment() {
    local environment="$1"
    if [ "$environment" != "$root/.venv" ] && [ -e "$environment" ] &&
        [ -n "$(ls -A "$environment")" ]; then
        fail "$environment is no virtual environment with a Python and pip that run." \
            "Set CHAM_VENV to a new folder, or unset it and VIRTUAL_ENV."
    fi
    local base
    base="$(find_python)" || exit 1
    say "Making a virtual environment in $environment with $("$base" --version)"
    "$base" -m venv --clear "$environment"
}

# Prints the newest Python that TensorFlow is known to run on and that can make an
# environment. A name may exist and yet not run, so each one is tried.
find_python() {
    local candidate without_venv=""
    for candidate in python3.13 python3.12 python3.11 python3 python; do
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        if "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
            echo "$candidate"
            return
        fi
        without_venv="${without_venv:-$candidate}"
    done
    if [ -n "$without_venv" ]; then
        local version
        version="$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
        fail "Python $version is here, but without its venv module. On Debian and Ubuntu," \
            "install it with: sudo apt install python$version-venv"
    fi
    fail "Python 3.11 or newer is needed, and none was found (tried python3.13, python3.12," \
        "python3.11, python3, python; python3 is $(python3 --version 2>/dev/null || echo missing)). Install one from https://www.python.org/downloads/" \
        "or with your system's packages, and run this again."
}

install_package() {
    local environment="$1" extras="$2"
    local note="$environment/.cham-keras-installed" wanted installed=""
    wanted="$(installation_key)"
    [ -f "$note" ] && installed="$(cat "$note")"
    # What "[dev]" installs holds the plain package too.
    if [ "$installed" = "$wanted $extras" ] || [ "$installed" = "$wanted [dev]" ]; then
        say "Using the environment $environment"
        return
    fi
    say "Installing cham_keras$extras into $environment"
    say "The first time, this downloads several hundred MB (most of it TensorFlow): a few minutes"
    local quiet=""
    [ -t 1 ] || quiet="--quiet" # no progress bars in log files
    rm -f "$note"
    (cd "$root" && "$python" -m pip install $quiet --disable-pip-version-check -e ".$extras") ||
        fail "pip could not install the package; what it found stands above. It needs a network" \
            "and about 3 GB of disk. Run this again when that is mended."
    printf '%s\n' "$wanted $extras" >"$note"
}

# Changes when the installation must be done again.
installation_key() {
    (cd "$root" && "$python" - <<'PYTHON'
import hashlib, pathlib, sys

parts = [pathlib.Path(name).read_bytes() for name in ("pyproject.toml", "setup.cfg")]
parts += [sys.version.encode(), str(pathlib.Path.cwd()).encode()]
print(hashlib.sha256(b"\0".join(parts)).hexdigest())
PYTHON
    )
}
