"""Which layers are taken apart, and how: one row each."""

from collections.abc import Callable

import keras

from tfq_lowbit.model.decompositions.adaptive import decompose_adaptive
from tfq_lowbit.model.decompositions.arrays import (
    decompose_conv,
    decompose_matmul,
    decompose_product,
    decompose_quotient,
    decompose_sum,
    decompose_take,
)
from tfq_lowbit.model.decompositions.attention import (
    decompose_dot_product,
    decompose_grouped,
    decompose_multi_head,
)
from tfq_lowbit.model.decompositions.cells import decompose_cells
from tfq_lowbit.model.decompositions.dot import decompose_dot
from tfq_lowbit.model.decompositions.einsum import decompose_einsum
from tfq_lowbit.model.decompositions.layer_normalization import (
    decompose_layer_norm,
    decompose_rms_norm,
    decompose_unit_norm,
)
from tfq_lowbit.model.decompositions.moving import (
    decompose_center_crop,
    decompose_cropping,
    decompose_item,
    decompose_patches,
    decompose_repeat,
    decompose_sequence_upsampling,
    decompose_split,
    decompose_stack,
)
from tfq_lowbit.model.decompositions.normalization import decompose_normalization
from tfq_lowbit.model.decompositions.pooling import (
    decompose_global_max,
    decompose_global_mean,
    decompose_sequence_pool,
)
from tfq_lowbit.model.decompositions.recurrent import (
    decompose_bidirectional,
    decompose_recurrent,
    decompose_time_distributed,
)
from tfq_lowbit.model.decompositions.separable import decompose_separable
from tfq_lowbit.model.decompositions.volumes import (
    decompose_volume_average,
    decompose_volume_max,
    decompose_volume_upsampling,
)
from tfq_lowbit.model.rules import Role, find_rule

layers = keras.layers

# Each takes the `Parts` and returns the edge, or the edges, that take the place of the outputs.
_LAYERS: dict[type, Callable] = {
    layers.AdaptiveAveragePooling1D: decompose_adaptive(layers.AveragePooling1D),
    layers.AdaptiveAveragePooling2D: decompose_adaptive(layers.AveragePooling2D),
    layers.AdaptiveAveragePooling3D: decompose_adaptive(layers.AveragePooling3D),
    layers.AdaptiveMaxPooling1D: decompose_adaptive(layers.MaxPooling1D),
    layers.AdaptiveMaxPooling2D: decompose_adaptive(layers.MaxPooling2D),
    layers.AdaptiveMaxPooling3D: decompose_adaptive(layers.MaxPooling3D),
    layers.Attention: decompose_dot_product,
    layers.AveragePooling1D: decompose_sequence_pool(layers.AveragePooling2D),
    layers.AveragePooling3D: decompose_volume_average,
    layers.Bidirectional: decompose_bidirectional,
    layers.CenterCrop: decompose_center_crop,
    layers.Cropping1D: decompose_cropping,
    layers.Cropping2D: decompose_cropping,
    layers.Cropping3D: decompose_cropping,
    layers.Dot: decompose_dot,
    layers.GRU: decompose_recurrent,
    layers.GlobalAveragePooling1D: decompose_global_mean,
    layers.GlobalAveragePooling3D: decompose_global_mean,
    layers.GlobalMaxPooling1D: decompose_global_max,
    layers.GlobalMaxPooling2D: decompose_global_max,
    layers.GlobalMaxPooling3D: decompose_global_max,
    layers.GroupQueryAttention: decompose_grouped,
    layers.LSTM: decompose_recurrent,
    layers.LayerNormalization: decompose_layer_norm,
    layers.MaxPooling1D: decompose_sequence_pool(layers.MaxPooling2D),
    layers.MaxPooling3D: decompose_volume_max,
    layers.MultiHeadAttention: decompose_multi_head,
    layers.Normalization: decompose_normalization,
    layers.RMSNormalization: decompose_rms_norm,
    layers.RNN: decompose_cells,
    layers.RepeatVector: decompose_repeat,
    layers.SeparableConv1D: decompose_separable(layers.DepthwiseConv1D, layers.Conv1D),
    layers.SeparableConv2D: decompose_separable(layers.DepthwiseConv2D, layers.Conv2D),
    layers.SimpleRNN: decompose_recurrent,
    layers.TimeDistributed: decompose_time_distributed,
    layers.UnitNormalization: decompose_unit_norm,
    layers.UpSampling1D: decompose_sequence_upsampling,
    layers.UpSampling3D: decompose_volume_upsampling,
}
# Operations of Keras that no one layer does, by the name of their class, which is private.
_OPERATIONS: dict[str, Callable] = {
    "Add": decompose_sum(layers.Add),
    "Conv": decompose_conv(
        {3: layers.Conv1D, 4: layers.Conv2D, 5: layers.Conv3D},
        lambda window, filters: {"filters": filters, "kernel_size": window},
        "kernel_",
    ),
    "DepthwiseConv": decompose_conv(
        {3: layers.DepthwiseConv1D, 4: layers.DepthwiseConv2D},
        lambda window, multiplier: {"kernel_size": window, "depth_multiplier": multiplier},
        "depthwise_",
    ),
    "Divide": decompose_quotient,
    "Dot": decompose_matmul,
    "Einsum": decompose_einsum,
    "ExtractPatches": decompose_patches,
    "GetItem": decompose_item,
    "Matmul": decompose_matmul,
    "Multiply": decompose_product,
    "Split": decompose_split,
    "Stack": decompose_stack,
    "Subtract": decompose_sum(layers.Subtract),
    "Take": decompose_take,
    "Tensordot": decompose_matmul,
    "TrueDivide": decompose_quotient,
}


def decomposition_of(layer) -> Callable | None:
    """Return how a layer is taken apart, None where it stays.

    Raises:
        ValueError: if the layer cannot be quantized.
    """
    if isinstance(layer, keras.layers.Layer):
        return _LAYERS[type(layer)] if find_rule(layer).role is Role.DECOMPOSED else None
    is_known = type(layer).__module__.startswith("keras.")
    return _OPERATIONS.get(type(layer).__name__) if is_known else None
