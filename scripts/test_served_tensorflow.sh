#!/usr/bin/env bash
# Runs exports in the TensorFlow of the newest model server, 2.20, by its C library and with XLA
# off as the server has it, and compares the answers with Keras's. The environment with that
# TensorFlow is without this package.
#
#     scripts/test_served_tensorflow.sh
#
# The environment is $CHAM_SERVED_VENV, else .venv-served in the checkout; it needs about 2 GB.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment "[dev]"
cd "$root"

served="${CHAM_SERVED_VENV:-$root/.venv-served}"
if ! "$served/bin/python" -c 'import tensorflow' >/dev/null 2>&1; then
    say "Installing TensorFlow 2.20 into $served"
    "$python" -m venv --clear "$served"
    "$served/bin/python" -m pip install --quiet --disable-pip-version-check "tensorflow==2.20.*"
fi
say "pytest tests/export/test_other_tensorflow.py"
CHAM_SERVED_PYTHON="$served/bin/python" "$python" -m pytest -rP tests/export/test_other_tensorflow.py "$@"
