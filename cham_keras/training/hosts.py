"""The hosts of a fit on JAX: their addresses, and how their processes find each other.

Comes in: addresses and this host's number, from the command line or from the environment. Goes
out: connected processes. `devices` calls `connect`; then `parallel_hosts` lays the fit out.
"""

import inspect
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

import keras

from cham_keras.progress import stderr

# As Keras calls them; `keras.distribution.initialize` reads them, too.
_ADDRESSES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
_NUMBER = "KERAS_DISTRIBUTION_NUM_PROCESSES"
_INDEX = "KERAS_DISTRIBUTION_PROCESS_ID"

#: How long a process waits: for the others at the start, for a sign of life of another one
#: before it gives up, and for the others at the end.
CONNECT_SECONDS, HEARTBEAT_SECONDS, END_SECONDS = 300, 60, 120


@dataclass(frozen=True)
class Hosts:
    """The processes that train together, usually one a host.

    Attributes:
        addresses: `HOST:PORT` of each; the first one's is where all of them meet.
        index: which of them this process is, counted from 0.

    Raises:
        ValueError: an address has another form or is there twice, or there is no such index.

    Example:

    >>> Hosts(("10.0.0.1:1234", "10.0.0.2:1234"), index=1).number
    2
    """

    addresses: tuple[str, ...]
    index: int

    def __post_init__(self) -> None:
        for address in self.addresses:
            host, _, port = address.rpartition(":")
            if not (host and port.isdecimal() and 0 < int(port) < 65536):
                raise ValueError(f"`hosts` must each be ADDRESS:PORT. Received: {address!r}.")
        if len(set(self.addresses)) < len(self.addresses):
            raise ValueError(
                f"`hosts` must name each process once. Received: {','.join(self.addresses)}. "
                "Processes of one host have ports of their own."
            )
        if len(self.addresses) < 2:
            raise ValueError(
                f"`hosts` must be at least two. Received: {','.join(self.addresses) or 'none'}. "
                "Leave it out on one host."
            )
        if not 0 <= self.index < len(self.addresses):
            raise ValueError(
                f"`host_index` must be from 0 to {len(self.addresses) - 1}, the place of this "
                f"host in `hosts`. Received: {self.index}."
            )

    @property
    def number(self) -> int:
        """How many processes train together."""
        return len(self.addresses)


def named_hosts(
    addresses: str | None = None,
    index: int | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Hosts | None:
    """The hosts that the command line names, or else the environment; None where neither does.

    Args:
        addresses: `ADDRESS:PORT` of each process, with commas between them; else
            KERAS_DISTRIBUTION_JOB_ADDRESSES.
        index: which of them this is; else KERAS_DISTRIBUTION_PROCESS_ID.
        environment: the environment's variables. KERAS_DISTRIBUTION_NUM_PROCESSES may be set
            and must then be their number.

    Raises:
        ValueError: one of the two is missing, or the number is another one.

    Example:

    >>> named_hosts("a:1,b:1", 0, environment={})
    Hosts(addresses=('a:1', 'b:1'), index=0)
    >>> named_hosts(environment={})
    """
    addresses = addresses if addresses is not None else environment.get(_ADDRESSES)
    index_text = str(index) if index is not None else environment.get(_INDEX)
    if addresses is None and index_text is None:
        return None
    if addresses is None or index_text is None:
        given = f"index {index_text}" if addresses is None else f"hosts {addresses}"
        raise ValueError(
            "`--hosts` and `--host-index` must be given together, or in the environment as "
            f"{_ADDRESSES} and {_INDEX}. Received: {given} only."
        )
    if not index_text.isdecimal():
        raise ValueError(f"`host_index` must be a number from 0 on. Received: {index_text!r}.")
    hosts = Hosts(tuple(addresses.split(",")), int(index_text))
    number = environment.get(_NUMBER, str(hosts.number))
    if number != str(hosts.number):
        raise ValueError(
            f"{_NUMBER} must be the number of the addresses, {hosts.number}. Received: {number}. "
            "All addresses must be named, not only the first one's."
        )
    return hosts


def connect(hosts: Hosts) -> None:
    """Connects this process with the others; returns when all are there.

    Where they are connected already it does nothing.

    Raises:
        ValueError: the backend is not JAX, JAX has computed already, or is connected otherwise.
        ConnectionError: the others are not there within `CONNECT_SECONDS`.
    """
    backend = keras.config.backend()
    if backend != "jax":
        raise ValueError(
            "Several hosts train on Keras's backend jax. "
            f"Received: {backend}. Set KERAS_BACKEND=jax before Keras is imported: "
            "KERAS_BACKEND=jax cham train …"
        )
    import jax

    if jax.distributed.is_initialized():
        if (jax.process_count(), jax.process_index()) != (hosts.number, hosts.index):
            raise ValueError(
                "A process trains with the hosts that it has been connected with. Received: host "
                f"{hosts.index} of {hosts.number}, and it is {jax.process_index()} of "
                f"{jax.process_count()}. Begin a new process."
            )
        return
    stderr.print(
        f"Host {hosts.index} of {hosts.number} waits up to {CONNECT_SECONDS} s for the others, "
        f"at {hosts.addresses[0]}.",
        highlight=False,
        soft_wrap=True,
    )
    if hosts.index:
        _wait_for_first_host(hosts)
    # `keras.distribution.initialize` does the same, and takes no times.
    times = {
        "initialization_timeout": CONNECT_SECONDS,
        "heartbeat_timeout_seconds": HEARTBEAT_SECONDS,
        "shutdown_timeout_seconds": END_SECONDS,
    }
    known = inspect.signature(jax.distributed.initialize).parameters  # older ones have fewer
    try:
        jax.distributed.initialize(
            coordinator_address=hosts.addresses[0],
            num_processes=hosts.number,
            process_id=hosts.index,
            **{name: seconds for name, seconds in times.items() if name in known},
        )
    except RuntimeError as error:
        if "before" in str(error):
            raise ValueError(
                "The hosts must be connected before JAX computes anything. Call "
                "`train(hosts=…)` first, in a new process."
            ) from error
        raise ConnectionError(
            f"The hosts must find each other at {hosts.addresses[0]}. They did not: "
            f"{str(error).strip().partition(chr(10))[0]}. Look whether its port is free and open."
        ) from error


def _wait_for_first_host(hosts: Hosts) -> None:
    """Waits until the first host listens; JAX itself would end the process without a sentence."""
    address, _, port = hosts.addresses[0].rpartition(":")
    last = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            socket.create_connection((address.strip("[]"), int(port)), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > last:
                raise ConnectionError(
                    f"Host 0 must answer at {hosts.addresses[0]} within {CONNECT_SECONDS} s. It "
                    f"did not: {error}. Start the command there, too, and look whether the "
                    "port is open."
                ) from error
        time.sleep(0.5)
