"""SavedModel export, and prediction on videos by a run or by an export."""

from cham_keras.export.export_folder import Export, open_export
from cham_keras.export.parity import ParityError, ParityReport, check_parity
from cham_keras.export.prediction import Prediction
from cham_keras.export.saved_model import export_saved_model
from cham_keras.export.video_classifier import VideoClassifier, predict

__all__ = [
    "Export",
    "ParityError",
    "ParityReport",
    "Prediction",
    "VideoClassifier",
    "check_parity",
    "export_saved_model",
    "open_export",
    "predict",
]
