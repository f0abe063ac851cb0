"""The layers that a `call` written in Python calls, found by calling it with symbolic tensors."""

import inspect

import keras

# Keras has other layers too, as LayerScale of ConvNeXt.
OFFERED = {each for each in vars(keras.layers).values() if isinstance(each, type)}
WAY_OUT = (
    "Write its `call` with Keras layers and keras.ops alone, or build the model with the "
    "functional API, keras.Model(inputs, outputs)."
)


def functional_of(model):
    """Return what a model computes in inference as a functional model over the same layers.

    Args:
        model: a functional model, or a subclassed one that was built or called on data.

    Raises:
        ValueError: if the model has never been built, or as `trace_call` raises.
    """
    if (functional := _with_graph(model)) is not None:
        return functional
    return trace_call(model, *_inputs_of(model))


def functional_of_call(layer, args, kwargs):
    """Return what the call of a model, or of a layer of somebody's own, does as `trace_call` does.

    Args:
        layer: any layer.
        args: positional arguments, with KerasTensors.
        kwargs: keyword arguments, likewise.

    Returns:
        A functional model; None for a layer that Keras or this package offers, or one whose `call`
        cannot be traced.

    Raises:
        ValueError: if it is a model, as `trace_call` raises.
    """
    if isinstance(layer, keras.Model):
        functional = _with_graph(layer)
        return trace_call(layer, args, kwargs) if functional is None else functional
    is_ours = type(layer).__module__.split(".")[0] == "tfq_lowbit"
    if type(layer) in OFFERED or is_ours or not isinstance(layer, keras.layers.Layer):
        return None
    try:
        return trace_call(layer, args, kwargs)
    except ValueError:
        return None


def trace_call(layer, args, kwargs):
    """Return what a call does, as a functional model over the layers and operations in it.

    `call` runs once as in inference and once as in training: what it did in training alone would
    be lost.

    Args:
        layer: a Keras layer or model.
        args: positional arguments, with KerasTensors.
        kwargs: keyword arguments, likewise; `training` is not passed on.

    Returns:
        A functional model, whose inputs are the KerasTensors: in the structure of the one argument
        that has any, else in a flat list.

    Raises:
        ValueError: if `call` fails with symbolic tensors, returns something else than tensors, or
            does other things in training than in inference.
    """
    kwargs = {name: value for name, value in kwargs.items() if name != "training"}
    functional = _run(layer, args, kwargs)
    if "training" in inspect.signature(layer.call).parameters:
        in_training = _run(layer, args, {**kwargs, "training": True})
        if _steps(functional) != _steps(in_training):
            raise ValueError(
                f"{_title(layer)} cannot be read: its `call` does other things in training than "
                "in inference, which would be lost. Put what differs into a layer of its own, as "
                "keras.layers.Dropout is one."
            )
    return functional


def _with_graph(model):
    """Return a model with a graph as one of its own, not compiled; None for a subclassed one."""
    if isinstance(model, keras.Sequential) and type(model).call is keras.Sequential.call:
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    try:
        functional = keras.Model(model.input, model.output, name=model.name)
    except (AttributeError, ValueError):
        return None
    # A class may hold a graph of layers and yet have a `call` that does more than run it.
    return functional if type(model).call is type(functional).call else None


def _inputs_of(model):
    """Return symbolic arguments of the shapes that a subclassed model was built with."""
    config = model.get_build_config() or {}
    if config.get("shapes_dict"):
        named = {key.removesuffix("_shape"): each for key, each in config["shapes_dict"].items()}
        return (), {name: keras.Input(shape[1:], name=name) for name, shape in named.items()}
    shapes = config.get("input_shape") or getattr(model, "input_shape", None)
    if shapes is None:
        raise ValueError(
            f"{_title(model)} is not built, so its layers have no shapes. Call it on data once, "
            "or model.build(input_shape)."
        )
    if isinstance(shapes, dict):
        return ({name: keras.Input(shape[1:], name=name) for name, shape in shapes.items()},), {}
    if isinstance(shapes[0], (list, tuple)):
        return (
            [
                keras.Input(shape[1:], name=f"input_{index}")
                for index, shape in enumerate(shapes, start=1)
            ],
        ), {}
    return (keras.Input(shapes[1:], name="input"),), {}


def _run(layer, args, kwargs):
    inputs = [leaf for leaf in keras.tree.flatten((args, kwargs)) if _is_symbolic(leaf)]
    if len(args) == 1 and len(keras.tree.flatten(args)) == len(inputs):
        inputs = args[0]  # in the structure that `call` takes
    try:
        outputs = layer.call(*args, **kwargs)
        return keras.Model(inputs, outputs, name=layer.name)
    except Exception as error:  # whatever somebody else's code raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(
            f"{_title(layer)} cannot be read: its `call` fails with symbolic tensors. {WAY_OUT} "
            f"The reason: {reason}"
        ) from error


def _steps(functional):
    """Return what tells one trace from another: the layers, and the kinds of operations."""
    steps = []
    for each in functional.operations:
        is_own = isinstance(each, keras.layers.Layer) and not _is_input(each)
        steps.append(id(each) if is_own else type(each))
    return steps


def _is_symbolic(leaf):
    return isinstance(leaf, keras.KerasTensor)


def _is_input(layer):
    return isinstance(layer, keras.layers.InputLayer)


def _title(layer):
    kind = "subclassed model" if isinstance(layer, keras.Model) else "layer"
    return f"The {kind} {layer.name!r} ({type(layer).__name__})"
