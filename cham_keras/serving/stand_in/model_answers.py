"""What the stand-in answers to questions about a model: its status and its signatures.

Comes in: requests of TF Serving's GetModelStatus and GetModelMetadata. Goes out: their
responses. The gRPC and the REST side both answer with these.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from cham_keras.serving.c_library import StatusError
from cham_keras.serving.stand_in.loaded_version import LoadedVersion
from cham_keras.serving.stand_in.served_versions import ServedVersions
from cham_keras.serving.tensors import INVALID_ARGUMENT

#: The only field of metadata that a model server has.
SIGNATURE_DEF = "signature_def"


@contextmanager
def asked_version(versions: ServedVersions, spec: model_pb2.ModelSpec) -> Iterator[LoadedVersion]:
    """Yields the version that a request's model spec asks for.

    Raises:
        StatusError: there is no such model, version or label.
    """
    number = spec.version.value if spec.HasField("version") else None
    with versions.version(spec.name, number, spec.version_label) as loaded:
        yield loaded


def model_status(
    versions: ServedVersions, request: get_model_status_pb2.GetModelStatusRequest
) -> get_model_status_pb2.GetModelStatusResponse:
    """The states of a model's versions.

    Raises:
        StatusError: there is no such model or version.
    """
    if not request.HasField("model_spec"):
        raise StatusError(INVALID_ARGUMENT, "Missing ModelSpec")
    spec = request.model_spec
    # A model server does not look at a label here, and neither does this.
    number = spec.version.value if spec.HasField("version") else None
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, state in versions.states(spec.name, number).items():
        entry = response.model_version_status.add(version=version, state=state.state)
        entry.status.error_code = state.code
        entry.status.error_message = state.message
    return response


def model_metadata(
    versions: ServedVersions, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The signatures of a version.

    Raises:
        StatusError: there is no such model, version, label or field of metadata.
    """
    if not request.HasField("model_spec"):
        raise StatusError(INVALID_ARGUMENT, "Missing ModelSpec")
    if not request.metadata_field:
        raise StatusError(
            INVALID_ARGUMENT, "GetModelMetadataRequest must specify at least one metadata_field"
        )
    for field in request.metadata_field:
        if field != SIGNATURE_DEF:
            raise StatusError(INVALID_ARGUMENT, f"Metadata field {field} is not supported")
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    with asked_version(versions, request.model_spec) as loaded:
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in loaded.model.meta_graph.signature_def.items():
            signatures.signature_def[name].CopyFrom(definition)
        response.model_spec.name = versions.name
        response.model_spec.version.value = loaded.number
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response
