"""The public names: this list is what the packages promise, and nothing else is public."""

import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: Package -> its `__all__`, sorted. Whoever adds a public name adds it here too.
PUBLIC_NAMES = {
    "cham_keras": ["__version__", "layers", "losses", "metrics", "models"],
    "cham_keras.attention": [
        "AttentionReader",
        "AttentionScores",
        "ClipAttention",
        "Explanation",
        "MapScore",
        "attention_of_video",
        "explain_folder",
        "explain_split",
        "explain_video",
        "overlay",
        "score_attention",
        "write_attention_picture",
        "write_attention_video",
        "write_comparison_picture",
        "write_comparison_video",
    ],
    "cham_keras.attention.scores": [],
    "cham_keras.ablation": ["AblationLine", "AblationSettings", "run_ablation"],
    "cham_keras.baselines": [
        "baselines_beside_runs",
        "pooled_baselines",
        "read_baselines_beside_run",
    ],
    "cham_keras.baselines.trajectories": [
        "TrackingSettings",
        "TrajectorySettings",
        "trajectory_baseline",
    ],
    "cham_keras.benchmark": ["BenchmarkResults", "BenchmarkSettings", "run_benchmark"],
    "cham_keras.cli": [],
    "cham_keras.cli.prepare": ["app"],
    "cham_keras.data": [
        "Backbone",
        "BackboneSpec",
        "Clip",
        "ClipFeatures",
        "ClipList",
        "ClipRecord",
        "FeatureGrid",
        "FrameAugmentation",
        "Manifest",
        "Problem",
        "UnreadableClip",
        "Verification",
        "VideoInfo",
        "assign_splits",
        "clip_dataset",
        "clip_errors_named",
        "clip_windows",
        "clips_in_split",
        "extract",
        "frame_dataset",
        "grid_of_spec",
        "grouped_folds",
        "leave_one_out_folds",
        "load_backbone",
        "load_backbone_from_spec",
        "probe_video",
        "read_clip_list",
        "read_frames",
        "read_manifest",
        "resplit",
        "resplit_into_folds",
        "resplit_to_validate",
        "resplit_without_pairs_of_folds",
        "shard_errors_named",
        "union_of_clip_lists",
        "verification_of_shards",
        "verify_shards",
        "write_clip_list",
        "write_manifest",
        "write_shards",
        "write_video",
    ],
    "cham_keras.data.extraction.beam": ["extract_with_beam"],
    "cham_keras.data.backbones": [],
    "cham_keras.data.extraction": [],
    "cham_keras.data.feature_files": ["import_hdf5"],
    "cham_keras.data.frames": [
        "CLIP_SUFFIXES",
        "IMAGE_SUFFIXES",
        "INTERPOLATIONS",
        "ImageFolder",
        "NorpixSequence",
        "Resizing",
        "VIDEO_SUFFIXES",
        "VideoInfo",
        "clips_in_folder",
        "frame_at",
        "is_image_folder",
        "probe_clip",
        "probe_video",
        "read_clip_frames",
        "read_frames",
        "require_frame_rate",
        "write_video",
    ],
    "cham_keras.data.prepare": [
        "Box",
        "Prepared",
        "check_duplicates",
        "prepare_csv",
        "prepare_folder",
        "prepare_hmdb51",
        "prepare_olympic_sports",
        "prepare_tfds",
        "prepare_ucf101",
        "prepare_ucf_sports",
        "read_boxes",
        "write_boxes",
        "write_prepared",
    ],
    "cham_keras.data.reading": [],
    "cham_keras.data.shards": [],
    "cham_keras.demo": [
        "ACTIONS",
        "DemoSettings",
        "draw_clip",
        "run_demo",
        "write_drawn_actions",
    ],
    "cham_keras.demo.controlled": [
        "CONTROLLED_SETS",
        "ClipPlan",
        "ControlledSet",
        "ProofSettings",
        "draw_planned_clip",
        "outcomes",
        "run_proof",
        "take_over",
        "write_controlled_set",
        "write_report",
    ],
    "cham_keras.evaluation": [
        "FrameFigures",
        "PairedComparison",
        "Results",
        "SeedSummary",
        "compare_folders",
        "compare_paired",
        "ensemble",
        "evaluate",
        "pool_folds",
        "pool_runs",
        "read_results",
        "summarize",
        "summarize_seeds",
    ],
    "cham_keras.export": [
        "Export",
        "ParityError",
        "ParityReport",
        "Prediction",
        "ServedSource",
        "StreamClassifier",
        "StreamStep",
        "VideoClassifier",
        "check_parity",
        "export_saved_model",
        "open_export",
        "open_served",
        "predict",
    ],
    "cham_keras.export.other_formats": [
        "CheckedFiles",
        "export_litert",
        "export_onnx",
    ],
    "cham_keras.finetuning": [
        "FinetuningSettings",
        "FrameEvaluationSettings",
        "evaluate_from_frames",
        "finetune",
    ],
    "cham_keras.layers": [
        "AveragePooledLSTMCell",
        "ConvAttentionLSTMCell",
        "ConvLSTMCell",
        "HierarchicalSkipRNN",
        "SoftAttentionLSTMCell",
        "SpatialRNN",
    ],
    "cham_keras.models": [
        "average_pooled_lstm",
        "cham",
        "conv_alstm",
        "conv_attention",
        "fc_attention",
        "feature_statistics",
        "from_frames",
        "has_attention",
        "parts_of_from_frames",
        "set_feature_statistics",
        "softmax_regression",
        "spatial_convnet",
        "start_states",
        "start_states_from_clip",
        "streaming",
        "with_attention",
    ],
    "cham_keras.recipes": [
        "changed_recipe",
        "read_recipe",
        "recipe_description",
        "recipe_names",
        "recipe_path",
    ],
    "cham_keras.report": ["WrittenReport", "write_report"],
    "cham_keras.reproduce": ["TableSettings", "estimate_table", "make_table"],
    "cham_keras.runs": [
        "DataSettings",
        "ModelSettings",
        "OptimizerSettings",
        "Run",
        "RunSettings",
        "build_model",
        "open_run",
    ],
    "cham_keras.serving": [
        "ServedModel",
        "Signature",
        "StatusError",
        "TensorInfo",
        "replay_warmup",
    ],
    "cham_keras.serving.clients": ["GrpcClient", "RestClient", "ServerError", "VersionStatus"],
    "cham_keras.serving.stand_in": ["MAX_MESSAGE_BYTES", "StandIn"],
    "cham_keras.training": [
        "NonFiniteFeaturesError",
        "NonFiniteLossError",
        "TrainingStopped",
        "clip_datasets",
        "compile_model",
        "resolve",
        "train",
        "trained",
    ],
    "cham_keras.training.callbacks": [],
    "cham_keras.tuning": [
        "CHAMHyperModel",
        "ChiefUnreachableError",
        "Cluster",
        "FailedTrial",
        "Search",
        "SearchSpace",
        "Trial",
        "TrialCost",
        "best_trade_offs",
        "importances",
        "tune",
        "wide_space",
    ],
}

