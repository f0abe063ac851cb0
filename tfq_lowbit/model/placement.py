"""Where quantizers go: one for each tensor that an integer kernel reads or writes."""

from dataclasses import dataclass, replace
from itertools import permutations

import keras

from tfq_lowbit.model.activations import activation_name, clamp_of
from tfq_lowbit.model.conversions import Conversions
from tfq_lowbit.model.decomposition import decompose_layers
from tfq_lowbit.model.functions import Sign, require_function
from tfq_lowbit.model.graph import Edge, Graph, Node, find_ends
from tfq_lowbit.model.islands import Islands
from tfq_lowbit.model.recipe import LayerSettings, Recipe
from tfq_lowbit.model.rules import Role, find_rule, is_no_op
from tfq_lowbit.model.sign_paths import find_sign_paths, is_function_of_accumulator
from tfq_lowbit.model.splitting import split_calls
from tfq_lowbit.quantizers import MAX_BITS, WIDE_BITS, UniformAffine, activation_quantizer
from tfq_lowbit.wrappers import MatMul, RPReLU, can_be_binary, channel_shape

SOFTMAX_STEP = 1.0 / 256.0
# Of functions whose step is fixed, between -1 and 1.
WIDE_STEP = 2.0**-15
PASSING = (Role.ACTIVATION, Role.AVERAGE_POOL, Role.MAX_POOL, Role.SHAPE)


