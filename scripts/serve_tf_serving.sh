#!/usr/bin/env bash
# Serves an export with TensorFlow's model server, in Docker, at this machine's own address:
# gRPC at 127.0.0.1:8500, REST at 127.0.0.1:8501. Ctrl-C ends it.
#
#     scripts/serve_tf_serving.sh BASE [NAME]
#
# BASE  folder that `cham export` wrote, with a folder for each version
# NAME  the model's name; the folder's if not given
#
# With the files that the export writes beside the versions: models.config (where NAME is the
# folder's), batching_params.pbtxt, monitoring.config. Without Docker: cham serve BASE.
set -euo pipefail
if [ $# -lt 1 ] || [ $# -gt 2 ] || [ "$1" = "-h" ] || [ "$1" = "--help" ]; then
    sed -n '2,11s/^# \{0,1\}//p' "$0"
    exit 2
fi
image="tensorflow/serving:2.20.0"

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

[ -d "$1" ] || fail "The folder of versions must exist. Received: $1. \`cham export RUN --out FOLDER\` writes one."
base="$(cd "$1" && pwd)"
name="${2:-$(basename "$base")}"
compgen -G "$base/[0-9]*/saved_model.pb" >/dev/null ||
    fail "The folder must hold a version, a folder whose name is a number. Received: $base, which holds none."
case "$base$name" in
    *[:,]*) fail "Folder and name must be without colons and commas, which Docker reads as its own. Received: $base, $name." ;;
esac
command -v docker >/dev/null ||
    fail "Docker must be installed for the model server. Received: no command docker. Install it, or run the stand-in: cham serve $1"
docker info >/dev/null 2>&1 ||
    fail "Docker must be running for the model server. Received: no answer from its daemon. Start it, or run the stand-in: cham serve $1"

inside="/models/$name"
options=()
# The file states a name and where its versions lie; it is right for that name only.
if [ -f "$base/models.config" ] && grep -qF "base_path: \"$inside\"" "$base/models.config"; then
    options+=("--model_config_file=$inside/models.config")
fi
if [ -f "$base/batching_params.pbtxt" ]; then
    options+=(--enable_batching "--batching_parameters_file=$inside/batching_params.pbtxt")
fi
if [ -f "$base/monitoring.config" ]; then
    options+=("--monitoring_config_file=$inside/monitoring.config")
fi
# The image's own command adds the ports and, from MODEL_NAME, name and folder of the model.
exec docker run --rm --init \
    -p 127.0.0.1:8500:8500 -p 127.0.0.1:8501:8501 \
    -v "$base:$inside:ro" -e "MODEL_NAME=$name" \
    "$image" ${options[@]+"${options[@]}"}
