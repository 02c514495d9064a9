"""What attention of a clip says of itself, and what it refuses."""

import numpy as np
import pytest


def test_relative_maps_are_one_where_attention_is_uniform(make_attention):
    uniform = make_attention(2, maps=np.full((2, 3, 5), 1 / 15))
    np.testing.assert_allclose(uniform.relative_maps, 1)


def test_the_clip_is_taken_for_the_class_of_the_highest_mean(make_attention):
    probabilities = np.array([[0.1, 0.9], [0.9, 0.1], [0.8, 0.2]])
    attention = make_attention(3, probabilities=probabilities, classes=("hop", "run"))
    assert attention.predicted == 0
    np.testing.assert_allclose(attention.clip_probabilities, [0.6, 0.4])


def test_seconds_count_from_the_first_frame_of_the_video(make_attention):
    attention = make_attention(2, frame_numbers=np.array([0, 30]), frame_rate_hz=12.0)
    assert attention.seconds.tolist() == [0, 2.5]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frames": np.zeros((2, 8, 8), "uint8")}, "`frames` must be of shape"),
        ({"frames": np.zeros((0, 8, 8, 3), "uint8")}, "not empty. Received: shape (0, 8, 8, 3)"),
        ({"frames": np.zeros((2, 8, 8, 3))}, "`frames` must be uint8. Received: float64"),
        ({"maps": np.ones((2, 49))}, "`maps` must be of shape (time, height, width) for 2"),
        ({"maps": np.full((3, 7, 7), 1 / 49)}, "Received: shape (3, 7, 7)"),
        ({"maps": np.ones((2, 7, 7))}, "must sum to 1. Received: sums from 49 to 49"),
        ({"probabilities": np.ones((2, 5))}, "`probabilities` must be of shape (2, 3)"),
        ({"frame_numbers": np.arange(3)}, "`frame_numbers` must be of shape (2,)"),
        ({"label": 3}, "`label` must be from 0 to 2. Received: 3"),
    ],
)
def test_parts_that_do_not_fit_are_refused(make_attention, values, message):
    with pytest.raises(ValueError) as error:
        make_attention(2, **values)
    assert message in str(error.value)
