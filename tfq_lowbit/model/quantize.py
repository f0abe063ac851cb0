"""Turn a float model into one that trains with quantized weights and activations."""

import keras

from tfq_lowbit.model.activations import CLAMPS, activation_name, clamp_of
from tfq_lowbit.model.batches import as_batches
from tfq_lowbit.model.calibrate import calibrate_graph
from tfq_lowbit.model.copying import copied, copy_weights, named_config, quantizer_of_weights
from tfq_lowbit.model.graph import Edge, read_graph
from tfq_lowbit.model.origins import Origins
from tfq_lowbit.model.placement import Placement
from tfq_lowbit.model.recipe import Recipe
from tfq_lowbit.model.rules import Role
from tfq_lowbit.model.weight_only import quantize_weights
from tfq_lowbit.quantizers import check_num_bits, input_quantizer
from tfq_lowbit.wrappers import (
    BinaryWrapper,
    ChannelScale,
    FoldedBatchNormalization,
    QuantizeActivation,
    QuantizedAveragePooling2D,
    QuantizedResizing,
    QuantizeEmbedding,
    QuantizeWrapper,
    SnapToGrid,
)


def quantize_model(model, recipe, calibration_data=None, on_unsupported="error"):
    """Return a copy of a float model with quantizers, its weights and step sizes set.

    Kernels are quantized by wrappers that keep the layer's name; every tensor that an integer
    kernel would read or write gets one `QuantizeActivation`, which all its consumers share. The
    result is a plain functional model: compile it, fit it, save it. The float model stays as it is.

    Args:
        model: a built Sequential or functional model.
        recipe: a `Recipe`. `Recipe.weight_only` quantizes kernels alone and takes no data.
        calibration_data: inputs (an array, a list or dict of arrays, or a dataset of batches)
            from which the step sizes of activations start; 100 to 500 samples are plenty. None
            leaves them to `calibrate` or to the first training batch.
        on_unsupported: what becomes of a layer that has no integer form: "error" refuses it,
            "float" leaves it in float (see `FloatIsland`), between a DEQUANTIZE and a QUANTIZE;
            `summary` and the report of the export list it with the reason.

    Returns:
        A functional `keras.Model`, not compiled, with the inputs and outputs of `model`. Layers of
        nested models stand in it side by side, under names as "backbone_conv".

    Raises:
        TypeError: if `model` or `recipe` is of the wrong class.
        ValueError: if the model is unbuilt or subclassed, a layer cannot be quantized (named with
            class and reason), an override matches nothing, or the data do not fit.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> qmodel = quantize_model(model, Recipe.lsq(), keras.random.normal((8, 4)))
        >>> [layer.name for layer in qmodel.layers][1:]  # doctest: +ELLIPSIS
        ['..._quantizer', 'dense...', 'dense..._quantizer']
    """
    if not isinstance(recipe, Recipe):
        raise TypeError(
            "Argument `recipe` must be a tfq_lowbit.Recipe, as Recipe.lsq(weight_bits=4). "
            f"Received: {type(recipe).__name__}"
        )
    if on_unsupported not in ("error", "float"):
        raise ValueError(
            "Argument `on_unsupported` must be 'error' or 'float'. Received: "
            f"on_unsupported={on_unsupported!r}"
        )
    graph = read_graph(model)
    if recipe.is_weight_only:
        return quantize_weights(graph, recipe)
    placement = Placement(graph, recipe, on_unsupported)
    if calibration_data is not None:
        calibration_data = list(as_batches(graph, calibration_data, "calibration_data"))
    quantized = _Builder(placement).build()
    if calibration_data is not None:
        calibrate_graph(read_graph(quantized), calibration_data)
    return quantized


