"""The whole benchmark at a tiny size: its files, tables, sweeps, memory, streaming."""

import json

import pytest
from benchmark_testing import tiny_settings

from cham_keras.benchmark import run_benchmark
from cham_keras.benchmark.memory import measure_memory
from cham_keras.benchmark.streaming import measure_streaming
from cham_keras.benchmark.sweeps import Sweep
from cham_keras.layers import SpatialRNN


@pytest.fixture(scope="module")
def quiet_load():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
        yield


@pytest.fixture(scope="module")
def written(tmp_path_factory, quiet_load):
    folder = tmp_path_factory.mktemp("benchmark") / "times"
    settings = tiny_settings(sweep_batches=(1,), sweep_steps=(2,), sweep_systems=("auto",))
    return folder, run_benchmark(settings, folder)


def test_files_are_written(written):
    folder, _ = written
    assert sorted(path.name for path in folder.iterdir()) == [
        "benchmark.json",
        "benchmark.md",
        "benchmark.png",
    ]
    assert (folder / "benchmark.png").read_bytes().startswith(b"\x89PNG")


def test_json_holds_everything_that_was_found(written):
    folder, results = written
    values = json.loads((folder / "benchmark.json").read_text())
    assert values == results.values
    assert values["settings"]["channels"] == 5
    assert values["environment"]["load_average"] == [0, 0, 0]
    assert {"keras", "tensorflow", "torch", "jax"} <= set(values["environment"]["versions"])
    assert values["warning"] == ""
    hoisted = values["systems"]["hoisted"]
    for mode in ("train", "inference"):
        row = hoisted[mode]
        assert len(row["seconds"]) == 1
        rate = row["useful_operations"] / row["median_seconds"]
        assert row["operations_per_second"] == pytest.approx(rate)
        own_rate = values["matrix_product"]["operations_per_second"]
        assert row["share_of_matrix_product"] == pytest.approx(rate / own_rate)
    assert hoisted["implementation"] == "hoisted"
    assert set(values["streaming"]) == {"attention layer", "both layers of CHAM"}


def test_tables_have_a_row_a_system_and_fit_100_columns(written):
    folder, _ = written
    text = (folder / "benchmark.md").read_text()
    for title in ("Train step", "Inference", "First call, s", "Systems", "Streaming, batch 1"):
        table = text.split(f"## {title}\n")[1].split("\n## ")[0]
        if title != "Streaming, batch 1":
            assert "| hoisted " in table
            assert "| plain_rnn " in table
    assert "## Train step per frame, ms, steps 3" in text
    assert "| system | batch 1 | exponent |" in text
    assert "## Train step per frame, ms, batch 2" in text
    assert "maps 3x4x5, 2 filters, kernel 3, 3 steps, batch 2, float32." in text
    assert "Peak memory" not in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_a_benchmark_is_not_written_over_unasked(written):
    folder, _ = written
    with pytest.raises(FileExistsError, match="There is a benchmark already"):
        run_benchmark(tiny_settings(), folder)


def test_a_machine_at_work_is_warned_of(monkeypatch, capsys):
    monkeypatch.setattr("os.getloadavg", lambda: (7.5, 1.0, 1.0))
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    results = run_benchmark(tiny_settings(streaming=False, systems=("plain_rnn",)))
    assert "its load average was 7.50 on 4 processors" in results.values["warning"]
    assert "**The machine was not quiet" in results.to_markdown()
    assert "The machine was not quiet" in " ".join(capsys.readouterr().err.split())


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr("keras.config.backend", lambda: "torch")
    with pytest.raises(ValueError, match="must be tensorflow or jax .* Received: torch"):
        run_benchmark(tiny_settings())


def test_memory_of_each_system_is_measured_in_its_own_process():
    names = []
    settings = tiny_settings(systems=("hoisted",), channels=512, filters=8, steps=16, batch=8)
    found = measure_memory(settings, names.append)
    assert names == ["hoisted"]
    memory = found["hoisted"]
    assert memory["features_mib"] == pytest.approx(8 * 16 * 3 * 4 * 512 * 4 / 2**20)
    assert 0 <= memory["inference_mib"] <= memory["train_mib"]
    assert memory["built_mib"] > memory["features_mib"]


def test_a_memory_process_that_fails_leaves_a_sentence(monkeypatch):
    monkeypatch.setattr("cham_keras.benchmark.memory._MODULE", "no_such_module")
    found = measure_memory(tiny_settings(systems=("step",)), lambda name: None)
    assert "ended with code 1" in found["step"]["left_out"]
    assert "no_such_module" in found["step"]["left_out"]


def test_a_stream_that_forgets_its_states_is_refused(monkeypatch):
    right = SpatialRNN.step

    def forget(self, features, states):
        return right(self, features, [0 * state for state in states])

    monkeypatch.setattr(SpatialRNN, "step", forget)
    with pytest.raises(ValueError, match="outputs of the streamed attention layer must agree"):
        measure_streaming(tiny_settings(), lambda note: None)


def test_growth_is_fitted_through_the_logarithms():
    sweep = Sweep("batch", (1, 2, 4), 5, {"a": (3.0, 6.0, 12.0), "b": (2.0, 2.0, 2.0)})
    assert sweep.exponent("a") == pytest.approx(1)
    assert sweep.exponent("b") == pytest.approx(0, abs=1e-12)
    assert sweep.frame_seconds("b") == pytest.approx((0.4, 0.2, 0.1))
    assert Sweep("steps", (4,), 1, {"a": (1.0,)}).exponent("a") is None
