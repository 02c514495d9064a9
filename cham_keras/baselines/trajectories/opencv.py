"""OpenCV, where it is installed; only the trajectory-based method needs it."""

from typing import Any


def load_opencv() -> Any:
    """The module `cv2`.

    Raises:
        ValueError: it is not installed; says how to install it.
    """
    try:
        import cv2
    except ImportError as error:
        raise ValueError(
            "Trajectories need the package opencv-python-headless. "
            f"Install it: pip install 'cham-keras[classic]'. ({error})"
        ) from error
    return cv2
