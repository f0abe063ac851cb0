"""Lowering of embeddings."""

import numpy as np

from tfq_lowbit.export.pending_embedding import PendingEmbedding


def lower_embedding(lowering, node):
    """Lower the lookup of rows of a table, whose codes are on the grid of the output."""
    source = lowering.values[node.data_inputs[0]]
    table = np.asarray(node.layer.embeddings, np.float32)
    lowering.values[node.output] = PendingEmbedding(node.name, node.output.shape, source, table)
