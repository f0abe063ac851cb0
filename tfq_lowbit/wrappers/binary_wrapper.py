"""The wrapper that trains a layer with binary weights and binary inputs."""

import math

import keras
import tensorflow as tf

from tfq_lowbit.ops import RealOutput, bconv2d, bdense, plain
from tfq_lowbit.ops.words import pack_filter
from tfq_lowbit.quantizers import BinaryQuantizer, SignFunction
from tfq_lowbit.wrappers.families import require_family

PADDINGS = {0: plain.SAME_ZERO, 1: plain.SAME_ONE}


@keras.saving.register_keras_serializable("tfq_lowbit")
class BinaryWrapper(keras.layers.Wrapper):
    """Runs one Conv2D or Dense layer on the signs of its inputs and of its kernel.

    Training: `activation(op(q_in(x), q_k(kernel)) + bias)` with the surrogate gradients of the
    quantizers; the kernel of the wrapped layer stays the float ("latent") variable that the
    optimizer updates.
    Evaluation: the same function as the kernels on packed bits compute it, every operation rounded
    on its own: `activation(dot * scale + shift)` with the exact integer `dot = op(signs, codes)`;
    `window_sum * sum_scale` is added where the kernel's levels have an offset.

    SAME padding is +1 by default, that is the upper level of the input: a border of zeros is no
    sign, and costs the kernels a correction.

    Args:
        layer: a Conv2D (any strides, dilation and groups) or Dense layer.
        kernel_quantizer: a `BinaryQuantizer`.
        input_quantizer: a `SignFunction`.
        pad_values: 1 to pad with the upper level of the input, 0 to pad with zeros.
        use_packed_kernels: evaluate on packed bits: the same values, faster where the compiled
            kernels are built.

    Raises:
        TypeError: if a quantizer is not binary.
        ValueError: if the layer cannot be binarized, or cannot be padded so.

    Example:
        >>> from tfq_lowbit import quantizers
        >>> layer = BinaryWrapper(keras.layers.Dense(2), quantizers.XNOR(), quantizers.SteSign())
        >>> layer(keras.ops.ones((1, 3))).shape
        TensorShape([1, 2])
    """

    def __init__(
        self,
        layer,
        kernel_quantizer,
        input_quantizer,
        pad_values=1,
        use_packed_kernels=False,
        **kwargs,
    ):
        self._family = require_family(layer)
        _check(layer, kernel_quantizer, input_quantizer, pad_values)
        kwargs = {"name": layer.name, "dtype": "float32", "autocast": False, **kwargs}
        super().__init__(layer, **kwargs)
        self.kernel_quantizer = kernel_quantizer
        self.input_quantizer = input_quantizer
        self.pad_values = pad_values
        self.use_packed_kernels = use_packed_kernels

    @property
    def use_packed_kernels(self):
        """Whether evaluation runs on packed bits."""
        return self._use_packed_kernels

    @use_packed_kernels.setter
    def use_packed_kernels(self, enabled):
        self._use_packed_kernels = bool(enabled)
        # XLA has no form of the compiled ops.
        self.supports_jit = not enabled

    @property
    def latent_weights(self):
        """What the quantizer quantizes: the float kernel."""
        return self.layer.kernel

    def build(self, input_shape):
        """Build the layer and the quantizers."""
        super().build(input_shape)
        self.layer.kernel.is_binary_kernel = True  # what training.Bop looks for
        if not self.input_quantizer.built:
            self.input_quantizer.build(input_shape)
        if not self.kernel_quantizer.built:
            self.kernel_quantizer.build(self.layer.kernel.shape)

    def call(self, inputs, training=None):
        """Return the layer's output."""
        outputs = self._train(inputs) if training else self._evaluate(inputs)
        if self.layer.activation is not None:
            outputs = self.layer.activation(outputs)
        return tf.cast(outputs, self.layer.compute_dtype)

    def output_affine(self):
        """Return what makes outputs from the integers that evaluation computes.

        `y = dot * scale + shift`, then `y + window_sum * sum_scale` where there is one, each
        operation rounded to float32. For inputs `a * s + b` and weights `u * c + v` (s and c are
        the codes) over a window of k values:
        `sum((a s + b) (u c + v)) = a u sum(s c) + a v sum(s) + b (u sum(c) + k v)`.

        Returns:
            `(scale, shift, sum_scale)`, float32 of shape (channels,); the shift holds the bias of
            the layer, and `sum_scale` is None where the kernel's levels have no offset.
        """
        return self._affine(self._encode_kernel())

    def _encode_kernel(self):
        return self.kernel_quantizer.encode(tf.convert_to_tensor(self.layer.kernel))

    def _affine(self, encoded):
        # In float64 the products of float32 numbers are exact, and rounded to float32 once.
        in_scale, in_offset = (
            tf.cast(level, tf.float64) for level in self.input_quantizer.levels()
        )
        scale = self._by_channel(encoded.step_size)
        reach = math.prod(encoded.codes.shape[:-1])
        codes = tf.reduce_sum(encoded.codes, axis=list(range(encoded.codes.shape.rank - 1)))
        total = scale * tf.cast(codes, tf.float64)
        sum_scale = None
        if encoded.offset is not None:
            offset = self._by_channel(encoded.offset)
            total += float(reach) * offset
            sum_scale = tf.cast(in_scale * offset, tf.float32)
        shift = in_offset * total
        if self.layer.use_bias:
            shift += tf.cast(tf.convert_to_tensor(self.layer.bias), tf.float64)
        return tf.cast(in_scale * scale, tf.float32), tf.cast(shift, tf.float32), sum_scale

    def _by_channel(self, values):
        values = tf.reshape(tf.cast(values, tf.float64), (-1,))
        return tf.broadcast_to(values, self.layer.kernel.shape[-1:])

    def _train(self, inputs):
        layer, dtype = self.layer, self.layer.compute_dtype
        values = tf.cast(self.input_quantizer(inputs, training=True), dtype)
        kernel = self.kernel_quantizer(tf.convert_to_tensor(layer.kernel), training=True)
        kernel = tf.cast(kernel, dtype)
        if self._is_dense():
            outputs = keras.ops.matmul(values, kernel)
        else:
            outputs = keras.ops.conv(
                self._pad(values),
                kernel,
                strides=list(layer.strides),
                padding="valid",
                dilation_rate=layer.dilation_rate,
                data_format=layer.data_format,
            )
        if layer.use_bias:
            outputs = outputs + tf.cast(tf.convert_to_tensor(layer.bias), dtype)
        return outputs

    def _pad(self, values):
        """Pad quantized values; the border has the gradient of the level that it takes."""
        strides, dilation, _, padding = self._window()
        window = self.layer.kernel_size, strides, dilation, padding
        if padding != plain.SAME_ONE:
            return plain.pad(values, *window)
        upper = tf.cast(sum(self.input_quantizer.levels()), values.dtype)
        border = plain.pad(tf.zeros_like(values[:1, :, :, :1]), *window)
        return plain.pad(values, *window, pad_value=0.0) + border * upper

    def _evaluate(self, inputs):
        values = tf.cast(inputs, tf.float32)
        encoded = self._encode_kernel()
        scale, shift, sum_scale = self._affine(encoded)
        output = RealOutput(scale, shift, sum_multiplier=sum_scale)
        evaluate = self._evaluate_packed if self.use_packed_kernels else self._evaluate_plain
        return evaluate(values, tf.cast(encoded.codes, tf.float32), output)

    def _evaluate_plain(self, values, kernel, output):
        values = plain.signs(values, self.input_quantizer.thresholds())
        sums = None
        if self._is_dense():
            if output.needs_window_sum:
                sums = tf.reduce_sum(values, axis=-1, keepdims=True)
            return output.plain(plain.dense(values, kernel), sums)
        if output.needs_window_sum:
            sums = plain.window_sums(values, self.layer.kernel_size, *self._window())
        return output.plain(plain.convolve(values, kernel, *self._window()), sums)

    def _evaluate_packed(self, values, kernel, output):
        thresholds = self.input_quantizer.thresholds()
        filter_bits, channels = pack_filter(kernel), values.shape[-1]
        if self._is_dense():
            return bdense(values, filter_bits, output, channels, input_thresholds=thresholds)
        strides, dilation, groups, padding = self._window()
        return bconv2d(
            values,
            filter_bits,
            output,
            channels,
            self.layer.kernel_size,
            strides,
            dilation,
            groups,
            padding,
            input_thresholds=thresholds,
        )

    def _is_dense(self):
        return self._family.layer_class is keras.layers.Dense

    def _window(self):
        """Return strides, dilation, groups and padding of a convolution."""
        layer = self.layer
        padding = PADDINGS[self.pad_values] if layer.padding == "same" else plain.VALID
        return layer.strides, layer.dilation_rate, layer.groups, padding

    def compute_output_spec(self, inputs, training=None):
        """Return shape and type of the outputs."""
        shape = self.layer.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, self.layer.compute_dtype)

    def get_config(self):
        """Return the arguments, the quantizers serialized."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "kernel_quantizer": serialize(self.kernel_quantizer),
            "input_quantizer": serialize(self.input_quantizer),
            "pad_values": self.pad_values,
            "use_packed_kernels": self.use_packed_kernels,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Build a wrapper from `get_config()`."""
        config = dict(config)
        for name in ("layer", "kernel_quantizer", "input_quantizer"):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
        return cls(**config)


