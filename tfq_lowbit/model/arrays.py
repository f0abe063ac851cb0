"""Arrays among the arguments of an operation: variables, tensors with values, NumPy arrays."""

import keras
import numpy as np

# The operations, by the name of their class, whose arrays have an integer form: they are kernels,
# or stand beside the data in a sum or product. `decompositions/arrays.py` takes them apart.
WITH_ARRAYS = frozenset(
    (
        *("Add", "Subtract", "Multiply", "Divide", "TrueDivide"),
        *("Matmul", "Dot", "Tensordot", "Einsum", "Conv", "DepthwiseConv", "Take"),
    )
)


def is_array(leaf) -> bool:
    """Return whether an argument holds values that are known while a graph is read.

    Example:
        >>> is_array(np.zeros(3)), is_array(3.0), is_array(keras.Input((3,)))
        (True, False, False)
    """
    return isinstance(leaf, (keras.Variable, np.ndarray)) or keras.ops.is_tensor(leaf)


def values_of(array) -> np.ndarray:
    """Return the values of an array."""
    return keras.ops.convert_to_numpy(array)


def trains(array) -> bool:
    """Return whether an array is a variable that trains."""
    return bool(getattr(array, "trainable", False))


def own_arrays(node) -> list:
    """Return the arrays among the arguments of a call of an operation; a layer has weights."""
    if isinstance(node.layer, keras.layers.Layer):
        return []
    return [leaf for leaf in keras.tree.flatten((node.args, node.kwargs)) if is_array(leaf)]


def takes_arrays(node) -> bool:
    """Return whether a call is one of an operation with arrays that have an integer form."""
    is_known = type(node.layer).__module__.startswith("keras.")
    return bool(own_arrays(node)) and is_known and type(node.layer).__name__ in WITH_ARRAYS


def freeze_arrays(node):
    """Let a call take the values that its arrays have now: a copy of a model shares no variable."""
    node.args, node.kwargs = keras.tree.map_structure(
        lambda leaf: values_of(leaf) if is_array(leaf) else leaf, (node.args, node.kwargs)
    )


def adopt_weights(layer, functional, nodes) -> bool:
    """See to the weights of a traced layer that belong to no layer in it.

    They are arguments of operations, or what was computed from them is: a position embedding looks
    its table up at numbers that it makes itself. What was computed from weights that train becomes
    a variable that trains.

    Args:
        layer: the layer.
        functional: what its `call` does.
        nodes: the calls in it; arguments are changed in place.

    Returns:
        Whether all arrays have an integer form, or no weight was left out.
    """
    traced = {id(weight) for weight in functional.weights}
    left_out = [weight for weight in layer.weights if id(weight) not in traced]
    if not left_out:
        return True
    holders = [node for node in nodes if own_arrays(node)]
    if not all(takes_arrays(node) for node in holders):
        return False
    direct = {id(leaf) for node in holders for leaf in own_arrays(node)}
    if any(weight.trainable and id(weight) not in direct for weight in left_out):
        for node in holders:
            node.args, node.kwargs = keras.tree.map_structure(_train, (node.args, node.kwargs))
    return True


def _train(leaf):
    is_computed = is_array(leaf) and not isinstance(leaf, (keras.Variable, np.ndarray))
    return keras.Variable(leaf) if is_computed else leaf
