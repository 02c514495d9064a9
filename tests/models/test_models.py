"""The models: shapes, learning, saving, lengths, attention beside the scores."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from cham_keras import models
from cham_keras.losses import SequenceCrossEntropy
from cham_keras.metrics import ClipAccuracy, FrameAccuracy

RNG = np.random.default_rng(0)
CLIPS = RNG.normal(size=(4, 6, 5, 4, 3)).astype("float32")
SHAPE = (None, 5, 4, 3)
BUILDERS = {
    "cham": lambda **kwargs: models.cham(SHAPE, 3, filters=4, head_units=8, **kwargs),
    "cham with all it can have": lambda **kwargs: models.cham(
        SHAPE,
        3,
        filters=4,
        head_units=8,
        pooling="flatten",
        initial_state="learned",
        attention_penalty=0.1,
        standardize=True,
        **kwargs,
    ),
    "conv_attention": lambda **kwargs: models.conv_attention(
        SHAPE, 3, filters=4, head_units=8, initial_state="mean_conv", **kwargs
    ),
    "fc_attention": lambda **kwargs: models.fc_attention(SHAPE, 3, units=4, head_units=8, **kwargs),
    "conv_alstm": lambda **kwargs: models.conv_alstm(SHAPE, 3, filters=4, head_units=8, **kwargs),
    "average_pooled_lstm": lambda **kwargs: models.average_pooled_lstm(
        SHAPE, 3, units=4, head_units=8, **kwargs
    ),
    "softmax_regression": lambda dropout=0.0, **kwargs: models.softmax_regression(
        SHAPE, 3, l2=1e-3, **kwargs
    ),
    "spatial_convnet": lambda **kwargs: models.spatial_convnet(SHAPE, 3, **kwargs),
}
WITHOUT_ATTENTION = ("average_pooled_lstm", "softmax_regression", "spatial_convnet")
WITH_ATTENTION = [name for name in BUILDERS if name not in WITHOUT_ATTENTION]


@pytest.fixture(params=BUILDERS)
def build(request):
    keras.utils.set_random_seed(1)
    return BUILDERS[request.param]


@pytest.fixture(params=WITH_ATTENTION)
def build_with_attention(request):
    keras.utils.set_random_seed(1)
    return BUILDERS[request.param]


def compiled(model):
    model.compile("adam", SequenceCrossEntropy(), metrics=[FrameAccuracy(), ClipAccuracy()])
    return model


def test_probabilities_of_every_step_sum_to_one(build):
    probabilities = build().predict(CLIPS, verbose=0)
    assert probabilities.shape == (4, 6, 3)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-6)


def test_fit_moves_every_weight(build):
    model = compiled(build())
    before = [np.copy(weight) for weight in model.get_weights()]
    model.fit(CLIPS, np.array([0, 1, 2, 0]), epochs=2, verbose=0)
    for weight, old, new in zip(model.weights, before, model.get_weights(), strict=True):
        moved = np.abs(np.asarray(new, "float64") - old).max() > 0
        # Statistics are set from outside; all else is trained, or moved on by dropout.
        assert moved == ("standardization" not in weight.path), weight.path


@pytest.mark.parametrize("name", [name for name in BUILDERS if name != "spatial_convnet"])
def test_a_model_learns_a_batch_by_heart(name):
    # Three numbers a frame, all that spatial_convnet sees here, do not tell four clips apart.
    keras.utils.set_random_seed(1)
    build = BUILDERS[name]
    model = build(dropout=0.0)
    labels = np.array([0, 1, 2, 0])
    model.compile(keras.optimizers.Adam(0.02), SequenceCrossEntropy(), metrics=[ClipAccuracy()])
    history = model.fit(CLIPS, labels, epochs=60, verbose=0)
    assert history.history["clip_accuracy"][-1] == 1.0


def test_padding_does_not_change_scores_loss_or_accuracy(build):
    model = compiled(build(lengths=True))
    short = {"features": CLIPS[:, :4], "lengths": np.full(4, 4, "int32")}
    padded = {
        "features": np.concatenate([CLIPS[:, :4], 50 * CLIPS[:, 4:]], axis=1),
        "lengths": np.full(4, 4, "int32"),
    }
    labels = np.array([0, 1, 2, 0])
    padded_labels = np.where(np.arange(6) < 4, labels[:, None], -1)
    np.testing.assert_allclose(
        model.predict(short, verbose=0), model.predict(padded, verbose=0)[:, :4], atol=1e-6
    )
    np.testing.assert_allclose(
        model.evaluate(short, labels, verbose=0),
        model.evaluate(padded, padded_labels, verbose=0),
        rtol=1e-5,
    )


def test_attention_stands_beside_the_same_scores(build_with_attention):
    model = build_with_attention()
    assert models.has_attention(model)
    both = models.with_attention(model).predict(CLIPS, verbose=0)
    np.testing.assert_array_equal(both["probabilities"], model.predict(CLIPS, verbose=0))
    assert both["attention"].shape == (4, 6, 5, 4)
    np.testing.assert_allclose(both["attention"].sum(axis=(2, 3)), 1, atol=1e-5)


def test_attention_follows_the_features(build_with_attention):
    model = models.with_attention(build_with_attention())
    maps = model.predict(CLIPS, verbose=0)["attention"]
    mirrored = model.predict(CLIPS[:, :, :, ::-1], verbose=0)["attention"]
    # The first map depends on features and zero states alone: it is mirrored with them,
    # as long as the start state is (a 3x3 kernel is not symmetric, so not for "mean_conv").
    if not {"initial_h", "initial_h1"} & {layer.name for layer in model.layers}:
        np.testing.assert_allclose(maps[:, 0], mirrored[:, 0, :, ::-1], atol=1e-6)
    assert np.abs(maps - mirrored).max() > 1e-4


def test_saved_models_load_where_only_the_package_is_imported(tmp_path):
    keras.utils.set_random_seed(1)
    batch = {"features": CLIPS, "lengths": np.array([6, 5, 3, 1], "int32")}
    np.savez(tmp_path / "batch.npz", **batch)
    scores = {}
    for name, build in BUILDERS.items():
        model = compiled(build(lengths=True))
        model.train_on_batch(batch, np.array([0, 1, 2, 0]))
        model.save(tmp_path / f"{name}.keras")
        scores[name] = model.predict_on_batch(batch)
    program = (
        "import sys, numpy as np, keras, cham_keras\n"
        "folder, *names = sys.argv[1:]\n"
        "batch = dict(np.load(folder + '/batch.npz'))\n"
        "for name in names:\n"
        "    model = keras.saving.load_model(f'{folder}/{name}.keras')\n"
        "    assert model.loss is not None and model.optimizer is not None\n"
        "    np.save(f'{folder}/{name}.npy', model.predict_on_batch(batch))\n"
        "    model.train_on_batch(batch, np.zeros(4, int))\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path), *scores], check=True)
    for name in scores:
        np.testing.assert_allclose(
            np.load(tmp_path / f"{name}.npy"), scores[name], atol=1e-6, err_msg=name
        )


def test_a_clone_has_the_same_outputs_under_the_same_weights(build):
    model = build()
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(
        clone.predict(CLIPS, verbose=0), model.predict(CLIPS, verbose=0), atol=1e-6
    )


@pytest.mark.parametrize("initial_state", ["zeros", "mean_conv"])
def test_cham_emitting_updates_gives_every_second_step(initial_state):
    keras.utils.set_random_seed(1)
    # Five steps: an update more would come from a phase above zero.
    how = {"filters": 4, "head_units": 8, "initial_state": initial_state}
    every = models.cham((5, 5, 4, 3), 3, **how)
    updates = models.cham((5, 5, 4, 3), 3, emit="updates", **how)
    updates.set_weights(every.get_weights())
    assert updates.output_shape == (None, 2, 3)
    clips = CLIPS[:, :5]
    np.testing.assert_allclose(
        updates.predict(clips, verbose=0), every.predict(clips, verbose=0)[:, 1::2], atol=1e-6
    )


def test_flatten_head_keeps_positions_apart():
    keras.utils.set_random_seed(1)
    model = models.conv_attention((None, 5, 4, 3), 3, filters=4, head_units=8, pooling="flatten")
    assert model.get_layer("hidden").kernel.shape == (5 * 4 * 4, 8)
    assert model.predict(CLIPS, verbose=0).shape == (4, 6, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (7, 7, 8)}, "`input_shape` must be"),
        ({"input_shape": (5, None, 7, 8)}, "`input_shape` must be"),
        ({"pooling": "median"}, "`pooling` must be 'average', 'max' or 'flatten'"),
        ({"initial_state": "ones"}, "`initial_state` must be 'zeros', 'mean_conv' or 'learned'"),
        ({"attention_penalty": -0.1}, "`attention_penalty` must not be negative"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        models.conv_attention(**{"input_shape": (5, 7, 7, 8), "num_classes": 2, **arguments})


@pytest.mark.parametrize("build", [models.fc_attention, models.average_pooled_lstm])
def test_a_convolution_is_no_start_for_vectors(build):
    with pytest.raises(ValueError, match="must be 'zeros', 'mean' or 'learned'"):
        build((5, 7, 7, 8), 2, initial_state="mean_conv")


def test_a_negative_l2_is_refused():
    with pytest.raises(ValueError, match="`l2` must not be negative. Received: l2=-1"):
        models.softmax_regression((5, 7, 7, 8), 2, l2=-1)


@pytest.mark.parametrize("name", WITHOUT_ATTENTION)
def test_models_without_attention_say_so(name):
    model = BUILDERS[name]()
    assert not models.has_attention(model)
    with pytest.raises(ValueError, match=f"have no attention. Received: '{name}'"):
        models.with_attention(model)


def test_attention_of_a_foreign_model_is_refused():
    inputs = keras.Input((3,))
    with pytest.raises(ValueError, match="must hold a layer 'recurrence'"):
        models.with_attention(keras.Model(inputs, keras.layers.Dense(2)(inputs)))
