"""Recipes: which layer gets which quantizer, as plain data."""

import dataclasses
import json
import re
from collections.abc import Iterable

from tfq_lowbit.model.layer_settings import SETTINGS, LayerSettings
from tfq_lowbit.model.recipe_checks import (
    check_blocks,
    check_weight_only,
    check_wide,
    checked_override,
    checked_settings,
)
from tfq_lowbit.quantizers import WIDE_BITS, binary_scheme


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a model is quantized: plain data that prints, compares and saves as JSON.

    Start from `Recipe.lsq`, `.pact`, `.dorefa`, `.ternary` or `.binary` and refine with `override`.

    Attributes:
        weight_bits: width of kernels, 2 to 8; 1 with a binary weight quantizer.
        activation_bits: width of activations, 2 to 8, or 16 for int16 tensors; None leaves them in
            float (`weight_only`).
        first_last_bits: width of the first and last layers with a kernel, of their weights and,
            unless `activation_bits` is 16, of the tensors that enter them; None treats them as any
            other layer.
        weight_quantizer: "lsq", "affine", "dorefa", "ternary" or "ttq"; of one bit: "ste_sign",
            "xnor", "magnitude_aware", "ir_net" or "ada_bin".
        activation_quantizer: "lsq", "lsq_plus", "affine", "pact" or "dorefa".
        per_channel: one step size for each output channel of a kernel, where the scheme can.
        per_channel_dense: False gives dense layers one step size all the same: the Edge TPU has
            them so, and microcontrollers pack int4 weights of dense layers only so.
        weight_init: "lsq", "mse", "min_max", "percentile", or None for the scheme's own.
        activation_init: likewise.
        input_quantizer: what binarizes the input of layers whose kernel has one bit: "ste_sign",
            "approx_sign", "swish_sign", "ir_net", "r_sign" or "ada_bin"; None leaves them the
            activations' width.
        pad_values: what binary convolutions with SAME padding pad with, 1 or 0.
        input_bits: width of the model's inputs; they are set by minimum and maximum and not
            trained.
        output_bits: width of the model's outputs and of what enters a softmax or another function
            that is more than a clamp (sigmoid, SiLU, leaky ReLU). What a layer with 16-bit
            activations makes has 16 bits, whatever this and `input_bits` say; before a softmax it
            becomes eight.
        block_size: without `activation_bits` alone: a step size for every so many inputs of each
            channel, a multiple of 32. It applies to dense layers and embeddings whose weights have
            at most four bits and whose inputs are whole blocks; others have one for each channel.
        overrides: pairs of a regular expression and the settings it changes; later ones win.

    Raises:
        ValueError: for a width out of range, an unknown scheme or rule.

    Example:
        >>> recipe = Recipe.lsq(weight_bits=4, activation_bits=4).override("dense", weight_bits=8)
        >>> Recipe.from_json(recipe.to_json()) == recipe
        True
    """

    weight_bits: int = 8
    activation_bits: int | None = 8
    first_last_bits: int | None = 8
    weight_quantizer: str = "lsq"
    activation_quantizer: str = "lsq"
    per_channel: bool = True
    per_channel_dense: bool = True
    weight_init: str | None = None
    activation_init: str | None = None
    input_quantizer: str | None = None
    pad_values: int = 1
    input_bits: int = 8
    output_bits: int = 8
    block_size: int | None = None
    overrides: tuple = ()

    def __post_init__(self):
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        weights = {name: values[name] for name in ("weight_bits", "weight_quantizer")}
        values = checked_settings(values, weights)
        values["overrides"] = tuple(checked_override(each, weights) for each in self.overrides)
        if self.activation_bits is None:
            check_weight_only(values)
        check_blocks(values)
        check_wide(values)
        for name, value in values.items():
            object.__setattr__(self, name, value)  # the one way in a frozen dataclass

    @classmethod
    def lsq(cls, weight_bits=4, activation_bits=4, first_last_bits=8, **settings):
        """Learned step sizes for weights and activations (Esser et al., 2020)."""
        return cls._make(weight_bits, activation_bits, first_last_bits, "lsq", "lsq", settings)

    @classmethod
    def pact(cls, weight_bits=4, activation_bits=4, first_last_bits=8, **settings):
        """DoReFa weights, learned clipping values for activations (Choi et al., 2018)."""
        return cls._make(weight_bits, activation_bits, first_last_bits, "dorefa", "pact", settings)

    @classmethod
    def dorefa(cls, weight_bits=4, activation_bits=4, first_last_bits=8, **settings):
        """DoReFa weights, activations clipped to a range set from data (Zhou et al., 2016)."""
        return cls._make(
            weight_bits, activation_bits, first_last_bits, "dorefa", "dorefa", settings
        )

    @classmethod
    def ternary(cls, activation_bits=8, first_last_bits=8, **settings):
        """Ternary weights (Li et al., 2016), learned step sizes for activations.

        `weight_quantizer="ttq"` trains the scale (Zhu et al., 2017).

        First and last layers wider than two bits take LSQ weights.
        """
        weights = settings.pop("weight_quantizer", "ternary")
        return cls._make(2, activation_bits, first_last_bits, weights, "lsq", settings)

    @classmethod
    def binary(
        cls, scheme="bi_real", activation_bits=8, first_last_bits=8, pad_values=1, **settings
    ):
        """Binary weights and inputs, between which the tensors of shortcuts are wider.

        A convolution or dense layer runs on the signs of its inputs and weights; depthwise
        convolutions, and layers that an override gives a wider kernel, take LSQ weights, of 8 bits
        where nothing else is said. The tensors between layers have `activation_bits`, except where
        a sign follows anyway.

        Args:
            scheme: the paper: "ste_sign", "xnor", "bi_real", "ir_net", "ada_bin" or "react_net".
            activation_bits: width of the tensors between layers.
            first_last_bits: see `Recipe`.
            pad_values: see `Recipe`.
            settings: further attributes. `input_quantizer=None, activation_bits=2` gives binary
                weights with inputs of two bits.
        """
        row = binary_scheme(scheme)
        settings = {
            "input_quantizer": row.input_quantizer,
            "pad_values": pad_values,
            **settings,
        }
        return cls._make(1, activation_bits, first_last_bits, row.weight_quantizer, "lsq", settings)

    @classmethod
    def weight_only(cls, weight_bits=8, first_last_bits=None, block_size=None, **settings):
        """Quantized weights, float activations: LSQ weights, calibrated without data.

        Kernels are quantized, and the tables of embeddings, whose rows are their channels.
        `export_tflite` then writes a float file with packed weights (`activations="float"` or
        `"dynamic"`).

        Args:
            weight_bits: see `Recipe`.
            first_last_bits: see `Recipe`.
            block_size: see `Recipe`; `Recipe.weight_only(4, block_size=32)`.
            settings: further attributes.
        """
        settings["block_size"] = block_size
        return cls._make(weight_bits, None, first_last_bits, "lsq", "lsq", settings)

    @property
    def is_weight_only(self) -> bool:
        """Whether activations stay in float."""
        return self.activation_bits is None

    def override(self, pattern, **settings):
        """Return a recipe in which the layers that match `pattern` have other settings.

        Args:
            pattern: regular expression that must match the whole layer path. Overrides are
                applied in order, so later ones win; they also win over `first_last_bits`.
            settings: fields of `LayerSettings`.

        Raises:
            ValueError: for an invalid expression, an unknown setting or a bad value.
        """
        return dataclasses.replace(self, overrides=(*self.overrides, (pattern, settings)))

    def settings(self, path, is_end=False, origin="", is_dense=False) -> LayerSettings:
        """Return the settings of the layer at `path`.

        Args:
            path: path of the layer, `name` or `block/name`.
            is_end: whether it is a first or last layer with a kernel.
            origin: path of the layer that it is a part of, to which overrides apply as well.
            is_dense: whether its kernel is a matrix.
        """
        settings = {name: getattr(self, name) for name in SETTINGS}
        if is_dense:
            settings["per_channel"] = self.per_channel and self.per_channel_dense
        if is_end and self.first_last_bits is not None:
            settings["weight_bits"] = self.first_last_bits
            if not self.is_weight_only and self.activation_bits != WIDE_BITS:
                settings["activation_bits"] = self.first_last_bits
        for pattern, changes in self.overrides:
            if re.fullmatch(pattern, path) or (origin and re.fullmatch(pattern, origin)):
                settings.update(changes)
        return LayerSettings(**settings)

    def overrides_setting(self, setting, path, origin="") -> bool:
        """Return whether an override that matches a layer changes `setting`."""
        return any(
            setting in changes
            and (re.fullmatch(pattern, path) or (origin and re.fullmatch(pattern, origin)))
            for pattern, changes in self.overrides
        )

    def check_overrides(self, paths: Iterable[str]):
        """Raise a ValueError if an override matches none of `paths`."""
        paths = list(paths)
        for pattern, _ in self.overrides:
            if not any(re.fullmatch(pattern, path) for path in paths):
                shown = ", ".join(paths[:8]) + (" ..." if len(paths) > 8 else "")
                raise ValueError(
                    f"The override {pattern!r} matches no layer: the expression must match a whole "
                    f"layer path. The model has the layers {shown}"
                )

    def to_json(self, **options) -> str:
        """Return the recipe as JSON; `options` go to `json.dumps`."""
        return json.dumps(dataclasses.asdict(self), **options)

    @classmethod
    def from_json(cls, text):
        """Build a recipe from `to_json()`.

        Raises:
            ValueError: for an unknown key or a bad value.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"Argument `text` must be JSON, as Recipe.to_json writes it: {error}"
            ) from error
        return cls.from_dict(values)

    @classmethod
    def from_dict(cls, values):
        """Build a recipe from a dict of its attributes.

        Raises:
            ValueError: for an unknown key or a bad value.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(values, dict):
            raise ValueError(
                f"A recipe is a dict with the keys {', '.join(known)}. Received: {values!r}"
            )
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(
                f"A recipe has the keys {', '.join(known)}. Received: {', '.join(unknown)}"
            )
        return cls(**values)

    @classmethod
    def _make(cls, weight_bits, activation_bits, first_last_bits, weights, activations, settings):
        return cls.from_dict(
            {
                "weight_bits": weight_bits,
                "activation_bits": activation_bits,
                "first_last_bits": first_last_bits,
                "weight_quantizer": weights,
                "activation_quantizer": activations,
                **settings,
            }
        )
