import keras
import pytest

from tfq_lowbit.model import Clamp, Role, activation_name, clamp_of, find_rule, has_softmax
from tfq_lowbit.model.rules import NO_OPS, RULES
from tfq_lowbit.wrappers import (
    AxisMean,
    CausalMask,
    ChannelScale,
    FloatIsland,
    FoldBatch,
    InverseRoot,
    MatMul,
    RegisteredFunction,
    RPReLU,
    StaticSlice,
    WeightTensor,
    gelu_tanh,
)

layers = keras.layers


def built(layer, rank=4):
    """Returns the layer, built: batch normalization only then knows its rank."""
    layer.build((None, *(4,) * (rank - 1)))
    return layer


# Name: (layer, role).
TAKEN = {
    "Conv2D": (lambda: layers.Conv2D(2, 3), Role.KERNEL),
    "Conv2D relu": (lambda: layers.Conv2D(2, 3, activation="relu"), Role.KERNEL),
    "Conv2D in groups": (lambda: layers.Conv2D(2, 3, groups=2), Role.KERNEL),
    "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D(3, activation="relu6"), Role.KERNEL),
    "Dense": (lambda: layers.Dense(2), Role.KERNEL),
    "Conv1D": (lambda: layers.Conv1D(2, 3, padding="causal"), Role.KERNEL),
    "Conv3D": (lambda: layers.Conv3D(2, 3, groups=2), Role.KERNEL),
    "DepthwiseConv1D": (lambda: layers.DepthwiseConv1D(3), Role.KERNEL),
    "Conv1DTranspose": (lambda: layers.Conv1DTranspose(2, 3), Role.KERNEL),
    "Conv2DTranspose": (lambda: layers.Conv2DTranspose(2, 3, strides=2), Role.KERNEL),
    "Conv3DTranspose": (lambda: layers.Conv3DTranspose(2, 3, strides=2), Role.KERNEL),
    "EinsumDense": (
        lambda: layers.EinsumDense("abc,cde->abde", (2, 3, 4), bias_axes="e"),
        Role.KERNEL,
    ),
    "Permute": (lambda: layers.Permute((2, 1)), Role.SHAPE),
    "ZeroPadding1D": (lambda: layers.ZeroPadding1D(), Role.SHAPE),
    "UpSampling2D": (lambda: layers.UpSampling2D(), Role.SHAPE),
    "UpSampling2D bilinear": (
        lambda: layers.UpSampling2D(interpolation="bilinear"),
        Role.AVERAGE_POOL,
    ),
    "Resizing nearest": (lambda: layers.Resizing(3, 4, "nearest"), Role.SHAPE),
    "Resizing": (lambda: layers.Resizing(3, 4), Role.AVERAGE_POOL),
    "AxisMean": (lambda: AxisMean(-1), Role.MEAN),
    "InverseRoot": (lambda: InverseRoot(), Role.FUNCTION),
    "Embedding": (lambda: layers.Embedding(5, 3), Role.EMBEDDING),
    "FoldBatch": (lambda: FoldBatch((2,)), Role.SHAPE),
    "MatMul": (lambda: MatMul(), Role.COMBINE),
    "CausalMask": (lambda: CausalMask(), Role.ACTIVATION),
    "ChannelScale": (lambda: ChannelScale(), Role.BATCH_NORM),
    "StaticSlice": (lambda: StaticSlice((1,), (2,)), Role.SHAPE),
    "WeightTensor": (lambda: WeightTensor((2,)), Role.WEIGHT),
    "Dense softmax": (lambda: layers.Dense(2, activation="softmax"), Role.KERNEL),
    "BatchNormalization": (lambda: built(layers.BatchNormalization()), Role.BATCH_NORM),
    "BatchNormalization axis 3": (
        lambda: built(layers.BatchNormalization(axis=3)),
        Role.BATCH_NORM,
    ),
    "BatchNormalization rank 2": (
        lambda: built(layers.BatchNormalization(axis=1), rank=2),
        Role.BATCH_NORM,
    ),
    "ReLU": (lambda: layers.ReLU(), Role.ACTIVATION),
    "ReLU max 6": (lambda: layers.ReLU(6.0), Role.ACTIVATION),
    "Activation relu": (lambda: layers.Activation("relu"), Role.ACTIVATION),
    "Activation relu6": (lambda: layers.Activation("relu6"), Role.ACTIVATION),
    "ReLU max 4": (lambda: layers.ReLU(4.0), Role.ACTIVATION),
    "ReLU slope": (lambda: layers.ReLU(negative_slope=0.1), Role.FUNCTION),
    "ReLU threshold": (lambda: layers.ReLU(threshold=0.1), Role.FUNCTION),
    "LeakyReLU": (lambda: layers.LeakyReLU(), Role.FUNCTION),
    "PReLU": (lambda: built(layers.PReLU()), Role.FUNCTION),
    "PReLU a channel": (lambda: built(layers.PReLU(shared_axes=[1, 2])), Role.FUNCTION),
    "PReLU of one slope": (lambda: built(layers.PReLU(shared_axes=[1, 2, 3])), Role.FUNCTION),
    "ELU": (lambda: layers.ELU(2.0), Role.FUNCTION),
    "Activation hard_tanh": (lambda: layers.Activation("hard_tanh"), Role.ACTIVATION),
    "Activation sigmoid": (lambda: layers.Activation("sigmoid"), Role.FUNCTION),
    "Activation silu": (lambda: layers.Activation("silu"), Role.FUNCTION),
    "Activation by tanh": (lambda: layers.Activation(gelu_tanh), Role.FUNCTION),
    "Conv2D tanh": (lambda: layers.Conv2D(2, 3, activation="tanh"), Role.KERNEL),
    "Activation linear": (lambda: layers.Activation("linear"), Role.ACTIVATION),
    "RPReLU": (lambda: RPReLU(), Role.FUNCTION),
    "Dot": (lambda: layers.Dot(1), Role.DECOMPOSED),
    "RegisteredFunction": (lambda: RegisteredFunction(layers.ReLU()), Role.FUNCTION),
    "FloatIsland": (lambda: FloatIsland(layers.LSTM(2)), Role.FLOAT),
    "Activation softmax": (lambda: layers.Activation("softmax"), Role.SOFTMAX),
    "Softmax": (lambda: layers.Softmax(), Role.SOFTMAX),
    "Add": (lambda: layers.Add(), Role.COMBINE),
    "Subtract": (lambda: layers.Subtract(), Role.COMBINE),
    "Multiply": (lambda: layers.Multiply(), Role.COMBINE),
    "Average": (lambda: layers.Average(), Role.COMBINE),
    "Maximum": (lambda: layers.Maximum(), Role.CONCATENATE),
    "Minimum": (lambda: layers.Minimum(), Role.CONCATENATE),
    "Concatenate": (lambda: layers.Concatenate(), Role.CONCATENATE),
    "GlobalAveragePooling2D": (lambda: layers.GlobalAveragePooling2D(keepdims=True), Role.MEAN),
    "AveragePooling2D": (lambda: layers.AveragePooling2D(2), Role.AVERAGE_POOL),
    "MaxPooling2D": (lambda: layers.MaxPooling2D(), Role.MAX_POOL),
    "ZeroPadding2D": (lambda: layers.ZeroPadding2D(), Role.SHAPE),
    "ZeroPadding3D": (lambda: layers.ZeroPadding3D(), Role.SHAPE),
    "Flatten": (lambda: layers.Flatten(), Role.SHAPE),
    "Reshape": (lambda: layers.Reshape((2, 2)), Role.SHAPE),
    "Dropout": (lambda: layers.Dropout(0.5), Role.SHAPE),
    "Rescaling": (lambda: layers.Rescaling(1 / 255, offset=-0.5), Role.RESCALING),
}


