"""Two messages of TensorFlow Serving that its Python package leaves out.

Names and numbers of the fields are those of the server's session_bundle_config.proto and
monitoring_config.proto; a text file that these parse, the server parses.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

FIELD = descriptor_pb2.FieldDescriptorProto
INT64, STRING = ".google.protobuf.Int64Value", ".google.protobuf.StringValue"

_file = descriptor_pb2.FileDescriptorProto(
    name="serving_for_tests.proto",
    package="tensorflow.serving.tests",
    syntax="proto3",
    dependency=[wrappers_pb2.DESCRIPTOR.name],
)


def _message(name, *fields):
    message = _file.message_type.add(name=name)
    for number, (field, kind, type_name) in enumerate(fields, start=1):
        label = FIELD.LABEL_REPEATED if field == "allowed_batch_sizes" else FIELD.LABEL_OPTIONAL
        message.field.add(name=field, number=number, type=kind, type_name=type_name, label=label)


_message(
    "BatchingParameters",
    ("max_batch_size", FIELD.TYPE_MESSAGE, INT64),
    ("batch_timeout_micros", FIELD.TYPE_MESSAGE, INT64),
    ("max_enqueued_batches", FIELD.TYPE_MESSAGE, INT64),
    ("num_batch_threads", FIELD.TYPE_MESSAGE, INT64),
    ("thread_pool_name", FIELD.TYPE_MESSAGE, STRING),
    ("allowed_batch_sizes", FIELD.TYPE_INT64, None),
    ("pad_variable_length_inputs", FIELD.TYPE_BOOL, None),
)
_message("PrometheusConfig", ("enable", FIELD.TYPE_BOOL, None), ("path", FIELD.TYPE_STRING, None))
_message(
    "MonitoringConfig",
    ("prometheus_config", FIELD.TYPE_MESSAGE, ".tensorflow.serving.tests.PrometheusConfig"),
)

_pool = descriptor_pool.DescriptorPool()
_pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
_pool.Add(_file)
BatchingParameters, MonitoringConfig = (
    message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{_file.package}.{name}"))
    for name in ("BatchingParameters", "MonitoringConfig")
)
