"""How the inputs of a product are packed, and over which windows it goes."""

import dataclasses

import tensorflow as tf

from ..packing import MAX_PLANES, words_for
from . import plain, words


@dataclasses.dataclass(frozen=True)
class Geometry:
    """The packing of inputs and the windows of a convolution; a dense layer has no kernel size.

    Args:
        channels_in: how many.
        num_planes: 1 to 4.
        has_codes: whether inputs are codes `0 .. 2^num_planes - 1`, not +1 and -1.
        kernel_size: (height, width), or empty.
        strides: (height, width).
        dilation: (height, width).
        groups: how many.
        padding: `"VALID"`, `"SAME_ONE"` or `"SAME_ZERO"`.

    Raises:
        ValueError: for values that are out of range or do not fit each other.

    Example:
        >>> Geometry(64, kernel_size=(3, 3), groups=2).weights_shape
        (3, 3, 32)
    """

    channels_in: int
    num_planes: int = 1
    has_codes: bool = False
    kernel_size: tuple[int, ...] = ()
    strides: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    padding: str = plain.VALID

    def __post_init__(self):
        top = MAX_PLANES if self.has_codes else 1
        if self.num_planes not in range(1, top + 1):
            raise ValueError(
                f"Argument `num_planes` must be 1 to {MAX_PLANES} for codes, 1 for values +1 and "
                f"-1. Received: {self.num_planes!r} with has_codes={self.has_codes}"
            )
        if self.groups < 1 or self.channels_in < 1 or self.channels_in % self.groups:
            raise ValueError(
                "Argument `channels_in` must be a positive multiple of `groups`. Received: "
                f"{self.channels_in} channels in {self.groups} groups"
            )
        for name in ("kernel_size", "strides", "dilation"):
            sizes = getattr(self, name)
            if any(size < 1 for size in sizes) or len(sizes) not in (0, 2):
                raise ValueError(
                    f"Argument `{name}` must be (height, width), both positive. Received: {sizes}"
                )
        if self.padding not in plain.PADDINGS:
            raise ValueError(
                f"Argument `padding` must be one of {plain.PADDINGS}. Received: {self.padding!r}"
            )

    @property
    def weights_shape(self):
        """The kernel's shape but for its output channels."""
        return (*self.kernel_size, self.channels_in // self.groups)

    def check(self, x, filter_bits):
        """Raise a ValueError if the shape or type of the tensors does not fit."""
        if x.dtype == tf.float32:
            depth = self.channels_in
            if self.has_codes:
                raise ValueError("Argument `x` must be packed words to hold codes, not float32.")
        elif x.dtype == tf.int32:
            depth = self.num_planes * words_for(self.channels_in)
        else:
            raise ValueError(
                f"Argument `x` must be int32 words or float32 values. Received: {x.dtype.name}"
            )
        rank = 4 if self.kernel_size else None
        if x.shape.rank is None or rank not in (None, x.shape.rank) or x.shape[-1] != depth:
            leading = "batch, height, width" if rank else "..."
            raise ValueError(
                f"Argument `x` must have the shape ({leading}, {depth}) for {self.channels_in} "
                f"channels. Received: {x.shape}"
            )
        if self.kernel_size and self.padding == plain.VALID:
            window = [(k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True)]
            if any(size is not None and size < w for size, w in zip(x.shape[1:3], window)):
                raise ValueError(
                    "Argument `x` must be at least as large as the window, "
                    f"{tuple(window)}, with VALID padding. Received the shape: {x.shape}"
                )
        count = tf.TensorShape(self.weights_shape).num_elements()
        shape = filter_bits.shape
        wanted = [-(-count // 8)]
        is_right = shape[-1:] == wanted and (shape.rank == 2 or (shape.rank, shape[0]) == (3, 2))
        if not is_right or not shape[-2] or shape[-2] % self.groups:
            raise ValueError(
                f"Argument `filter_bits` must have the shape (channels_out, {wanted[0]}), or "
                f"(2, channels_out, {wanted[0]}) if ternary, with channels_out a multiple of "
                f"{self.groups} groups. Received: {shape}"
            )

    def unpack(self, x):
        """Return the float32 values or codes that words stand for."""
        if self.has_codes:
            return words.unpack_planes(x, self.channels_in, self.num_planes)
        return words.unpack_signs(x, self.channels_in)

    def unpack_filter(self, filter_bits):
        """Return the float32 kernel of a packed filter."""
        return words.unpack_filter(filter_bits, (*self.weights_shape, filter_bits.shape[-2]))

    def multiply(self, values, kernel, output):
        """Compute an output in plain TensorFlow, from unpacked values and kernel."""
        sums = None
        if not self.kernel_size:
            if output.needs_window_sum:
                sums = tf.reduce_sum(values, axis=-1, keepdims=True)
            return output.plain(plain.dense(values, kernel), sums)
        window = (self.strides, self.dilation, self.groups, self.padding)
        pad_value = 0.0 if self.has_codes else None
        if output.needs_window_sum:
            sums = plain.window_sums(values, self.kernel_size, *window, pad_value)
        return output.plain(plain.convolve(values, kernel, *window, pad_value), sums)

    def attributes(self):
        """Return the attributes that the compiled ops take."""
        attributes = {"channels_in": self.channels_in, "planes": self.num_planes}
        attributes |= {"codes": self.has_codes}
        if self.kernel_size:
            for name, sizes in zip(_PAIRS, (self.kernel_size, self.strides, self.dilation)):
                attributes |= {f"{name}_height": sizes[0], f"{name}_width": sizes[1]}
            attributes |= {"groups": self.groups, "padding": plain.PADDINGS.index(self.padding)}
        return attributes

    @classmethod
    def of_convolution(cls, get_attr):
        """Return the geometry that the attributes of a compiled convolution say."""
        pairs = ((get_attr(f"{n}_height"), get_attr(f"{n}_width")) for n in _PAIRS)
        windows = dict(zip(("kernel_size", "strides", "dilation"), pairs))
        padding = plain.PADDINGS[get_attr("padding")]
        return dataclasses.replace(
            cls.of_dense(get_attr), groups=get_attr("groups"), padding=padding, **windows
        )

    @classmethod
    def of_dense(cls, get_attr):
        """Return the geometry that the attributes of a compiled dense layer say."""
        return cls(get_attr("channels_in"), get_attr("planes"), get_attr("codes"))


_PAIRS = ("kernel", "stride", "dilation")  # as attributes of the compiled ops