class _Builder:
    """Builds the quantized model, one call of the float model after the other."""

    def __init__(self, placement):
        self.placement = placement
        self.graph = placement.graph
        self.tensors = {}  # edge -> Keras tensor
        self.grids = {}  # edge -> Keras tensor of shape (3,)
        self.scales = {}  # edge -> Keras tensor of shape (2, channels), of its accumulator
        self.origins = Origins(placement)
        self.shared_quantizers = {}  # group of edges -> its layer
        self.copies = {}  # id of a float layer -> its copy

    def build(self):
        inputs = keras.tree.map_structure(self._input, self.graph.inputs)
        for edge in self.graph.input_edges:
            if edge in self.placement.quantized:
                self._quantize(edge)
        for node in self.graph.nodes:
            _BUILDERS.get(self.placement.roles[node], _Builder._plain)(self, node)
            if node.output in self.placement.quantized:
                self._quantize(node.output)
        outputs = keras.tree.map_structure(lambda edge: self.tensors[edge], self.graph.outputs)
        model = keras.Model(inputs, outputs, name=self.graph.name)
        self._copy_weights()
        return model

    def _input(self, edge):
        tensor = keras.Input(batch_shape=edge.shape, dtype=edge.dtype, name=edge.name)
        self.tensors[edge] = tensor
        return tensor

    def _quantize(self, edge: Edge, suffix="_quantizer"):
        step = self.placement.fixed_step(edge)
        layer = self.shared_quantizers.get(edge.group)
        if layer is None:
            layer = QuantizeActivation(
                self.placement.quantizer(edge),
                return_grid=bool(edge.group or self.placement.consumers(edge)),
                only_in_evaluation=step is not None,
                name=edge.name.replace("/", "_") + suffix,
            )
            if edge.group:
                self.shared_quantizers[edge.group] = layer
        outputs = layer(self.tensors[edge], origin=self.origins.describe(edge, self))
        if layer.return_grid:
            self.tensors[edge], self.grids[edge] = outputs
        else:
            self.tensors[edge] = outputs
        if step is not None:
            bounds = layer.quantizer.q_min, layer.quantizer.q_max
            layer.quantizer.initialize([step * bound for bound in bounds])

    def _summed(self, edge):
        """Return the operands of the sum that an edge is, or rectifies; nothing for other edges."""
        node = self.placement.producer(edge)
        while node is not None and self.placement.roles[node] is Role.ACTIVATION:
            if clamp_of(node.layer).upper is not None:
                return {}
            node = self.placement.producer(node.data_inputs[0])
        signs = {keras.layers.Add: 1, keras.layers.Subtract: -1}
        if node is None or type(node.layer) not in signs or len(node.data_inputs) != 2:
            return {}
        if not all(each in self.grids for each in node.data_inputs):
            return {}
        return {
            "operands": [self.tensors[each] for each in node.data_inputs],
            "operand_grids": [self.grids[each] for each in node.data_inputs],
            "operand_sign": signs[type(node.layer)],
        }

    # One method a role.

    def _kernel(self, node):
        if self.placement.is_binary(node):
            return self._binary_kernel(node)
        edge, settings = node.data_inputs[0], self.placement.settings[node]
        calls = [call for call in self.graph.nodes if call.layer is node.layer]
        needs_scales = any(self._needs_scales(call.output) for call in calls)

        def wrap(layer):
            return QuantizeWrapper(
                _without_function(layer, node.name),
                quantizer_of_weights(layer, settings),
                return_accumulator_scales=needs_scales,
            )

        wrapper = self._copy(node.layer, wrap)
        outputs = wrapper(self.tensors[edge], input_grid=self.grids[edge])
        self._keep_scales(node, wrapper, outputs)

    def _binary_kernel(self, node):
        settings = self.placement.settings[node]
        wrapper = self._copy(
            node.layer,
            lambda layer: BinaryWrapper(
                _without_function(layer, node.name),
                quantizer_of_weights(layer, settings),
                input_quantizer(settings.input_quantizer),
                settings.pad_values,
            ),
        )
        self.tensors[node.output] = wrapper(self.tensors[node.data_inputs[0]])

    def _embedding(self, node):
        """Add a lookup; a table that an override gives a width has a quantizer of its own."""
        settings, recipe = self.placement.settings[node], self.placement.recipe
        if not recipe.overrides_setting("weight_bits", node.path, node.origin):
            return self._plain(node)
        check_num_bits(settings.weight_bits, f"weight_bits of {node.name}")
        layer = self._copy(
            node.layer,
            lambda layer: QuantizeEmbedding(
                copied(layer, node.name), quantizer_of_weights(layer, settings)
            ),
        )
        self.tensors[node.output] = layer(self.tensors[node.data_inputs[0]])

    def _needs_scales(self, edge):
        """Whether a quantizer or a batch normalization rounds to the unit of the accumulator.

        Where only the sign of the sum is taken none does: on a grid through 0 many sums would be
        0, and Keras, whose convolutions are off by a rounding error, would give them either sign.
        """
        placement = self.placement
        roles = [placement.roles[consumer] for consumer in placement.consumers(edge)]
        has_grid = edge not in placement.quantized and edge not in placement.only_signs
        return edge in self.origins.scaled or (has_grid and Role.BATCH_NORM in roles)

    def _batch_norm(self, node):
        edge = node.data_inputs[0]
        calls = [call for call in self.graph.nodes if call.layer is node.layer]
        needs_scales = any(call.output in self.origins.scaled for call in calls)
        layer = self._copy(node.layer, lambda layer: _folding_layer(layer, node, needs_scales))
        if not self.placement.folds(node):
            context = {"input_grid": self.grids[edge]}
        elif edge in self.scales:
            context = {"accumulator_scales": self.scales[edge]}
        else:  # behind a binary layer, or before a sign: nothing is rounded
            context = {}
        self._keep_scales(node, layer, layer(self.tensors[edge], **context))

    def _keep_scales(self, node, layer, outputs):
        """Take what a layer returned: its output, and the scales of its accumulator if it does."""
        if layer.return_accumulator_scales:
            outputs, self.scales[node.output] = outputs
        self.tensors[node.output] = outputs

    def _average_pool(self, node):
        edge = node.data_inputs[0]
        layer = self._copy(
            node.layer,
            lambda layer: _rounding_layer(layer, node),
        )
        grid = self.grids[edge]
        self.tensors[node.output] = layer(self.tensors[edge], input_grid=grid)
        self.grids[node.output] = grid

    def _widen(self, node):
        edge = node.data_inputs[0]
        outputs = node.layer(self.tensors[edge], input_grid=self.grids[edge])
        self.tensors[node.output], self.grids[node.output] = outputs

    def _activation(self, node):
        self._plain(node)
        grid, clamp = self.grids.get(node.output), clamp_of(node.layer)
        if grid is not None and (clamp.lower or clamp.upper):
            snap = SnapToGrid(name=f"{node.name}_snap")
            self.tensors[node.output] = snap(self.tensors[node.output], input_grid=grid)

    def _plain(self, node):
        layer = self._copy(node.layer, lambda layer: copied(layer, node.name))
        args, kwargs = keras.tree.map_structure(
            lambda leaf: self.tensors[leaf] if isinstance(leaf, Edge) else leaf,
            (node.args, node.kwargs),
        )
        self.tensors[node.output] = layer(*args, **kwargs)
        if node.output in self.placement.on_grid:
            self.grids[node.output] = self.grids[node.data_inputs[0]]

    # Copies.

    def _copy(self, layer, make):
        if id(layer) not in self.copies:
            copy = make(layer)
            copy.trainable = layer.trainable
            self.copies[id(layer)] = layer, copy
        return self.copies[id(layer)][1]

    def _copy_weights(self):
        for layer, copy in self.copies.values():
            copy_weights(layer, copy)


