"""A stand-in for TF Serving: its gRPC and REST APIs over a `ServedModel`, for development.

In the order of a request: `stand_in` (starts and ends all), `grpc_services` and `rest_server`
(the two ways in), `rest_answers` with `json_requests`, `json_tensors`, `json_examples` and
`json_answers` (JSON), `model_answers` (status and signatures), `served_versions` with
`loaded_version` and `version_folders` (which version answers).
"""

from cham_keras.serving.stand_in.stand_in import MAX_MESSAGE_BYTES, StandIn

__all__ = ["MAX_MESSAGE_BYTES", "StandIn"]
