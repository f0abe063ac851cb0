"""Build a low-bit network layer by layer, with the wrappers of the papers, and export it."""

import keras
import numpy as np

import tfq_lowbit as tfq


def build_model():
    """Return a network whose layers quantize their own kernel and input."""
    logits_quantizer = tfq.quantizers.LSQ(num_bits=8, is_activation=True)
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            tfq.LSQ(keras.layers.Conv2D(8, 3, padding="same"), weight_bits=8, activation_bits=8),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            tfq.LSQ(keras.layers.Conv2D(16, 3, strides=2), weight_bits=4, activation_bits=4),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            tfq.PACT(keras.layers.Dense(4), weight_bits=4, activation_bits=4),
            # The output of the model is a tensor of the integer file too: it needs a grid.
            tfq.QuantizeActivation(logits_quantizer),
        ]
    )


def main(path="wrapped.tflite"):
    random = np.random.default_rng(0)
    images = random.normal(size=(256, 16, 16, 3)).astype(np.float32)
    labels = random.integers(0, 4, size=256)
    model = build_model()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(images, labels, epochs=1)  # the first batch sets the step sizes of activations
    report = tfq.export_tflite(model, path, verify_data=images[:64])
    print(report)
    return report


if __name__ == "__main__":
    main()