@dataclass
class Placement:
    """The decisions for one model: what `quantize_model` builds from.

    Attributes:
        graph: graph of the float model.
        recipe: the recipe.
        on_unsupported: "error", or "float" for layers that cannot be quantized to stay in float.
        roles: role of each call.
        settings: settings of each call.
        on_grid: edges whose values lie on a grid without a quantizer of their own, because their
            producer keeps the grid of its input.
        wide: edges of 16 bits.
        only_signs: edges between a kernel and a binary layer, which takes the sign of the kernel's
            accumulator: they need no grid.
    """

    graph: Graph
    recipe: Recipe
    on_unsupported: str = "error"

    def __post_init__(self):
        if self.on_unsupported == "float":
            islands = Islands()
            decompose_layers(self.graph, islands.isolate)
            islands.isolate_all(self.graph)
        else:
            decompose_layers(self.graph)
        split_calls(self.graph)
        self.roles = {node: self._find_role(node) for node in self.graph.nodes}
        self.recipe.check_overrides(
            path for node in self.graph.nodes for path in (node.path, node.origin) if path
        )
        self.settings = _resolve_settings(self.graph, self.recipe, self.roles)
        self.wide = Conversions(self.graph, self.roles, self.settings, self.recipe.input_bits).wide
        self._uses: dict[Edge, list[Node]] = {}
        for node in self.graph.nodes:
            # A tensor of weights reads no values.
            for edge in node.inputs if self.roles[node] is not Role.WEIGHT else ():
                self._uses.setdefault(edge, []).append(node)
        self._producers = {
            edge: node for node in self.graph.nodes for edge in keras.tree.flatten(node.outputs)
        }
        self._leaders: dict[str, Edge] = {}
        self._group_bits: dict[str, int] = {}
        self.only_signs = find_sign_paths(self)
        self.on_grid: set[Edge] = set()
        self.quantized: set[Edge] = set()
        for edge in self.graph.input_edges:
            self._check_input(edge)
            if keras.backend.is_float_dtype(edge.dtype):
                self._place(edge)
        for node in self.graph.nodes:
            self._check_call(node)
            if self._keeps_grid(node):
                self.on_grid.add(node.output)
            else:
                self._place(node.output)

    def consumers(self, edge: Edge) -> list[Node]:
        """Return the calls that take `edge`."""
        return self._uses.get(edge, [])

    def producer(self, edge: Edge) -> Node | None:
        """Return the call that makes `edge`, None for an input."""
        return self._producers.get(edge)

    def is_binary(self, node: Node) -> bool:
        """Return whether a call runs on the signs of its input and kernel."""
        return self.roles[node] is Role.KERNEL and self.settings[node].is_binary

    def folds(self, node: Node) -> bool:
        """Return whether a batch normalization folds into the kernel before it."""
        return self.is_pending(node.data_inputs[0])

    def is_pending(self, edge: Edge) -> bool:
        """Return whether an edge is on no grid: its consumer works on it before a quantizer."""
        return edge not in self.quantized and edge not in self.on_grid

    def quantizer(self, edge: Edge):
        """Build the quantizer of an edge in `quantized`."""
        edge = self._leader(edge)
        producer = self._producers.get(edge)
        role = self._role_before(edge)
        if self.fixed_step(edge) is not None:
            is_signed = edge in self.wide or not self._is_nonnegative(edge)
            return UniformAffine(self._bits_of_type(edge), signed=is_signed, init="min_max")
        if producer is None or role is Role.RESCALING or self._is_raw_input(edge):
            is_rescaled = role is Role.RESCALING
            unit = producer.layer.offset or None if producer and is_rescaled else None
            asked = max(self._bits(edge), self.recipe.input_bits)
            bits = WIDE_BITS if edge in self.wide else min(asked, MAX_BITS)
            signed = self._is_right_operand(edge) or None
            return UniformAffine(bits, signed=signed, init="min_max", unit=unit)
        settings = self.settings[producer]
        consumers = [node for node in self.consumers(edge) if node in self.settings]
        scheme, init = settings.activation_quantizer, settings.activation_init
        if consumers:
            scheme = self.settings[consumers[0]].activation_quantizer
            init = self.settings[consumers[0]].activation_init
        is_right = self._is_right_operand(edge)
        scheme = "lsq" if is_right and scheme == "lsq_plus" else scheme  # without an offset
        signed = is_right or not self._is_nonnegative(edge)
        is_skewed = signed and not is_right and self._is_skewed(edge)
        if role is Role.FLOAT and not is_right:
            signed = None  # as the data say
        return activation_quantizer(scheme, self._bits(edge), signed, init, is_skewed)

    def fixed_step(self, edge: Edge) -> float | None:
        """Return the step of an edge whose grid the runtime fixes, None for another."""
        return self._fixed_step(self._leader(edge))

    def _fixed_step(self, edge):
        role = self._role_before(edge)
        if role is Role.SOFTMAX:
            return SOFTMAX_STEP
        # The right side of a product needs code 0 for 0: a table on a grid of its own.
        if role is not Role.FUNCTION or self._is_right_operand(edge):
            return None
        step = self._function_before(edge).step
        return step if step is None or edge not in self.wide else WIDE_STEP

    def _leader(self, edge):
        """Return the edge whose grid all edges of a group have, `edge` itself where it has none."""
        if not edge.group:
            return edge
        if edge.group not in self._leaders:
            group = [made for made in self._producers if made.group == edge.group]
            fixed = [made for made in group if self._fixed_step(made) is not None]
            # The first edges of a group may be zeros, of which nothing can be learned.
            self._leaders[edge.group] = [*group, *fixed[:1]][-1]
        return self._leaders[edge.group]

    def _function_before(self, edge):
        return require_function(self._producers[edge].layer)

    def _find_role(self, node):
        """Return the role of a call: a Rescaling right behind an input changes its unit."""
        role = find_rule(node.layer).role
        if role is not Role.RESCALING:
            return role
        taken, (edge,) = node, node.data_inputs
        while self.graph.is_only_for(edge, taken):
            producer = self.graph.producer(edge)
            if producer is None:
                return Role.RESCALING if node.layer.scale > 0 else Role.FUNCTION
            if not is_no_op(producer.layer):
                break
            taken, (edge,) = producer, producer.data_inputs
        return Role.FUNCTION

    def _is_raw_input(self, edge):
        """Whether an edge is a model input, or what layers that do nothing make of one."""
        node = self._producers.get(edge)
        if node is None:
            return True
        taken = node.data_inputs[0]
        return is_no_op(node.layer) and taken not in self.quantized and self._is_raw_input(taken)

    def _is_right_operand(self, edge):
        """Whether a product takes an edge, or its codes moved, as its right side: 0 is code 0."""
        for node in self.consumers(edge):
            if isinstance(node.layer, MatMul) and node.data_inputs[1] is edge:
                return True
            if self.roles[node] in PASSING and self._is_right_operand(node.output):
                return True
        return False

    def _role_before(self, edge):
        """Return the role of the call that makes an edge, None for an input."""
        producer = self._producers.get(edge)
        return None if producer is None else self.roles[producer]

    def _place(self, edge):
        if not self._is_absorbed(edge):
            self.quantized.add(edge)

    def _keeps_grid(self, node):
        """Whether the output of `node` lies on the grid of its input, or one made from it."""
        if self.roles[node] is Role.WIDEN:
            return True
        if self.roles[node] not in PASSING:
            return False
        return any(edge in self.quantized or edge in self.on_grid for edge in node.data_inputs)

    def _is_absorbed(self, edge):
        """Whether the only consumer of a raw tensor works on it before it is quantized."""
        consumers = self.consumers(edge)
        if len(consumers) != 1 or edge in self.graph.output_edges:
            return False
        if edge in self.only_signs:
            return True
        producer, after = self._producers.get(edge), self.roles[consumers[0]]
        if producer is None or self._is_raw_input(edge):
            return after is Role.RESCALING or is_no_op(consumers[0].layer)
        before = self.roles[producer]
        if self.is_binary(consumers[0]):
            # The signs of a normalized integer are a threshold on it.
            return before is Role.BATCH_NORM and not self.folds(producer)
        if before is Role.RESCALING or self.fixed_step(edge) is not None:
            return False
        if after is Role.BATCH_NORM:
            return self._folds_behind(producer)
        return after in (Role.ACTIVATION, Role.MAX_POOL, Role.CONCATENATE)

    def _folds_behind(self, node):
        """Whether a batch normalization folds into what `node` computes."""
        if self.roles[node] is Role.ACTIVATION:
            # The bounds of a binary layer apply to its accumulator, before scale and shift.
            before = self._producers.get(node.data_inputs[0])
            return before is not None and is_function_of_accumulator(self, before)
        if self.roles[node] is not Role.KERNEL:
            return False
        if channel_shape(node.layer) != node.output.shape[-1:]:
            return False  # the channels are several axes, of which it takes the last
        return activation_name(node.layer) == "linear" or is_function_of_accumulator(self, node)

    def _bits_of_type(self, edge):
        return WIDE_BITS if edge in self.wide else MAX_BITS

    def _bits(self, edge):
        """The widest that any consumer asks for, of an edge or of its group, within its type."""
        if edge in self.wide:
            return WIDE_BITS
        if not edge.group:
            return self._asked_bits(edge)
        if edge.group not in self._group_bits:
            self._group_bits[edge.group] = 0  # what a member that leads back to its group adds
            group = [made for made in self._producers if made.group == edge.group]
            self._group_bits[edge.group] = max(map(self._asked_bits, group))
        return self._group_bits[edge.group]

    def _asked_bits(self, edge):
        """The widest that a consumer asks for, up to 8."""
        bits = [self.recipe.output_bits] if edge in self.graph.output_edges else []
        for node in self.consumers(edge):
            role = self.roles[node]
            is_function = role is Role.FUNCTION and not isinstance(node.layer, RPReLU)
            if is_function or role in (Role.SOFTMAX, Role.FLOAT):
                bits.append(self.recipe.output_bits)
            elif role in PASSING or role is Role.RESCALING or self._takes_raw(node, edge):
                bits.append(self._bits(node.output))
            else:
                bits.append(self.settings[node].activation_bits or MAX_BITS)
        return min(max(bits, default=self.recipe.activation_bits or MAX_BITS), MAX_BITS)

    def _takes_raw(self, node, edge):
        return edge not in self.quantized and self.roles[node] in (
            Role.BATCH_NORM,
            Role.CONCATENATE,
        )

    def _is_nonnegative(self, edge):
        node = self._producers.get(edge)
        if node is None:
            return False
        role = self.roles[node]
        if role is Role.SOFTMAX:
            return True
        if role is Role.FUNCTION and isinstance(node.layer, keras.layers.Rescaling):
            keeps_sign = node.layer.scale > 0 and node.layer.offset >= 0
            return keeps_sign and self._is_nonnegative(node.data_inputs[0])
        if role is Role.FUNCTION:
            return require_function(node.layer).sign is Sign.NONNEGATIVE
        if type(node.layer) is keras.layers.Subtract or role in (Role.EMBEDDING, Role.WEIGHT):
            return False
        if type(node.layer) is keras.layers.Multiply and len(set(node.data_inputs)) == 1:
            return len(node.data_inputs) == 2  # a square
        if role in (Role.ACTIVATION, Role.KERNEL) and clamp_of(node.layer).lower == 0.0:
            return True
        if role in (Role.KERNEL, Role.BATCH_NORM, Role.RESCALING, Role.FLOAT):
            return False
        return all(self._is_nonnegative(taken) for taken in node.data_inputs)

    def _is_skewed(self, edge):
        """Whether a grid around 0 would waste half of its codes: behind SiLU, GELU and the like."""
        node = self._producers.get(edge)
        if node is None:
            return False
        if self.roles[node] is Role.FUNCTION:
            return require_function(node.layer).sign is Sign.SKEWED
        if type(node.layer) is keras.layers.Multiply:
            # x * sigmoid(x), and x * hard_sigmoid(x).
            return any(self._is_gate(*pair) for pair in permutations(node.data_inputs))
        if self.roles[node] in (*PASSING, Role.CONCATENATE, Role.NARROW):
            return any(self._is_skewed(taken) for taken in node.data_inputs)
        return False

    def _is_gate(self, x, factor):
        """Whether `factor` is a function of `x` that is at least 0."""
        node = self._producers.get(factor)
        if node is None or self.roles[node] is not Role.FUNCTION:
            return False
        return node.data_inputs == [x] and self._is_nonnegative(factor)

    def _check_input(self, edge):
        is_index = all(self.roles[node] is Role.EMBEDDING for node in self.consumers(edge))
        if not keras.backend.is_float_dtype(edge.dtype) and not (
            keras.backend.is_int_dtype(edge.dtype) and is_index
        ):
            raise ValueError(
                f"Input {edge.name!r} must be of a float type: its grid is found from data. "
                f"Received: dtype={edge.dtype!r}. Cast in the data pipeline, or give it to an "
                "Embedding alone."
            )

    def _check_call(self, node):
        if node.kwargs.get("training"):
            raise ValueError(
                f"Layer {node.layer.name!r} ({type(node.layer).__name__}) cannot be quantized: it "
                "is called with training=True, so that it would train in inference too. Leave "
                "`training` to Keras."
            )


_PRECISE: dict = {
    **{"weight_bits": MAX_BITS, "activation_bits": MAX_BITS, "input_quantizer": None},
    **{"weight_quantizer": "lsq", "activation_quantizer": "lsq", "per_channel": True},
    **{"weight_init": None, "activation_init": "min_max"},
}


def _resolve_settings(graph, recipe, roles) -> dict[Node, LayerSettings]:
    kernels = [node for node in graph.nodes if roles[node] is Role.KERNEL and not node.is_precise]
    # A shared layer has one kernel: it is an end where any of its calls is.
    ends = {id(node.layer) for node in find_ends(graph, kernels)}
    settings = {
        node: recipe.settings(
            node.path,
            id(node.layer) in ends,
            node.origin,
            isinstance(node.layer, (keras.layers.Dense, keras.layers.EinsumDense)),
        )
        for node in graph.nodes
    }
    for node in kernels:
        # A depthwise kernel of one bit has too few weights to be of use, and no binary form.
        if settings[node].weight_bits == 1 and not can_be_binary(node.layer):
            settings[node] = replace(settings[node], weight_bits=MAX_BITS)
    precise = {node: replace(settings[node], **_PRECISE) for node in graph.nodes if node.is_precise}
    return settings | precise
