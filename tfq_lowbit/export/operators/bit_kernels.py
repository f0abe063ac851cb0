"""Kernels on packed bits: TfqBconv2d, TfqBdense."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.operators.bits import PADDING_CODES
from tfq_lowbit.export.operators.transforms import ToCodes, ToSigns
from tfq_lowbit.export.program import CUSTOM_OPTIONS, Constant, PackedTensor, Tensor
from tfq_lowbit.ops import plain
from tfq_lowbit.packing import pack_filter


@dataclass(eq=False)
class BitKernelOperator:
    """What the two share: an exact integer product with weights -1, 0, 1, and its transform.

    Attributes:
        name: path of the layer.
        source: packed values.
        kernel: int8 array of -1, 0 and 1 in the layout of the Keras layer.
        output: int8 codes or packed signs.
        transform: what makes the output from the accumulator.
    """

    name: str
    source: PackedTensor
    kernel: np.ndarray
    output: Tensor | PackedTensor
    transform: ToCodes | ToSigns

    code = ""

    @cached_property
    def filter(self):
        """The packed kernel."""
        return Constant(f"{self.name}/filter", pack_filter(self.kernel), "UINT8")

    @property
    def inputs(self):
        """Input, filter and what the transform takes."""
        return [self.source, self.filter, *self.transform.constants(self.output.name)]

    def compute(self, values):
        """Return the output's codes or signs."""
        kernel = tf.constant(self.kernel, tf.float32)
        window_sum = self._sum_windows(values) if self.transform.has_window_sum else None
        return self.transform.compute(self._accumulate(values, kernel), window_sum, self.output)

    def options(self):
        """Return the custom options."""
        return CUSTOM_OPTIONS, {
            "channels_in": self.source.shape[-1],
            "planes": self.source.num_planes,
            "codes": self.source.has_codes,
            **self._geometry(),
            **self.transform.options(self.output),
        }

    def _accumulate(self, values, kernel):
        raise NotImplementedError

    def _sum_windows(self, values):
        raise NotImplementedError

    def _geometry(self):
        raise NotImplementedError


@dataclass(eq=False)
class Bconv2D(BitKernelOperator):
    """TfqBconv2d; the kernel has the shape (height, width, inputs / groups, outputs).

    Attributes:
        padding: "VALID", "SAME_ONE" or "SAME_ZERO" (of +1 and -1 values 0, of codes code 0).
    """

    strides: tuple = (1, 1)
    dilation: tuple = (1, 1)
    groups: int = 1
    padding: str = "VALID"

    code = "TfqBconv2d"

    def _accumulate(self, values, kernel):
        return plain.convolve(values, kernel, **self._window())

    def _sum_windows(self, values):
        return plain.window_sums(values, self.kernel.shape[:2], **self._window())

    def _window(self):
        return dict(
            strides=self.strides, dilation=self.dilation, groups=self.groups, padding=self.padding
        )

    def _geometry(self):
        sizes = {}
        for name, pair in (
            ("kernel", self.kernel.shape[:2]),
            ("stride", self.strides),
            ("dilation", self.dilation),
        ):
            sizes[f"{name}_height"], sizes[f"{name}_width"] = pair
        return sizes | {"groups": self.groups, "padding": PADDING_CODES[self.padding]}


@dataclass(eq=False)
class Bdense(BitKernelOperator):
    """TfqBdense; the kernel has the shape (inputs, outputs)."""

    code = "TfqBdense"

    def _accumulate(self, values, kernel):
        return plain.dense(values, kernel)

    def _sum_windows(self, values):
        return tf.reduce_sum(values, axis=-1, keepdims=True)

    def _geometry(self):
        return {}
