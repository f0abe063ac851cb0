"""Recipes: which layer gets which quantizer, as plain data."""

import dataclasses
import json
import re
from collections.abc import Iterable

from tfq_lowbit.calibration import get_rule
from tfq_lowbit.quantizers import (
    ACTIVATION_SCHEMES,
    INPUT_SCHEMES,
    KERNEL_SCHEMES,
    binary_scheme,
    check_num_bits,
    check_weight_bits,
)


@dataclasses.dataclass(frozen=True)
class LayerSettings:
    """What a recipe says of one layer.

    Attributes:
        weight_bits: width of the kernel.
        activation_bits: width of the tensors that enter the layer, None for float. A tensor with
            several consumers takes the widest.
        weight_quantizer: scheme of the kernel, a name in `KERNEL_SCHEMES`.
        activation_quantizer: scheme of the tensors that enter the layer.
        per_channel: one step size for each output channel of the kernel.
        weight_init: rule for the kernel's first step size, None for the scheme's own.
        activation_init: rule for the activations' first step size, None for the scheme's own.
        input_quantizer: what binarizes the input right before a kernel of one bit, a name in
            `INPUT_SCHEMES`; None for an ordinary layer, also where its kernel has one bit.
        pad_values: what a binary convolution pads with, 1 or 0.
    """

    weight_bits: int
    activation_bits: int | None
    weight_quantizer: str
    activation_quantizer: str
    per_channel: bool
    weight_init: str | None
    activation_init: str | None
    input_quantizer: str | None
    pad_values: int

    @property
    def is_binary(self):
        """Whether a layer that can be binarized is to run on signs."""
        return self.weight_bits == 1 and self.input_quantizer is not None


SETTINGS = tuple(field.name for field in dataclasses.fields(LayerSettings))
MAY_BE_NONE = {"first_last_bits", "activation_bits"}
WIDTHS = {"weight_bits", "activation_bits", "first_last_bits", "input_bits", "output_bits"}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a model is quantized: plain data that prints, compares and saves as JSON.

    Start from `Recipe.lsq`, `.pact`, `.dorefa`, `.ternary` or `.binary` and refine with `override`.

    Attributes:
        weight_bits: width of kernels, 2 to 8; 1 with a binary weight quantizer.
        activation_bits: width of activations, 2 to 8; None leaves them in float (`weight_only`).
        first_last_bits: width of the first and last layers with a kernel, of their weights and of
            the tensors that enter them; None treats them as any other layer.
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
            that is more than a clamp (sigmoid, SiLU, leaky ReLU).
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
    overrides: tuple = ()

    def __post_init__(self):
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        weights = {name: values[name] for name in ("weight_bits", "weight_quantizer")}
        values = _checked(values, weights)
        values["overrides"] = tuple(_checked_override(each, weights) for each in self.overrides)
        if self.activation_bits is None:
            _check_weight_only(values)
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
    def weight_only(cls, weight_bits=8, first_last_bits=None, **settings):
        """Quantized weights, float activations: LSQ weights, calibrated without data.

        `export_tflite` then writes a float file with packed weights (`activations="float"` or
        `"dynamic"`).
        """
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
            if not self.is_weight_only:
                settings["activation_bits"] = self.first_last_bits
        for pattern, changes in self.overrides:
            if re.fullmatch(pattern, path) or (origin and re.fullmatch(pattern, origin)):
                settings.update(changes)
        return LayerSettings(**settings)

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


def _check_weight_only(values):
    """Raise a ValueError where a recipe without `activation_bits` speaks of activations."""
    if values["input_quantizer"] is not None:
        raise ValueError(
            "Setting `activation_bits` must be a width for binary layers: they take signs. "
            f"Received: activation_bits=None, input_quantizer={values['input_quantizer']!r}"
        )
    for pattern, settings in values["overrides"]:
        if "activation_bits" in settings or "input_quantizer" in settings:
            raise ValueError(
                "A recipe with activation_bits=None leaves all activations in float. Received: "
                f"an override of {pattern!r} with {settings!r}"
            )


def _checked_override(override, weights):
    """Return the pair of an expression and its settings, checked."""
    try:
        pattern, settings = override
        settings = dict(settings)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "Setting `overrides` must hold pairs of a regular expression and a dict of settings. "
            f"Received: {override!r}"
        ) from error
    try:
        if not isinstance(pattern, str):
            raise TypeError("it is no string")
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(
            f"Argument `pattern` must be a regular expression ({error}). "
            f"Received: pattern={pattern!r}"
        ) from error
    if settings.get("activation_bits", 0) is None:
        raise ValueError(
            "Setting `activation_bits` can be None for a whole recipe only (Recipe.weight_only). "
            f"Received: an override of {pattern!r} with activation_bits=None"
        )
    unknown = sorted(set(settings) - set(SETTINGS))
    if unknown or not settings:
        raise ValueError(
            f"An override takes the settings {', '.join(SETTINGS)}. "
            f"Received: {', '.join(unknown) or 'none'}"
        )
    return pattern, _checked(settings, weights)


def _checked(values, weights):
    """Return `values` with widths as plain integers, so that they save as JSON.

    Args:
        values: of a recipe or an override.
        weights: `weight_bits` and `weight_quantizer` where `values` do not say.
    """
    values = dict(values)
    for name in (WIDTHS - {"weight_bits"}) & values.keys():
        if name not in MAY_BE_NONE or values[name] is not None:
            values[name] = check_num_bits(values[name], name)
    schemes: dict[str, dict] = {
        "weight_quantizer": KERNEL_SCHEMES,
        "activation_quantizer": ACTIVATION_SCHEMES,
        "input_quantizer": {None: None, **INPUT_SCHEMES},
    }
    for name, table in schemes.items():
        if name in values and values[name] not in table:
            names = ", ".join(repr(key) for key in sorted(table, key=str))
            raise ValueError(f"Setting `{name}` must be one of {names}. Received: {values[name]!r}")
    if {"weight_bits", "weight_quantizer"} & values.keys():
        both = {**weights, **values}
        num_bits = check_weight_bits(both["weight_bits"], both["weight_quantizer"])
        if "weight_bits" in values:
            values["weight_bits"] = num_bits
    if values.get("pad_values", 1) not in (0, 1):
        raise ValueError(f"Setting `pad_values` must be 0 or 1. Received: {values['pad_values']!r}")
    for name in ("weight_init", "activation_init"):
        if values.get(name) is not None:
            get_rule(values[name])
    for name in ("per_channel", "per_channel_dense"):
        if not isinstance(values.get(name, True), bool):
            raise ValueError(f"Setting `{name}` must be True or False. Received: {values[name]!r}")
    return values
