"""The gRPC side of the stand-in: TF Serving's PredictionService and ModelService.

Comes in: the versions of a model. Goes out: services that `StandIn` adds to a gRPC server.
"""

from collections.abc import Callable
from typing import Any

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from cham_keras.serving.c_library import StatusError
from cham_keras.serving.classify_request import answer_classify
from cham_keras.serving.predict_request import answer_predict
from cham_keras.serving.stand_in.model_answers import asked_version, model_metadata, model_status
from cham_keras.serving.stand_in.served_versions import ServedVersions
from cham_keras.serving.tensors import INVALID_ARGUMENT

UNIMPLEMENTED = 12

_GRPC_CODES = {code.value[0]: code for code in grpc.StatusCode}


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify and GetModelMetadata; Regress and MultiInference are refused.

    Args:
        versions: the versions of the model.
    """

    def __init__(self, versions: ServedVersions) -> None:
        """Keeps the versions."""
        self._versions = versions

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Runs a signature on tensors."""
        return _answered(context, lambda: self._run(answer_predict, request))

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Runs a signature on `tf.Example`s."""
        return _answered(context, lambda: self._run(answer_classify, request))

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Says which signatures there are."""
        return _answered(context, lambda: model_metadata(self._versions, request))

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Is refused."""
        return _answered(context, lambda: _refuse("Regress"))

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Is refused."""
        return _answered(context, lambda: _refuse("MultiInference"))

    def _run(self, answer: Callable[..., Any], request: Any) -> Any:
        if not request.HasField("model_spec"):
            raise StatusError(INVALID_ARGUMENT, "Missing ModelSpec")
        with asked_version(self._versions, request.model_spec) as loaded:
            return answer(loaded.model, request, loaded.number)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; a new configuration is refused.

    Args:
        versions: the versions of the model.
    """

    def __init__(self, versions: ServedVersions) -> None:
        """Keeps the versions."""
        self._versions = versions

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Says which versions there are and how they are."""
        return _answered(context, lambda: model_status(self._versions, request))

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Is refused."""
        return _answered(context, lambda: _refuse("HandleReloadConfigRequest"))


def _answered(context: grpc.ServicerContext, answer: Callable[[], Any]) -> Any:
    try:
        return answer()
    except StatusError as error:
        context.abort(_GRPC_CODES.get(error.code, grpc.StatusCode.UNKNOWN), error.message)


def _refuse(method: str) -> None:
    raise StatusError(UNIMPLEMENTED, f"The stand-in has no {method}; TF Serving has.")
