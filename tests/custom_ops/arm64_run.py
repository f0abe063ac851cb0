"""Runs the case of arm64_case.py through a delegate and compares bit for bit.

    python tests/custom_ops/arm64_run.py FOLDER LIBRARY KERNEL [KERNEL ...]

needs numpy and ai-edge-litert and nothing else: it runs where only these are, as under emulation.
"""

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType, load_delegate


def run(model, x, library, kernel, threads):
    """Returns the outputs of a model."""
    delegate = load_delegate(library, {"kernel": kernel, "threads": str(threads)})
    interpreter = Interpreter(
        model_content=model,
        experimental_delegates=[delegate],
        # The default delegate, XNNPACK, asks the processor what an emulator does not know.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]


def compare(outputs, expected):
    """Returns how many outputs and values agree; raises AssertionError where one does not."""
    assert len(outputs) == len(expected), f"{len(outputs)} outputs instead of {len(expected)}"
    for index, (output, values) in enumerate(zip(outputs, expected, strict=True)):
        assert output.dtype == values.dtype, f"output {index} is {output.dtype}"
        assert output.shape == values.shape, f"output {index} has the shape {output.shape}"
        wrong = np.count_nonzero(output != values)
        assert wrong == 0, f"{wrong} of {values.size} values of output {index} differ"
    return len(expected), sum(each.size for each in expected)


def main(folder, library, *kernels):
    """Compares every kernel, with one thread and two."""
    model = Path(folder, "model.tflite").read_bytes()
    with np.load(Path(folder, "expected.npz")) as arrays:
        x = arrays["x"]
        expected = [arrays[f"output_{index}"] for index in range(len(arrays) - 1)]
    for kernel in kernels:
        for threads in (1, 2):
            outputs, values = compare(run(model, x, library, kernel, threads), expected)
            print(f"{kernel}, {threads} threads: {values} values of {outputs} outputs agree")


if __name__ == "__main__":
    main(*sys.argv[1:])
