#!/usr/bin/env bash
# Surveillance Camera Fight (Akti, Tataroglu, Ekenel, IPTA 2019): 300 real clips of two classes,
# five folds by source video, MobileNet features. Every method on features with the recipes for
# small data, beside linear classifiers on pooled features; what each choice of CHAM's recipe is
# worth; CHAM against the best pooled baseline; attention pictures.
#
#     scripts/surveillance_fight.sh CLIPS_CSV WEIGHTS OUT
#
# CLIPS_CSV  clips.csv with the columns path, label, group, beside the clips
# WEIGHTS    ImageNet weights of keras.applications.MobileNet without the classifier, or "imagenet"
# OUT        a new folder, about 2 GB; the same command goes on after a kill
#
# Hours and results: docs/results/surveillance_fight.md.
set -euo pipefail
if [ $# -ne 3 ]; then
    sed -n '2,14s/^# \{0,1\}//p' "$0"
    exit 2
fi
csv="$1" weights="$2" out="$3"
here="$(cd "$(dirname "$0")" && pwd)"

cham compare --root "$csv" --out "$out/table" --folds 5 --validation-fraction 0 \
    --recipes small_data --backbone mobilenet --weights "$weights" --frame-stride 2
cham ablate "$out/table/shards" --lines "$here/small_data_ablation.toml" --out "$out/ablation"
for method in conv_attention fc_attention pooled; do
    cham paired "$out/table/results/cham/folds" --against "$out/table/results/$method/folds" \
        --name CHAM --against-name "$method" --out "$out/paired/$method"
done
cham explain "$out/table/runs/cham/fold-0/seed-0" --shards "$out/table/views/fold-0"
