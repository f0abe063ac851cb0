"""Models that people build: those of keras.applications, and small ones of other kinds.

Weights are random, statistics of batch normalization those of a few passes with random gammas and
betas: activations neither vanish nor explode.
"""

import keras
import numpy as np

layers, applications = keras.layers, keras.applications

SETTLING_PASSES, SETTLING_MOMENTUM = 3, 0.1


def convolution_block(x, filters):
    """Return two convolutions with batch normalization and ReLU behind `x`."""
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return x


def u_net(size=32, width=8):
    """Return a U-Net with three levels: segmentation, a score a pixel."""
    inputs = x = keras.Input((size, size, 3))
    skips = []
    for level in range(2):
        x = convolution_block(x, width * 2**level)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = convolution_block(x, 4 * width)
    for level in (1, 0):
        x = layers.Conv2DTranspose(width * 2**level, 2, strides=2)(x)
        x = layers.Concatenate()([skips[level], x])
        x = convolution_block(x, width * 2**level)
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))


def ssd_head(size=64, classes=5, anchors=3):
    """Return a detector of two scales: boxes and class scores of every anchor."""
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(inputs)
    boxes, scores = [], []
    for filters in (32, 48, 64):
        x = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
        x = layers.Conv2D(filters, 1, use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
        if filters > 32:
            box = layers.Conv2D(4 * anchors, 3, padding="same")(x)
            score = layers.Conv2D(classes * anchors, 3, padding="same")(x)
            boxes.append(layers.Reshape((-1, 4))(box))
            scores.append(layers.Reshape((-1, classes))(score))
    scores = layers.Activation("sigmoid")(layers.Concatenate(axis=1)(scores))
    return keras.Model(inputs, [layers.Concatenate(axis=1)(boxes), scores])


def keyword_spotting_cnn(frames=49, features=10, classes=12, width=32):
    """Return a DS-CNN on spectrograms, after Zhang et al., 2017."""
    inputs = keras.Input((frames, features, 1))
    x = layers.Conv2D(width, (10, 4), strides=(2, 2), padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for _ in range(4):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(width, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(0.4)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def keyword_spotting_gru(frames=25, features=10, classes=12, width=32):
    """Return a GRU on spectrograms, after Zhang et al., 2017."""
    inputs = keras.Input((frames, features))
    x = layers.GRU(width)(inputs)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def transformer_block(x, heads, hidden, activation="gelu"):
    """Return attention and a perceptron behind `x`, each with a normalized residual."""
    width = x.shape[-1]
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.Add()([x, layers.MultiHeadAttention(heads, width // heads)(y, y)])
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.Dense(hidden, activation=activation)(y)
    return layers.Add()([x, layers.Dense(width)(y)])


def vision_transformer(size=32, patch=8, width=32, depth=2, classes=10):
    """Return a small ViT: patches, transformer blocks, mean of the tokens."""
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(width, patch, strides=patch)(inputs)
    x = layers.Reshape(((size // patch) ** 2, width))(x)
    for _ in range(depth):
        x = transformer_block(x, 2, 2 * width)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(inputs, layers.Dense(classes)(x))


def bert_encoder(length=16, vocabulary=100, width=32, depth=2, classes=3):
    """Return a BERT-style encoder: token ids, normalization behind the residuals, first token."""
    inputs = keras.Input((length,), dtype="int32")
    x = layers.Embedding(vocabulary, width)(inputs)
    for _ in range(depth):
        y = layers.MultiHeadAttention(2, width // 2)(x, x)
        x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, y]))
        y = layers.Dense(width)(layers.Dense(2 * width, activation="gelu")(x))
        x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, y]))
    x = layers.Flatten()(layers.Cropping1D((0, length - 1))(x))
    return keras.Model(inputs, layers.Dense(classes)(x))


def application(name, size, **options):
    """Return a builder of a model of keras.applications with random weights.

    It ends in logits: a softmax of a thousand random classes would round to zero all over.
    """
    maker = getattr(applications, name)
    options = {"classifier_activation": None, **options}
    return lambda: maker(input_shape=(size, size, 3), weights=None, **options)


# By name: a builder. Images are as small as the class allows, or 64 pixels.
MODELS = {
    **{
        name: application(name, size)
        for name, size in {
            **{"MobileNet": 64, "MobileNetV2": 64, "MobileNetV3Small": 64, "MobileNetV3Large": 64},
            **{"ResNet50": 64, "ResNet50V2": 64, "DenseNet121": 64, "VGG16": 64},
            **{"InceptionV3": 75, "Xception": 71, "NASNetMobile": 64, "EfficientNetB0": 64},
            **{"EfficientNetV2B0": 64, "ConvNeXtTiny": 64},
        }.items()
    },
    "U-Net": u_net,
    "SSD-style detector": ssd_head,
    "keyword spotting, DS-CNN": keyword_spotting_cnn,
    "keyword spotting, GRU": keyword_spotting_gru,
    "vision transformer": vision_transformer,
    "BERT-style encoder": bert_encoder,
}


def build(name, num_images=8, seed=0):
    """Return a model with settled statistics, and data for it."""
    keras.utils.set_random_seed(seed)
    model = MODELS[name]()
    data = make_data(model, num_images, seed)
    settle(model, data, seed)
    return model, data


def make_data(model, count, seed=0):
    """Return random inputs: pixels, where a model rescales or takes images; token ids; reals."""
    random = np.random.default_rng(seed)
    (tensor,) = model.inputs
    shape = (count, *tensor.shape[1:])
    if "int" in tensor.dtype:
        sizes = [each.input_dim for each in model.layers if isinstance(each, layers.Embedding)]
        return random.integers(0, min(sizes), shape).astype(tensor.dtype)
    # Each has a level and a contrast of its own: noise alone would be averaged away.
    levels = random.normal(size=(count, *[1] * (len(shape) - 2), shape[-1]))
    values = levels + random.uniform(0.3, 1.5, (count, *[1] * (len(shape) - 1))) * random.normal(
        size=shape
    )
    if any(isinstance(layer, layers.Rescaling) for layer in model.layers):
        values = np.clip(np.rint(128 + 50 * values), 0, 255)
    return values.astype(np.float32)


def settle(model, data, seed=0):
    """Set random gammas and betas, and let batch normalization see the data."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if type(layer).__name__ == "LayerScale":  # ConvNeXt's, which starts from next to nothing
            layer.gamma.assign(random.uniform(0.1, 1.0, layer.gamma.shape))
    norms = [each for each in model.layers if isinstance(each, layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = SETTLING_MOMENTUM
        if layer.scale:
            layer.gamma.assign(random.uniform(0.7, 1.3, layer.gamma.shape))
        if layer.center:
            layer.beta.assign(random.normal(0, 0.2, layer.beta.shape))
    for _ in range(SETTLING_PASSES if norms else 0):
        model(data, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
