"""What settings make of a model: steps, learning rate, clipping, decay, precision."""

import keras
import numpy as np
import pytest
from shard_making import make_shards
from training_testing import compiled_quick_model, settings_of, train_quietly

from cham_keras.runs import ModelSettings, OptimizerSettings, build_model
from cham_keras.training import compilation, resolve
from cham_keras.training.compilation import learning_rate_at, learning_rate_schedule
from cham_keras.training.training_data import training_clips


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.mark.parametrize("parts", [1, 2, 8])
def test_the_learning_rate_falls_at_the_stated_step(parts, shards):
    optimizer = {"decay_iteration": 10_000, "learning_rate": 1e-4, "accumulation_steps": parts}
    settings = settings_of(optimizer=optimizer, data__batch_size=8)
    compiled = compiled_quick_model(settings, shards).optimizer
    # Steps are counted from 0: the first 10,000 steps are 0 to 9,999.
    for step, rate in ((0, 1e-4), (9_999, 1e-4), (10_000, 1e-5), (10_001, 1e-5)):
        # Keras changes the weights in the last part of a step.
        compiled.variables[0].assign(step * parts + parts - 1)
        assert int(compiled.iterations) == step
        assert float(compiled.learning_rate) == pytest.approx(rate)
        assert learning_rate_at(settings.optimizer, step) == pytest.approx(rate)


def test_the_learning_rate_falls_after_the_stated_epochs(shards, tmp_path):
    weights = {}
    for name, epochs, decay in (("one", 1, {}), ("two", 2, {}), ("still", 2, {"decay_epoch": 1})):
        optimizer = {"learning_rate": 0.05, "decay_factor": 1e-9, **decay}
        settings = settings_of(epochs=epochs, optimizer=optimizer)
        run = train_quietly(shards, tmp_path / name, settings)
        weights[name] = keras.saving.load_model(run.folder / "last.keras").get_weights()
    for one, two, still in zip(*weights.values(), strict=True):
        np.testing.assert_allclose(still, one, atol=1e-7)
        assert np.abs(two - one).max() > 1e-3


def test_a_fall_after_epochs_without_their_steps_is_refused(shards):
    settings = settings_of(optimizer__decay_epoch=2)
    with pytest.raises(ValueError, match="`optimizer.decay_epoch` goes with `steps_per_epoch`"):
        compilation.compile_model(compiled_quick_model(settings_of(), shards), settings)


def test_a_rate_that_never_falls_is_a_number():
    assert learning_rate_schedule(OptimizerSettings(decay_iteration="never")) == 1e-4


def without_dropout(model_settings, feature_shape, num_classes, seed=None):
    settings = ModelSettings(name="conv_attention", filters=2, head_units=4, dropout=0.0)
    return build_model(settings, feature_shape, num_classes, seed)


@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_parts_of_a_step_make_the_step_of_the_whole_batch(clip_norm, shards, monkeypatch):
    monkeypatch.setattr(compilation, "build_model", without_dropout)
    weights = []
    for parts in (1, 3):
        settings = settings_of(
            class_weights="balanced",
            optimizer__accumulation_steps=parts,
            optimizer__decay_iteration=2,
            optimizer__weight_decay=0.1,
            **({} if clip_norm is None else {"optimizer__clip_norm": clip_norm}),
        )
        keras.utils.set_random_seed(0)
        model = without_dropout(None, (3, 4, 5), 3, seed=0)
        compilation.compile_model(model, settings)
        start = model.get_weights()
        for batch in training_clips(shards, settings).take(4 * parts):
            assert len(batch[1]) == 6 // parts
            model.train_on_batch(*batch)
        weights.append(model.get_weights())
        assert int(model.optimizer.iterations) == 4
    for before, whole, parted in zip(start, *weights, strict=True):
        # Adam divides by the gradient's size, which blows rounding up where it is near zero.
        np.testing.assert_allclose(parted, whole, atol=2e-4)
        assert np.abs(whole - before).max() > 0.01


def test_a_number_of_parts_that_does_not_divide_the_batch_is_refused():
    with pytest.raises(
        ValueError, match=r"accumulation_steps` must divide `data.batch_size`, 6. Received: 4"
    ):
        resolve(settings_of(optimizer__accumulation_steps=4))


def test_weight_decay_shrinks_all_weights_but_the_biases():
    settings = settings_of(optimizer__weight_decay=0.5, optimizer__learning_rate=0.1)
    model = build_model(
        ModelSettings(name="conv_attention", filters=2, head_units=4), (3, 4, 5), 3, seed=0
    )
    compilation.compile_model(model, settings)
    model.optimizer.build(model.trainable_variables)
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    model.optimizer.apply([np.zeros(v.shape, "float32") for v in model.trainable_variables])
    left = {v.path: float(np.max(v)) for v in model.trainable_variables}
    biases = {path for path in left if path.endswith("bias")}
    assert len(biases) == 4  # gates, attention, hidden, logits
    for path, value in left.items():
        assert value == pytest.approx(1.0 if path in biases else 1 - 0.5 * 0.1), path


def test_without_weight_decay_it_is_adam():
    model = build_model(ModelSettings(name="softmax_regression"), (3, 4, 5), 3)
    compilation.compile_model(model, settings_of())
    assert type(model.optimizer) is keras.optimizers.Adam


@pytest.mark.parametrize("precision", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_precision_is_that_of_the_layers_and_of_nothing_else(precision, shards):
    model = compiled_quick_model(settings_of(precision=precision), shards)
    assert model.layers[-1].compute_dtype == "float32"  # the probabilities
    dropout = next(layer for layer in model.layers if isinstance(layer, keras.layers.Dropout))
    assert dropout.compute_dtype == precision.removeprefix("mixed_")
    scales = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scales == (precision == "mixed_float16")
    assert keras.config.dtype_policy().name == "float32"
    weights = [variable.dtype for variable in model.trainable_variables]
    assert set(weights) == {"float32"}


def test_a_gradient_that_overflows_in_float16_is_passed_over(shards):
    model = compiled_quick_model(settings_of(precision="mixed_float16"), shards)
    optimizer, weights = model.optimizer, model.trainable_variables
    optimizer.build(weights)
    before, scale = model.get_weights(), float(optimizer.dynamic_scale)
    optimizer.apply([np.full(v.shape, np.inf, "float32") for v in weights])
    assert float(optimizer.dynamic_scale) == scale / 2
    for ours, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
