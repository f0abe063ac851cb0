"""NumPy evaluator of integer .tflite files, for the tests only.

It reads the file itself and shares no code with the exporter. Every operator is computed with the
arithmetic the default LiteRT resolver uses on x86_64, bit for bit: XNNPACK for the operators it
accepts ("delegated" below), the builtin optimized kernels for the others.
"""

import math
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from tests.evaluator_bits import CUSTOM
from tests.evaluator_functions import EXP, FUNCTIONS
from tests.evaluator_int16 import INT16_OPERATORS, finish_int16
from tests.evaluator_nodes import (
    F32,
    Node,
    Tensor,
    clamp,
    fixed_point,
    in_blocks,
    multiply_fixed,
    name_of,
    require,
    require_same_grid,
    scale_delegated,
    windows_of,
)

STORAGE = {"FLOAT32": F32, "INT8": np.int8, "INT32": np.int32, "INT64": np.int64}
STORAGE |= {"INT16": np.int16}
STORAGE |= {"UINT8": np.uint8}
PACKED_BITS = {"INT4": 4, "INT2": 2}


def _check_weights(node: Node, channels: int, axis: int, types: list[str]) -> None:
    source, weights, bias = (node.inputs + [None])[:3]
    require(weights.type in types, f"{node.name}: weights of {weights.type}")
    require(not weights.zero_points.any(), f"{node.name}: weight zero points must be 0")
    count = weights.scales.size
    fits = count == 1 or (count == channels and weights.axis == axis)
    require(fits, f"{node.name}: {count} weight scales on axis {weights.axis}")
    if bias is None:
        return require(node.name == "FULLY_CONNECTED", f"{node.name}: bias missing")
    bias_type = {"INT8": "INT32", "INT16": "INT64"}[source.type]
    agree = bias.type == bias_type and bias.data.shape == (channels,)
    agree = agree and bias.scales.size == count and not bias.zero_points.any()
    expected = np.float64(source.grid[0]) * weights.scales
    agree = agree and np.allclose(bias.scales, expected, rtol=1e-4, atol=0)
    require(agree, f"{node.name}: bias is not {bias_type} at input scale times weight scale")


def _finish_weighted(node: Node, products, delegated: bool, vector_channels: int) -> np.ndarray:
    """Products to codes; builtin channels from `vector_channels` on take the scalar code."""
    total = products.astype(np.int64)
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        total = total + node.inputs[2].data
    if node.inputs[0].type == "INT16":
        return finish_int16(node, total)
    require(not total.size or np.abs(total).max() < 2**31, f"{node.name}: int32 overflow")
    (scale_in, _), (scale_out, zero_out) = node.inputs[0].grid, node.output.grid
    scales = node.inputs[1].scales
    if delegated:
        return scale_delegated(node, total, scale_in * scales / scale_out)
    factor = np.float64(scale_in) * scales.astype(np.float64) / np.float64(scale_out)
    if node.name == "FULLY_CONNECTED" and scales.size == 1:
        factor = np.float64(scale_in * scales) / np.float64(scale_out)
    scalar = np.arange(total.shape[-1]) >= vector_channels
    return clamp(node, multiply_fixed(total, factor, scalar) + zero_out, False)


