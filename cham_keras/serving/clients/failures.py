"""What both clients say where a call fails: one sentence with what to do next."""

from collections.abc import Mapping, Sequence

import numpy as np

from cham_keras.serving.served_model import Signature


class ServerError(ConnectionError):
    """A server does not answer, or refuses what is no fault of the caller's."""


def check_call(
    known: Mapping[str, Signature],
    signature: str,
    inputs: Mapping[str, np.ndarray],
    outputs: Sequence[str] | None,
) -> None:
    """Holds a call against the signatures that a server states.

    Args:
        known: the server's signatures.
        signature: the name of the one that is called.
        inputs: an array for each input.
        outputs: names of the outputs that are wanted, None for all.

    Raises:
        ValueError: there is no such signature or output; an input is missing, too many, or of
            another dtype or shape.
    """
    if signature not in known:
        raise ValueError(f"`signature` must be one of {_listed(known)}. Received: {signature!r}.")
    wanted = known[signature]
    unknown = [name for name in outputs or () if name not in wanted.outputs]
    if unknown:
        raise ValueError(
            f"`outputs` of {signature!r} must be among {_listed(wanted.outputs)}. "
            f"Received: {_listed(unknown)}."
        )
    if set(inputs) != set(wanted.inputs):
        raise ValueError(
            f"`inputs` of {signature!r} must be {_listed(wanted.inputs)}. "
            f"Received: {_listed(inputs) or 'none'}."
        )
    for name, info in wanted.inputs.items():
        array = np.asarray(inputs[name])
        dtype = "string" if array.dtype == object else array.dtype.name
        if dtype != info.dtype_name:
            way = "an array of `bytes` objects" if info.dtype_name == "string" else "`astype`"
            raise ValueError(
                f"The input {name!r} of {signature!r} must be {info.dtype_name}. "
                f"Received: {dtype}. Convert it: {way}."
            )
        if not info.fits(array):
            sizes = ", ".join("any" if size is None else str(size) for size in info.shape)
            raise ValueError(
                f"The input {name!r} of {signature!r} must have the shape [{sizes}]. "
                f"Received: {list(array.shape)}."
            )


def check_limits(timeout_seconds: float, max_message_bytes: int) -> None:
    """Refuses limits under which no call could end well.

    Raises:
        ValueError: the time is not above 0, or the size not between 1 and 2**31 - 1.
    """
    if not timeout_seconds > 0:
        raise ValueError(f"`timeout_seconds` must be above 0. Received: {timeout_seconds}.")
    if not 0 < max_message_bytes < 2**31:
        raise ValueError(
            "`max_message_bytes` must lie between 1 and 2147483647, the most that gRPC takes. "
            f"Received: {max_message_bytes}."
        )


def no_server(address: str, reason: str) -> ServerError:
    """Nothing answers at an address."""
    return ServerError(
        f"A server must run at {address}. Received: no answer ({reason}). Start one with "
        "`cham serve FOLDER` or `scripts/serve_tf_serving.sh FOLDER`, or name another address."
    )


def other_server(address: str, api: str, port: int, reason: str) -> ServerError:
    """What answers at an address is no TF Serving."""
    return ServerError(
        f"The server at {address} must have TF Serving's {api} API. Received: {reason}. "
        f"Look whether the port is the right one; {api} is {port} by default."
    )


def unknown_model(address: str, model: str, reason: str) -> ServerError:
    """A server has no such model."""
    return ServerError(
        f"`model` must be one that the server at {address} has loaded. Received: {model!r} "
        f"({reason}). `cham serve` calls it as its folder, or as --name says."
    )


def took_too_long(address: str, timeout_seconds: float) -> ServerError:
    """No answer in time."""
    return ServerError(
        f"The server at {address} must answer within {timeout_seconds:g} seconds. Received: "
        "nothing until then. Raise `timeout_seconds`, or send fewer clips at a time."
    )


def too_large(whose: str, limit: str, size: str, change: str) -> ServerError:
    """A message is larger than one side allows."""
    return ServerError(
        f"A message must have at most {limit} bytes, {whose}. Received: {size} bytes. "
        f"{change}, or send fewer clips at a time."
    )


def refusal(address: str, code: str, message: str) -> ServerError:
    """A server refuses, and says why; what TensorFlow adds on its graph is left out."""
    reason = message.splitlines()[0] if message else "no reason given"
    return ServerError(
        f"The server at {address} must take the request. It refuses it ({code}): {reason}"
    )


def _listed(names: Mapping[str, object] | Sequence[str]) -> str:
    return ", ".join(sorted(names))
