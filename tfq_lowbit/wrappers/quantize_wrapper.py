"""The wrapper that trains a layer with quantized weights."""

import math

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.base import MAX_BITS
from tfq_lowbit.quantizers.blockwise import BlockwiseLSQ
from tfq_lowbit.quantizers.grid import step_size_of
from tfq_lowbit.same_bits import reciprocal
from tfq_lowbit.ste import replace_ste, round_ste
from tfq_lowbit.wrappers.accumulator import pack_scales, round_bias, unit_of, unknown_scales
from tfq_lowbit.wrappers.families import channel_shape, output_shape, require_family
from tfq_lowbit.wrappers.kernel_rounding import scaled_on_grid


@keras.saving.register_keras_serializable("tfq_lowbit")
class QuantizeWrapper(keras.layers.Wrapper):
    """Runs one Keras layer with a quantized kernel, and quantized input and output if asked to.

    Computes `activation(op(q_in(x), q_k(kernel)) + bias)`, then the output quantizer. The kernel
    of the wrapped layer stays the float ("latent") variable that the optimizer updates. In
    evaluation the bias is rounded to a multiple of `step_in * step_kernel`, as the integer kernel
    does, and codes are summed, which float32 does exactly; in training neither is done.

    Args:
        layer: a layer with a kernel, of a class in `FAMILIES`.
        kernel_quantizer: quantizer of the kernel, required.
        input_quantizer: quantizer of the input, None where the producer quantizes it.
        output_quantizer: quantizer of the output, None where a later layer does.
        return_accumulator_scales: also return `[step_in, step_kernel]`, float32 of shape
            (2, *channels), for the batch normalization or the quantizer that follows; zeros in
            training, where nothing is rounded to them.

    Call arguments:
        inputs: tensor of the wrapped layer's input shape.
        input_grid: the grid `[step_size, q_min, q_max]` of `inputs` where its producer owns it
            (see `QuantizeActivation`).
        training: whether the call trains.

    Raises:
        ValueError: if the layer has no kernel that can be quantized.

    Example:
        >>> from tfq_lowbit import quantizers
        >>> dense = keras.layers.Dense(2)
        >>> layer = QuantizeWrapper(dense, kernel_quantizer=quantizers.LSQ(4, narrow_range=True))
        >>> layer(keras.ops.ones((1, 3))).shape
        TensorShape([1, 2])
    """

    def __init__(
        self,
        layer,
        kernel_quantizer,
        input_quantizer=None,
        output_quantizer=None,
        return_accumulator_scales=False,
        **kwargs,
    ):
        self._family = require_family(layer)
        kwargs = {"name": layer.name, "dtype": "float32", "autocast": False, **kwargs}
        super().__init__(layer, **kwargs)
        if getattr(kernel_quantizer, "has_offset", False):
            raise ValueError(
                f"Layer {layer.name!r} cannot have the kernel quantizer "
                f"{type(kernel_quantizer).__name__}: the offset of its levels needs binary inputs. "
                "Use tfq.BinaryWrapper, or another kernel quantizer."
            )
        has_grid = input_quantizer or output_quantizer or return_accumulator_scales
        if has_grid and isinstance(kernel_quantizer, BlockwiseLSQ):
            raise ValueError(
                f"Layer {layer.name!r} cannot have a kernel quantizer with blocks beside quantized "
                "activations: no integer kernel has blocks. Take LSQ, or float activations."
            )
        self.supports_masking = layer.supports_masking
        if kernel_quantizer.num_bits > MAX_BITS:
            raise ValueError(
                f"Layer {layer.name!r} cannot have a kernel quantizer of "
                f"{kernel_quantizer.num_bits} bits: integer kernels store weights in at most "
                f"{MAX_BITS}. Give it num_bits={MAX_BITS}; activations alone have more."
            )
        self.kernel_quantizer = kernel_quantizer
        self.input_quantizer = input_quantizer
        self.output_quantizer = output_quantizer
        self.return_accumulator_scales = return_accumulator_scales

    @property
    def latent_weights(self):
        """What the quantizer quantizes: the float kernel."""
        return self.layer.kernel

    def build(self, input_shape):
        """Build the layer and the quantizers; the kernel's step size is set from the kernel."""
        super().build(input_shape)
        shapes = (
            (self.input_quantizer, input_shape),
            (self.output_quantizer, output_shape(self.layer, input_shape)),
        )
        for quantizer, shape in shapes:
            if quantizer is not None and not quantizer.built:
                quantizer.build(shape)
        if not self.kernel_quantizer.built:
            self.kernel_quantizer.build(self.layer.kernel.shape)
            if tf.executing_eagerly():
                self.kernel_quantizer.initialize(self.layer.kernel)

    def call(self, inputs, input_grid=None, training=None):
        """Return the layer's output with quantized weights."""
        step_in = None if input_grid is None else step_size_of(input_grid)
        if self.input_quantizer is not None:
            step_in = self.input_quantizer.encode(inputs).step_size
            inputs = self.input_quantizer(inputs, training=training)
        channels = channel_shape(self.layer)
        scales = unknown_scales(channels)
        unit = None
        if step_in is not None and not training:
            scales = pack_scales(step_in, tf.reshape(self.kernel_step_size(), channels))
            unit = unit_of(scales)
        if unit is None or self.layer.compute_dtype != "float32":
            outputs = self.apply(inputs, unit, training)
        else:
            outputs = self._apply_codes(inputs, step_in, unit)
        if self.output_quantizer is not None:
            if unit is not None:
                step_size = self.output_quantizer.encode(outputs).step_size
                rounded = scaled_on_grid(outputs, scales[0], scales[1], step_size, True)
                outputs = replace_ste(outputs, tf.cast(rounded, outputs.dtype))
            outputs = self.output_quantizer(outputs, training=training)
        return (outputs, scales) if self.return_accumulator_scales else outputs

    def apply(self, inputs, unit=None, training=None):
        """Run the layer with its quantized kernel, leaving input and output as they are.

        Args:
            inputs: tensor of the wrapped layer's input shape.
            unit: round the bias to multiples of this, float32 of the shape of the channels.
            training: whether the call trains.

        Returns:
            The activated output.
        """
        dtype = self.layer.compute_dtype
        kernel = self.kernel_quantizer(tf.convert_to_tensor(self.layer.kernel), training=training)
        outputs = self._family.apply(self.layer, tf.cast(inputs, dtype), tf.cast(kernel, dtype))
        if self.layer.bias is not None:
            bias = tf.convert_to_tensor(self.layer.bias)
            if unit is not None:
                bias = round_bias(tf.broadcast_to(bias, unit.shape), unit)
            outputs = outputs + tf.cast(bias, dtype)
        return outputs if self.layer.activation is None else self.layer.activation(outputs)

    def _apply_codes(self, inputs, step_in, unit):
        """Return what `apply` returns, from a sum of integers.

        float32 holds it exactly below 2^24, where a sum of reals is off by a rounding error a
        product: in a kernel of a thousand, some codes in a million are others for it.
        """
        kernel = tf.convert_to_tensor(self.layer.kernel)
        step_in, step_kernel, unit = map(
            tf.stop_gradient, (step_in, self.kernel_quantizer.encode(kernel).step_size, unit)
        )
        codes = round_ste(inputs * reciprocal(step_in))
        # A ternary channel of zeros has a step of 0.
        quantized = self.kernel_quantizer(kernel)
        kernel_codes = round_ste(tf.math.divide_no_nan(quantized, step_kernel))
        outputs = self._family.apply(self.layer, codes, kernel_codes) * unit
        if self.layer.bias is not None:
            bias = tf.broadcast_to(tf.convert_to_tensor(self.layer.bias), unit.shape)
            outputs = outputs + round_bias(bias, unit)
        return outputs if self.layer.activation is None else self.layer.activation(outputs)

    def compute_output_spec(self, inputs, input_grid=None, training=None):
        """Return shape and type of the outputs."""
        shape = output_shape(self.layer, inputs.shape)
        outputs = keras.KerasTensor(shape, self.layer.compute_dtype)
        if self.return_accumulator_scales:
            return outputs, keras.KerasTensor((2, *channel_shape(self.layer)), "float32")
        return outputs

    def kernel_step_size(self):
        """Return the step size of each output channel, float32 of shape (channels,)."""
        kernel = tf.convert_to_tensor(self.layer.kernel)
        step = self.kernel_quantizer.encode(kernel).step_size
        if not step.shape.rank:
            return tf.fill((math.prod(channel_shape(self.layer)),), step)
        return tf.reshape(step, (-1,))

    def get_config(self):
        """Return the arguments, the quantizers serialized."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "kernel_quantizer": serialize(self.kernel_quantizer),
            "input_quantizer": serialize(self.input_quantizer),
            "output_quantizer": serialize(self.output_quantizer),
            "return_accumulator_scales": self.return_accumulator_scales,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Build a wrapper from `get_config()`."""
        config = dict(config)
        for name in ("layer", "kernel_quantizer", "input_quantizer", "output_quantizer"):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
        return cls(**config)
