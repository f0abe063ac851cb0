"""Train a binary network with shortcuts and run it in LiteRT. From the project's root:

python -m examples.train_binary --epochs 6
"""

import argparse

import keras
import numpy as np

import tfq_lowbit as tfq
from examples.binary_blocks import bi_real_block, keep_shortcuts, residual_net
from tfq_lowbit.demo import load_data
from tfq_lowbit.runtime import run


def train(model, data, epochs, learning_rate, callbacks=()):
    """Train with Adam, whose rate falls to 0 along a cosine: the last epochs let signs settle."""
    steps = epochs * -(-len(data.train_images) // 128)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        data.train_images,
        data.train_labels,
        batch_size=128,
        epochs=epochs,
        verbose=2,
        callbacks=list(callbacks),
    )


def main(epochs=6, path="binary.tflite", data=None):
    data = load_data() if data is None else data
    model = residual_net(bi_real_block)
    train(model, data, epochs, 3e-3)

    recipe = keep_shortcuts(tfq.Recipe.binary(scheme="bi_real"))
    qmodel = tfq.quantize_model(model, recipe, calibration_data=data.train_images[:256])
    tfq.training.clip_latent_weights(qmodel)  # weights outside -1..1 get no gradient
    watch = [tfq.training.FlipRatio(), tfq.training.StarvedWeights()]
    train(qmodel, data, epochs, 3e-3, watch)

    print(tfq.summary(qmodel))
    report = tfq.export_tflite(qmodel, path, verify_data=data.test_images[:256])
    print(report)

    # Stock LiteRT, with the delegate that brings the binary kernels.
    scores = run(str(path), data.test_images)
    correct = np.mean(np.argmax(scores, axis=-1) == data.test_labels)
    print(f"LiteRT: {100 * correct:.2f} % of {len(scores)} test images")
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--path", default="binary.tflite")
    arguments = parser.parse_args()
    main(arguments.epochs, arguments.path)