NAMES = [(package, name) for package, names in PUBLIC_NAMES.items() for name in names]
WITH_EXAMPLE = ("cham_keras.layers", "cham_keras.models")


def test_every_package_stands_in_the_list():
    files = (ROOT / "cham_keras").rglob("__init__.py")
    packages = {".".join(file.parent.relative_to(ROOT).parts) for file in files}
    assert packages == set(PUBLIC_NAMES)


@pytest.mark.parametrize("package", PUBLIC_NAMES)
def test_public_names_of_a_package_are_those_listed(package):
    module = importlib.import_module(package)
    assert sorted(getattr(module, "__all__", [])) == PUBLIC_NAMES[package]


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_public_name_can_be_imported_and_says_what_it_is(package, name):
    thing = getattr(importlib.import_module(package), name)
    if inspect.ismodule(thing) or inspect.isclass(thing) or inspect.isroutine(thing):
        # An inherited docstring describes the parent.
        assert (thing.__doc__ or "").strip(), f"{package}.{name} has no docstring"


@pytest.mark.parametrize(
    ("package", "name"), [pair for pair in NAMES if pair[0] in WITH_EXAMPLE], ids=".".join
)
def test_layers_and_models_show_an_example(package, name):
    thing = getattr(importlib.import_module(package), name)
    assert ">>>" in (thing.__doc__ or ""), f"the docstring of {package}.{name} has no example"
