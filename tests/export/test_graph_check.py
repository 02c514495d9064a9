"""What has no place in a served graph is found, wherever it hides, and named."""

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from cham_keras.export.graph_check import check_graph, nodes_of_signatures

COUNTER = tf.Variable(1.0)


def in_a_loop(x):
    return tf.while_loop(
        lambda i, y: i < 3, lambda i, y: (i + 1, y + tf.random.uniform(())), (0, x)
    )[1]


def in_a_branch(x):
    return tf.cond(x > 0, lambda: x + COUNTER.assign_add(1.0), lambda: x)


def compiled(x):
    return tf.function(lambda y: y + 1, jit_compile=True)(x)


def save(folder, function):
    module = tf.Module()
    module.counter = COUNTER
    signature = tf.function(function, [tf.TensorSpec((), name="x")], autograph=False)
    tf.saved_model.save(module, str(folder), signatures=signature)


@pytest.mark.parametrize(
    ("function", "kind", "op"),
    [
        (lambda x: x + tf.random.normal(()), "random", "RandomStandardNormal"),
        (lambda x: x + tf.random.stateless_uniform((), (1, 2)), "random", "StatelessRandom"),
        (
            lambda x: x + float(tf.random.categorical([[0.0]], 1).dtype.size),
            "random",
            "Multinomial",
        ),
        (lambda x: x + COUNTER.assign_add(1.0), "assign", "AssignAddVariableOp"),
        (lambda x: tf.py_function(lambda y: y, [x], tf.float32), "Python", "EagerPyFunc"),
        (lambda x: tf.numpy_function(lambda y: y, [x], tf.float32), "Python", "PyFunc"),
        (in_a_loop, "random", "RandomUniform"),
        (in_a_branch, "assign", "AssignAddVariableOp"),
        (compiled, "XLA", "_XlaMustCompile"),
        (lambda x: x * COUNTER, None, None),
    ],
)
def test_operations_that_must_not_be_served_are_named(tmp_path, function, kind, op):
    save(tmp_path, lambda x: {"y": function(x)})
    if kind is None:
        check_graph(tmp_path)
    else:
        with pytest.raises(RuntimeError, match=f"the {kind} operation .*{op}.* named '.*', in the"):
            check_graph(tmp_path)


def test_only_what_signatures_run_is_looked_at(version):
    content = (version / "saved_model.pb").read_bytes()
    graph = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].graph_def
    in_the_file = {node.op for function in graph.library.function for node in function.node_def}
    found = {node.op for node, _ in nodes_of_signatures(version)}
    # Restoring the weights assigns them; serving does not.
    assert "AssignVariableOp" in in_the_file and "AssignVariableOp" not in found
    # The bodies of the loops over time are among what was looked at.
    assert {"While", "Conv2D", "Sigmoid", "TopKV2"} <= found
