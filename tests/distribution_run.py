"""Trains a quantized model under a strategy of tf.distribute and prints what came of it, as JSON.

python -m tests.distribution_run mirrored FOLDER
TF_CONFIG=... python -m tests.distribution_run workers FOLDER
"""

import json
import os
import sys

import keras
import numpy as np
import tensorflow as tf

import tfq_lowbit as tfq

layers = keras.layers
EPOCHS, BATCH = 3, 32
RECIPES = {
    "lsq": tfq.Recipe.lsq(4, 4),
    "pact": tfq.Recipe.pact(4, 4),
    "binary": tfq.Recipe.binary("ada_bin"),
}


def make_strategy(kind):
    if kind == "workers":
        return tf.distribute.MultiWorkerMirroredStrategy()
    (device,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def draw():
    random = np.random.default_rng(0)
    images = random.normal(size=(128, 8, 8, 3)).astype(np.float32)
    return images, (images.mean((1, 2)) @ random.normal(size=(3, 4))).astype(np.float32)


def float_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, padding="same", use_bias=False, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.Conv2D(8, 3, activation="relu", name="second"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(4, name="dense"),
        ]
    )


def train(strategy, recipe, epochs, callbacks=(), calibrated=True):
    """Return the model and its losses."""
    images, targets = draw()
    with strategy.scope():
        model = tfq.quantize_model(float_model(), recipe, images if calibrated else None)
        model.compile(keras.optimizers.Adam(1e-2), "mse")
    # Batches in order, so that a run that was broken off sees the same ones.
    history = model.fit(
        images,
        targets,
        batch_size=BATCH,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )
    return model, history.history["loss"]


def train_by_hand(strategy, recipe):
    """Return the model and its losses from a loop of one's own: Keras's `fit` knows no workers."""
    images, targets = draw()
    with strategy.scope():
        model = tfq.quantize_model(float_model(), recipe, images)
        optimizer = keras.optimizers.Adam(1e-2)
        optimizer.build(model.trainable_variables)
    data = tf.data.Dataset.from_tensor_slices((images, targets)).batch(BATCH).repeat(EPOCHS)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    data = strategy.experimental_distribute_dataset(data.with_options(options))

    def step(batch):
        values, expected = batch
        with tf.GradientTape() as tape:
            error = model(values, training=True) - expected
            loss = tf.reduce_sum(tf.square(error)) / (BATCH * error.shape[-1])
        variables = model.trainable_variables
        gradients = tf.distribute.get_replica_context().all_reduce(
            "sum", tape.gradient(loss, [each.value for each in variables])
        )
        optimizer.apply(gradients, variables)
        return loss

    @tf.function
    def run(batch):
        return strategy.reduce("sum", strategy.run(step, (batch,)), axis=None)

    losses = [float(run(batch)) for batch in data]
    steps = len(losses) // EPOCHS
    return model, [sum(losses[i * steps : (i + 1) * steps]) / steps for i in range(EPOCHS)]


def parted(strategy, model):
    """Return the trained and calibrated variables whose copies on the replicas differ.

    The moving statistics of batch normalization are each replica's own, as Keras keeps them.
    """
    names = []
    for variable in model.variables:
        copies = [np.asarray(each) for each in strategy.experimental_local_results(variable.value)]
        is_same = all(np.array_equal(copies[0], each) for each in copies)
        if not is_same and "moving_" not in variable.path:
            names.append(variable.path)
    return names


class StopAfter(keras.callbacks.Callback):
    """Breaks training off in the middle, as a machine that goes down."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            raise InterruptedError


def resume(strategy, recipe, folder):
    """Return the kernels of a run that was broken off after an epoch and went on."""

    def backup():
        return keras.callbacks.BackupAndRestore(os.path.join(folder, "backup"))

    try:
        train(strategy, recipe, EPOCHS, [backup(), StopAfter()])
    except InterruptedError:
        pass
    return train(strategy, recipe, EPOCHS, [backup()])[0]


def main(kind, folder):
    strategy = make_strategy(kind)
    found = {"replicas": strategy.num_replicas_in_sync}
    for name, recipe in RECIPES.items():
        model, losses = (
            train(strategy, recipe, EPOCHS)
            if kind == "mirrored"
            else train_by_hand(strategy, recipe)
        )
        sums = {v.path: float(np.sum(np.abs(v.numpy()))) for v in model.trainable_variables}
        found[name] = {"losses": losses, "parted": parted(strategy, model), "sums": sums}
    if kind == "mirrored":
        model, _ = train(strategy, RECIPES["lsq"], EPOCHS)
        resumed = resume(strategy, RECIPES["lsq"], folder)
        found["resumed"] = max(
            float(np.max(np.abs(one.numpy() - other.numpy())))
            for one, other in zip(
                model.trainable_variables, resumed.trainable_variables, strict=True
            )
        )
        report = tfq.export_tflite(
            resumed, os.path.join(folder, "model.tflite"), verify_data=draw()[0][:32]
        )
        found["exact"] = bool(report.fidelity.is_exact)
        try:
            train(strategy, RECIPES["lsq"], 1, calibrated=False)
        except ValueError as error:
            found["refusal"] = str(error)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
