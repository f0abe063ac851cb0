"""Lowering of layers that stay in float."""

import keras

from tfq_lowbit.export.float_conversion import convert_call, runtime_of
from tfq_lowbit.export.operators import Dequantize, Island
from tfq_lowbit.export.pending_reals import PendingReals


def lower_island(lowering, node):
    """Lower a `FloatIsland`: DEQUANTIZE before it, the converter's operators, QUANTIZE behind."""
    emitter, operation = lowering.emitter, node.layer.operation
    sources = [_reals(lowering, node, edge) for edge in node.inputs]

    def symbolic(leaf):
        is_edge = any(leaf is edge for edge in node.inputs)
        return keras.KerasTensor(leaf.shape, leaf.dtype) if is_edge else leaf

    args, kwargs = keras.tree.map_structure(symbolic, (node.args, node.kwargs))
    call, content = convert_call(operation, args, kwargs, emitter.target.HAS_FIXED_BATCH)
    output = emitter.reals(f"{node.name}/reals", node.output.shape)
    runtime, reason = runtime_of(content), node.layer.reason
    island = Island(node.name, sources, output, call, content, runtime, reason)
    lowering.values[node.output] = PendingReals(node.name, emitter.add(island))


def _reals(lowering, node, edge):
    """Return an input of an island in reals."""
    codes = lowering.codes(edge, f"layer {node.name!r}")
    reals = lowering.emitter.reals(f"{node.name}/{codes.name}", codes.shape)
    return lowering.emitter.add(Dequantize(node.name, codes, reals))
