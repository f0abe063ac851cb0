"""Random functional models of the layers that can be quantized, and random recipes, by seed.

A layer is one row of `STEPS`: by the rank of the tensors it takes, a function that draws its
settings and returns what it makes, None where it does not fit.
"""

import keras
import numpy as np

from tests.networks import randomize
from tfq_lowbit import Recipe
from tfq_lowbit.model.functions import ACTIVATIONS, PRODUCTS, find_activation

layers = keras.layers
STEPS: dict = {}
MAX_ELEMENTS, MAX_CHANNELS = 1500, 12
NUM_STEPS = (2, 7)
PADDINGS = ("same", "valid")
CLAMPS = ("linear", "relu", "relu6")


def step(*ranks):
    """Adds a row for tensors of these ranks (with the batch)."""

    def add(make):
        for rank in ranks:
            STEPS.setdefault(rank, []).append(make)
        return make

    return add


class Graph:
    """A model while it grows: the tensors that may be taken, and what is drawn from."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.tensors = []
        self.taken = set()  # ids of tensors that some layer takes
        self._asked = []

    def choose(self, values):
        return values[int(self.random.integers(len(values)))]

    def below(self, low, high):
        """Returns an integer of low .. high."""
        return int(self.random.integers(low, high + 1))

    def happens(self, probability=0.5):
        return self.random.random() < probability

    def pair(self, low, high):
        return self.below(low, high), self.below(low, high)

    def channels(self):
        return self.below(1, MAX_CHANNELS)

    def activation(self):
        return self.choose(CLAMPS)

    def padding(self, x, size):
        """Returns a padding under which a window fits into an image."""
        fits = all(span <= edge for span, edge in zip(size, x.shape[1:-1], strict=True))
        return self.choose(PADDINGS) if fits else "same"

    def another(self, x, is_fit):
        """Returns a tensor that a layer may take beside `x`, None where there is none."""
        found = [each for each in self.tensors if is_fit(each.shape) and each is not x]
        if not found:
            return None
        self._asked.append(self.choose(found))
        return self._asked[-1]

    def extend(self):
        """Puts a layer behind a tensor, most often the last."""
        x = self.tensors[-1] if self.happens(0.7) else self.choose(self.tensors)
        self._asked = [x]
        made = self.choose(STEPS[len(x.shape)])(self, x)
        if made is not None and np.prod(made.shape[1:]) <= MAX_ELEMENTS:
            self.taken.update(id(each) for each in self._asked)
            self.tensors.append(made)


def spans(size, dilation):
    return [(each - 1) * rate + 1 for each, rate in zip(size, dilation, strict=True)]


@step(4)
def convolution(graph, x):
    size, strides, dilation = graph.pair(1, 3), graph.pair(1, 2), (1, 1)
    if graph.happens(0.2):
        strides, dilation = (1, 1), graph.pair(1, 2)
    groups = graph.choose([each for each in (1, 1, 1, 2, 3) if x.shape[-1] % each == 0])
    return layers.Conv2D(
        groups * graph.below(1, MAX_CHANNELS // groups),
        size,
        strides=strides,
        dilation_rate=dilation,
        groups=groups,
        padding=graph.padding(x, spans(size, dilation)),
        use_bias=graph.happens(0.7),
        activation=graph.activation(),
    )(x)


@step(4)
def depthwise(graph, x):
    size, stride, dilation = graph.pair(1, 3), graph.below(1, 2), (1, 1)
    if graph.happens(0.2):
        stride, dilation = 1, graph.pair(1, 2)
    return layers.DepthwiseConv2D(
        size,
        strides=stride,
        dilation_rate=dilation,
        depth_multiplier=graph.below(1, 2),
        padding=graph.padding(x, spans(size, dilation)),
        use_bias=graph.happens(),
        activation=graph.activation(),
    )(x)


@step(4)
def separable(graph, x):
    size = graph.pair(1, 3)
    return layers.SeparableConv2D(
        graph.channels(), size, padding=graph.padding(x, size), activation=graph.activation()
    )(x)


@step(4)
def transposed(graph, x):
    return layers.Conv2DTranspose(
        graph.channels(),
        graph.pair(1, 3),
        strides=graph.pair(1, 2),
        padding=graph.choose(PADDINGS),
        activation=graph.activation(),
    )(x)


@step(3)
def sequence_convolution(graph, x):
    size = graph.below(1, 3)
    causal = graph.happens(0.2)
    return layers.Conv1D(
        graph.channels(),
        size,
        strides=graph.below(1, 2),
        padding="causal" if causal else graph.padding(x, (size,)),
        use_bias=graph.happens(),
        activation=graph.activation(),
    )(x)


@step(3)
def sequence_depthwise(graph, x):
    size = graph.below(1, 3)
    return layers.DepthwiseConv1D(
        size, padding=graph.padding(x, (size,)), activation=graph.activation()
    )(x)


@step(2, 3, 4)
def dense(graph, x):
    return layers.Dense(
        graph.channels(), use_bias=graph.happens(0.7), activation=graph.activation()
    )(x)


@step(3)
def einsum_dense(graph, x):
    shape = (x.shape[1], graph.channels())
    return layers.EinsumDense("abc,cd->abd", shape, bias_axes="d")(x)


@step(2, 3, 4)
def norm(graph, x):
    return layers.BatchNormalization(scale=graph.happens(0.8), center=graph.happens(0.8))(x)


@step(2, 3, 4)
def activation(graph, x):
    choices = [layers.ReLU(), layers.ReLU(6.0), layers.Activation("relu6"), layers.Dropout(0.3)]
    return graph.choose(choices)(x)


@step(2, 3, 4)
def residual(graph, x):
    other = graph.another(x, lambda shape: shape == x.shape)
    parts = [x, layers.Dense(x.shape[-1])(x) if other is None else other]
    return layers.Add()(parts[::-1] if graph.happens() else parts)


@step(2, 3, 4)
def concatenation(graph, x):
    others = [graph.another(x, lambda shape: shape[:-1] == x.shape[:-1])] * graph.below(1, 2)
    return None if None in others else layers.Concatenate()([x, *others])


@step(4)
def pooling(graph, x):
    size = graph.pair(1, 3)
    kind = graph.choose([layers.MaxPooling2D, layers.AveragePooling2D])
    strides = graph.choose([None, 1, 2])
    return kind(size, strides, padding=graph.padding(x, size))(x)


@step(4)
def zero_padding(graph, x):
    return layers.ZeroPadding2D((graph.pair(0, 2), graph.pair(0, 2)))(x)


@step(4)
def mean(graph, x):
    return layers.GlobalAveragePooling2D(keepdims=graph.happens())(x)


@step(3, 4)
def reshape(graph, x):
    if graph.happens(0.3):
        return layers.Flatten()(x)
    *positions, channels = x.shape[1:]
    count = int(np.prod(positions))
    return layers.Reshape((count, channels) if len(positions) == 2 else (count, 1, channels))(x)


@step(2, 3, 4)
def function(graph, x):
    names = sorted({*ACTIVATIONS, *PRODUCTS} - {"gelu_tanh"})
    names = [name for name in names if find_activation(name) is not None]
    choices = [
        layers.Activation(graph.choose(names)),
        layers.LeakyReLU(graph.choose([0.1, 0.3, 1.5])),
        layers.ELU(),
        layers.PReLU("uniform", shared_axes=[*range(1, len(x.shape) - 1)] or None),
    ]
    return graph.choose(choices)(x)


@step(2, 3, 4)
def merge(graph, x):
    """Two tensors, of which one may be a vector for all positions, as in squeeze and excite."""
    kinds = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]
    shapes = [x.shape, (None, *[1] * (len(x.shape) - 2), x.shape[-1])]
    other = graph.another(x, lambda shape: shape in shapes)
    if other is None:
        return None
    return getattr(layers, graph.choose(kinds))()([x, other])


@step(3, 4)
def moved(graph, x):
    if len(x.shape) == 3:
        choices = [layers.ZeroPadding1D(graph.pair(0, 2)), layers.UpSampling1D(graph.below(1, 2))]
        choices += [layers.Permute((2, 1)), layers.Cropping1D((0, graph.below(0, 1)))]
    else:
        choices = [layers.UpSampling2D(graph.pair(1, 2)), layers.Permute((2, 1, 3))]
        choices += [layers.Cropping2D(((0, graph.below(0, 1)), (0, 0))), layers.Identity()]
        choices += [layers.UpSampling2D(2, interpolation="bilinear")]
    is_cut = any(edge == 1 for edge in x.shape[1:-1])
    return None if is_cut else graph.choose(choices)(x)


@step(3)
def sequence_pooling(graph, x):
    size = graph.below(1, 3)
    padding = graph.padding(x, (size,))
    choices = [
        layers.MaxPooling1D(size, padding=padding),
        layers.AveragePooling1D(size, padding=padding),
        layers.GlobalAveragePooling1D(keepdims=graph.happens()),
        layers.GlobalMaxPooling1D(keepdims=graph.happens()),
    ]
    return graph.choose(choices)(x)


@step(2, 3, 4)
def normalized(graph, x):
    kind = graph.choose([layers.LayerNormalization, layers.RMSNormalization])
    # A single channel is its own mean: nothing but rounding is left of it.
    return kind()(x) if x.shape[-1] > 2 else None


@step(3)
def attention(graph, x):
    other = graph.another(x, lambda shape: len(shape) == 3 and shape[-1] == x.shape[-1])
    taken = x if other is None else other
    if taken.shape[1] == 1:  # one token has nothing to choose from
        return None
    return layers.MultiHeadAttention(graph.below(1, 2), graph.below(1, 4))(x, taken)


@step(2)
def repeated(graph, x):
    return layers.RepeatVector(graph.below(1, 4))(x)


@step(2)
def softmax(graph, x):
    return layers.Softmax()(x) if x.shape[-1] > 1 and graph.happens(0.3) else None


def draw_input(graph):
    rank = graph.choose([2, 3, 4, 4, 4])
    sizes = [graph.below(4, 9) for _ in range(rank - 2)]
    return keras.Input((*sizes, graph.below(1, 6)))


def random_model(seed):
    """Returns a model with random weights."""
    keras.utils.set_random_seed(seed)
    graph = Graph(seed)
    inputs = [draw_input(graph) for _ in range(graph.choose([1, 1, 1, 2]))]
    for x in inputs:
        graph.tensors.append(layers.Rescaling(1 / 255)(x) if graph.happens(0.2) else x)
    # Every input reaches a kernel; a tensor on no grid but the input's is none of a network.
    graph.tensors = [dense(graph, x) for x in graph.tensors]
    for _ in range(graph.below(*NUM_STEPS)):
        graph.extend()
    outputs = [each for each in graph.tensors if id(each) not in graph.taken]
    model = keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0])
    return randomize(model, seed)


def random_recipe(seed):
    """Returns a recipe, and how the file is written."""
    graph = Graph(seed + 10**6)
    weight_bits, activation_bits = graph.below(2, 8), graph.choose([2, 3, 4, 6, 8, 8])
    make = graph.choose([Recipe.lsq, Recipe.lsq, Recipe.pact, Recipe.dorefa])
    settings = dict(
        first_last_bits=graph.choose([None, 8]),
        per_channel=graph.happens(0.8),
        per_channel_dense=graph.happens(0.8),
    )
    if graph.happens(0.1):
        recipe = Recipe.ternary(activation_bits, **settings)
    else:
        recipe = make(weight_bits, activation_bits, **settings)
    options = dict(
        target=graph.choose(["litert", "litert", "edgetpu", "ethos-u", "tflm"]),
        prefer=graph.choose(["size", "speed"]),
    )
    return recipe, options