def _rounding_layer(layer, node):
    """Return the layer that averages, or mixes, codes as the integer kernel does."""
    if isinstance(layer, keras.layers.AveragePooling2D):
        return QuantizedAveragePooling2D.from_config(named_config(layer, node.name))
    height, width = node.output.shape[1:3]
    return QuantizedResizing(height, width, name=node.name, dtype=layer.dtype_policy)


def _folding_layer(layer, node, return_accumulator_scales):
    """Return the layer that computes what folds into a kernel."""
    folding = ChannelScale if isinstance(layer, ChannelScale) else FoldedBatchNormalization
    config = named_config(layer, node.name)
    config["return_accumulator_scales"] = return_accumulator_scales
    return folding.from_config(config)


def _without_function(layer, name):
    """Return a copy of a layer; an activation that is no clamp is a call of its own."""
    config = named_config(layer, name)
    if activation_name(layer) not in CLAMPS:
        config["activation"] = "linear"
    return type(layer).from_config(config)


_BUILDERS = {
    Role.KERNEL: _Builder._kernel,
    Role.BATCH_NORM: _Builder._batch_norm,
    Role.EMBEDDING: _Builder._embedding,
    Role.AVERAGE_POOL: _Builder._average_pool,
    Role.ACTIVATION: _Builder._activation,
    Role.WIDEN: _Builder._widen,
}
