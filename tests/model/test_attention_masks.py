"""Masks of attention: 0 and 1 from an input, for sequences that are padded."""

import keras
import numpy as np
import pytest
from keras import ops

import tfq_lowbit as tfq
from tests.promise import check_promise
from tfq_lowbit.model.decomposition import decompose_layers
from tfq_lowbit.model.graph import read_graph

layers = keras.layers
STEPS, WIDTH = 6, 8


def as_attention_mask(mask):
    return {"attention_mask": ops.expand_dims(mask, 1)}


# Name: the arguments of the call, from a mask of shape (batch, steps).
CALLS = {
    "of keys": lambda mask: {"key_mask": mask},
    "of values": lambda mask: {"value_mask": mask},
    "of all queries": as_attention_mask,
    "of all heads": lambda mask: {"attention_mask": mask[:, None, None, :]},
    "and causal": lambda mask: as_attention_mask(mask) | {"use_causal_mask": True},
    "two": lambda mask: as_attention_mask(mask) | {"value_mask": mask},
}
each = pytest.mark.parametrize("name", CALLS)


def build(name, num_blocks=1):
    inputs, mask = keras.Input((STEPS, WIDTH)), keras.Input((STEPS,))
    x, options = inputs, CALLS[name](mask)
    for _ in range(num_blocks):
        x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(x, x, **options)])
    return keras.Model([inputs, mask], layers.Dense(3)(x))


def padded(count):
    """Returns sequences of various lengths, and their masks."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(count, STEPS, WIDTH)).astype(np.float32)
    lengths = rng.integers(1, STEPS + 1, (count, 1))
    return [values, (np.arange(STEPS) < lengths).astype(np.float32)]


@each
def test_a_masked_step_has_no_weight(name):
    model, (values, mask) = build(name), padded(8)
    graph = read_graph(model)
    decompose_layers(graph)
    (found,) = graph.run([values, mask], lambda node, args, kwargs: node.layer(*args, **kwargs))
    np.testing.assert_allclose(found, model([values, mask]), atol=2e-3)


@each
def test_a_masked_step_does_not_count_in_the_file(name):
    data = padded(64)
    qmodel = tfq.quantize_model(build(name), tfq.Recipe.lsq(8, 8), data)
    values, mask = data
    # As calibrated, at other places.
    changed = np.where(mask[..., None] == 0, values[::-1], values)
    kept = mask == 1
    np.testing.assert_array_equal(qmodel([changed, mask])[kept], qmodel(data)[kept])
    check_promise(qmodel, data)


def test_layers_with_one_mask_share_its_bounds():
    qmodel = tfq.quantize_model(build("of all queries", 3), tfq.Recipe.lsq(), padded(16))
    bounds = [layer.name for layer in qmodel.layers if isinstance(layer, layers.Rescaling)]
    assert len(bounds) == 1
    assert len([layer for layer in qmodel.layers if isinstance(layer, layers.Minimum)]) == 3
