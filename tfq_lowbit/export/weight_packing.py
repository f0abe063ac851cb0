"""Put trained codes in the place of the float constants of a file."""

import dataclasses

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfq_lowbit.export.file_editing import FileEditor
from tfq_lowbit.export.weight_matching import FoundWeights, TrainedWeights
from tfq_lowbit.ste import short_float_ste
from tfq_lowbit.targets.litert import (
    DEPTH_MULTIPLES,
    FLOAT_VERSIONS,
    MIN_BLOCK_CHANNELS,
    find_version,
)
from tfq_lowbit.targets.reading import ACTIVATIONS

CONTAINERS = ("INT2", "INT4", "INT8")
# Third keys of `FLOAT_VERSIONS`.
ONE_SCALE, BLOCKS = "one scale", "blocks"
# Fused activations that are operators as well.
SPLITTABLE = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1", "TANH")
LOOKUP, TABLE_READER = "EMBEDDING_LOOKUP", "GATHER"
# How far rounding may move the scale of a block to what the kernels take, of its value.
SCALE_TOLERANCE = 2.0**-8


@dataclasses.dataclass(frozen=True)
class PackedKernel:
    """How the weights of one layer lie in the file.

    Attributes:
        name: of the layer.
        operator: that takes them.
        num_bits: width that they were trained at.
        stored_as: type in the file.
        num_bytes: of the codes.
        is_dynamic: whether the operator takes the codes, and quantizes its input on the way.
        block_size: number of inputs that share a scale, None for all of a channel.
        note: how the operator computes.
    """

    name: str
    operator: str
    num_bits: int
    stored_as: str
    num_bytes: int
    is_dynamic: bool
    block_size: int | None
    note: str


