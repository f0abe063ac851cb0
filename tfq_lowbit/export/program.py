"""The lowered graph: a list of integer operators that can be run and written."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.storage import INT8, INT16, Storage
from tfq_lowbit.packing import unpack_planes, unpack_signs, words_for


@dataclass(frozen=True)
class Grid:
    """The codes of an integer tensor: `value = scale * (code - zero_point)`.

    Attributes:
        scale: float32, finite and positive.
        zero_point: code of the real 0.
        low: smallest code that occurs.
        high: largest code that occurs.
        storage: the type of the tensor, `INT8` or `INT16`.
    """

    scale: np.float32
    zero_point: int
    low: int = -128
    high: int = 127
    storage: Storage = INT8

    @classmethod
    def whole(cls, scale, zero_point=0, storage=INT8):
        """Return the grid of all codes of a type."""
        return cls(np.float32(scale), zero_point, storage.low, storage.high, storage)

    @property
    def arithmetic(self):
        """The module that computes as the runtime does with tensors of this type."""
        return self.storage.arithmetic

    @property
    def type(self):
        """Name of the tensor's type in the schema."""
        return self.storage.name

    def nearest(self, value):
        """Return the code nearest to one real value, within the type."""
        code = np.float32(value) / np.float32(self.scale) + np.float32(self.zero_point)
        return int(np.rint(np.clip(code, self.storage.low, self.storage.high)))

    def rescaled(self, factor):
        """Return the same codes in a unit that is `factor` times larger."""
        return replace(self, scale=np.float32(self.scale * np.float32(factor)))

    def encode(self, values):
        """Return the nearest codes of real values, in the type of the tensor."""
        codes = np.rint(np.asarray(values, np.float32) * (np.float32(1) / self.scale))
        codes = np.clip(codes + self.zero_point, self.low, self.high)
        return codes.astype(self.storage.dtype)

    def decode(self, codes):
        """Return the real values of codes, as float32."""
        return (np.asarray(codes).astype(np.float32) - np.float32(self.zero_point)) * self.scale


@dataclass(eq=False)
class Tensor:
    """An integer tensor that operators read and write.

    Attributes:
        name: unique in the program.
        shape: with the batch first, None where unknown.
        grid: what its codes mean.
    """

    name: str
    shape: tuple
    grid: Grid


@dataclass(eq=False)
class FloatTensor:
    """A float32 tensor at the border of the program.

    Attributes:
        name: unique in the program.
        shape: with the batch first, None where unknown.
        grid: None.
    """

    name: str
    shape: tuple
    grid: None = None


@dataclass(eq=False)
class PackedTensor:
    """A tensor of bits that custom operators read and write (`custom_ops/README.md`).

    `Program.run` holds it unpacked: values +1 and -1, or codes `0 .. 2^num_planes - 1`.

    Attributes:
        name: unique in the program.
        shape: of the values, with the batch first, None where unknown.
        num_planes: bits of a value.
        has_codes: whether it holds codes, not +1 and -1.
        grid: None.
    """

    name: str
    shape: tuple
    num_planes: int = 1
    has_codes: bool = False
    grid: None = None

    @property
    def words_shape(self):
        """Shape of the int32 words in the file."""
        return *self.shape[:-1], self.num_planes * words_for(self.shape[-1])

    def unpack(self, words):
        """Return the values in `words` as integers."""
        if self.has_codes:
            return unpack_planes(words, self.shape[-1], self.num_planes)
        return unpack_signs(words, self.shape[-1])


@dataclass(eq=False)
class IndexTensor:
    """An int32 tensor of plain numbers: places in a table.

    Attributes:
        name: unique in the program.
        shape: with the batch first, None where unknown.
        grid: None.
    """

    name: str
    shape: tuple
    grid: None = None