def attending(layer):
    """Returns an attention layer, built."""
    layer.build((None, 3, 4), (None, 3, 4))
    return layer


# What is taken apart.
DECOMPOSED = {
    "AdaptiveAveragePooling1D": lambda: layers.AdaptiveAveragePooling1D(2),
    "AdaptiveAveragePooling2D": lambda: layers.AdaptiveAveragePooling2D(2),
    "AdaptiveAveragePooling3D": lambda: layers.AdaptiveAveragePooling3D(2),
    "AdaptiveMaxPooling1D": lambda: layers.AdaptiveMaxPooling1D(2),
    "AdaptiveMaxPooling2D": lambda: layers.AdaptiveMaxPooling2D(2),
    "AdaptiveMaxPooling3D": lambda: layers.AdaptiveMaxPooling3D(2),
    "Attention": lambda: layers.Attention(),
    "GroupQueryAttention": lambda: attending(layers.GroupQueryAttention(4, 4, 2)),
    "MultiHeadAttention": lambda: attending(layers.MultiHeadAttention(2, 4)),
    "AveragePooling1D": lambda: layers.AveragePooling1D(2),
    "AveragePooling3D": lambda: layers.AveragePooling3D(2),
    "CenterCrop": lambda: layers.CenterCrop(2, 2),
    "Cropping1D": lambda: layers.Cropping1D(),
    "Cropping2D": lambda: layers.Cropping2D(),
    "Cropping3D": lambda: layers.Cropping3D(),
    "GlobalAveragePooling1D": lambda: layers.GlobalAveragePooling1D(),
    "GlobalAveragePooling3D": lambda: layers.GlobalAveragePooling3D(),
    "GlobalMaxPooling1D": lambda: layers.GlobalMaxPooling1D(),
    "GlobalMaxPooling2D": lambda: layers.GlobalMaxPooling2D(),
    "GlobalMaxPooling3D": lambda: layers.GlobalMaxPooling3D(),
    "Bidirectional": lambda: built(layers.Bidirectional(layers.LSTM(2)), 3),
    "GRU": lambda: built(layers.GRU(2), 3),
    "LSTM": lambda: built(layers.LSTM(2), 3),
    "SimpleRNN": lambda: built(layers.SimpleRNN(2), 3),
    "TimeDistributed": lambda: layers.TimeDistributed(layers.Dense(2)),
    "LayerNormalization": lambda: built(layers.LayerNormalization()),
    "RMSNormalization": lambda: built(layers.RMSNormalization()),
    "UnitNormalization": lambda: layers.UnitNormalization(),
    "MaxPooling1D": lambda: layers.MaxPooling1D(),
    "MaxPooling3D": lambda: layers.MaxPooling3D(),
    "Normalization": lambda: built(layers.Normalization(mean=1.0, variance=2.0)),
    "RNN": lambda: built(layers.RNN(layers.GRUCell(2)), 3),
    "RepeatVector": lambda: layers.RepeatVector(2),
    "SeparableConv1D": lambda: layers.SeparableConv1D(2, 3),
    "SeparableConv2D": lambda: layers.SeparableConv2D(2, 3),
    "UpSampling1D": lambda: layers.UpSampling1D(),
    "UpSampling3D": lambda: layers.UpSampling3D(),
}
TAKEN |= {name: (make, Role.DECOMPOSED) for name, make in DECOMPOSED.items()}