class WeightPacker:
    """Packs constants of a file, each in the way that its operators take.

    Args:
        editor: of the file.
        activations: "dynamic" lets operators quantize their input where they can; else "float".

    Attributes:
        runtimes: the first runtime of each operator that was written.
    """

    def __init__(self, editor: FileEditor, activations):
        self.editor, self.is_dynamic = editor, activations == "dynamic"
        self.runtimes: list[str] = []

    def pack(self, name, found: FoundWeights, weights: TrainedWeights) -> PackedKernel:
        """Pack one constant: a table that is looked up, a kernel, or a kernel unpacked in the file.

        Args:
            name: of the layer.
            found: the constant.
            weights: what it holds.
        """
        users = self.editor.users(found.tensor)
        operators = sorted({self.editor.name_of(each) for each in users})
        natural = "INT2" if weights.num_bits == 2 else "INT4" if weights.num_bits <= 4 else "INT8"
        wider = CONTAINERS[CONTAINERS.index(natural) :]
        block, is_dynamic = weights.block_size, False
        if all(self._is_lookup(each, found) for each in users):
            depth = found.codes.shape[-1]
            stored = next(each for each in wider if depth % DEPTH_MULTIPLES[each] == 0)
            operators, note = [LOOKUP], "rows unpacked when looked up"
            variant = self._store(found, stored, block, may_be_one=True)
            for user in users:
                self._look_up(name, user, stored, variant)
        elif self.is_dynamic and (stored := self._dynamic_type(found, block, users, wider)):
            is_dynamic, note = True, "input quantized in each call"
            variant = self._store(found, stored, block)
            for user in users:
                operator = self.editor.name_of(user)
                self.editor.set_version(user, self._version(operator, stored, variant))
                if block:
                    self._split_activation(name, user)
        else:
            stored, note = natural, "computes in float"
            self._dequantize(name, found, stored, block, users)
        note += f", blocks of {block}" if block else ""
        size = self.editor.num_bytes(found.tensor)
        operator = ", ".join(operators)
        return PackedKernel(name, operator, weights.num_bits, stored, size, is_dynamic, block, note)

    def _version(self, operator, stored="", variant=""):
        version, runtime = find_version(operator, stored, variant, FLOAT_VERSIONS)
        self.runtimes.append(runtime)
        return version

    def _store(self, found, stored, block, may_be_one=False):
        """Put the codes in the place of the constant, with their scales.

        Returns the third key of `FLOAT_VERSIONS`: how many scales there are.
        """
        self.editor.store(found.tensor, found.codes, stored)
        if block:
            scales = short_float_ste(found.scales).numpy()
            self.editor.set_block_scales(found.tensor, scales, block)
            return BLOCKS
        if may_be_one and np.all(found.scales == found.scales[0]):
            self.editor.set_scales(found.tensor, found.scales[0])
            return ONE_SCALE
        self.editor.set_scales(found.tensor, found.scales, found.axis)
        return ""

    # Operators that quantize their input.

    def _dynamic_type(self, found, block, users, types):
        """Return the narrowest type that all operators take, "" where there is none."""
        variant = BLOCKS if block else ""
        operators = {self.editor.name_of(each) for each in users}
        if block and not _may_have_blocks(found, users):
            return ""
        fits = (
            each
            for each in types
            if all((name, each, variant) in FLOAT_VERSIONS for name in operators)
        )
        return next(fits, "")

    def _split_activation(self, name, operator):
        """Let an operator do what was fused: with blocks, the builtin kernel does not."""
        fused = _fused(operator)
        if fused == "NONE":
            return
        editor, (output,) = self.editor, operator.outputs
        sums = editor.add_tensor(f"{name}/sums", editor.sizes(output))
        operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
        operator.outputs = [sums]
        place = editor.subgraph.operators.index(operator) + 1
        made = editor.make_operator(fused, self._version(fused), [sums], output)
        editor.subgraph.operators.insert(place, made)

    # Tables.

    def _is_lookup(self, operator, found):
        """Return whether an operator reads rows of a table, and EMBEDDING_LOOKUP could."""
        if self.editor.name_of(operator) != TABLE_READER or found.axis != 0:
            return False
        table, rows = operator.inputs
        options, sizes = operator.builtinOptions, self.editor.sizes(rows)
        is_plain = options.axis == 0 and options.batchDims == 0 and found.codes.ndim == 2
        is_int32 = self.editor.tensor(rows).type == schema.TensorType.INT32
        return table == found.tensor and is_plain and is_int32 and sizes.count(-1) <= 1

    def _look_up(self, name, gather, stored, variant):
        """Put an EMBEDDING_LOOKUP, which takes a vector of rows, in the place of a GATHER."""
        editor, (table, rows), (output,) = self.editor, gather.inputs, gather.outputs
        place, sizes = editor.subgraph.operators.index(gather), editor.sizes(rows)
        version = self._version(LOOKUP, stored, variant)
        depth = int(editor.tensor(table).shape[-1])
        if len(sizes) == 1:
            made = [editor.make_operator(LOOKUP, version, [rows, table], output)]
        else:
            count = -1 if -1 in sizes else int(np.prod(sizes))
            flat = editor.add_tensor(f"{name}/rows", [count], stored_as="INT32")
            looked_up = editor.add_tensor(f"{name}/flat", [count, depth])
            reshape = self._version("RESHAPE")
            made = [
                editor.make_reshape(reshape, rows, flat, [-1]),
                editor.make_operator(LOOKUP, version, [flat, table], looked_up),
                editor.make_reshape(reshape, looked_up, output, [*sizes, depth]),
            ]
        editor.subgraph.operators[place : place + 1] = made

    # Kernels that the file itself unpacks, once.

    def _dequantize(self, name, found, stored, block, users):
        editor, shape = self.editor, found.codes.shape
        reals = editor.add_tensor(f"{name}/kernel", shape)
        if not block:
            variant = self._store(found, stored, block, may_be_one=True)
            version = self._version("DEQUANTIZE", stored, variant)
            made = [editor.make_operator("DEQUANTIZE", version, [found.tensor], reals)]
        else:
            made = self._dequantize_blocks(name, found, stored, reals)
        for user in users:
            user.inputs = [reals if each == found.tensor else each for each in user.inputs]
        editor.subgraph.operators[0:0] = made

    def _dequantize_blocks(self, name, found, stored, reals):
        """Return operators that multiply codes with the scales of their blocks.

        DEQUANTIZE takes no blocks, and with a scale for every row of a matrix of blocks the file
        would hold twelve bytes for each in place of two.
        """
        editor, (channels, blocks) = self.editor, found.scales.shape
        if found.axis == 0:
            codes, scales = found.codes.reshape(channels, blocks, -1), found.scales[:, :, None]
        else:
            codes, scales = found.codes.reshape(blocks, -1, channels), found.scales.T[:, None]
        editor.store(found.tensor, codes, stored)
        editor.set_scales(found.tensor, 1.0)
        whole = editor.add_tensor(f"{name}/codes", codes.shape)
        version = self._version("DEQUANTIZE", stored, ONE_SCALE)
        made = [editor.make_operator("DEQUANTIZE", version, [found.tensor], whole)]
        factors = editor.add_tensor(f"{name}/scales", scales.shape)
        if np.array_equal(scales.astype(np.float16).astype(np.float32), scales):
            half = editor.add_tensor(f"{name}/half_scales", scales.shape, scales, "FLOAT16")
            version = self._version("DEQUANTIZE", "FLOAT16")
            made.append(editor.make_operator("DEQUANTIZE", version, [half], factors))
        else:  # a batch normalization is in them
            editor.store(factors, scales, "FLOAT32")
        product = editor.add_tensor(f"{name}/blocks", codes.shape)
        made.append(editor.make_product(self._version("MUL"), whole, factors, product))
        sizes = list(found.codes.shape)
        made.append(editor.make_reshape(self._version("RESHAPE"), product, reals, sizes))
        return made


def _fused(operator):
    """Return the name of the fused activation of an operator."""
    return ACTIVATIONS[getattr(operator.builtinOptions, "fusedActivationFunction", 0)]


def _may_have_blocks(found, users):
    """Return whether kernels with blocks compute a constant rightly."""
    is_large = len(found.scales) >= MIN_BLOCK_CHANNELS
    is_splittable = all(_fused(each) in SPLITTABLE for each in users)
    return found.axis == 0 and is_large and is_splittable and _has_short_scales(found)


def _has_short_scales(found):
    """Return whether scales are, but for rounding, what kernels with blocks take."""
    short = short_float_ste(found.scales).numpy()
    return bool(np.all(np.abs(short - found.scales) <= SCALE_TOLERANCE * found.scales))
