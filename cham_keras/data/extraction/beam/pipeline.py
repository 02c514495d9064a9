"""The Beam pipeline: clips to records, records to shards.

Comes in: a `WorkFolder` with a clip list. Goes out: shards in that folder, and its
`result.json`. `extraction.extract_with_beam` runs it. Only this module needs Apache Beam.

    ranges of clips -> entries (a record of each clip lies in the folder)
    all entries     -> plan of the shards -> checksums (the shards lie in the folder)
    both            -> result.json
"""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, redirect_stderr
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.shared import Shared

from cham_keras.data.backbones.backbones import load_backbone_from_spec
from cham_keras.data.clip_list import read_clip_list
from cham_keras.data.extraction.beam.job import PipelineJob
from cham_keras.data.extraction.beam.shard_plan import Entry, PlannedShard, plan_shards
from cham_keras.data.extraction.decoding import decode_ahead
from cham_keras.data.extraction.extraction import clip_reader, clips_with_features, extraction_order
from cham_keras.data.shards.clip_record import ClipFeatures, record_of_clip
from cham_keras.data.shards.manifest import UnreadableClip

#: Clips of a range share batches; a range is what a worker does at a time, and does again
#: after a fault. Eight clips waste a few hundredths of the backbone's work on padding.
_MOST_CLIPS_IN_RANGE = 8
#: Short lists are cut finer, so that this many workers have something to do.
_RANGES_WANTED = 32

_MOST_DECODERS = 4


def build_pipeline(job: PipelineJob, flags: Sequence[str]) -> beam.Pipeline:
    """Makes the pipeline; nothing runs yet.

    Args:
        job: what to do.
        flags: Beam's options, as they stand on its command lines.

    Raises:
        ValueError: Beam does not know the runner, or an option's value.
    """
    pipeline = beam.Pipeline(options=_parsed(flags))
    entries = (
        pipeline
        | "Clips" >> beam.Create(ranges_of_clips(job.num_clips))
        | "SpreadClips" >> beam.Reshuffle()
        | "Features" >> beam.ParDo(ExtractClips(job))
        | "AllClips" >> beam.combiners.ToList()
    )
    checksums = (
        entries
        | "PlanShards" >> beam.FlatMap(_planned, job=job)
        | "SpreadShards" >> beam.Reshuffle()
        | "WriteShards" >> beam.Map(_write_shard, job=job)
        | "AllShards" >> beam.combiners.ToList()
    )
    _ = entries | "Result" >> beam.Map(
        _write_result, checksums=beam.pvalue.AsSingleton(checksums), job=job
    )
    return pipeline


def _parsed(flags: Sequence[str]) -> PipelineOptions:
    """Beam's options; where a value is wrong, Beam would print pages and end the program."""
    printed = io.StringIO()
    try:
        with redirect_stderr(printed):
            options = PipelineOptions(list(flags))
            options.get_all_options()  # parses them, too
    except SystemExit:
        reason = printed.getvalue().strip().splitlines()[-1].partition("error: ")[2]
        raise ValueError(f"Each option must have a value that Beam knows. {reason}.") from None
    return options


def ranges_of_clips(num_clips: int) -> list[tuple[int, int]]:
    """First position and the one after the last of each range of clips."""
    size = max(1, min(_MOST_CLIPS_IN_RANGE, num_clips // _RANGES_WANTED))
    return [(start, min(start + size, num_clips)) for start in range(0, num_clips, size)]


class ExtractClips(beam.DoFn):
    """Puts records of clips into the folder and yields their entries."""

    def __init__(self, job: PipelineJob) -> None:
        """Keeps what `setup` needs in the worker."""
        self.job = job
        self._shared = Shared()  # threads of a worker's process share one backbone
        self._num_clips = Metrics.counter("extract", "clips")
        self._num_frames = Metrics.counter("extract", "frames")
        self._num_unreadable = Metrics.counter("extract", "unreadable_clips")

    def setup(self) -> None:
        """Loads the backbone, once in a process."""
        with self.job.folder.errors_told():
            self._extractor = self._shared.acquire(lambda: _Extractor(self.job))

    def process(self, positions: tuple[int, int]) -> Iterator[Entry]:
        """Extracts a range of clips.

        An error that another attempt would meet again becomes an entry, `failure`; the
        runner need not repeat it, and whoever started the pipeline raises it.
        """
        folder = self.job.folder
        if folder.must_stop():
            return
        try:
            with folder.errors_told():
                for entry in self._extractor.entries(range(*positions)):
                    self._count(entry)
                    yield entry
        except ValueError as error:
            folder.stop()
            yield {"position": positions[0], "failure": str(error)}

    def _count(self, entry: Entry) -> None:
        if "clip" in entry:
            self._num_clips.inc()
            self._num_frames.inc(entry["frames"])
        else:
            self._num_unreadable.inc()


class _Extractor:
    """What a process needs to extract clips."""

    def __init__(self, job: PipelineJob) -> None:
        self.job = job
        self.backbone = load_backbone_from_spec(job.backbone)
        self.clip_list = read_clip_list(job.folder.clip_list)
        self.order = extraction_order(self.clip_list, job.seed)
        self.read = clip_reader(self.clip_list, self.backbone, job.frame_stride, job.max_frames)

    def entries(self, positions: Sequence[int]) -> Iterator[Entry]:
        missing = []
        for position in positions:
            finished = self.job.folder.finished_clip(position)
            if finished is None:
                missing.append(position)
            else:
                yield finished
        num_threads = min(_MOST_DECODERS, len(os.sched_getaffinity(0)))
        clips = [self.order[position] for position in missing]
        decoded = decode_ahead(clips, self.read, num_threads, 2 * self.backbone.batch_size)
        with closing(decoded):
            extracted = clips_with_features(decoded, self.backbone, self.clip_list)
            for position, (clip, _) in zip(missing, extracted, strict=True):
                yield self._finish(position, clip)

    def _finish(self, position: int, clip: ClipFeatures | UnreadableClip) -> Entry:
        if isinstance(clip, UnreadableClip):
            if self.job.strict:
                raise ValueError(
                    f"Every clip must be readable with --strict. Received: {clip.path}: "
                    f"{clip.reason}"
                )
            return {"position": position, "unreadable": clip.path, "reason": clip.reason}
        shape = self.job.backbone.feature_shape
        record, stored = record_of_clip(clip, self.clip_list.classes, shape, self.job.feature_dtype)
        entry = {
            "position": position,
            "clip": clip.id,
            "split": clip.split,
            "label": clip.label,
            "frames": len(stored.frames),
            "largest_error": stored.largest_error,
            "squared_error": stored.squared_error,
            "squared_norm": stored.squared_norm,
        }
        return self.job.folder.write_clip(entry, record)


def _planned(entries: list[Entry], job: PipelineJob) -> list[PlannedShard]:
    if any("failure" in entry for entry in entries):
        return []
    shards_of_split = plan_shards(entries, job.shard_bytes, job.clips_per_shard)
    return [shard for shards in shards_of_split.values() for shard in shards]


def _write_shard(shard: PlannedShard, job: PipelineJob) -> tuple[str, str]:
    with job.folder.errors_told():
        return shard.file, job.folder.write_shard(shard)


def _write_result(entries: list[Entry], checksums: Any, job: PipelineJob) -> None:
    with job.folder.errors_told():
        job.folder.write_result(entries, dict(checksums))
