"""SavedModel export, and prediction on videos and streams by a run, an export or a server.

saved_model.py                a version of a served model, whole or not at all
signatures.py, *_signature.py, example_signatures.py, streaming.py   what it can be asked
graph_check.py, parity.py, parity_cases.py, warmup_requests.py       what is checked before it is
server_files.py, model_card.py, description.py                       what lies beside the graph
export_folder.py, loading.py, inference.py, served_source.py         what answers
video_classifier.py, stream_classifier.py, prediction.py             from videos to classes
"""

from cham_keras.export.export_folder import Export, open_export
from cham_keras.export.parity import ParityError, ParityReport, check_parity
from cham_keras.export.prediction import Prediction
from cham_keras.export.saved_model import export_saved_model
from cham_keras.export.served_source import ServedSource, open_served
from cham_keras.export.stream_classifier import StreamClassifier, StreamStep
from cham_keras.export.video_classifier import VideoClassifier, predict

__all__ = [
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
]
