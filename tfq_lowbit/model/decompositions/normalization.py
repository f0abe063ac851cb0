"""Normalization by fixed statistics."""

import keras
import numpy as np

layers = keras.layers


def decompose_normalization(parts):
    """Take `(x - mean) / sqrt(variance)` apart: another unit of an input, or a fixed affine layer.

    One number for everything, right behind a model input, is a `Rescaling`; all else is a batch
    normalization that does not train.
    """
    layer, (edge,) = parts.call.layer, parts.call.data_inputs
    mean = np.asarray(keras.ops.convert_to_numpy(layer.mean), np.float64).ravel()
    deviation = np.sqrt(np.asarray(keras.ops.convert_to_numpy(layer.variance), np.float64)).ravel()
    deviation = np.maximum(deviation, keras.config.epsilon())
    is_input = edge in parts.graph.input_edges and parts.graph.is_only_for(edge, parts.call)
    if is_input and np.ptp(mean) == 0 and np.ptp(deviation) == 0:
        scale = float(1 / deviation[0])
        offset = float(-mean[0] / deviation[0])
        return parts.add("", lambda **options: layers.Rescaling(scale, offset, **options), edge)

    def make(**options):
        options["trainable"] = False
        return layers.BatchNormalization(epsilon=0.0, center=False, scale=False, **options)

    channels = edge.shape[-1:]
    weights = [np.broadcast_to(each, channels) for each in (mean, deviation**2)]
    return parts.add("", make, edge, weights)