class OwnCell(layers.GRUCell):
    """A cell that may compute anything."""


class MyDense(layers.Dense):
    pass


def double(values):
    return 2 * values


def sigmoid(values):
    return values


FIRST = {"data_format": "channels_first"}
# Name: (layer, its class, words of the reason).
REFUSED = {
    "Conv2D glu": (lambda: layers.Conv2D(2, 3, activation="glu"), "Conv2D", "'glu'.*relu6"),
    "Dense own sigmoid": (lambda: layers.Dense(2, activation=sigmoid), "Dense", "'own sigmoid'"),
    "Dot normalized": (
        lambda: layers.Dot(1, normalize=True),
        "Dot",
        "normalize must be False.*UnitNormalization",
    ),
    "PReLU of rows": (lambda: built(layers.PReLU(shared_axes=[2])), "PReLU", "shared_axes.*2"),
    "Dense own activation": (lambda: layers.Dense(2, activation=double), "Dense", "'double'"),
    "Dense activity": (
        lambda: layers.Dense(2, activity_regularizer="l2"),
        "Dense",
        "activity_regularizer.*None",
    ),
    "Conv2D channels": (lambda: layers.Conv2D(2, 3, **FIRST), "Conv2D", "channels_last"),
    "DepthwiseConv2D channels": (
        lambda: layers.DepthwiseConv2D(3, **FIRST),
        "DepthwiseConv2D",
        "'channels_first'",
    ),
    "Conv1D channels": (lambda: layers.Conv1D(2, 3, **FIRST), "Conv1D", "channels_last"),
    "DepthwiseConv1D channels": (
        lambda: layers.DepthwiseConv1D(3, **FIRST),
        "DepthwiseConv1D",
        "channels_last",
    ),
    "Conv1DTranspose dilated": (
        lambda: layers.Conv1DTranspose(2, 3, dilation_rate=2),
        "Conv1DTranspose",
        r"dilation_rate must be 1, received \(2,\)",
    ),
    "Conv2DTranspose padding": (
        lambda: layers.Conv2DTranspose(2, 3, strides=2, output_padding=1),
        "Conv2DTranspose",
        r"output_padding needs padding='same'.* received output_padding=\(1, 1\), padding='valid'",
    ),
    "EinsumDense by position": (
        lambda: layers.EinsumDense("abc,abd->acd", (3, 4)),
        "EinsumDense",
        "'abc,abd->acd' is no dense layer over the last axes",
    ),
    "EinsumDense bias": (
        lambda: layers.EinsumDense("abc,cd->abd", (3, 4), bias_axes="bd"),
        "EinsumDense",
        "bias_axes 'bd' must be among the new axes",
    ),
    "SeparableConv1D": (
        lambda: layers.SeparableConv1D(2, 3, activation="glu"),
        "SeparableConv1D",
        "'glu'.*relu6",
    ),
    "SeparableConv2D": (
        lambda: layers.SeparableConv2D(2, 3, **FIRST),
        "SeparableConv2D",
        "channels_last",
    ),
    "LayerNormalization": (
        lambda: layers.LayerNormalization(),
        "LayerNormalization",
        "no weights yet; call the layer",
    ),
    "LayerNormalization offset": (
        lambda: layers.LayerNormalization(scale=False),
        "LayerNormalization",
        "center=True needs scale=True",
    ),
    "RMSNormalization": (
        lambda: layers.RMSNormalization(),
        "RMSNormalization",
        "no weights yet; call the layer",
    ),
    "Embedding": (
        lambda: layers.Embedding(5, 3, mask_zero=True),
        "Embedding",
        "mask_zero=True.*set it to False",
    ),
    "SimpleRNN": (lambda: layers.SimpleRNN(2), "SimpleRNN", "no weights yet; call the layer"),
    "GRU": (
        lambda: layers.GRU(2, stateful=True),
        "GRU",
        "stateful=True has no form here; give it its initial_state",
    ),
    "LSTM": (
        lambda: layers.LSTM(2, recurrent_dropout=0.5),
        "LSTM",
        "recurrent_dropout must be 0, received 0.5",
    ),
    "LSTM activity": (
        lambda: layers.LSTM(2, activity_regularizer="l2"),
        "LSTM",
        "activity_regularizer.*None",
    ),
    "LSTM gates": (
        lambda: layers.LSTM(2, recurrent_activation=double),
        "LSTM",
        "'double' has no integer form",
    ),
    "RNN": (lambda: layers.RNN(OwnCell(2)), "RNN", "not OwnCell"),
    "RNN of several": (lambda: layers.RNN([layers.GRUCell(2), OwnCell(2)]), "RNN", "not OwnCell"),
    "RNN dropout": (
        lambda: layers.RNN(layers.GRUCell(2, recurrent_dropout=0.5)),
        "RNN",
        "recurrent_dropout must be 0, received 0.5",
    ),
    "RNN states": (lambda: layers.RNN(layers.GRUCell(2), return_state=True), "RNN", "return_state"),
    "RNN kept": (lambda: layers.RNN(layers.GRUCell(2), stateful=True), "RNN", "stateful=True"),
    "RNN unbuilt": (lambda: layers.RNN(layers.GRUCell(2)), "RNN", "no weights yet; call the"),
    "Bidirectional": (
        lambda: layers.Bidirectional(layers.RNN(layers.LSTMCell(2))),
        "Bidirectional",
        "must be one of GRU, LSTM, SimpleRNN, received RNN",
    ),
    "Bidirectional state": (
        lambda: layers.Bidirectional(layers.LSTM(2, return_state=True)),
        "Bidirectional",
        "return_state=True has no form",
    ),
    "TimeDistributed": (
        lambda: layers.TimeDistributed(keras.Sequential([layers.Dense(2)])),
        "TimeDistributed",
        "its layer is a model; call the layers of that",
    ),
    "MultiHeadAttention gate": (
        lambda: layers.MultiHeadAttention(2, 4, use_gate=True),
        "MultiHeadAttention",
        "use_gate has no form here, received True",
    ),
    "MultiHeadAttention axes": (
        lambda: layers.MultiHeadAttention(2, 4, attention_axes=(1, 2)),
        "MultiHeadAttention",
        r"attention_axes must be None, received \(1, 2\)",
    ),
    "MultiHeadAttention output": (
        lambda: layers.MultiHeadAttention(2, 4, output_shape=(2, 3)),
        "MultiHeadAttention",
        r"output_shape must be one number, received \(2, 3\)",
    ),
    "MultiHeadAttention unbuilt": (
        lambda: layers.MultiHeadAttention(2, 4),
        "MultiHeadAttention",
        "no weights yet; call the layer",
    ),
    "GroupQueryAttention": (
        lambda: layers.GroupQueryAttention(4, 4, 2, sliding_window=2),
        "GroupedQueryAttention",
        "sliding_window has no form here, received 2",
    ),
    "Attention": (
        lambda: layers.Attention(score_mode="concat"),
        "Attention",
        "score_mode must be 'dot', received 'concat'",
    ),
    "UpSampling2D": (
        lambda: layers.UpSampling2D(interpolation="bicubic"),
        "UpSampling2D",
        "'nearest' or 'bilinear', received 'bicubic'",
    ),
    "Resizing": (
        lambda: layers.Resizing(3, 4, crop_to_aspect_ratio=True),
        "Resizing",
        "crop_to_aspect_ratio.*False",
    ),
    "Normalization": (lambda: layers.Normalization(), "Normalization", "adapt"),
    "Normalization inverted": (
        lambda: layers.Normalization(mean=1.0, variance=1.0, invert=True),
        "Normalization",
        "invert=True.*Rescaling",
    ),
    "Normalization axis": (
        lambda: built(layers.Normalization(axis=1, mean=[1.0] * 4, variance=[1.0] * 4)),
        "Normalization",
        r"axis must be the last one or None, received \(1,\)",
    ),
    "BatchNormalization axis": (
        lambda: built(layers.BatchNormalization(axis=1)),
        "BatchNormalization",
        "axis must be the last one, received 1",
    ),
    "Activation": (lambda: layers.Activation("glu"), "Activation", "'glu'.*softmax"),
    "Softmax axis": (lambda: layers.Softmax(axis=1), "Softmax", "-1, received 1"),
    "Concatenate batch": (lambda: layers.Concatenate(axis=0), "Concatenate", "batch"),
    "Mean channels": (
        lambda: layers.GlobalAveragePooling2D(**FIRST),
        "GlobalAveragePooling2D",
        "channels_last",
    ),
    "AveragePooling2D": (
        lambda: layers.AveragePooling2D(2, **FIRST),
        "AveragePooling2D",
        "channels_last",
    ),
    "MaxPooling2D": (lambda: layers.MaxPooling2D(**FIRST), "MaxPooling2D", "channels_last"),
    "ZeroPadding2D": (lambda: layers.ZeroPadding2D(**FIRST), "ZeroPadding2D", "channels_last"),
    "Flatten": (lambda: layers.Flatten(**FIRST), "Flatten", "channels_last"),
    "Rescaling by channel": (lambda: layers.Rescaling([1.0, 2.0]), "Rescaling", "`scale`.*one"),
    "Rescaling by 0": (lambda: layers.Rescaling(0.0), "Rescaling", "`scale` is 0"),
    "unknown": (
        lambda: layers.ConvLSTM1D(2, 2),
        "ConvLSTM1D",
        "the layers that can are .*Conv2D.*Softmax",
    ),
    "subclass": (lambda: MyDense(2), "MyDense", "the layers that can are"),
    "Conv3D": (lambda: layers.Conv3D(2, 3, activation="glu"), "Conv3D", "'glu'.*relu6"),
    "Conv3D channels": (lambda: layers.Conv3D(2, 3, **FIRST), "Conv3D", "channels_last"),
    "Conv3DTranspose padding": (
        lambda: layers.Conv3DTranspose(2, 2, strides=3, padding="same", output_padding=1),
        "Conv3DTranspose",
        r"output_padding needs .* kernel of at least the strides.*kernel_size=\(2, 2, 2\)",
    ),
}