@dataclass(eq=False)
class Constant:
    """A tensor of the file that holds data.

    Attributes:
        name: unique in the program.
        values: integers or floats in their natural type; int4 and int2 codes as int8.
        type: schema name of the stored type: "INT8", "INT4", "INT2", "INT16", "INT32", "INT64",
            "UINT8" or "FLOAT32".
        scales: float32, one or one a channel, None for plain integers.
        zero_point: of the codes.
        axis: the channel axis of `scales`.
    """

    name: str
    values: np.ndarray
    type: str
    scales: Any = None
    zero_point: int = 0
    axis: int = 0

    @property
    def grid(self):
        """The grid of a constant with one scale."""
        return Grid.whole(self.scales[0], self.zero_point, INT16 if self.type == "INT16" else INT8)


AnyTensor = Tensor | FloatTensor | PackedTensor | IndexTensor


class Operator(Protocol):
    """One operator of the file: how it computes and how it is written.

    Attributes:
        code: its name in the schema, `CONV_2D`.
        name: path of the layer it comes from.
        inputs: tensors and constants in the file's order, None for an optional one left out.
        output: the tensor it makes.
    """

    code: str
    name: str
    inputs: Sequence[AnyTensor | Constant | None]
    output: AnyTensor

    def compute(self, *codes: tf.Tensor) -> tf.Tensor:
        """Return the output's codes (float32) from those of the tensors among `inputs`."""

    def options(self) -> tuple[str, dict[str, Any]]:
        """Return the name of the schema's options table and its fields.

        The name is `CUSTOM_OPTIONS` for a custom operator, "" for one without options.
        """


# In place of a table's name: the options are a flexbuffer map of integers.
CUSTOM_OPTIONS = "flexbuffer"


def taken_by(operator) -> list[AnyTensor]:
    """Return the tensors among the inputs of an operator: what `compute` takes."""
    return [each for each in operator.inputs if not isinstance(each, Constant | None)]


def storages_of(operator) -> set[Storage]:
    """Return the types of the integer tensors that an operator takes and makes."""
    tensors = [each for each in operator.inputs if each is not None]
    grids = [each.grid for each in (*tensors, operator.output) if isinstance(each, Tensor)]
    return {grid.storage for grid in grids}


def is_custom(operator) -> bool:
    """Return whether an operator needs the delegate."""
    return operator.options()[0] == CUSTOM_OPTIONS


@dataclass(eq=False)
class Program:
    """A lowered model.

    Attributes:
        name: name of the model.
        inputs: the tensors that are fed.
        outputs: the tensors that are read.
        operators: in an order in which they can run.
        edges: for each quantized edge of the Keras model, by the name of the call that makes it,
            its tensor.
        input_names: for each input, its name in the Keras model.
        output_names: for each output, likewise.
        weights: for each layer with a kernel, its `IntegerWeights` or `BinaryWeights`.
        plain_layers: for each layer with a kernel that does not run on bits, why.
        options: the arguments that it was lowered with.
    """

    name: str
    inputs: list[AnyTensor] = field(default_factory=list)
    outputs: list[AnyTensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    edges: dict[str, Tensor] = field(default_factory=dict)
    input_names: list[str] = field(default_factory=list)
    output_names: list[str] = field(default_factory=list)
    weights: dict[str, Any] = field(default_factory=dict)
    plain_layers: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)

    @property
    def custom_operators(self) -> list[str]:
        """The names of the custom operators in it, sorted."""
        return sorted({each.code for each in self.operators if is_custom(each)})

    @property
    def islands(self) -> list:
        """The operators that stand for a float layer."""
        return [operator for operator in self.operators if hasattr(operator, "content")]

    def run(self, inputs):
        """Compute every tensor from `inputs`.

        Args:
            inputs: one array for each input: codes for an int8 tensor, else reals.

        Returns:
            A dict from tensor to its float32 codes or values, bits unpacked.
        """
        values = {
            tensor: tf.cast(value, tf.float32)
            for tensor, value in zip(self.inputs, inputs, strict=True)
        }
        for operator in self.operators:
            taken = [values[each] for each in taken_by(operator)]
            values[operator.output] = operator.compute(*taken)
        return values
