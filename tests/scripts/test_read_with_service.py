"""Reading shards through tf.data service, as the script does it."""

import subprocess
import sys
from pathlib import Path

import pytest
from shard_testing import write_small_shards

SCRIPT = Path(__file__).parents[2] / "scripts" / "read_with_service.py"


@pytest.mark.parametrize(("num_frames", "num_batches"), [(12, 7), (5, 11)])
def test_each_clip_is_seen_once(tmp_path, num_frames, num_batches):
    frames_of_clips = [3, 8, 1, 5, 12, 6, 4]
    write_small_shards(tmp_path, frames_of_clips)
    run = subprocess.run(
        [sys.executable, SCRIPT, tmp_path, "--num-frames", str(num_frames), "--batch-size", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    first, last = run.stdout.splitlines()
    assert first.startswith(f"7 clips, {sum(frames_of_clips)} frames in {num_batches} batches")
    assert last == "Each clip was seen exactly once."