# Layers of images, sequences and volumes that take one order of axes.
ORDERED = {
    "AdaptiveAveragePooling1D": (2,),
    "AdaptiveAveragePooling2D": (2,),
    "AdaptiveAveragePooling3D": (2,),
    "AdaptiveMaxPooling1D": (2,),
    "AdaptiveMaxPooling2D": (2,),
    "AdaptiveMaxPooling3D": (2,),
    "AveragePooling1D": (2,),
    "AveragePooling3D": (2,),
    "CenterCrop": (2, 2),
    "Cropping2D": (),
    "Cropping3D": (),
    "GlobalAveragePooling1D": (),
    "GlobalAveragePooling3D": (),
    "GlobalMaxPooling1D": (),
    "GlobalMaxPooling2D": (),
    "GlobalMaxPooling3D": (),
    "MaxPooling1D": (),
    "MaxPooling3D": (),
    "UpSampling3D": (),
    "ZeroPadding1D": (),
    "ZeroPadding3D": (),
}
REFUSED |= {
    f"{name} channels": (
        lambda name=name, args=args: getattr(layers, name)(*args, **FIRST),
        name,
        "channels_last",
    )
    for name, args in ORDERED.items()
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_layer_has_its_role(name):
    make, role = TAKEN[name]
    layer = make()
    rule = find_rule(layer)
    assert rule.role is role and rule.layer_class is type(layer)


def test_every_rule_is_tested_and_stands_once():
    classes = [rule.layer_class for rule in RULES]
    assert len(classes) == len(set(classes))
    assert {make().__class__ for make, _ in TAKEN.values()} == set(classes) - set(NO_OPS) | {
        layers.Dropout
    }
    # What is put in where the type of a tensor changes.
    assert {role for _, role in TAKEN.values()} == set(Role) - {Role.NARROW, Role.WIDEN}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_layer_class_and_reason(name):
    make, class_name, reason = REFUSED[name]
    layer = make()
    layer.name = "mine"
    words = rf"^Layer 'mine' \({class_name}\) cannot be quantized: .*{reason}.*\.$"
    with pytest.raises(ValueError, match=words):
        find_rule(layer)


def test_every_reason_to_refuse_is_tested():
    never_refused = {
        "AxisMean",
        "FoldBatch",
        "InverseRoot",
        "UnitNormalization",
        "MatMul",
        "CausalMask",
        "ChannelScale",
        "Add",
        "Reshape",
        "RPReLU",
        "Permute",
        "StaticSlice",
        "WeightTensor",
    }
    never_refused |= {"FloatIsland", "RegisteredFunction"}
    never_refused |= {"Cropping1D", "RepeatVector", "UpSampling1D", "ReLU", "LeakyReLU", "ELU"}
    never_refused |= {"Subtract", "Multiply", "Average", "Maximum", "Minimum"}
    never_refused |= {layer_class.__name__ for layer_class in NO_OPS}
    classes = {rule.layer_class.__name__ for rule in RULES}
    assert classes - never_refused <= {class_name for _, class_name, _ in REFUSED.values()}


def test_an_operation_that_is_no_layer_is_refused_with_the_way_out():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, inputs + inputs)
    with pytest.raises(ValueError, match="'add.*' .Add. cannot .* operation .*keras.layers.Add"):
        find_rule(model.operations[-1])