def can_be_binary(layer):
    """Return whether a layer has a form that runs on signs: Conv2D or Dense, no subclass."""
    return type(layer) in (keras.layers.Conv2D, keras.layers.Dense)


def _check(layer, kernel_quantizer, input_quantizer, pad_values):
    if not can_be_binary(layer):
        raise ValueError(
            f"Only Conv2D and Dense layers can be binarized. Received: layer {layer.name!r} of "
            f"class {type(layer).__name__}. Use tfq.QuantizeWrapper with eight bits."
        )
    for name, quantizer, base in (
        ("kernel_quantizer", kernel_quantizer, BinaryQuantizer),
        ("input_quantizer", input_quantizer, SignFunction),
    ):
        if not isinstance(quantizer, base):
            raise TypeError(
                f"Argument `{name}` must be a {base.__name__}. Received: "
                f"{type(quantizer).__name__}. For wider inputs use tfq.QuantizeWrapper."
            )
    if pad_values not in PADDINGS:
        raise ValueError(
            f"Argument `pad_values` must be 0 or 1. Received: pad_values={pad_values!r}"
        )
    if pad_values == 0 and input_quantizer.has_offset and getattr(layer, "padding", "") == "same":
        raise ValueError(
            f"Layer {layer.name!r} must be padded with pad_values=1: the levels of its input have "
            "an offset, so that 0 is not halfway between them. Received: pad_values=0"
        )


