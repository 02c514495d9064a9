"""A run's model as ONNX and as LiteRT files, for where TensorFlow is not.

frozen_signatures.py         what a file can be asked, with the weights as constants
onnx_file.py, litert_file.py the conversion, and how the format's own runtime answers
agreement.py                 what is checked before a file appears
required_packages.py         which extra a format needs
"""

from cham_keras.export.other_formats.agreement import CheckedFiles
from cham_keras.export.other_formats.litert_file import export_litert
from cham_keras.export.other_formats.onnx_file import export_onnx

__all__ = ["CheckedFiles", "export_litert", "export_onnx"]