@pytest.mark.parametrize(
    ("layer", "name", "clamp"),
    [
        (layers.ReLU(), "linear", Clamp(0.0, None)),
        (layers.ReLU(6), "linear", Clamp(0.0, 6.0)),
        (layers.Activation("relu"), "relu", Clamp(0.0, None)),
        (layers.Activation(keras.activations.relu6), "relu6", Clamp(0.0, 6.0)),
        (layers.Dense(2), "linear", Clamp(None, None)),
        (layers.Dense(2, "relu"), "relu", Clamp(0.0, None)),
        (layers.Dense(2, "softmax"), "softmax", Clamp(None, None)),
        (layers.Dense(2, double), "double", Clamp(None, None)),
        (layers.Flatten(), "linear", Clamp(None, None)),
        (layers.Activation("hard_tanh"), "hard_tanh", Clamp(-1.0, 1.0)),
        (layers.Activation("swish"), "silu", Clamp(None, None)),
        (layers.Activation(gelu_tanh), "gelu_tanh", Clamp(None, None)),
        (layers.ReLU(1.5), "linear", Clamp(0.0, 1.5)),
        (layers.ReLU(1.5, negative_slope=0.1), "linear", Clamp(None, None)),
    ],
)
def test_activations_have_names_and_bounds(layer, name, clamp):
    assert activation_name(layer) == name
    assert clamp_of(layer) == clamp
    assert has_softmax(layer) == (name == "softmax")
