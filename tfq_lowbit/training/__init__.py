"""Aids for training binary networks: callbacks, a constraint and an optimizer."""

from tfq_lowbit.training.annealing import IRNetAnnealing
from tfq_lowbit.training.binary_layers import binary_layers
from tfq_lowbit.training.bop import Bop
from tfq_lowbit.training.flip_ratio import FlipRatio
from tfq_lowbit.training.starved_weights import StarvedWeights
from tfq_lowbit.training.weight_clip import WeightClip, clip_latent_weights

__all__ = [
    "Bop",
    "FlipRatio",
    "IRNetAnnealing",
    "StarvedWeights",
    "WeightClip",
    "binary_layers",
    "clip_latent_weights",
]
