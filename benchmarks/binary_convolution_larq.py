"""The Larq Compute Engine's side of `benchmarks.binary_convolution`, in an environment of its own.

    python -m venv peer && peer/bin/pip install larq larq-compute-engine==0.16.0 \\
        "tensorflow==2.16.*" "tf_keras==2.16.*" "numpy<2"
    python -m benchmarks.binary_convolution --larq peer/bin/python

It waits for lines of JSON, each a convolution and a number of rounds, and answers each with the
median milliseconds of an invocation: so the two processes measure in turns. The file is cut behind
its LceQuantize, so that it takes packed bits as ours does; its output is float32. The kernel is the
engine's fastest on x86, `use_indirect_bgemm`. Its interpreter copies input and output in each call,
which cannot be taken out of the time.
"""

import json
import os
import statistics
import sys
import time

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

NUM_WARM_UPS = 10


def convert(size, channels, kernel):
    """Return the .tflite bytes of one binary convolution that takes packed bits."""
    import flatbuffers
    import larq
    import larq_compute_engine as lce
    import tf_keras
    from tensorflow.lite.python import schema_py_generated as schema

    inputs = tf_keras.Input((size, size, channels), batch_size=1)
    outputs = larq.layers.QuantConv2D(
        channels,
        kernel,
        padding="same",
        pad_values=1.0,
        input_quantizer="ste_sign",
        kernel_quantizer="ste_sign",
        kernel_constraint="weight_clip",
        use_bias=False,
    )(inputs)
    model = tf_keras.Model(inputs, outputs)
    written = schema.ModelT.InitFromPackedBuf(lce.convert_keras_model(model), 0)
    (subgraph,) = written.subgraphs
    names = [written.operatorCodes[each.opcodeIndex].customCode for each in subgraph.operators]
    if names != [b"LceQuantize", b"LceBconv2d"]:
        raise RuntimeError(f"The engine converted one convolution to {names}.")
    subgraph.inputs = [subgraph.operators[0].outputs[0]]
    subgraph.operators = subgraph.operators[1:]
    builder = flatbuffers.Builder(1024)
    builder.Finish(written.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def start(content):
    """Return a function that invokes the engine once."""
    import numpy as np
    from larq_compute_engine.tflite.python import interpreter_wrapper_lite

    arguments = dict(
        num_threads=1, use_reference_bconv=False, use_indirect_bgemm=True, use_xnnpack=False
    )
    interpreter = interpreter_wrapper_lite.LiteInterpreter(content, *arguments.values())
    (shape,) = interpreter.input_shapes
    words = np.random.default_rng(0).integers(-(2**31), 2**31, shape, np.int64).astype(np.int32)
    return lambda: interpreter.predict([words])


def median_milliseconds(invoke, rounds):
    """Return the median time of `rounds` invocations."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        invoke()
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times)


def main():
    """Answer one line of JSON after the other."""
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print to it
    invokes = {}
    for line in sys.stdin:
        asked = json.loads(line)
        key = asked["size"], asked["channels"], asked["kernel"]
        if key not in invokes:
            invokes[key] = start(convert(*key))
            median_milliseconds(invokes[key], NUM_WARM_UPS)
        milliseconds = median_milliseconds(invokes[key], asked["rounds"])
        print(json.dumps(milliseconds), file=answers, flush=True)


if __name__ == "__main__":
    main()
