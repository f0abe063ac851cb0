"""`RNN` around cells, as the recurrent layers that have these cells."""

import keras

from tfq_lowbit.model.decompositions.recurrent import sequence_of
from tfq_lowbit.model.refusals import LAYERS_OF_CELLS
from tfq_lowbit.model.rules import refusal

layers = keras.layers


def decompose_cells(parts):
    """Take an `RNN` apart: one recurrent layer for each cell."""
    whole, edge = parts.call.layer, sequence_of(parts)
    if parts.call.kwargs.get("initial_state") is not None or len(parts.call.args) > 1:
        raise refusal(whole, "its initial_state must be None here; use the layer of its cell")
    is_stack = isinstance(whole.cell, layers.StackedRNNCells)
    cells = whole.cell.cells if is_stack else [whole.cell]
    for index, cell in enumerate(cells):
        is_last = index == len(cells) - 1
        edge = parts.add(
            "" if is_last else f"cell_{index}",
            _layer_of(
                cell,
                return_sequences=whole.return_sequences or not is_last,
                go_backwards=whole.go_backwards and index == 0,
            ),
            edge,
            cell.get_weights(),
        )
    return edge


def _layer_of(cell, **fixed):
    config = {name: value for name, value in cell.get_config().items() if name != "seed"}
    return lambda **options: LAYERS_OF_CELLS[type(cell)].from_config(config | fixed | options)
