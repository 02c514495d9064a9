#!/usr/bin/env bash
# The measurements of docs/results: the recurrence against Keras, PyTorch and the machine's own
# matrix product. Makes an environment and installs the package like quickstart.sh.
#
#     scripts/benchmark.sh OUT             all sets, one folder each, into OUT
#     scripts/benchmark.sh OUT --repeats 3 options that the sets leave open go to each
#
# On a machine with a GPU the same sets run there; add --dtype mixed_bfloat16 --jit as wanted.
# KERAS_BACKEND=jax measures on JAX. PyTorch is measured where it is installed
# (pip install torch). Leave the machine alone meanwhile.
set -euo pipefail
if [ $# -lt 1 ] || [ "$1" = "-h" ] || [ "$1" = "--help" ]; then
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
fi
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
out="$1"
shift
prepare_environment ""

# What ran before would count as other work: waits until the load has gone, two minutes at most.
wait_for_quiet() {
    local _
    [ -r /proc/loadavg ] || return 0
    for _ in $(seq 24); do
        "$python" -c 'import os, sys; sys.exit(os.getloadavg()[0] > 0.2 * os.cpu_count())' && return
        sleep 5
    done
}

measure() {
    local name="$1"
    shift
    wait_for_quiet
    say "cham benchmark --out $out/$name $*"
    "$(dirname "$python")/cham" benchmark --out "$out/$name" --overwrite "$@"
}

rivals="hoisted step auto plain_rnn conv_lstm_2d cham torch_eager torch_compiled"
# The unquoted $rivals are several arguments, on purpose.
# shellcheck disable=SC2086
{
    measure batch_8 --batch 8 --systems $rivals "$@"
    measure batch_2 --batch 2 --systems $rivals "$@"
    measure small --channels 256 --filters 64 --systems $rivals "$@"
    measure filters_512 --filters 512 --batch 2 --memory --no-streaming \
        --systems auto plain_rnn conv_lstm_2d torch_eager "$@"
    for mib in 1024 256 64; do
        measure "budget_${mib}_mib" --batch 8 --memory --no-streaming --systems hoisted step \
            --memory-budget-bytes $((mib * 1024 * 1024)) "$@"
    done
    measure sweeps --batch 2 --systems auto conv_lstm_2d --no-streaming \
        --sweep-systems auto conv_lstm_2d \
        --sweep-batches 1 2 4 8 16 --sweep-steps 4 8 16 32 "$@"
}
