"""Which layers are taken apart, and how: one row each."""

from collections.abc import Callable

import keras

from tfq_lowbit.model.decompositions.attention import (
    decompose_dot_product,
    decompose_grouped,
    decompose_multi_head,
)
from tfq_lowbit.model.decompositions.dot import decompose_dot
from tfq_lowbit.model.decompositions.layer_normalization import (
    decompose_layer_norm,
    decompose_rms_norm,
    decompose_unit_norm,
)
from tfq_lowbit.model.decompositions.moving import (
    decompose_center_crop,
    decompose_cropping,
    decompose_item,
    decompose_repeat,
    decompose_sequence_upsampling,
    decompose_split,
)
from tfq_lowbit.model.decompositions.normalization import decompose_normalization
from tfq_lowbit.model.decompositions.pooling import (
    decompose_global_max,
    decompose_sequence_mean,
    decompose_sequence_pool,
)
from tfq_lowbit.model.decompositions.recurrent import (
    decompose_bidirectional,
    decompose_recurrent,
    decompose_time_distributed,
)
from tfq_lowbit.model.decompositions.separable import decompose_separable
from tfq_lowbit.model.rules import Role, find_rule

layers = keras.layers

# Each takes the `Parts` and returns the edge, or the edges, that take the place of the outputs.
_LAYERS: dict[type, Callable] = {
    layers.Attention: decompose_dot_product,
    layers.AveragePooling1D: decompose_sequence_pool(layers.AveragePooling2D),
    layers.Bidirectional: decompose_bidirectional,
    layers.CenterCrop: decompose_center_crop,
    layers.Cropping1D: decompose_cropping,
    layers.Cropping2D: decompose_cropping,
    layers.Dot: decompose_dot,
    layers.GRU: decompose_recurrent,
    layers.GlobalAveragePooling1D: decompose_sequence_mean,
    layers.GlobalMaxPooling1D: decompose_global_max,
    layers.GlobalMaxPooling2D: decompose_global_max,
    layers.GroupQueryAttention: decompose_grouped,
    layers.LSTM: decompose_recurrent,
    layers.LayerNormalization: decompose_layer_norm,
    layers.MaxPooling1D: decompose_sequence_pool(layers.MaxPooling2D),
    layers.MultiHeadAttention: decompose_multi_head,
    layers.Normalization: decompose_normalization,
    layers.RMSNormalization: decompose_rms_norm,
    layers.RepeatVector: decompose_repeat,
    layers.SeparableConv1D: decompose_separable(layers.DepthwiseConv1D, layers.Conv1D),
    layers.SeparableConv2D: decompose_separable(layers.DepthwiseConv2D, layers.Conv2D),
    layers.SimpleRNN: decompose_recurrent,
    layers.TimeDistributed: decompose_time_distributed,
    layers.UnitNormalization: decompose_unit_norm,
    layers.UpSampling1D: decompose_sequence_upsampling,
}
# Operations of Keras that no one layer does, by the name of their class, which is private.
_OPERATIONS: dict[str, Callable] = {"GetItem": decompose_item, "Split": decompose_split}


def decomposition_of(layer) -> Callable | None:
    """Return how a layer is taken apart, None where it stays.

    Raises:
        ValueError: if the layer cannot be quantized.
    """
    if isinstance(layer, keras.layers.Layer):
        return _LAYERS[type(layer)] if find_rule(layer).role is Role.DECOMPOSED else None
    is_known = type(layer).__module__.startswith("keras.")
    return _OPERATIONS.get(type(layer).__name__) if is_known else None
