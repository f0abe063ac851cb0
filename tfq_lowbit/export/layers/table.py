"""The lowering of each layer class: one row each."""

import keras

from tfq_lowbit.export.layers.activation import lower_activation, lower_softmax
from tfq_lowbit.export.layers.attention import lower_causal_mask, lower_matmul
from tfq_lowbit.export.layers.binary import lower_binary
from tfq_lowbit.export.layers.embedding import lower_embedding, lower_quantized_embedding
from tfq_lowbit.export.layers.functions import lower_function
from tfq_lowbit.export.layers.island import lower_island
from tfq_lowbit.export.layers.kernel import lower_wrapper
from tfq_lowbit.export.layers.merging import (
    lower_add,
    lower_average,
    lower_concatenate,
    lower_maximum,
    lower_minimum,
    lower_multiply,
    lower_subtract,
)
from tfq_lowbit.export.layers.moving import (
    lower_identity,
    lower_permute,
    lower_reshape,
    lower_resize,
    lower_slice,
    lower_zero_padding,
)
from tfq_lowbit.export.layers.normalization import lower_batch_norm, lower_channel_scale
from tfq_lowbit.export.layers.pooling import (
    lower_average_pool,
    lower_axis_mean,
    lower_global_average_pool,
    lower_max_pool,
)
from tfq_lowbit.export.layers.quantization import (
    lower_quantize_activation,
    lower_rescaling,
    lower_snap_to_grid,
    lower_widen,
)
from tfq_lowbit.export.layers.weight_tensor import lower_weight_tensor
from tfq_lowbit.model import NO_OPS
from tfq_lowbit.wrappers import (
    AxisMean,
    BinaryWrapper,
    CausalMask,
    ChannelScale,
    FloatIsland,
    FoldBatch,
    FoldedBatchNormalization,
    InverseRoot,
    MatMul,
    Narrow,
    QuantizeActivation,
    QuantizedAveragePooling2D,
    QuantizedResizing,
    QuantizeEmbedding,
    QuantizeWrapper,
    RegisteredFunction,
    RPReLU,
    SnapToGrid,
    StaticSlice,
    WeightTensor,
    Widen,
)

# Each takes the `Lowering` and the `Node`, and sets the value of the node's output.
LOWERINGS = {
    AxisMean: lower_axis_mean,
    BinaryWrapper: lower_binary,
    CausalMask: lower_causal_mask,
    ChannelScale: lower_channel_scale,
    FloatIsland: lower_island,
    FoldBatch: lower_reshape,
    FoldedBatchNormalization: lower_batch_norm,
    InverseRoot: lower_function,
    MatMul: lower_matmul,
    Narrow: lower_identity,
    QuantizeActivation: lower_quantize_activation,
    QuantizeEmbedding: lower_quantized_embedding,
    QuantizeWrapper: lower_wrapper,
    QuantizedAveragePooling2D: lower_average_pool,
    QuantizedResizing: lower_resize,
    RPReLU: lower_function,
    RegisteredFunction: lower_function,
    SnapToGrid: lower_snap_to_grid,
    StaticSlice: lower_slice,
    WeightTensor: lower_weight_tensor,
    Widen: lower_widen,
    keras.layers.Activation: lower_activation,
    keras.layers.Add: lower_add,
    keras.layers.Average: lower_average,
    keras.layers.AveragePooling2D: lower_average_pool,
    keras.layers.BatchNormalization: lower_batch_norm,
    keras.layers.Concatenate: lower_concatenate,
    keras.layers.ELU: lower_function,
    keras.layers.Embedding: lower_embedding,
    keras.layers.Flatten: lower_reshape,
    keras.layers.GlobalAveragePooling2D: lower_global_average_pool,
    keras.layers.LeakyReLU: lower_function,
    keras.layers.MaxPooling2D: lower_max_pool,
    keras.layers.Maximum: lower_maximum,
    keras.layers.Minimum: lower_minimum,
    keras.layers.Multiply: lower_multiply,
    keras.layers.Permute: lower_permute,
    keras.layers.PReLU: lower_function,
    keras.layers.ReLU: lower_activation,
    keras.layers.Rescaling: lower_rescaling,
    keras.layers.Reshape: lower_reshape,
    keras.layers.Resizing: lower_resize,
    keras.layers.Softmax: lower_softmax,
    keras.layers.Subtract: lower_subtract,
    keras.layers.UpSampling2D: lower_resize,
    keras.layers.ZeroPadding1D: lower_zero_padding,
    keras.layers.ZeroPadding2D: lower_zero_padding,
    keras.layers.ZeroPadding3D: lower_zero_padding,
    **{layer_class: lower_identity for layer_class in NO_OPS},
}
