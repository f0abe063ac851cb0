"""Bop: an optimizer that flips binary weights instead of moving latent ones."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfq_lowbit")
class Bop(keras.optimizers.Optimizer):
    """Binary optimizer: flips a weight where its gradient has long asked for it.

    Binary kernels hold -1 and +1 and nothing else; there is no latent weight. Of each the
    optimizer keeps a moving average `m` of the gradient `g`,

        m <- (1 - gamma) * m + gamma * g
        w <- -w  where  abs(m) > threshold  and  sign(m) == sign(w)

    The first step also sets a kernel that still holds reals to their signs. All other variables
    (batch normalization, 8-bit layers, biases) go to the `fallback` optimizer.

    A binary kernel is one that a `BinaryWrapper` with a binary kernel quantizer made: it sets
    `variable.is_binary_kernel = True`, and so may your own layer. Its quantizer must pass the
    gradient at -1 and +1, as `SteSign` and XNOR do; those of Bi-Real's `ApproxSign` and of an
    annealed IR-Net vanish there.

    `learning_rate`, also as callbacks see it, is the fallback's. Weight decay, gradient clipping
    and averaging are arguments of the fallback and concern its variables only.

    Args:
        fallback: a `keras.optimizers.Optimizer` for the other variables.
        threshold: how large the averaged gradient must be to flip a weight, 0 or more. Larger
            means fewer flips.
        gamma: rate of the average, above 0 and at most 1, or a
            `keras.optimizers.schedules.LearningRateSchedule`. Smaller means a steadier sign and
            fewer flips; the paper lets it decay.
        name: name of the optimizer.

    Raises:
        TypeError: if `fallback` is no optimizer.
        ValueError: for a threshold or gamma out of range; when it is built, if no variable is a
            binary kernel.

    Example:
        >>> kernel = keras.Variable([1.0, 1.0, -1.0])
        >>> kernel.is_binary_kernel = True
        >>> optimizer = Bop(keras.optimizers.Adam(1e-3), gamma=0.5, threshold=0.1)
        >>> optimizer.apply([keras.ops.array([1.0, 0.1, 1.0])], [kernel])
        >>> [float(weight) for weight in kernel.numpy()]
        [-1.0, 1.0, -1.0]

    References:
        Helwegen et al., "Latent Weights Do Not Exist: Rethinking Binarized Neural Network
        Optimization", NeurIPS 2019, https://arxiv.org/abs/1906.02107
    """

    def __init__(self, fallback, threshold=1e-8, gamma=1e-4, name="bop"):
        if not isinstance(fallback, keras.optimizers.Optimizer):
            raise TypeError(
                "Argument `fallback` must be a keras.optimizers.Optimizer, as "
                f"keras.optimizers.Adam(1e-3). Received: {fallback!r}"
            )
        if not threshold >= 0:
            raise ValueError(f"Argument `threshold` must be 0 or more. Received: {threshold!r}")
        is_schedule = isinstance(gamma, keras.optimizers.schedules.LearningRateSchedule)
        if not is_schedule and not 0 < gamma <= 1:
            raise ValueError(
                "Argument `gamma` must be above 0 and at most 1, or a LearningRateSchedule. "
                f"Received: {gamma!r}"
            )
        super().__init__(learning_rate=0.0, name=name)
        self.fallback = fallback
        self.threshold = float(threshold)
        self.gamma = gamma if is_schedule else float(gamma)

    def build(self, variables):
        """Create an average for each binary kernel, and the fallback's own variables."""
        kernels, others = _split(variables)
        if not kernels:
            raise ValueError(
                "Bop needs at least one binary kernel: a trainable variable of a BinaryWrapper. "
                f"Received {len(variables)} variables and none of the kind. Binarize the model "
                "first (Recipe.binary, tfq.Binarize), or train it with the fallback alone."
            )
        super().build(variables)
        self._given = list(variables)
        self._averages = dict(
            zip(map(self._get_variable_index, kernels), self.add_optimizer_variables(kernels, "m"))
        )
        if others and not self.fallback.built:
            self.fallback.build(others)

    @property
    def variables(self):
        """The averages, and the variables of the fallback."""
        return super().variables + self.fallback.variables

    def apply(self, grads, trainable_variables=None):
        """Flip binary kernels and let the fallback update the rest.

        Args:
            grads: a gradient for each variable.
            trainable_variables: the variables, None for those it was built with.
        """
        if trainable_variables is None and not self.built:
            raise ValueError(
                "Bop must know the variables of the first gradients: pass `trainable_variables` "
                "or call `build(trainable_variables)` first."
            )
        given = self._given if trainable_variables is None else list(trainable_variables)
        if not self.built:
            with tf.init_scope():
                self.build(given)
        pairs = list(zip(grads, given, strict=True))
        for is_binary, update in ((True, super().apply), (False, self.fallback.apply)):
            chosen = [pair for pair in pairs if is_binary_kernel(pair[1]) == is_binary]
            if chosen:
                update(*zip(*chosen))

    def update_step(self, gradient, variable, learning_rate):
        """Update the average of one binary kernel and flip what it says."""
        del learning_rate
        average = self._averages[self._get_variable_index(variable)]
        gamma = self.gamma
        if not isinstance(gamma, float):
            gamma = gamma(self.iterations)
        gamma = tf.cast(gamma, average.dtype)
        gradient = tf.cast(gradient, average.dtype)
        self.assign_add(average, gamma * (gradient - average))
        signs = tf.where(variable >= 0, tf.ones_like(variable), -tf.ones_like(variable))
        is_flipped = signs * tf.convert_to_tensor(average) > self.threshold
        self.assign(variable, tf.where(is_flipped, -signs, signs))

    @property
    def learning_rate(self):
        """The fallback's learning rate."""
        return self.fallback.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        self.fallback.learning_rate = learning_rate

    def finalize_variable_values(self, var_list):
        """Let the fallback set its variables to their averages, where it keeps any."""
        self.fallback.finalize_variable_values(_split(var_list)[1])

    def get_config(self):
        """Return the arguments, fallback and schedule serialized."""
        gamma = self.gamma
        return {
            "name": self.name,
            "fallback": keras.saving.serialize_keras_object(self.fallback),
            "threshold": self.threshold,
            "gamma": gamma
            if isinstance(gamma, float)
            else keras.saving.serialize_keras_object(gamma),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Build an optimizer from `get_config()`."""
        config = dict(config)
        for name in ("fallback", "gamma"):
            if isinstance(config[name], dict):
                config[name] = keras.saving.deserialize_keras_object(
                    config[name], custom_objects=custom_objects
                )
        return cls(**config)


def is_binary_kernel(variable) -> bool:
    """Return whether Bop flips the values of `variable`."""
    return bool(getattr(variable, "is_binary_kernel", False))


def _split(variables):
    """Return the binary kernels of `variables`, and the others."""
    kernels = [variable for variable in variables if is_binary_kernel(variable)]
    return kernels, [variable for variable in variables if not is_binary_kernel(variable)]
