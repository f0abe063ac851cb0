"""Running files with custom operators in LiteRT."""

import re

import numpy as np
from ai_edge_litert import interpreter as litert

from tfq_lowbit.native import load_delegate


def supported_kernels():
    """The kernels that this processor runs, fastest first: the delegate lists them."""
    try:
        load_delegate(kernel="none of them")
    except ValueError as error:
        (names,) = re.findall("must be one of (.*), which", str(error))
        return names.split(", ")
    raise AssertionError("the delegate took an unknown kernel")


def open_file(content, num_threads=None, kernel=None, delegate=None, **arguments):
    """LiteRT's interpreter with the delegate."""
    delegate = delegate or load_delegate(num_threads, kernel)
    return litert.Interpreter(model_content=content, experimental_delegates=[delegate], **arguments)


def predict(interpreter, *inputs):
    """Resizes where it must, runs, and returns a copy of the first output."""
    details = interpreter.get_input_details()
    for each, values in zip(details, inputs, strict=True):
        if tuple(each["shape"]) != values.shape:
            interpreter.resize_tensor_input(each["index"], values.shape)
    interpreter.allocate_tensors()
    for each, values in zip(details, inputs, strict=True):
        interpreter.set_tensor(each["index"], values)
    interpreter.invoke()
    return np.copy(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
