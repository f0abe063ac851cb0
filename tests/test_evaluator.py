"""The NumPy evaluator against the LiteRT interpreter (default resolver): equal bit for bit.

Each case is a random small .tflite file written with the schema's object API. Odd seeds draw
scales that are powers of two, which makes the ties where rounding rules differ frequent.
"""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from tests.evaluator import evaluate

SEEDS = range(4)
BITS = {"INT8": 8, "INT4": 4, "INT2": 2}
STORED = {"FLOAT32": np.float32, "INT32": np.int32, "INT8": np.int8}
OPTION_NAMES = {"QUANTIZE": "Quantize", "DEQUANTIZE": "Dequantize", "SOFTMAX": "Softmax"}
OPTION_NAMES |= {"CONV_2D": "Conv2D", "DEPTHWISE_CONV_2D": "DepthwiseConv2D", "MUL": "Mul"}
OPTION_NAMES |= {"FULLY_CONNECTED": "FullyConnected", "ADD": "Add", "MEAN": "Reducer"}
OPTION_NAMES |= {"MAX_POOL_2D": "Pool2D", "AVERAGE_POOL_2D": "Pool2D", "PAD": "Pad"}
OPTION_NAMES |= {"RESHAPE": "Reshape", "CONCATENATION": "Concatenation", "TRANSPOSE": "Transpose"}
OPTION_NAMES |= {"MAXIMUM": "MaximumMinimum", "MINIMUM": "MaximumMinimum", "ABS": "Abs"}
VERSIONS = {("CONV_2D", "INT4"): 7, ("DEPTHWISE_CONV_2D", "INT4"): 7}
VERSIONS |= {("FULLY_CONNECTED", "INT4"): 10, ("FULLY_CONNECTED", "INT2"): 14}
VERSIONS |= {("CONV_2D", "INT8"): 3, ("DEPTHWISE_CONV_2D", "INT8"): 3}
VERSIONS |= {("FULLY_CONNECTED", "INT8"): 5, ("RESHAPE", "INT32"): 1, ("RELU_N1_TO_1", ""): 1}


class Model:
    """Collects tensors and operators of one random file; methods return tensor indices."""

    def __init__(self, seed: int):
        self.random = np.random.default_rng(seed)
        self.powers = seed % 2 == 1
        self.root = schema.ModelT()
        self.root.version = 3
        self.root.operatorCodes = []
        self.root.buffers = [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.inputs, self.graph.operators = [], [], []
        self.root.subgraphs = [self.graph]

    def scale(self, about: float = 0.05) -> float:
        exact = about * np.exp(self.random.uniform(-0.7, 0.7))
        return float(np.float32(2.0 ** np.rint(np.log2(exact)) if self.powers else exact))

    def grid(self, about: float = 0.05) -> tuple[float, int]:
        return self.scale(about), int(self.random.integers(-30, 30))

    def tensor(self, kind, shape, grid=None, data=None, axis=0) -> int:
        tensor = schema.TensorT()
        tensor.name = f"tensor{len(self.graph.tensors)}"
        tensor.type = getattr(schema.TensorType, kind)
        tensor.shape = list(shape)
        tensor.buffer = 0
        if data is not None:
            tensor.buffer = len(self.root.buffers)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(pack(data, kind), np.uint8)
            self.root.buffers.append(buffer)
        if grid is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.atleast_1d(grid[0]).tolist()
            tensor.quantization.zeroPoint = [grid[1]] * np.size(grid[0])
            tensor.quantization.quantizedDimension = axis
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def input(self, shape, grid=None, kind="INT8") -> int:
        self.graph.inputs.append(self.tensor(kind, shape, grid))
        return self.graph.inputs[-1]

    def integers(self, values) -> int:
        return self.tensor("INT32", np.shape(values), data=np.array(values, np.int32))

    def operator(self, name, sources, shape, grid, kind="INT8", **options) -> int:
        """Append an operator; its output tensor gets `shape`, `grid` and `kind`."""
        weights = self.kind(sources[1]) if len(sources) > 1 else ""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = VERSIONS.get((name, weights), 2)
        self.root.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.root.operatorCodes) - 1
        operator.inputs = sources
        operator.outputs = [self.tensor(kind, shape, grid)]
        if name in OPTION_NAMES:
            options_name = OPTION_NAMES[name] + "Options"
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options_name)
            operator.builtinOptions = getattr(schema, options_name + "T")()
            for key, value in options.items():
                assert hasattr(operator.builtinOptions, key)
                setattr(operator.builtinOptions, key, value)
        self.graph.operators.append(operator)
        return operator.outputs[0]

    def kind(self, index) -> str:
        found = vars(schema.TensorType).items()
        kind = self.graph.tensors[index].type
        return next(name for name, value in found if value == kind and name[0] != "_")

    def shape(self, index) -> list[int]:
        return list(self.graph.tensors[index].shape)

    def grid_of(self, index) -> tuple[float, int]:
        quantization = self.graph.tensors[index].quantization
        return quantization.scale[0], quantization.zeroPoint[0]

    def finish(self, *outputs) -> bytes:
        self.graph.outputs = list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.root.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def inputs(self, batch=None) -> list[np.ndarray]:
        """Random values for every input of the file."""
        values = []
        for index in self.graph.inputs:
            shape = self.shape(index)
            shape[0] = batch or shape[0]
            if self.kind(index) == "FLOAT32":
                values.append(self.random.normal(0, 2, shape).astype(np.float32))
            else:
                values.append(self.random.integers(-128, 128, shape).astype(np.int8))
        return values


