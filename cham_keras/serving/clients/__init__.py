"""Clients of a model server, TF Serving's or the stand-in: over gRPC and over REST."""

from cham_keras.serving.clients.failures import ServerError
from cham_keras.serving.clients.grpc_client import GrpcClient
from cham_keras.serving.clients.rest_client import RestClient
from cham_keras.serving.clients.version_status import VersionStatus

__all__ = ["GrpcClient", "RestClient", "ServerError", "VersionStatus"]
