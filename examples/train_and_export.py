"""Train a small network at four bits and ship it as an integer .tflite file."""

import argparse

import keras

import tfq_lowbit as tfq
from tfq_lowbit.demo import load_data


def main(epochs=2, path="fashion.tflite", data=None):
    data = load_data() if data is None else data
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(32, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(4),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data.train_images, data.train_labels, batch_size=128, epochs=epochs)

    recipe = tfq.Recipe.lsq(weight_bits=4, activation_bits=4)
    qmodel = tfq.quantize_model(model, recipe, calibration_data=data.train_images[:256])
    qmodel.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    qmodel.fit(data.train_images, data.train_labels, batch_size=128, epochs=epochs)

    print(tfq.summary(qmodel))
    report = tfq.export_tflite(qmodel, path, verify_data=data.test_images[:1000])
    print(report)
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--path", default="fashion.tflite")
    arguments = parser.parse_args()
    main(arguments.epochs, arguments.path)