def pack(data: np.ndarray, kind: str) -> bytes:
    """Constant bytes; int4 and int2 codes fill each byte from its lowest bits."""
    bits = BITS.get(kind, 8)
    if bits == 8:
        return np.ascontiguousarray(data, STORED[kind]).tobytes()
    flat = data.ravel().astype(np.int64) & (2**bits - 1)
    flat = np.pad(flat, (0, -flat.size % (8 // bits))).reshape(-1, 8 // bits)
    return (flat << np.arange(0, 8, bits)).sum(1).astype(np.uint8).tobytes()


def run(model: bytes, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Outputs of the interpreter with its default resolver, one thread."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    details = interpreter.get_input_details()
    for detail, values in zip(details, inputs):
        if tuple(detail["shape"]) != values.shape:
            interpreter.resize_tensor_input(detail["index"], values.shape)
    interpreter.allocate_tensors()
    for detail, values in zip(details, inputs):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]


def activation_code(name: str) -> int:
    return getattr(schema.ActivationFunctionType, name)


def reach(size, kernel, stride, dilation, same) -> int:
    """Output size along one axis."""
    return -(-size // stride) if same else (size - (kernel - 1) * dilation - 1) // stride + 1


def weighted(
    model,
    name,
    source,
    filter_shape,
    shape,
    kind="INT8",
    activation="NONE",
    per_channel=True,
    bias=True,
    **options,
):
    """Append a convolution, depthwise convolution or fully connected operator."""
    depthwise = name == "DEPTHWISE_CONV_2D"
    axis = 3 if depthwise else 0
    channels = filter_shape[axis]
    high = 2 ** (BITS[kind] - 1)
    codes = model.random.integers(-high, high, filter_shape)
    scales = [model.scale(0.02) for _ in range(channels if per_channel else 1)]
    weights = model.tensor(kind, filter_shape, (scales, 0), codes, axis)
    scale_in = model.grid_of(source)[0]
    products = np.prod(filter_shape) / channels
    spread = np.sqrt(products) * 74 * max(codes.std(), 0.5)
    sources = [source, weights]
    if bias:
        values = model.random.normal(0, spread / 2, channels).astype(np.int32)
        bias_scales = (np.float32(scale_in) * np.array(scales, np.float32)).tolist()
        sources.append(model.tensor("INT32", [channels], (bias_scales, 0), values))
    elif name == "FULLY_CONNECTED":
        sources.append(-1)
    grid = model.grid(spread * scale_in * 0.02 / 40)
    code = activation_code(activation)
    return model.operator(name, sources, shape, grid, fusedActivationFunction=code, **options)


def convolve(
    model,
    source,
    channels,
    kernel=(3, 3),
    stride=(1, 1),
    dilation=(1, 1),
    same=True,
    groups=1,
    depthwise=0,
    **options,
):
    """A convolution, or with `depthwise` = depth multiplier a depthwise convolution."""
    batch, height, width, depth = model.shape(source)
    name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    filter_shape = [channels, *kernel, depth // groups]
    if depthwise:
        channels = depth * depthwise
        filter_shape = [1, *kernel, channels]
        options["depthMultiplier"] = depthwise
    height = reach(height, kernel[0], stride[0], dilation[0], same)
    width = reach(width, kernel[1], stride[1], dilation[1], same)
    options |= {"strideH": stride[0], "strideW": stride[1], "padding": 0 if same else 1}
    options |= {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
    return weighted(model, name, source, filter_shape, [batch, height, width, channels], **options)


def connect(model, source, channels, keep=False, **options):
    shape = model.shape(source)
    result = [*shape[:-1], channels] if keep else [int(np.prod(shape[:-1])), channels]
    filter_shape = [channels, shape[-1]]
    options["keepNumDims"] = keep
    return weighted(model, "FULLY_CONNECTED", source, filter_shape, result, **options)


def pool(model, name, source, kernel, stride, same, activation="NONE"):
    batch, height, width, depth = model.shape(source)
    height = reach(height, kernel[0], stride[0], 1, same)
    width = reach(width, kernel[1], stride[1], 1, same)
    options = {"filterHeight": kernel[0], "filterWidth": kernel[1], "padding": 0 if same else 1}
    options |= {"strideH": stride[0], "strideW": stride[1]}
    options["fusedActivationFunction"] = activation_code(activation)
    return model.operator(
        name, [source], [batch, height, width, depth], model.grid_of(source), **options
    )


def average(model, source, axes, keep, about=0.05):
    shape = model.shape(source)
    shape = [
        1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes
    ]
    sources = [source, model.integers(axes)]
    return model.operator("MEAN", sources, shape, model.grid(about), keepDims=keep)


def image(model, shape=(2, 9, 8, 5)):
    return model.input(shape, model.grid())


# One function per family of cases: model, arguments of the case -> output tensor


def conv_case(model, shape=(2, 9, 8, 5), channels=13, **options):
    return convolve(model, image(model, shape), channels, **options)


def connected_case(model, shape, channels, **options):
    return connect(model, image(model, shape), channels, **options)


def binary_case(model, name, shapes, activation=None, ratios=(1, 1), constant=False):
    first = model.input(shapes[0], model.grid(0.05 * ratios[0]))
    grid = model.grid(0.05 * ratios[1])
    if name in ("MAXIMUM", "MINIMUM"):
        grid = model.grid_of(first)
    if constant:
        codes = model.random.integers(-128, 128, shapes[1])
        second = model.tensor("INT8", shapes[1], grid, codes)
    else:
        second = model.input(shapes[1], grid)
    shape = np.broadcast_shapes(*shapes)
    about = {"ADD": 0.08, "MUL": 0.25}.get(name)
    result = model.grid(about) if about else grid
    options = {"fusedActivationFunction": activation_code(activation)} if activation else {}
    return model.operator(name, [first, second], shape, result, **options)


def pool_case(model, name, kernel, stride, same, activation="NONE", grid=None):
    source = model.input((2, 11, 10, 5), grid or model.grid())
    return pool(model, name, source, kernel, stride, same, activation)


def mean_case(model, axes, keep, about=0.01, shape=(2, 7, 6, 19)):
    return average(model, image(model, shape), axes, keep, about)


def quantize_case(model, kind, ratio=1.0, shape=(2, 7, 6, 19)):
    source = model.input(shape, None if kind == "FLOAT32" else model.grid(0.05), kind)
    return model.operator("QUANTIZE", [source], shape, model.grid(0.05 / ratio))


def unary_case(model, name, grid=None, scale=0.05, shape=(2, 7, 6, 19), kind="INT8", **options):
    source = model.input(shape, model.grid(scale))
    grid = None if kind == "FLOAT32" else grid or model.grid(scale)
    return model.operator(name, [source], shape, grid, kind, **options)


def pad_case(model, amounts):
    source = image(model)
    shape = [size + sum(pair) for size, pair in zip(model.shape(source), amounts)]
    return model.operator("PAD", [source, model.integers(amounts)], shape, model.grid_of(source))


def move_case(model, name, argument, shape):
    source = image(model)
    options = {"newShape": argument} if name == "RESHAPE" else {}
    sources = [source, model.integers(argument)]
    return model.operator(name, sources, shape, model.grid_of(source), **options)


def concatenation_case(model, axis, count):
    grid = model.grid()
    sources = [model.input((2, 4, 4, 3), grid) for _ in range(count)]
    shape = [2, 4, 4, 3]
    shape[axis] *= count
    return model.operator("CONCATENATION", sources, shape, grid, axis=axis)


def network_case(model, batch=2, stored_first=-1):
    """Float in, float out: every usual block once, low-bit weights included."""
    floats = model.input((batch, 12, 12, 3), kind="FLOAT32")
    codes = model.operator("QUANTIZE", [floats], (batch, 12, 12, 3), model.grid(0.03))
    amounts = model.integers([[0, 0], [0, 1], [0, 1], [0, 0]])
    padded = model.operator("PAD", [codes, amounts], (batch, 13, 13, 3), model.grid_of(codes))
    stem = convolve(model, padded, 16, stride=(2, 2), same=False, activation="RELU6")
    deep = convolve(model, stem, 0, depthwise=1, activation="RELU6")
    narrow = convolve(model, deep, 16, kernel=(1, 1), kind="INT4")
    options = {"fusedActivationFunction": activation_code("RELU")}
    scale = model.grid_of(stem)[0] + model.grid_of(narrow)[0]
    joined = model.operator("ADD", [stem, narrow], model.shape(stem), model.grid(scale), **options)
    pooled = pool(model, "AVERAGE_POOL_2D", joined, (2, 2), (2, 2), True)
    means = average(model, pooled, [1, 2], True, scale / 4)
    shape = [stored_first, 16]
    sources = [means, model.integers(shape)]
    flat = model.operator("RESHAPE", sources, (batch, 16), model.grid_of(means), newShape=shape)
    hidden = connect(model, flat, 12, kind="INT2", activation="RELU")
    logits = connect(model, hidden, 7, kind="INT4")
    result = model.operator("SOFTMAX", [logits], (batch, 7), (1 / 256, -128), beta=1.0)
    return model.operator("DEQUANTIZE", [result], (batch, 7), None, "FLOAT32")


CASES = {"network": (network_case, {})}
for weights_kind in ("INT8", "INT4"):
    for case, options in {
        "plain": {},
        "relu": {"activation": "RELU"},
        "relu6 per tensor": {"activation": "RELU6", "per_channel": False},
        "valid relu n1": {"same": False, "activation": "RELU_N1_TO_1"},
        "stride": {"stride": (2, 3)},
        "dilation": {"dilation": (2, 3)},
        "valid dilation": {"dilation": (2, 1), "same": False},
        "odd kernel": {"kernel": (2, 5), "stride": (3, 1)},
    }.items():
        options = options | {"kind": weights_kind}
        CASES[f"conv {weights_kind} {case}"] = (conv_case, options)
        one, two = {"depthwise": 1, "shape": (2, 9, 8, 13)}, {"depthwise": 3}
        CASES[f"depthwise {weights_kind} {case}"] = (conv_case, options | one)
        CASES[f"depthwise x3 {weights_kind} {case}"] = (conv_case, options | two)
    options = {"shape": (2, 9, 8, 15), "groups": 3, "channels": 12, "kind": weights_kind}
    CASES[f"conv grouped {weights_kind}"] = (conv_case, options)
    CASES[f"conv grouped stride {weights_kind}"] = (conv_case, options | {"stride": (2, 2)})
    options = {"kernel": (1, 1), "shape": (2, 9, 8, 19), "kind": weights_kind}
    CASES[f"conv 1x1 {weights_kind}"] = (conv_case, options)
    CASES[f"conv 1x1 stride {weights_kind}"] = (conv_case, options | {"stride": (2, 2)})
for weights_kind in BITS:
    for depth in (24, 22, 21):
        for case, options in {
            "plain": {},
            "relu": {"activation": "RELU"},
            "per tensor": {"per_channel": False, "activation": "RELU6"},
            "no bias": {"bias": False},
            "keep": {"keep": True, "shape": (2, 5, 7, depth)},
            "one channel": {"channels": 1},
        }.items():
            options = {"shape": (70, depth), "channels": 13, "kind": weights_kind} | options
            CASES[f"connected {weights_kind} {depth} {case}"] = (connected_case, options)
FULL, ROW, PIXEL = (2, 5, 6, 7), (7,), (2, 1, 1, 7)
for name in ("ADD", "MUL", "MAXIMUM", "MINIMUM"):
    for case, shapes in {"same": (FULL, FULL), "row": (FULL, ROW), "pixel": (PIXEL, FULL)}.items():
        constant = case == "row"
        CASES[f"{name} {case}"] = (binary_case, dict(name=name, shapes=shapes, constant=constant))
for name in ("ADD", "MUL"):
    for activation in ("RELU", "RELU6", "RELU_N1_TO_1"):
        options = {"name": name, "shapes": (FULL, FULL), "activation": activation}
        CASES[f"{name} {activation}"] = (binary_case, options)
CASES["ADD large"] = (binary_case, {"name": "ADD", "shapes": [(60, 50, 60)] * 2})
for case, ratios in {"mixed": (1, 0.1), "rare": (1, 0.0003), "wide": (900, 1)}.items():
    options = {"name": "ADD", "shapes": (FULL, FULL), "ratios": ratios}
    CASES[f"ADD {case}"] = (binary_case, options)
TIE = {"same": False, "activation": "RELU6", "grid": (4.0, 1)}  # 6 / 4 is half-way
for name in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
    for case, options in {
        "plain": {"kernel": (2, 2), "stride": (2, 2), "same": False},
        "same": {"kernel": (3, 3), "stride": (2, 1), "same": True},
        "sparse": {"kernel": (1, 2), "stride": (2, 3), "same": True, "activation": "RELU"},
        "wide": {"kernel": (5, 4), "stride": (1, 1), "same": True, "activation": "RELU6"},
        "clamp tie": TIE | {"kernel": (1, 2), "stride": (1, 1)},
        "sparse clamp tie": TIE | {"kernel": (1, 2), "stride": (2, 3)},
    }.items():
        CASES[f"{name} {case}"] = (pool_case, options | {"name": name})
for axes in ([1, 2], [3], [1], [1, 2, 3]):
    for keep in (True, False):
        CASES[f"MEAN {axes} {keep}"] = (mean_case, {"axes": axes, "keep": keep})
CASES["QUANTIZE float"] = (quantize_case, {"kind": "FLOAT32", "shape": (60, 50, 60)})
for ratio in (0.003, 0.02, 0.5, 1.0, 3.0, 100.0, 400.0):
    CASES[f"QUANTIZE {ratio}"] = (quantize_case, {"kind": "INT8", "ratio": ratio})
for name in ("RELU", "RELU6", "RELU_N1_TO_1"):
    CASES[name] = (unary_case, {"name": name})
CASES["DEQUANTIZE"] = (unary_case, {"name": "DEQUANTIZE", "kind": "FLOAT32"})
PROBABILITY = {"name": "SOFTMAX", "grid": (1 / 256, -128), "beta": 1.0}
CASES["SOFTMAX"] = (unary_case, PROBABILITY)
CASES["SOFTMAX wide"] = (unary_case, PROBABILITY | {"scale": 0.005, "shape": (1500, 50)})
CASES["SOFTMAX two"] = (unary_case, PROBABILITY | {"scale": 0.01, "shape": (90, 3), "beta": 2.0})
CASES["PAD"] = (pad_case, {"amounts": [[0, 0], [1, 2], [0, 3], [0, 0]]})
CASES["PAD channels"] = (pad_case, {"amounts": [[0, 0], [0, 0], [0, 0], [2, 1]]})
CASES["RESHAPE"] = (move_case, dict(name="RESHAPE", argument=[-1, 40], shape=(18, 40)))
CASES["TRANSPOSE"] = (move_case, dict(name="TRANSPOSE", argument=[0, 3, 1, 2], shape=(2, 5, 9, 8)))
for axis in (1, 3):
    for count in (2, 6):
        options = {"axis": axis, "count": count}
        CASES[f"CONCATENATION {axis} {count}"] = (concatenation_case, options)


def build(function, options, seed):
    model = Model(seed)
    return model, model.finish(function(model, **options))


@pytest.mark.parametrize("case", CASES)
def test_the_evaluator_equals_the_interpreter(case):
    seen = set()
    for seed in SEEDS:
        model, content = build(*CASES[case], seed)
        inputs = model.inputs()
        (expected,), (found,) = run(content, inputs), evaluate(content, inputs)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected, strict=True)
        seen |= set(expected.ravel().tolist())
    assert len(seen) > 1  # not saturated throughout


@pytest.mark.parametrize("stored_first", [-1, 2])
def test_another_batch_than_the_stored_one_is_evaluated(stored_first):
    model, content = build(network_case, {"stored_first": stored_first}, 0)
    inputs = model.inputs(batch=5)
    singles = [evaluate(content, [inputs[0][i : i + 1]])[0] for i in range(5)]
    (found,) = evaluate(content, inputs)
    if stored_first == -1:  # the interpreter refuses to resize the other one
        np.testing.assert_array_equal(found, run(content, inputs)[0], strict=True)
    np.testing.assert_array_equal(found, np.concatenate(singles))


def test_a_path_is_read_and_every_tensor_returned(tmp_path):
    model, content = build(network_case, {}, 0)
    (tmp_path / "model.tflite").write_bytes(content)
    inputs = model.inputs()
    found = evaluate(tmp_path / "model.tflite", inputs, all_tensors=True)
    assert sorted(found) == list(range(len(model.graph.tensors)))
    assert all(found[index].shape == tuple(model.shape(index)) for index in found)
    np.testing.assert_array_equal(found[model.graph.outputs[0]], run(content, inputs)[0])


def test_an_unknown_operator_is_named():
    model, content = build(unary_case, {"name": "ABS"}, 0)
    with pytest.raises(NotImplementedError, match="ABS"):
        evaluate(content, model.inputs())


MOVES = ["PAD", "TRANSPOSE", "CONCATENATION 1 2", "MAXIMUM same"]


@pytest.mark.parametrize("case", [*MOVES, "MAX_POOL_2D plain", "AVERAGE_POOL_2D plain", "SOFTMAX"])
def test_an_output_on_another_grid_is_refused(case):
    function, options = CASES[case]
    model = Model(0)
    output = function(model, **options)
    model.graph.tensors[output].quantization = schema.QuantizationParametersT()
    model.graph.tensors[output].quantization.scale = [0.5]
    model.graph.tensors[output].quantization.zeroPoint = [3]
    with pytest.raises(ValueError, match="grid"):
        evaluate(model.finish(output), model.inputs())


def test_a_reshape_copies_codes_to_another_grid():
    function, options = CASES["RESHAPE"]
    model = Model(0)
    output = function(model, **options)
    model.graph.tensors[output].quantization.scale[0] *= 2
    content, inputs = model.finish(output), model.inputs()
    np.testing.assert_array_equal(evaluate(content, inputs)[0], run(content, inputs)[0])


def test_a_bias_on_another_grid_is_refused():
    model = Model(0)
    output = conv_case(model)
    bias = model.graph.operators[0].inputs[2]
    model.graph.tensors[bias].quantization.scale[0] *= 2
    with pytest.raises(ValueError, match="bias"):
        evaluate(model.finish(output), model.inputs())
