"""The README's Python runs as it stands, and what it links to is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_the_python_of_the_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_the_model_of_the_map_is_one_that_can_be_trained():
    import numpy as np

    from cham_keras.losses import SequenceCrossEntropy

    text = (ROOT / "docs" / "map.md").read_text()
    [block] = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names = {}
    exec(compile(block, "map.md", "exec"), names)
    model = names["frame_gru"]((None, 2, 2, 3), 5, filters=4, lengths=True, seed=0)
    model.compile("sgd", SequenceCrossEntropy())
    features = np.random.default_rng(0).random((2, 4, 2, 2, 3), "float32")
    inputs = {"features": features, "lengths": np.array([4, 2], "int32")}
    targets = np.array([[1, 1, 1, 1], [3, 3, -1, -1]])
    assert np.isfinite(model.train_on_batch(inputs, targets))
    before = model.predict_on_batch(inputs)
    features[1, 2:] = 9.0  # padding
    np.testing.assert_allclose(model.predict_on_batch(inputs)[1, :2], before[1, :2], rtol=1e-5)


def test_every_link_and_picture_of_the_readme_is_there():
    targets = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_every_command_of_the_readme_is_a_verb():
    from cham_keras.cli.main import app

    verbs = set(re.findall(r"^cham (?:--settings \S+ )?([\w-]+)", README, flags=re.MULTILINE))
    assert {"prepare", "extract", "train", "evaluate"} <= verbs
    assert verbs <= {name for name in app if not name.startswith("-")}