def use_packed_kernels(model, enabled=True):
    """Have the binary layers of a model evaluate on packed bits, or in plain TensorFlow again.

    The values stay the same, bit for bit. Compiled functions of the model (`predict`, `evaluate`)
    are built anew, without XLA, which has no form of the compiled kernels.

    Args:
        model: a `keras.Model` with `BinaryWrapper` layers, nested models included.
        enabled: whether to use the packed kernels.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if it has no binary layer.

    Example:
        >>> from tfq_lowbit import quantizers
        >>> layer = BinaryWrapper(keras.layers.Dense(2), quantizers.XNOR(), quantizers.SteSign())
        >>> use_packed_kernels(keras.Sequential([keras.Input((3,)), layer]))
        >>> layer.use_packed_kernels
        True
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"Argument `model` must be a keras.Model. Received: {type(model).__name__}")
    models, layers = _parts(model)
    if not layers:
        raise ValueError(
            f"Model {model.name!r} has no binary layers. Make them with tfq.Binarize, or with "
            "tfq.quantize_model and tfq.Recipe.binary()."
        )
    for layer in layers:
        layer.use_packed_kernels = enabled
    for part in models:
        part.predict_function = part.test_function = None
        if enabled:
            part.jit_compile = False


def _parts(model):
    """Return a model with the models in it, and their binary layers."""
    models, layers = [model], []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            inner_models, inner_layers = _parts(layer)
            models += inner_models
            layers += inner_layers
        elif isinstance(layer, BinaryWrapper):
            layers.append(layer)
    return models, layers
