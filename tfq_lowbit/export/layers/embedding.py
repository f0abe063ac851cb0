"""Lowering of embeddings."""

import numpy as np

from tfq_lowbit.export.pending_embedding import PendingEmbedding, TrainedTable


def lower_embedding(lowering, node):
    """Lower the lookup of rows of a table, whose codes are on the grid of the output."""
    source = lowering.values[node.data_inputs[0]]
    table = np.asarray(node.layer.embeddings, np.float32)
    lowering.values[node.output] = PendingEmbedding(node.name, node.output.shape, source, table)


def lower_quantized_embedding(lowering, node):
    """Lower the lookup of rows of a table that has a quantizer of its own."""
    source, quantizer = lowering.values[node.data_inputs[0]], node.layer.kernel_quantizer
    encoded = quantizer.encode(node.layer.latent_weights)
    trained = TrainedTable(
        quantizer.num_bits, np.array(encoded.codes), np.reshape(encoded.step_size, (-1,))
    )
    table = np.array(quantizer.decode(encoded))
    lowering.values[node.output] = PendingEmbedding(
        node.name, node.output.shape, source, table, trained
    )
