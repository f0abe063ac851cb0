"""What the settings of a recipe must be."""

import re

from tfq_lowbit.calibration import get_rule
from tfq_lowbit.model.layer_settings import SETTINGS
from tfq_lowbit.quantizers import (
    ACTIVATION_SCHEMES,
    BLOCK_SCHEMES,
    INPUT_SCHEMES,
    KERNEL_SCHEMES,
    WIDE_BITS,
    check_block_size,
    check_num_bits,
    check_weight_bits,
)

MAY_BE_NONE = {"first_last_bits", "activation_bits"}
MAY_BE_WIDE = {"activation_bits", "input_bits", "output_bits"}
WIDTHS = {"weight_bits", "activation_bits", "first_last_bits", "input_bits", "output_bits"}


def check_weight_only(values):
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


def check_blocks(values):
    """Raise a ValueError where a recipe asks for blocks that no kernel has."""
    for where in (values, *(settings for _, settings in values["overrides"])):
        if where.get("block_size") is None:
            continue
        both = {**values, **where}
        if values["activation_bits"] is not None:
            rule = "None beside quantized activations: no integer kernel has blocks"
        elif both["weight_quantizer"] not in BLOCK_SCHEMES:
            rule = f"None for other weight quantizers than {', '.join(BLOCK_SCHEMES)}"
        elif not (both["per_channel"] and both["per_channel_dense"]):
            rule = "None without step sizes by channel: blocks are parts of a channel"
        else:
            continue
        raise ValueError(
            f"Setting `block_size` must be {rule}. Received: block_size={where['block_size']!r}"
        )


def check_wide(values):
    """Raise a ValueError where a recipe of binary layers has 16-bit activations."""
    settings = [values, *(changes for _, changes in values["overrides"])]
    is_wide = any(each.get(name) == WIDE_BITS for each in settings for name in MAY_BE_WIDE)
    if is_wide and any(each.get("input_quantizer") is not None for each in settings):
        raise ValueError(
            "Setting `activation_bits` must be at most 8 in a recipe of binary layers, which take "
            f"the signs of int8 tensors. Received: {WIDE_BITS}"
        )


def checked_override(override, weights):
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
    return pattern, checked_settings(settings, weights)


def checked_settings(values, weights):
    """Return `values` with widths as plain integers, so that they save as JSON.

    Args:
        values: of a recipe or an override.
        weights: `weight_bits` and `weight_quantizer` where `values` do not say.
    """
    values = dict(values)
    for name in (WIDTHS - {"weight_bits"}) & values.keys():
        if name not in MAY_BE_NONE or values[name] is not None:
            values[name] = check_num_bits(values[name], name, wide=name in MAY_BE_WIDE)
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
    if values.get("block_size") is not None:
        values["block_size"] = check_block_size(values["block_size"])
    if values.get("pad_values", 1) not in (0, 1):
        raise ValueError(f"Setting `pad_values` must be 0 or 1. Received: {values['pad_values']!r}")
    for name in ("weight_init", "activation_init"):
        if values.get(name) is not None:
            get_rule(values[name])
    for name in ("per_channel", "per_channel_dense"):
        if not isinstance(values.get(name, True), bool):
            raise ValueError(f"Setting `{name}` must be True or False. Received: {values[name]!r}")
    return values
