"""Attention: projections, scores, softmax, weighted sum, projection."""

import math

import keras

from tfq_lowbit.model.graph import is_edge
from tfq_lowbit.model.rules import refusal
from tfq_lowbit.wrappers import MASKED_SCORE, CausalMask, MatMul

layers = keras.layers

# The arguments of a call, in their order.
ARGUMENTS = (
    *("query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask"),
    *("return_attention_scores", "training", "use_causal_mask"),
)
# The masks that have a form, and the axes that a mask of each rank has: heads, queries, keys.
MASKS = {
    "attention_mask": {3: lambda sizes: (1, *sizes), 4: lambda sizes: (*sizes,)},
    "value_mask": {2: lambda sizes: (1, 1, *sizes)},
    "key_mask": {2: lambda sizes: (1, 1, *sizes)},
}
OTHER_MASKS = ("query_mask", "mask")


def decompose_multi_head(parts):
    """Take `MultiHeadAttention` apart."""
    layer = parts.call.layer
    return _attend(parts, layer.num_heads, layer.num_heads, layer.key_dim, layer.value_dim)


def decompose_grouped(parts):
    """Take `GroupQueryAttention` apart: groups of heads of the query share key and value.

    The heads of a group are further steps of one head, so that nothing need be repeated.
    """
    layer = parts.call.layer
    heads, groups, size = layer.num_query_heads, layer.num_key_value_heads, layer.head_dim
    return _attend(parts, heads, groups, size, size)


def decompose_dot_product(parts):
    """Take `Attention` apart, which has no projections."""
    layer, call = parts.call.layer, parts.call
    given = _arguments(layer, call, ("inputs", "mask", "training", "return_attention_scores"))
    query, value, *key = call.data_inputs
    scale = 1.0 if layer.scale is None else float(layer.scale)
    if scale <= 0:
        raise refusal(layer, f"its learned scale must be positive, received {scale:g}")
    key = key[0] if key else value
    summed, weights = _weigh(parts, query, key, value, scale, given, layer.dropout, "")
    return [summed, weights] if given.get("return_attention_scores") else summed


def _attend(parts, heads, groups, key_size, value_size):
    layer, call = parts.call.layer, parts.call
    given = _arguments(layer, call, ARGUMENTS)
    query, value = given["query"], given["value"]
    key = value if given.get("key") is None else given["key"]
    if any(len(edge.shape) != 3 or None in edge.shape[1:] for edge in (query, key, value)):
        raise refusal(layer, "its inputs must be of shape (batch, steps, channels), of known sizes")
    steps, later = query.shape[1], key.shape[1]
    sizes = {"query": (heads, key_size), "key": (groups, key_size), "value": (groups, value_size)}
    found = {}
    for name, edge in {"query": query, "key": key, "value": value}.items():
        target = (edge.shape[1], *sizes[name])
        projected = _project(parts, name, edge, "abc,cde->abde", target, "de")
        found[name] = parts.add(
            f"{name}_heads", lambda **options: layers.Permute((2, 1, 3), **options), projected
        )
    scale, size = 1 / math.sqrt(key_size), heads // groups
    grouped = parts.reshape("groups", found["query"], (groups, size * steps, key_size))
    if size > 1 and (given.get("use_causal_mask") or any(map(given.get, MASKS))):
        raise refusal(layer, "a mask has no form here where heads share keys")
    summed, weights = _weigh(
        parts, grouped, found["key"], found["value"], scale, given, layer.dropout, "heads"
    )
    summed = parts.reshape("all_heads", summed, (heads, steps, value_size))
    joined = parts.add("joined", lambda **options: layers.Permute((2, 1, 3), **options), summed)
    shape = (steps, call.output.shape[-1])
    outputs = _project(parts, "attention_output", joined, "abcd,cde->abe", shape, "e", part="")
    if not given.get("return_attention_scores"):
        return outputs
    return [outputs, parts.reshape("weights", weights, (heads, steps, later))]


def _arguments(layer, call, names):
    """Return the arguments of a call by name.

    Raises:
        ValueError: if it takes a mask that has no form.
    """
    given = dict(zip(names, call.args)) | call.kwargs
    others = keras.tree.flatten([given.get(name) for name in OTHER_MASKS])
    if any(is_edge(mask) or mask is not None for mask in others):
        raise refusal(
            layer,
            f"it takes a mask of a kind that has no form; those that have: {', '.join(MASKS)}",
        )
    for name in MASKS:
        mask = given.get(name)
        if mask is not None and not (is_edge(mask) and keras.backend.is_float_dtype(mask.dtype)):
            raise refusal(
                layer,
                f"its {name} must be a tensor of 0 and 1 of a float type, as an input of the model "
                f"is; received {getattr(mask, 'dtype', mask)}",
            )
    return given


def _project(parts, name, edge, equation, shape, bias_axes, part=None):
    """Add a projection of the layer as a dense layer, with its weights."""
    config, whole = parts.call.layer.get_config(), parts.call.layer
    names = {"/".join(variable.path.split("/")[-2:]): variable for variable in whole.variables}

    def make(**options):
        return layers.EinsumDense(
            equation,
            shape,
            bias_axes=bias_axes if config["use_bias"] else None,
            kernel_regularizer=config["kernel_regularizer"],
            bias_regularizer=config["bias_regularizer"],
            kernel_constraint=config["kernel_constraint"],
            bias_constraint=config["bias_constraint"],
            **options,
        )

    weights = [names[f"{name}/kernel"]]
    if config["use_bias"]:
        weights.append(names[f"{name}/bias"])
    return parts.add(name if part is None else part, make, edge, weights)


def _weigh(parts, query, key, value, scale, given, dropout, part):
    """Add scores, softmax and the weighted sum; return the sum and the weights."""
    scores = parts.add(
        "scores",
        lambda **options: MatMul(transpose_right=True, scale=scale, **options),
        [query, key],
    )
    if given.get("use_causal_mask"):
        scores = parts.add("mask", lambda **options: CausalMask(**options), scores)
    for name in MASKS:
        if given.get(name) is not None:
            scores = _mask(parts, name, given[name], scores)
    weights = parts.add("softmax", lambda **options: layers.Softmax(**options), scores)
    dropped = weights
    if dropout:
        dropped = parts.add(
            "dropout", lambda **options: layers.Dropout(dropout, **options), weights
        )
    summed = parts.add(part, lambda **options: MatMul(**options), [dropped, value])
    return summed, weights


def _mask(parts, name, mask, scores):
    """Add the bound of scores by a mask of 0 and 1: low where it is 0, high where it is 1."""
    rank = len(mask.shape)
    if rank not in MASKS[name]:
        ranks = ", ".join(map(str, MASKS[name]))
        raise refusal(parts.call.layer, f"its {name} must have {ranks} axes, received {mask.shape}")
    bounds = parts.reshape(name, _bounds(parts, mask), MASKS[name][rank](mask.shape[1:]))
    return parts.add("masked", lambda **options: layers.Minimum(**options), [scores, bounds])


def _bounds(parts, mask):
    """Return the bounds that a mask stands for, once for all layers that take it."""
    # The bounds are the first and the last of 256 codes.
    scale, offset = -MASKED_SCORE * 255 / 128, MASKED_SCORE
    for node in (*parts.graph.nodes, *parts.nodes):
        is_rescaled = type(node.layer) is layers.Rescaling and node.data_inputs == [mask]
        if is_rescaled and (node.layer.scale, node.layer.offset) == (scale, offset):
            return node.output
    return parts.add(
        "bounds",
        lambda **options: layers.Rescaling(scale, offset, **options),
        mask,
        is_precise=True,
    )
