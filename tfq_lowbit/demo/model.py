"""The demo's network and how it is trained."""

import time

import keras

FILTERS = (16, 32, 64)
BATCH_SIZE = 128
FLOAT_LEARNING_RATE = 3e-3
FINE_TUNING_LEARNING_RATE = 5e-4


def build_model(num_classes=10):
    """Return the untrained float network: three convolutions, 29 thousand weights.

    Each convolution is followed by batch normalization, ReLU and max pooling; the outputs are
    logits.

    Args:
        num_classes: number of outputs.

    Example:
        >>> build_model().output_shape
        (None, 10)
    """
    inputs = outputs = keras.Input((28, 28, 1), name="image")
    for index, filters in enumerate(FILTERS, start=1):
        for layer in (
            keras.layers.Conv2D(
                filters, 3, padding="same", use_bias=False, name=f"convolution_{index}"
            ),
            # The default momentum of 0.99 lags behind in a run this short.
            keras.layers.BatchNormalization(momentum=0.9, name=f"batch_norm_{index}"),
            keras.layers.ReLU(name=f"relu_{index}"),
            keras.layers.MaxPooling2D(name=f"pool_{index}"),
        ):
            outputs = layer(outputs)
    outputs = keras.layers.Flatten(name="flatten")(outputs)
    outputs = keras.layers.Dense(num_classes, name="dense")(outputs)
    return keras.Model(inputs, outputs, name="demo")


def train(model, images, labels, epochs, learning_rate, say):
    """Train a float or quantized model with plain `compile` and `fit`.

    Args:
        model: a Keras model with logits as outputs.
        images: its inputs.
        labels: integer classes.
        epochs: number of epochs, over which the learning rate falls to 0 along a cosine.
        learning_rate: Adam's first learning rate.
        say: takes a line of text after each epoch.
    """
    steps = -(-len(images) // BATCH_SIZE)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps)
    model.compile(
        keras.optimizers.Adam(schedule),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        images,
        labels,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        verbose=0,
        callbacks=[_EpochLines(epochs, say)],
    )


class _EpochLines(keras.callbacks.Callback):
    """Says one line an epoch, which reads well in a terminal and in a log."""

    def __init__(self, epochs, say):
        super().__init__()
        self.epochs, self.say, self.start = epochs, say, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self.start
        self.say(
            f"  epoch {epoch + 1}/{self.epochs}  loss {logs['loss']:.4f}  "
            f"training accuracy {100 * logs['accuracy']:.2f} %  {seconds:.0f} s"
        )
