"""Recurrent layers, step by step: each step calls the same dense layer, on states of one grid.

The projections of the inputs are one dense layer for all steps. Within a step everything has eight
bits, whatever the recipe says; the weights have the recipe's.
"""

import keras
import numpy as np

from tfq_lowbit.model.graph import is_edge
from tfq_lowbit.model.rules import refusal
from tfq_lowbit.wrappers import StaticSlice

layers = keras.layers


def decompose_recurrent(parts):
    """Take `SimpleRNN`, `GRU` or `LSTM` apart."""
    layer, edge = parts.call.layer, sequence_of(parts)
    initial = parts.call.kwargs.get("initial_state")
    initial = parts.call.args[1] if len(parts.call.args) > 1 else initial
    initial = [state for state in keras.tree.flatten(initial) if state is not None]
    if not all(is_edge(state) for state in initial):
        raise refusal(layer, "its initial_state must be tensors of the model")
    steps, states = _Cell(parts, layer).run(edge, initial)
    outputs = _join(parts, steps, "") if layer.return_sequences else steps[-1]
    return [outputs, *states] if layer.return_state else outputs


def decompose_bidirectional(parts):
    """Take `Bidirectional` apart: a recurrent layer each way, and what merges them."""
    whole, edge = parts.call.layer, sequence_of(parts)
    ways = []
    for prefix, layer in (("forward", whole.forward_layer), ("backward", whole.backward_layer)):
        steps, _ = _Cell(parts, layer, f"{prefix}_").run(edge, [])
        if not layer.return_sequences:
            ways.append(steps[-1])
            continue
        steps = steps[::-1] if layer.go_backwards else steps
        ways.append(_join(parts, steps, f"{prefix}_steps"))
    if whole.merge_mode is None:
        return ways
    return parts.add("", _MERGES[whole.merge_mode], ways)


def decompose_time_distributed(parts):
    """Take `TimeDistributed` apart: the steps are further samples of the batch."""
    inner, (edge,) = parts.call.layer.layer, parts.call.data_inputs

    def copy(**options):
        return type(inner).from_config({**inner.get_config(), "name": options["name"]})

    weights = inner.get_weights()
    if isinstance(inner, layers.Dense):
        return parts.add("", copy, edge, weights)
    folded = parts.fold("samples", edge, edge.shape[2:])
    outputs = parts.add("", copy, folded, weights)
    return parts.fold("steps", outputs, (edge.shape[1], *outputs.shape[1:]))


_MERGES = {
    "concat": lambda **options: layers.Concatenate(axis=-1, **options),
    "sum": lambda **options: layers.Add(**options),
    "mul": lambda **options: layers.Multiply(**options),
    "ave": lambda **options: layers.Average(**options),
}


def sequence_of(parts):
    """Return the edge of the sequence.

    Raises:
        ValueError: if its length is unknown, or it comes with a mask.
    """
    layer, edge = parts.call.layer, parts.call.data_inputs[0]
    if parts.call.kwargs.get("mask") is not None:
        raise refusal(layer, "it takes a mask; sequences must be of one length")
    if None in edge.shape[1:]:
        raise refusal(layer, f"its steps are written out, of a known number, not {edge.shape}")
    return edge


def _join(parts, steps, part):
    """Add the joining of the outputs of all steps, which are on one grid."""
    rows = [parts.reshape("row", step, (1, step.shape[-1])) for step in steps]
    group = steps[0].group
    return parts.add(part, lambda **options: layers.Concatenate(1, **options), rows, group=group)


