"""Whole models: reading their graph, placing quantizers, calibrating, summing up."""

from tfq_lowbit.model.activations import CLAMPS, Clamp, activation_name, clamp_of, has_softmax
from tfq_lowbit.model.batches import as_batches
from tfq_lowbit.model.calibrate import calibrate
from tfq_lowbit.model.copying import rebuild
from tfq_lowbit.model.functions import function_of, require_function
from tfq_lowbit.model.graph import Edge, Graph, Node, read_graph
from tfq_lowbit.model.layer_settings import LayerSettings
from tfq_lowbit.model.quantize import quantize_model
from tfq_lowbit.model.recipe import Recipe
from tfq_lowbit.model.registration import register_layer
from tfq_lowbit.model.rules import NO_OPS, Role, find_rule, is_no_op
from tfq_lowbit.model.summary import LayerSummary, Summary, summary
from tfq_lowbit.model.weight_only import is_weight_only

__all__ = [
    "CLAMPS",
    "Clamp",
    "Edge",
    "Graph",
    "LayerSettings",
    "LayerSummary",
    "NO_OPS",
    "Node",
    "Recipe",
    "Role",
    "Summary",
    "activation_name",
    "as_batches",
    "calibrate",
    "clamp_of",
    "find_rule",
    "function_of",
    "has_softmax",
    "is_no_op",
    "is_weight_only",
    "quantize_model",
    "read_graph",
    "rebuild",
    "register_layer",
    "require_function",
    "summary",
]
