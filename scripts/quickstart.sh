#!/usr/bin/env bash
# From a fresh machine with Python 3.11 or newer to the demo: makes an environment,
# installs the package, and runs `cham demo`. Needs a network for pip only.
#
#     scripts/quickstart.sh                  writes into demo/ of the checkout
#     scripts/quickstart.sh --out FOLDER     arguments go to `cham demo`
#
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment ""

case " $* " in
    *" --out "* | *" --out="* | *" --help "* | *" -h "*) ;;
    *) set -- --out "$root/demo" "$@" ;;
esac
say "cham demo $*"
say "Draws clips, trains three models on them and compares them: about five minutes on two cores"
bin="$(dirname "$python")"
"$bin/cham" demo "$@"
say "These commands are found after: . $bin/activate"
