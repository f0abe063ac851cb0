"""Float layers and models as .tflite files, by the stock converter."""

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
    leaves = keras.tree.flatten(structure)

    def call(*values, weights=None):
        given = iter(values)
        filled = [next(given) if _is_symbolic(leaf) else leaf for leaf in leaves]
        args, kwargs = keras.tree.pack_sequence_as(structure, filled)
        if not weights:
            return layer(*args, **kwargs)
        return layer.stateless_call(*weights, *args, **kwargs)[0]

    signature = [
        tf.TensorSpec(
            [1 if has_fixed_batch and axis == 0 else size for axis, size in enumerate(leaf.shape)],
            leaf.dtype,
            name=INPUT_NAME.format(index),
        )
        for index, leaf in enumerate(filter(_is_symbolic, leaves))
    ]
    content = convert_function(
        layer,
        lambda weights, *values: call(*values, weights=weights),
        signature,
        f"Layer {layer.name!r} ({type(layer).__name__}) cannot be exported as a float island: "
        "the converter does not take it. Leave it out of the model (a recurrent layer: "
        "unroll=True).",
    )
    return call, content


def convert_function(layer, call, signature, refusal) -> bytes:
    """Convert a function that calls a layer or model, with its weights as constants.

    Args:
        layer: a Keras layer or model, or an operation.
        call: `(weights, *inputs) -> outputs`, the weights as `stateless_call` takes them, none for
            an operation.
        signature: a `tf.TensorSpec` for each input.
        refusal: what to say if the converter does not take it.

    Returns:
        The bytes of a .tflite file.

    Raises:
        ValueError: with `refusal` and the reason.
    """
    is_layer = isinstance(layer, keras.layers.Layer)
    weights = [
        [keras.ops.convert_to_numpy(each) for each in group]
        for group in (
            (layer.trainable_variables, layer.non_trainable_variables) if is_layer else ()
        )
    ]

    def frozen(*inputs):
        # Constants: without variables there is nothing for the converter to freeze.
        return call([[tf.constant(each) for each in group] for group in weights], *inputs)

    function = tf.function(frozen, input_signature=signature, autograph=False)
    try:
        concrete = function.get_concrete_function()
        return tf.lite.TFLiteConverter.from_concrete_functions([concrete], layer).convert()
    except Exception as error:  # a ConverterError, or whatever the layer raises while it is traced
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:400]
        raise ValueError(f"{refusal} The reason: {reason}") from error


def runtime_of(content) -> str:
    """Return the first runtime that runs a converted file, as the converter says."""
    return converted_for(schema.ModelT.InitFromPackedBuf(content, 0))


def converted_for(model) -> str:
    """Return the first runtime that runs a converted `schema.ModelT`, as the converter says."""
    for metadata in model.metadata or ():
        if metadata.name == MIN_RUNTIME:
            return bytes(model.buffers[metadata.buffer].data).rstrip(b"\0").decode() or "1.5.0"
    return "1.5.0"


def _is_symbolic(leaf):
    return isinstance(leaf, keras.KerasTensor)
