"""The whole way on drawn clips: from video files to a SavedModel, offline."""

from cham_keras.demo.drawn_actions import ACTIONS, draw_clip, write_drawn_actions
from cham_keras.demo.run_demo import run_demo
from cham_keras.demo.settings import DemoSettings

__all__ = ["ACTIONS", "DemoSettings", "draw_clip", "run_demo", "write_drawn_actions"]
