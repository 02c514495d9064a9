"""What a served graph must not hold.

Comes in: a written SavedModel. Goes out: nothing, or an error that names the
operation. `saved_model` asks before a version is published. What is asked is the
file, not the functions it was made of: the file is what a server loads.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2

from cham_keras.export.export_folder import SAVED_MODEL_FILE

#: Kinds of operations that have no place in inference, by the names of TensorFlow's ops.
FORBIDDEN = {
    # Random numbers, and what moves a generator's state on: other scores at every call.
    "random": r".*Random.*|.*Multinomial.*|.*TruncatedNormal|Stateful.*(Normal|Uniform).*"
    r"|Rng.*|NonDeterministicInts|StatelessShuffle|.*SampleDistorted.*",
    # Writing into a variable: requests would change one another's scores.
    "assign": r"Assign.*|Resource(Scatter|Apply|Sparse|Strided).*|Scatter(Add|Sub|Mul|Div|Update).*"
    r"|StridedSliceAssign",
    # Python code that only the process which exported it has.
    "Python": r"PyFunc|EagerPyFunc|PyFuncStateless",
    # A server compiles nothing with XLA unless it is told to.
    "XLA": r"Xla.*|_Xla.*",
}

_MUST_COMPILE = "_XlaMustCompile"


def check_graph(folder: Path) -> None:
    """Refuses a SavedModel whose signatures run random, assigning, Python or XLA operations.

    Args:
        folder: folder with `saved_model.pb` in it.

    Raises:
        RuntimeError: there is such an operation; the first one is named.
    """
    for node, place in nodes_of_signatures(folder):
        for kind, pattern in FORBIDDEN.items():
            if re.fullmatch(pattern, node.op):
                raise RuntimeError(_sentence(kind, node.op, node.name, place))
        if node.attr[_MUST_COMPILE].b:
            raise RuntimeError(
                _sentence("XLA", f"{node.op} with {_MUST_COMPILE}", node.name, place)
            )


def nodes_of_signatures(folder: Path) -> Iterator[tuple[Any, str]]:
    """Yields every node that a signature can run, and where it stands.

    The nodes that save and restore variables stand in the same file; they are
    left out, since no signature reaches them.
    """
    content = (Path(folder) / SAVED_MODEL_FILE).read_bytes()
    graph = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0]
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    called: list[str] = []
    for node in _nodes_behind_outputs(graph):
        called += _functions_called_by(node)
        yield node, "the graph"
    seen = set()
    while called:
        name = called.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in functions[name].node_def:
            called += _functions_called_by(node)
            yield node, f"the function {name}"


def _nodes_behind_outputs(graph: Any) -> Iterator[Any]:
    nodes = {node.name: node for node in graph.graph_def.node}
    waiting = [
        _node_name(tensor.name)
        for name, signature in graph.signature_def.items()
        if name != "__saved_model_init_op"
        for tensor in signature.outputs.values()
    ]
    seen = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [_node_name(source) for source in nodes[name].input]
            yield nodes[name]


def _functions_called_by(node: Any) -> list[str]:
    """Names of the functions in a node's attributes: calls, loop bodies, branches."""
    names = []
    for value in node.attr.values():
        names += [value.func.name] if value.HasField("func") else []
        names += [function.name for function in value.list.func]
    return names


def _node_name(tensor: str) -> str:
    """`^while/Add:0` is an edge from the node `while/Add`."""
    return tensor.removeprefix("^").partition(":")[0]


def _sentence(kind: str, op: str, name: str, place: str) -> str:
    return (
        "An exported graph must hold no random, assign, Python or XLA operation. "
        f"Received: the {kind} operation {op}, named {name!r}, in {place}."
    )
