#!/usr/bin/env bash
# Runs every check of the project: formatting, lint, types, tests. On a fresh machine
# with Python 3.11 or newer it first makes an environment and installs what is needed.
#
#     scripts/test.sh                      everything
#     scripts/test.sh tests/layers -x      further arguments go to pytest
#
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment "[dev]"
cd "$root"

failed=""
check() {
    local advice="$1"
    shift
    say "$*"
    "$python" -m "$@" || failed="${failed}$* failed: $advice"$'\n'
}
check "run \`ruff format\` in the environment, it rewrites the files." ruff format --check .
check "what is wrong and where stands above." ruff check .
check "what is wrong and where stands above." mypy

say "pytest -n 2 $*"
# pytest repeats what failed before it in its summary (tests/conftest.py).
status=0
CHAM_FAILED_CHECKS="$failed" "$python" -m pytest -n 2 "$@" || status=$?
[ -z "$failed" ] || [ "$status" -ne 0 ] || status=1
exit "$status"
