"""The walk from Keras layers to integer operators."""

from collections import Counter

import keras
import numpy as np

from tfq_lowbit.export.chain import Chain
from tfq_lowbit.export.operators import Dequantize
from tfq_lowbit.export.pending import Pending, PendingCodes, PendingInput, PendingMove
from tfq_lowbit.export.pending_norm import pack_signs
from tfq_lowbit.export.program import Constant, Grid, Tensor
from tfq_lowbit.export.storage import INT8, INT16
from tfq_lowbit.quantizers import MAX_BITS
from tfq_lowbit.quantizers.grid import zero_point_of
from tfq_lowbit.wrappers import QuantizeActivation


def grid_of(quantizer) -> Grid:
    """Return the grid of an activation quantizer, int16 beyond eight bits."""
    step_size = quantizer.encode(np.zeros(1, np.float32)).step_size
    q_min, q_max = int(round(float(quantizer.q_min))), int(round(float(quantizer.q_max)))
    zero_point = int(zero_point_of(q_max))
    storage = INT16 if quantizer.num_bits > MAX_BITS else INT8
    ends = zero_point + q_min, zero_point + q_max
    return Grid(np.float32(step_size), zero_point, *ends, storage)


def _values_of(node):
    """Return the edges that a call computes with: what else a quantizer takes is their origin."""
    return node.data_inputs if isinstance(node.layer, QuantizeActivation) else node.inputs


class Lowering:
    """Walks a graph once; each edge becomes an int8 tensor or a pending value.

    Attributes:
        emitter: adds operators to the program.
        program: what is built.
        values: what each edge became so far.
        uses: how many calls take each edge.
    """

    def __init__(self, graph, emitter):
        self.graph, self.emitter = graph, emitter
        self.program = emitter.program
        self.values = {}
        self.uses = Counter(edge for node in graph.nodes for edge in _values_of(node))

    def run(self, table, output_type):
        """Lower every call by the function that `table` has for its layer's class.

        Returns:
            The program.

        Raises:
            ValueError: naming the layer that cannot be lowered and why.
        """
        for edge in self.graph.input_edges:
            self.program.input_names.append(edge.name)
            if keras.backend.is_float_dtype(edge.dtype):
                self.values[edge] = PendingInput(edge.name, edge.shape)
                self.program.inputs.append(None)
            else:
                self.values[edge] = self.emitter.indices(edge.name, edge.shape)
                self.program.inputs.append(self.values[edge])
        for node in self.graph.nodes:
            if type(node.layer) not in table:
                raise ValueError(
                    f"Layer {node.name!r} ({type(node.layer).__name__}) cannot be exported: no "
                    "integer form of it is known. Leave it out of the exported model, or put it "
                    "together from layers that are known."
                )
            table[type(node.layer)](self, node)
        inputs = zip(self.program.input_names, self.program.inputs, strict=True)
        unused = [name for name, tensor in inputs if tensor is None]
        if unused:
            raise ValueError(
                f"The inputs {', '.join(unused)} do not reach a quantizer. Leave them out of the "
                "exported model."
            )
        for name, edge in named_outputs(self.graph.outputs):
            tensor = self.codes(edge, f"the model output {edge.name!r}")
            if output_type == "float32":
                reals = self.emitter.reals(f"{tensor.name}/values", tensor.shape)
                tensor = self.emitter.add(Dequantize(edge.name, tensor, reals))
            self.program.outputs.append(tensor)
            self.program.output_names.append(name)
        return self.program

    def codes(self, edge, consumer) -> Tensor:
        """Return the int8 tensor of an edge that must be quantized already."""
        value = self.values[edge]
        if isinstance(value, Pending):
            raise ValueError(
                f"The output of layer {value.name!r} is not quantized, but {consumer} reads it in "
                "integers. Put a tfq.QuantizeActivation between them, or use tfq.quantize_model; a "
                "model with quantized weights alone is exported with activations='float' or "
                "'dynamic'."
            )
        return value

    def pending(self, edge, consumer) -> Pending:
        """Return the pending value of an edge that `consumer` alone works on."""
        value = self.values[edge]
        if self.uses[edge] > 1:
            raise ValueError(
                f"The output of layer {value.name!r} has several consumers, and {consumer} reads "
                "it before it is quantized. Put a tfq.QuantizeActivation behind the layer, or use "
                "tfq.quantize_model."
            )
        return value

    def move(self, node, make, move_signs=None):
        """Lower an operator that keeps the grid of its input.

        Args:
            node: the call.
            make: `(source, output) -> operator` on int8 tensors.
            move_signs: of `PendingMove`.
        """
        edge, shape = node.data_inputs[0], node.output.shape
        value = self.values[edge]
        if isinstance(value, Pending):
            before = self.pending(edge, f"layer {node.name!r}")
            self.values[node.output] = PendingMove(node.name, shape, before, make, move_signs)
        else:
            output = self.emitter.tensor(node.name, shape, value.grid)
            self.values[node.output] = self.emitter.add(make(value, output))

    def quantize(self, edge, output, name, quantizer):
        """Put the value of `edge` on the grid of a quantizer, as the tensor of `output`.

        Args:
            edge: what is quantized. Where it has several consumers, all must ask for one grid.
            output: edge that stands for the result, None where none does.
            name: under which `Program.edges` has the tensor.
            quantizer: an activation quantizer.

        Returns:
            The tensor, or the constant that a tensor of weights is.
        """
        value = self.values[edge]
        if isinstance(value, Tensor):
            value = PendingCodes(name, value)
        tensor = value.emit(self.emitter, grid_of(quantizer))
        if not isinstance(tensor, Constant):
            self.program.edges[name] = tensor
        if output is not None:
            self.values[output] = tensor
        return tensor

    def signs(self, edge, name, quantizer):
        """Pack the signs of the value of `edge`, for a binary layer.

        Args:
            edge: what is binarized.
            name: under which `Program.edges` has the tensor.
            quantizer: a binary quantizer.

        Returns:
            The packed tensor.
        """
        value = self.values[edge]
        thresholds = np.asarray(quantizer.thresholds(), np.float32)
        if isinstance(value, Tensor):
            chain = Chain(thresholds.size)
            chain.scale(value.grid.scale, 0.0)
            tensor = pack_signs(self.emitter, value, chain, thresholds)
        else:
            tensor = value.emit_signs(self.emitter, thresholds)
        self.program.edges[name] = tensor
        return tensor


def named_outputs(structure):
    """Yield names and edges of a model's outputs: the keys of a dict, else numbered."""
    if isinstance(structure, dict):
        yield from structure.items()
        return
    for index, edge in enumerate(keras.tree.flatten(structure)):
        yield f"output_{index}", edge
