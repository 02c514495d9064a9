#!/usr/bin/env bash
# Runs the tests that need tensorflow-io, in an environment of their own: its last release
# loads on TensorFlow 2.16.2 and 2.17.1 only. Python 3.11 or 3.12 is needed, for which
# these have wheels.
#
#     scripts/test_tfio.sh                    what reads feature files
#     scripts/test_tfio.sh tests/layers -x    further arguments go to pytest in their place
#
# The environment is $CHAM_TFIO_VENV, else .venv-tfio in the checkout.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

find_python() {
    local candidate
    for candidate in python3.12 python3.11 python3; do
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
            2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or 3.12 with its venv module is needed: TensorFlow 2.17.1 and tensorflow-io" \
        "have no wheels for others. Install one and run this again."
}

CHAM_VENV="${CHAM_TFIO_VENV:-$root/.venv-tfio}"
if [ ! -e "$CHAM_VENV" ]; then
    make_environment "$CHAM_VENV"
fi
prepare_environment "[tfio]"
cd "$root"
"$python" -m pip install --quiet --disable-pip-version-check "hypothesis>=6.100" "pytest>=8.3"

if [ "$#" -eq 0 ]; then
    set -- tests/data/test_tensorflow_io.py tests/data/test_hdf5_import.py \
        tests/cli/test_import_hdf5_command.py
fi
say "pytest $*"
# With this a test that cannot use tensorflow-io fails, where it would be skipped elsewhere.
CHAM_TEST_TENSORFLOW_IO=1 "$python" -m pytest "$@"
