"""What adds operators and tensors to a program."""

from dataclasses import dataclass, field

import numpy as np

from tfq_lowbit.export.arithmetic import clamped_codes, fused_bounds
from tfq_lowbit.export.operators import BitpackCodes, BitpackSigns, Bound, Convert, FlipSigns
from tfq_lowbit.export.program import (
    FloatTensor,
    IndexTensor,
    PackedTensor,
    Program,
    Tensor,
    storages_of,
)
from tfq_lowbit.export.storage import INT8, INT16
from tfq_lowbit.targets.target import Target


@dataclass(eq=False)
class Emitter:
    """Adds operators and uniquely named tensors to a program.

    Attributes:
        program: what is built.
        target: the `Target`, for its tables.
        prefer: "size" or "speed".
        input_type: "float32", else inputs are fed as codes.
        custom_ops: "binary" or "lowbit".
    """

    program: Program
    target: Target
    prefer: str = "size"
    input_type: str = "float32"
    custom_ops: str = "binary"
    _names: set = field(default_factory=set)
    _packed: dict = field(default_factory=dict)

    def tensor(self, name, shape, grid):
        """Return a new integer tensor; `name` gets a suffix if it is taken."""
        return Tensor(self._unique(name), shape, grid)

    def reals(self, name, shape):
        """Return a new float32 tensor; `name` gets a suffix if it is taken."""
        return FloatTensor(self._unique(name), shape)

    def indices(self, name, shape):
        """Return a new int32 tensor; `name` gets a suffix if it is taken."""
        return IndexTensor(self._unique(name), shape)

    def packed(self, name, shape):
        """Return a new tensor of packed signs; `name` gets a suffix if it is taken."""
        return PackedTensor(self._unique(name), shape)

    def takes(self, code, storage=INT8):
        """Return whether the target has an operator, right at tensors of a type."""
        if (code, "", "") not in self.target.beside(storage.name).VERSIONS:
            return False
        operators = getattr(getattr(self.target, "rules", None), "OPERATORS", None)
        return operators is None or code in operators

    def pack_signs(self, source, thresholds, flips=None):
        """Pack the signs of an int8 tensor, once for all who ask alike.

        Args:
            source: the tensor.
            thresholds: int32 of shape (1,) or (channels,): -1 is a code below it.
            flips: bool of shape (channels,), the channels whose sign is the other one.

        Returns:
            A `PackedTensor`.
        """
        key = source, thresholds.tobytes(), b"" if flips is None else flips.tobytes()
        if key not in self._packed:
            name = f"{source.name}/signs"
            signs = self.add(
                BitpackSigns(name, source, self.packed(name, source.shape), thresholds)
            )
            self._packed[key] = self.flip(signs, flips)
        return self._packed[key]

    def flip(self, source, flips):
        """Return packed signs with those of some channels flipped."""
        if flips is None or not np.any(flips):
            return source
        name = f"{source.name}/flipped"
        return self.add(FlipSigns(name, source, self.packed(name, source.shape), flips))

    def pack_codes(self, source, num_planes):
        """Pack the unsigned codes of an int8 tensor into bit planes, once for all who ask."""
        key = source, num_planes
        if key not in self._packed:
            name = self._unique(f"{source.name}/planes")
            packed = PackedTensor(name, source.shape, num_planes, has_codes=True)
            self._packed[key] = self.add(BitpackCodes(name, source, packed))
        return self._packed[key]

    def _unique(self, name):
        unique, count = name, 1
        while unique in self._names:
            unique, count = f"{name}_{count}", count + 1
        self._names.add(unique)
        return unique

    def add(self, operator):
        """Append an operator and return its output.

        Raises:
            ValueError: if the runtime has no right kernel for the types of its tensors.
        """
        self._check_types(operator)
        self.program.operators.append(operator)
        return operator.output

    def _check_types(self, operator):
        storages = storages_of(operator)
        if INT16 not in storages:
            return
        mend = (
            f"Give it eight bits, recipe.override({operator.name!r}, activation_bits=8), which "
            "puts a QUANTIZE before it."
        )
        if len(storages) > 1 and not isinstance(operator, Convert):
            raise ValueError(
                f"Layer {operator.name!r} takes and makes tensors of int8 and int16, and "
                f"{operator.code} computes within one type. Put a tfq.QuantizeActivation of the "
                "other width between, or use tfq.quantize_model, which does."
            )
        weights = getattr(operator, "filter", None)
        key = operator.code, weights.type if weights else "", getattr(operator, "variant", "")
        if key not in self.target.beside("INT16").VERSIONS:
            raise ValueError(
                f"Layer {operator.name!r} cannot have 16-bit activations: the runtime has no "
                f"int16 kernel of {operator.code} that is known to be right. {mend}"
            )

    def bounded(self, name, shape, grid, clamp, make, can_fuse=True):
        """Emit an operator whose output must stay within a grid and a clamp.

        Saturation bounds for free, then a fused activation; what is left takes a MAXIMUM or
        MINIMUM.

        Args:
            name: path of the layer.
            shape: of the output.
            grid: of the output.
            clamp: real bounds of the activation function before the quantizer.
            make: `(output, activation) -> operator`; without the activation if not `can_fuse`.
            can_fuse: whether the operator takes a fused activation.

        Returns:
            The output tensor.
        """
        zero = grid.zero_point
        low, high = clamped_codes(grid, clamp)
        activation = "NONE"
        if can_fuse and low == zero:
            # RELU6 where it takes away no code of the output: a maximum may lie above 6.
            is_below_6 = high <= fused_bounds("RELU6", grid)[1]
            takes_6 = high < grid.storage.high and is_below_6
            activation = "RELU6" if takes_6 else "RELU" if low > grid.storage.low else "NONE"
        free_low, free_high = fused_bounds(activation, grid)
        output = self.tensor(name, shape, grid)
        self.add(make(output, activation) if can_fuse else make(output))
        if low > free_low:
            bounded = self.tensor(f"{name}/lower", shape, grid)
            output = self.add(Bound(name, output, bounded, low, is_lower=True))
        if high < free_high:
            bounded = self.tensor(f"{name}/upper", shape, grid)
            output = self.add(Bound(name, output, bounded, high, is_lower=False))
        return output