class _Cell:
    """Adds the steps of one recurrent layer.

    Args:
        parts: the parts.
        layer: the recurrent layer.
        prefix: of the names of the parts.
    """

    def __init__(self, parts, layer, prefix=""):
        self.parts, self.layer, self.prefix = parts, layer, prefix
        self.units = layer.units
        self.kernel, self.recurrent_kernel, *bias = layer.get_weights()
        self.bias = bias[0] if bias else None

    def run(self, edge, states):
        """Add all steps; return the output of each, and the last states."""
        step, width, num_states = _STEPS[type(self.layer)]
        projected = self._project(edge, width)
        if not states:
            zeros = self._slice(projected, 0, 0, self.units)
            names = ("hidden", "carry")[:num_states]
            states = [self._add(layers.Subtract, [zeros, zeros], name) for name in names]
        outputs = []
        order = range(edge.shape[1])
        for index in reversed(order) if self.layer.go_backwards else order:
            states = step(self, projected, index, states)
            outputs.append(states[0])
        return outputs, states

    def _project(self, edge, width):
        """Add the projections of all inputs."""
        layer, parts = self.layer, self.parts
        if layer.dropout:
            shape = (None, 1, edge.shape[-1])
            edge = parts.add(
                f"{self.prefix}dropout",
                lambda **options: layers.Dropout(layer.dropout, noise_shape=shape, **options),
                edge,
            )
        bias = None if self.bias is None else np.reshape(self.bias, (-1, width * self.units))[0]
        return self._dense("input", edge, self.kernel, bias)

    def _dense(self, part, edge, kernel, bias, regularizer="kernel"):
        layer = self.layer
        part = f"{self.prefix}{part}"

        def make(**options):
            return layers.Dense(
                kernel.shape[1],
                use_bias=bias is not None,
                kernel_regularizer=getattr(layer, f"{regularizer}_regularizer"),
                kernel_constraint=getattr(layer, f"{regularizer}_constraint"),
                bias_regularizer=layer.bias_regularizer,
                bias_constraint=layer.bias_constraint,
                **options,
            )

        weights = [kernel, *([] if bias is None else [bias])]
        return self.parts.add(part, make, edge, weights, group=f"{self.parts.call.name}_{part}")

    def recur(self, hidden, first=0, last=None, part="recurrent"):
        """Add the product of the last output with columns of the recurrent kernel."""
        bias = self.bias if self.bias is not None and self.bias.ndim == 2 else None
        bias = None if bias is None else bias[1, first:last]
        kernel = self.recurrent_kernel[:, first:last]
        return self._dense(part, hidden, kernel, bias, "recurrent")

    def row(self, projected, index, first=0, last=None):
        """Add the slice of one step, and of some of its units."""
        last = projected.shape[-1] if last is None else last
        return self._slice(projected, index, first, last)

    def units_of(self, edge, first, count=1):
        """Add the slice of units: the gates from one on."""
        begin, size = first * self.units, count * self.units
        return self.parts.add(
            f"{self.prefix}units",
            lambda **options: StaticSlice((begin,), (size,), **options),
            edge,
        )

    def add(self, left, right, name):
        """Add a sum."""
        return self._add(layers.Add, [left, right], name)

    def subtract(self, left, right, name):
        """Add a difference."""
        return self._add(layers.Subtract, [left, right], name)

    def multiply(self, left, right, name):
        """Add a product."""
        return self._add(layers.Multiply, [left, right], name)

    def activate(self, edge, name, is_gate=False):
        """Add the activation, or that of the gates."""
        function = self.layer.recurrent_activation if is_gate else self.layer.activation
        return self._add(lambda **options: layers.Activation(function, **options), edge, name)

    def _slice(self, projected, index, first, last):
        part = f"{self.prefix}step"
        begin, size = (index, first), (1, last - first)
        row = self.parts.add(part, lambda **options: StaticSlice(begin, size, **options), projected)
        return self.parts.reshape(f"{self.prefix}vector", row, (last - first,))

    def _add(self, make, inputs, name):
        part = f"{self.prefix}{name}"
        group = f"{self.parts.call.name}_{part}"
        return self.parts.add(
            part, lambda **options: make(**options), inputs, group=group, is_precise=True
        )


def _simple_step(cell, projected, index, states):
    """`h = f(x + R h)`."""
    total = cell.add(cell.row(projected, index), cell.recur(states[0]), "sum")
    return [cell.activate(total, "hidden")]


def _lstm_step(cell, projected, index, states):
    """`c = f * c + i * g`, `h = o * tanh(c)`; the gates lie as i, f, g, o."""
    hidden, carry = states
    total = cell.add(cell.row(projected, index), cell.recur(hidden), "sum")
    gates = cell.activate(cell.units_of(total, 0, 2), "gates", is_gate=True)
    candidate = cell.activate(cell.units_of(total, 2), "candidate")
    output = cell.activate(cell.units_of(total, 3), "output", is_gate=True)
    new = cell.multiply(cell.units_of(gates, 0), candidate, "new")
    kept = cell.multiply(cell.units_of(gates, 1), carry, "kept")
    carry = cell.add(new, kept, "carry")
    return [cell.multiply(output, cell.activate(carry, "squashed"), "hidden"), carry]


def _gru_step(cell, projected, index, states):
    """`h = g + z * (h - g)`; the gates lie as z, r, g."""
    (hidden,), units = states, cell.units
    gates_in = cell.row(projected, index, 0, 2 * units)
    candidate_in = cell.row(projected, index, 2 * units)
    if cell.layer.reset_after:
        recurrent = cell.recur(hidden)
        gates_of_state = cell.units_of(recurrent, 0, 2)
    else:
        gates_of_state = cell.recur(hidden, 0, 2 * units, "recurrent_gates")
    total = cell.add(gates_in, gates_of_state, "sum")
    gates = cell.activate(total, "gates", is_gate=True)
    reset = cell.units_of(gates, 1)
    if cell.layer.reset_after:
        recalled = cell.multiply(reset, cell.units_of(recurrent, 2), "recalled")
    else:
        kept = cell.multiply(reset, hidden, "kept")
        recalled = cell.recur(kept, 2 * units, None, "recurrent_candidate")
    total = cell.add(candidate_in, recalled, "candidate_sum")
    candidate = cell.activate(total, "candidate")
    change = cell.subtract(hidden, candidate, "change")
    change = cell.multiply(cell.units_of(gates, 0), change, "update")
    return [cell.add(candidate, change, "hidden")]


# How a step goes, how many times its units are projected, and how many states it has.
_STEPS = {
    layers.SimpleRNN: (_simple_step, 1, 1),
    layers.GRU: (_gru_step, 3, 1),
    layers.LSTM: (_lstm_step, 4, 2),
}
