"""One float layer as a .tflite file, by the stock converter."""

import keras
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

INPUT_NAME = "island_input_{}"
MIN_RUNTIME = b"min_runtime_version"


def convert_call(layer, args, kwargs, has_fixed_batch=False):
    """Convert a call of a layer.

    Args:
        layer: a Keras layer, or an operation.
        args: positional arguments, with KerasTensors in place of tensors.
        kwargs: keyword arguments, likewise.
        has_fixed_batch: whether the file is for one sample at a time.

    Returns:
        `(call, content)`: a function from tensors to the output, and the bytes of a .tflite file
        with the same inputs, in the order in which they appear among the arguments.

    Raises:
        ValueError: naming the layer, if the converter does not take it.
    """
    structure = args, kwargs
    # Constants: without variables there is nothing for the converter to freeze.
    is_layer = isinstance(layer, keras.layers.Layer)
    weights = [
        [keras.ops.convert_to_numpy(each) for each in group]
        for group in (
            (layer.trainable_variables, layer.non_trainable_variables) if is_layer else ()
        )
    ]
    leaves = keras.tree.flatten(structure)

    def call(*values, constant=False):
        given = iter(values)
        filled = [next(given) if _is_symbolic(leaf) else leaf for leaf in leaves]
        args, kwargs = keras.tree.pack_sequence_as(structure, filled)
        if not (is_layer and constant):
            return layer(*args, **kwargs)
        constants = ([tf.constant(each) for each in group] for group in weights)
        return layer.stateless_call(*constants, *args, **kwargs)[0]

    signature = [
        tf.TensorSpec(
            [1 if has_fixed_batch and axis == 0 else size for axis, size in enumerate(leaf.shape)],
            leaf.dtype,
            name=INPUT_NAME.format(index),
        )
        for index, leaf in enumerate(filter(_is_symbolic, leaves))
    ]
    function = tf.function(
        lambda *values: call(*values, constant=True), input_signature=signature, autograph=False
    )
    try:
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [function.get_concrete_function()], layer
        )
        return call, converter.convert()
    except Exception as error:  # a ConverterError, or whatever the layer raises while it is traced
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:400]
        raise ValueError(
            f"Layer {layer.name!r} ({type(layer).__name__}) cannot be exported as a float island: "
            f"the converter does not take it. Leave it out of the model (a recurrent layer: "
            f"unroll=True). The reason: {reason}"
        ) from error


def runtime_of(content) -> str:
    """Return the first runtime that runs a converted file, as the converter says."""
    written = schema.ModelT.InitFromPackedBuf(content, 0)
    for metadata in written.metadata or ():
        if metadata.name == MIN_RUNTIME:
            return bytes(written.buffers[metadata.buffer].data).rstrip(b"\0").decode() or "1.5.0"
    return "1.5.0"


def _is_symbolic(leaf):
    return isinstance(leaf, keras.KerasTensor)
