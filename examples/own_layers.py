"""Ship a model with layers of one's own: tfq.register_layer tells what they are."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tfq_lowbit as tfq


class Snake(keras.layers.Layer):
    """An activation of one's own: `x + sin(x)^2`, in TensorFlow, so that it cannot be traced."""

    def call(self, inputs):
        return inputs + tf.sin(inputs) ** 2


class DropBlock(keras.layers.Layer):
    """Acts in training alone: leaves out whole channels."""

    def call(self, inputs, training=None):
        if not training:
            return inputs
        kept = tf.random.uniform((1, 1, 1, inputs.shape[-1])) > 0.1
        return tf.where(kept, inputs, 0.0)


class WeightNormDense(keras.layers.Layer):
    """A dense layer whose kernel, `direction * length`, is called otherwise."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.direction = self.add_weight(shape=(input_shape[-1], self.units))
        self.length = self.add_weight(shape=(self.units,), initializer="ones")
        self.shift = self.add_weight(shape=(self.units,), initializer="zeros")

    def kernel(self):
        return self.length * tf.math.l2_normalize(self.direction, axis=0)

    def call(self, inputs):
        return tf.matmul(inputs, self.kernel()) + self.shift

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def as_dense(layer):
    """Returns the Dense layer that computes what a WeightNormDense does."""
    dense = keras.layers.Dense(layer.units, name=layer.name)
    dense.build((None, layer.direction.shape[0]))
    dense.set_weights([np.asarray(layer.kernel()), np.asarray(layer.shift)])
    return dense


def build_model():
    inputs = keras.Input((16, 16, 3))
    x = Snake()(keras.layers.Conv2D(8, 3, strides=2)(inputs))
    x = DropBlock()(x)
    x = keras.layers.Conv2D(8, 3, activation="silu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, WeightNormDense(4, name="scores")(x))


def main(path="own_layers.tflite"):
    keras.utils.set_random_seed(0)
    model, data = build_model(), np.random.default_rng(0).normal(size=(64, 16, 16, 3))
    # Read when the model is quantized, and forgotten at the end of the block.
    with (
        tfq.register_layer(Snake, "function", sign="skewed"),
        tfq.register_layer(DropBlock, "identity"),
        tfq.register_layer(WeightNormDense, "layers", becomes=as_dense),
    ):
        qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(8, 8), data)
    report = tfq.export_tflite(qmodel, Path(path), verify_data=data)
    print(tfq.summary(qmodel), report, sep="\n")
    return report


if __name__ == "__main__":
    main()
