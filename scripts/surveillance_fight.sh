#!/usr/bin/env bash
# Surveillance Camera Fight (Akti, Tataroglu, Ekenel, IPTA 2019): 300 real clips of two classes,
# split by source video, MobileNet features, three models.
#
#     scripts/surveillance_fight.sh CLIPS_CSV WEIGHTS OUT
#
# CLIPS_CSV  clips.csv with the columns path, label, group, beside the clips
# WEIGHTS    ImageNet weights of keras.applications.MobileNet without the classifier, or "imagenet"
# OUT        a new folder, about 1 GB
#
# Took 13 minutes on two cores of an AMD EPYC; results in docs/results/surveillance_fight.md.
set -euo pipefail
if [ $# -ne 3 ]; then
    sed -n '2,11s/^# \{0,1\}//p' "$0"
    exit 2
fi
csv="$1" weights="$2" out="$3"
here="$(cd "$(dirname "$0")" && pwd)"

cham prepare csv "$csv" --out "$out/clips" --seed 0
cham extract "$out/clips" --out "$out/shards" --backbone mobilenet --weights "$weights" --frame-stride 2
for model in fc_attention conv_attention cham; do
    for seed in 0 1 2; do
        run="$out/runs/$model-$seed"
        cham --settings "$here/surveillance_fight_$model.toml" train "$out/shards" --out "$run" --seed "$seed"
        cham evaluate "$run" --shards "$out/shards"
    done
done
cham explain "$out/runs/cham-0" --shards "$out/shards"