def convolution(node: Node) -> np.ndarray:
    """CONV_2D, and DEPTHWISE_CONV_2D as the grouped convolution with one channel per group."""
    depthwise = node.name == "DEPTHWISE_CONV_2D"
    filters = node.inputs[1].data.astype(np.float64)
    filters = filters.transpose(3, 0, 1, 2) if depthwise else filters.transpose(0, 3, 1, 2)
    channels, depth, *kernel = filters.shape
    _check_weights(node, channels, 3 if depthwise else 0, ["INT8", "INT4"])
    windows = windows_of(node, node.inputs[0].codes.astype(np.float64), 0, kernel)
    groups = windows.shape[3] // depth
    columns = windows.reshape(math.prod(windows.shape[:3]), groups, -1).transpose(1, 0, 2)
    products = columns @ filters.reshape(groups, channels // groups, -1).transpose(0, 2, 1)
    products = products.transpose(1, 0, 2).reshape(*windows.shape[:3], channels)
    vector_channels = channels // 8 * 8 if depthwise else channels if groups == 1 else 0
    return _finish_weighted(node, products, node.inputs[1].type == "INT8", vector_channels)


def transposed_convolution(node: Node) -> np.ndarray:
    """TRANSPOSE_CONV, delegated: each input position adds its window to the output."""
    sizes, weights, source, bias = (node.inputs + [None])[:4]
    channels, *kernel, depth = weights.data.shape
    weighted = Node(node.name, [source, weights, bias], node.output, node.options, node.batches)
    _check_weights(weighted, channels, 0, ["INT8"])
    strides = node.options.strideH, node.options.strideW
    whole = all(size >= stride for size, stride in zip(kernel, strides, strict=True))
    require(whole, f"{node.name}: a kernel within its stride is not delegated")
    codes, (height, width) = source.codes.astype(np.float64), sizes.data[1:3]
    spread = [
        (count - 1) * stride + size
        for count, stride, size in zip(codes.shape[1:3], strides, kernel, strict=True)
    ]
    total = np.zeros((len(codes), *spread, channels))
    for row, column in np.ndindex(*codes.shape[1:3]):
        window = np.einsum("nc,oijc->nijo", codes[:, row, column], weights.data)
        top, left = row * strides[0], column * strides[1]
        total[:, top : top + kernel[0], left : left + kernel[1]] += window
    is_same = node.options.padding == schema.Padding.SAME
    cut = [max(have - want, 0) // 2 * is_same for have, want in zip(spread, (height, width))]
    total = total[:, cut[0] : cut[0] + height, cut[1] : cut[1] + width]
    require(total.shape[1:3] == (height, width), f"{node.name}: the output is larger than its sum")
    return _finish_weighted(weighted, total, True, channels)


def fully_connected(node: Node) -> np.ndarray:
    source, weights = node.inputs[:2]
    channels, depth = weights.data.shape
    _check_weights(node, channels, 0, ["INT8", "INT4", "INT2"])
    per_channel = weights.scales.size == channels  # one scale for one channel counts as well
    delegated = {"INT8": True, "INT4": depth % 2 == 0, "INT2": depth % 4 == 0 and per_channel}
    shape = source.data.shape[:-1] if node.options.keepNumDims else (-1,)
    products = source.codes.reshape(-1, depth).astype(np.float64) @ weights.data.T.astype(float)
    codes = _finish_weighted(node, products, delegated[weights.type], channels)
    return codes.reshape(*shape, channels)


def add(node: Node) -> np.ndarray:
    """ADD and SUB, of int8 tensors or plain int32 numbers."""
    sign = -1 if node.name == "SUB" else 1
    if node.output.type == "INT32":
        return node.inputs[0].data + sign * node.inputs[1].data
    scale_out, zero_out = node.output.grid
    codes = [source.codes for source in node.inputs]
    scales = [source.grid[0] for source in node.inputs]
    ratios = [scale / scale_out for scale in scales]
    if all(2.0**-10 <= ratio < 2.0**8 for ratio in ratios):
        shift = 21 - math.frexp(float(max(ratios)))[1]
        factors = [int(np.rint(np.float64(ratio) * 2.0**shift)) for ratio in ratios]
        total = codes[0] * factors[0] + sign * codes[1] * factors[1] + (1 << (shift - 1))
        return clamp(node, (total >> shift) + zero_out, True)
    if sign < 0 or codes[0].shape != codes[1].shape or min(scales) * 2.0**18 < max(scales):
        raise NotImplementedError("ADD: broadcast or extreme scales outside the XNNPACK range")
    twice = np.float64(F32(2) * max(scales))
    whole = in_blocks(codes[0], 16)
    total = 0
    for code, scale in zip(codes, np.float64(scales), strict=True):
        mantissa, exponent = fixed_point(scale / twice)
        blocked = ((code << (20 + exponent)) * mantissa + 2**30) >> 31
        total = total + np.where(whole, blocked, multiply_fixed(code << 20, scale / twice, True))
    total = multiply_fixed(total, twice / np.float64(F32(2**20) * scale_out), True) + zero_out
    wrapped = (total + 2**15) % 2**16 - 2**15  # vector code has 16 bits here
    return clamp(node, np.where(whole, wrapped, total), False)


def multiply(node: Node) -> np.ndarray:
    first, second = node.inputs
    factor = first.grid[0] * second.grid[0] / node.output.grid[0]
    if not 2.0**-16 <= factor < 2.0**8:
        raise NotImplementedError(f"MUL: multiplier {factor} outside the XNNPACK range")
    return scale_delegated(node, first.codes * second.codes, factor)


def matrix_product(node: Node) -> np.ndarray:
    left, right = node.inputs
    require(right.grid[1] == 0, f"{node.name}: a right zero point other than 0 is not delegated")
    require(not node.options.adjX, f"{node.name}: the left side is never transposed")
    second = right.codes.swapaxes(-1, -2) if node.options.adjY else right.codes
    total = left.codes.astype(np.float64) @ second.astype(np.float64)
    return scale_delegated(node, total, left.grid[0] * right.grid[0] / node.output.grid[0])


def extremum(node: Node) -> np.ndarray:
    require_same_grid(node, node.inputs)
    choose = np.maximum if node.name == "MAXIMUM" else np.minimum
    return choose(node.inputs[0].data, node.inputs[1].data)


def rectify(node: Node) -> np.ndarray:
    source, (scale_out, zero_out) = node.inputs[0], node.output.grid
    codes = multiply_fixed(source.codes, source.grid[0] / scale_out, True)
    return clamp(node, codes + zero_out, False)


def average_pool(node: Node) -> np.ndarray:
    require_same_grid(node, node.inputs)
    data = node.inputs[0].data.astype(np.int64)
    total = windows_of(node, data, 0).sum((-2, -1))
    count = windows_of(node, np.ones_like(data[:1, :, :, :1]), 0).sum((-2, -1))
    rounded = np.sign(total) * ((np.abs(total) + count // 2) // count)
    return clamp(node, rounded, False)


def max_pool(node: Node) -> np.ndarray:
    require_same_grid(node, node.inputs)
    options = node.options
    windows = windows_of(node, node.inputs[0].data, np.iinfo(node.inputs[0].data.dtype).min)
    delegated = options.strideH <= options.filterHeight and options.strideW <= options.filterWidth
    return clamp(node, windows.max((-2, -1)), delegated)


def mean(node: Node) -> np.ndarray:
    source = node.inputs[0]
    (scale_in, zero_in), (scale_out, zero_out) = source.grid, node.output.grid
    axes = tuple({int(axis) % source.data.ndim for axis in node.inputs[1].data.ravel()})
    total = source.data.astype(np.int64).sum(axes, keepdims=bool(node.options.keepDims))
    count = math.prod(source.data.shape[axis] for axis in axes)
    factor = (scale_in / scale_out) * (F32(1) / F32(count))
    offset = F32(zero_out) - F32(count * zero_in) * factor
    return clamp(node, np.rint(total.astype(F32) * factor + offset), True)


def quantize(node: Node) -> np.ndarray:
    source, (scale_out, zero_out) = node.inputs[0], node.output.grid
    if source.type == "FLOAT32":
        return clamp(node, np.rint(source.data * (F32(1) / scale_out)) + zero_out, True)
    ratio = source.grid[0] / scale_out
    if 2.0**-8 <= ratio <= 2.0**7:
        factor = int(np.rint(F32(256) * ratio))
        return clamp(node, ((source.codes * factor + 128) >> 8) + zero_out, True)
    factor = np.float64(source.grid[0]) / np.float64(scale_out)
    codes = multiply_fixed(source.codes, factor, ~in_blocks(source.data, 16))
    return clamp(node, codes + zero_out, False)


def dequantize(node: Node) -> np.ndarray:
    return node.inputs[0].codes.astype(F32) * node.inputs[0].grid[0]


def softmax(node: Node) -> np.ndarray:
    (scale_in, _), (scale_out, zero_out) = node.inputs[0].grid, node.output.grid
    exact = zero_out == -128 and abs(scale_out * 256 - 1) < 1e-3
    require(exact, "SOFTMAX: output grid must be scale 1/256, zero point -128")
    steps = -scale_in * F32(node.options.beta) * np.arange(256).astype(F32)
    table = EXP(steps)
    data = node.inputs[0].data.astype(np.int64)
    powers = table[data.max(-1, keepdims=True) - data]
    total = np.add.accumulate(powers, axis=-1, dtype=F32)[..., -1:]  # strictly left to right
    share = powers * (F32(1) / (total * scale_out))
    return clamp(node, np.trunc(share + F32(0.5)) + zero_out, False)


def pad(node: Node) -> np.ndarray:
    source = node.inputs[0]
    require_same_grid(node, [source])
    fill = 0 if source.type == "INT32" else source.grid[1]
    return np.pad(source.data, node.inputs[1].data.tolist(), constant_values=fill)


def reshape(node: Node) -> np.ndarray:
    source = node.inputs[0]  # raw codes move, even to another grid
    given = node.inputs[1].data if len(node.inputs) > 1 else node.options.newShape
    shape = [int(size) for size in given]
    if math.prod(shape) != source.data.size and -1 not in shape:
        shape[0] = node.batches[1] if shape[0] == node.batches[0] else shape[0]
    return source.data.reshape(shape)


def strided_slice(node: Node) -> np.ndarray:
    source, begin, end = (each.data for each in node.inputs[:3])
    if node.name == "SLICE":
        begin, end = begin, np.where(end < 0, source.shape, begin + end)
        strides = np.ones_like(begin)
    else:
        strides = node.inputs[3].data
        masked = (node.options.endMask >> np.arange(len(end))) & 1
        end = np.where(masked, source.shape, end)
    require_same_grid(node, node.inputs[:1])
    return source[tuple(slice(*bounds) for bounds in zip(begin, end, strides, strict=True))]


def concatenation(node: Node) -> np.ndarray:
    require_same_grid(node, node.inputs)
    return np.concatenate([source.data for source in node.inputs], node.options.axis)


def exclusive_or(node: Node) -> np.ndarray:
    first, second = node.inputs
    require(first.type == second.type == "INT32", f"{node.name}: int32 expected")
    return first.data ^ second.data


def resize_nearest(node: Node) -> np.ndarray:
    require_same_grid(node, node.inputs[:1])
    data = node.inputs[0].data
    require(node.options.halfPixelCenters and not node.options.alignCorners, "half pixels only")
    for axis, size in zip((1, 2), node.inputs[1].data, strict=True):
        count = data.shape[axis]
        places = (np.arange(size, dtype=F32) + F32(0.5)) * (F32(count) / F32(size))
        data = data.take(np.minimum(np.floor(places).astype(int), count - 1), axis)
    return data


def resize_bilinear(node: Node) -> np.ndarray:
    require_same_grid(node, node.inputs[:1])
    require(node.options.halfPixelCenters and not node.options.alignCorners, "half pixels only")
    total = node.inputs[0].data.astype(np.int64)
    for axis, size in zip((2, 1), node.inputs[1].data[::-1], strict=True):
        count = total.shape[axis]
        scale = F32(count) / F32(size)
        places = np.arange(size, dtype=F32) * scale + (F32(0.5) * scale - F32(0.5))
        places = np.clip(places, F32(0), F32(count - 1))
        first = places.astype(int)
        weight = np.rint((places - first.astype(F32)) * F32(2048)).astype(np.int64)
        weight = weight.reshape([-1 if each == axis else 1 for each in range(4)])
        low, high = total.take(first, axis), total.take(np.minimum(first + 1, count - 1), axis)
        total = (low << 11) + (high - low) * weight
    return ((total + 2**21) >> 22).astype(np.int8)


def transpose(node: Node) -> np.ndarray:
    require_same_grid(node, node.inputs[:1])
    return node.inputs[0].data.transpose(node.inputs[1].data)


OPERATORS = {"CONV_2D": convolution, "DEPTHWISE_CONV_2D": convolution}
OPERATORS |= {"RESIZE_NEAREST_NEIGHBOR": resize_nearest, "RESIZE_BILINEAR": resize_bilinear}
OPERATORS |= {"BATCH_MATMUL": matrix_product}
OPERATORS |= {"TRANSPOSE_CONV": transposed_convolution}
OPERATORS |= {"FULLY_CONNECTED": fully_connected, "ADD": add, "SUB": add, "MUL": multiply}
OPERATORS |= {"AVERAGE_POOL_2D": average_pool, "MAX_POOL_2D": max_pool, "MEAN": mean}
OPERATORS |= {"SOFTMAX": softmax}
OPERATORS |= {"MAXIMUM": extremum, "MINIMUM": extremum, "PAD": pad, "RESHAPE": reshape}
OPERATORS |= {"RELU": rectify, "RELU6": rectify, "RELU_N1_TO_1": rectify}
OPERATORS |= {"QUANTIZE": quantize, "DEQUANTIZE": dequantize}
OPERATORS |= {"CONCATENATION": concatenation, "TRANSPOSE": transpose}
OPERATORS |= {"SLICE": strided_slice, "STRIDED_SLICE": strided_slice}
OPERATORS |= {"BITWISE_XOR": exclusive_or, **FUNCTIONS, **CUSTOM}


def _read_tensor(stored, buffers) -> Tensor:
    quantization = stored.quantization or schema.QuantizationParametersT()
    scales = np.array([] if quantization.scale is None else quantization.scale, F32)
    zeros = np.array([] if quantization.zeroPoint is None else quantization.zeroPoint, int)
    zeros = zeros if zeros.size else np.zeros(scales.size, int)
    kind = name_of(schema.TensorType, stored.type)
    name, axis = (stored.name or b"").decode(), quantization.quantizedDimension
    tensor = Tensor(name, kind, scales, zeros, axis)
    content, shape = buffers[stored.buffer].data, [] if stored.shape is None else list(stored.shape)
    if content is None or len(content) == 0:
        return tensor
    content = np.array(content, np.uint8)
    if kind in PACKED_BITS:  # two's complement, lowest bits of each byte first
        bits = PACKED_BITS[kind]
        fields = (content[:, None] >> np.arange(0, 8, bits, dtype=np.uint8)) & (2**bits - 1)
        values = fields.ravel()[: math.prod(shape)].astype(np.int8)
        values = np.where(values < 2 ** (bits - 1), values, values - 2**bits)
    else:
        require(kind in STORAGE, f"{tensor.name}: constant of type {kind}")
        values = content.view(STORAGE[kind])
    tensor.data = values.reshape(shape)
    return tensor


def evaluate(model: bytes | str | Path, inputs: list[np.ndarray], *, all_tensors: bool = False):
    """Run the first subgraph of `model` (its bytes or its path) on `inputs`.

    Returns the outputs in the order of the subgraph's outputs, or with `all_tensors` a dict
    from tensor index to array. The batch is that of the given inputs, not that of the file.
    """
    content = model if isinstance(model, bytes) else Path(model).read_bytes()
    root = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = root.subgraphs[0]
    tensors = [_read_tensor(stored, root.buffers) for stored in graph.tensors]
    for index, values in zip(graph.inputs, inputs, strict=True):
        tensor = tensors[index]
        require(values.dtype == STORAGE[tensor.type], f"{tensor.name}: {tensor.type} expected")
        tensor.data = values
    batches = int(graph.tensors[graph.inputs[0]].shape[0]), inputs[0].shape[0]
    for operator in graph.operators:
        code = root.operatorCodes[operator.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        name, options = name_of(schema.BuiltinOperator, number), operator.builtinOptions
        if name == "CUSTOM":
            name = code.customCode.decode()
            options = flexbuffers.Loads(np.array(operator.customOptions, np.uint8).tobytes())
        if name not in OPERATORS:
            raise NotImplementedError(f"operator {name}")
        sources = [tensors[index] if index >= 0 else None for index in operator.inputs]
        target = tensors[operator.outputs[0]]
        node = Node(name, sources, target, options, batches)
        is_wide = any(each is not None and each.type == "INT16" for each in (*sources, target))
        target.data = (INT16_OPERATORS.get(name, OPERATORS[name]) if is_wide else OPERATORS[name])(
            node
        )
    if all_tensors:
        return {index: tensor.data for index, tensor in enumerate(tensors)}
    return [tensors[index].data for index in graph.outputs]
