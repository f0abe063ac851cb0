"""The delegate in the runtimes that it is for."""

import threading

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import interpreter as litert

from tests.custom_ops import models
from tests.custom_ops.networks import images, network
from tests.custom_ops.running import open_file, predict
from tfq_lowbit.native import delegate_path, load_delegate

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated"),
    pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors"),
]

RUNTIMES = {
    "LiteRT": (litert.Interpreter, litert.load_delegate, litert.OpResolverType),
    "TensorFlow": (
        tf.lite.Interpreter,
        tf.lite.experimental.load_delegate,
        tf.lite.experimental.OpResolverType,
    ),
}
# AUTO and BUILTIN put XNNPACK to the operators that the delegate leaves.
RESOLVERS = ("AUTO", "BUILTIN", "BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES")


@pytest.fixture(scope="module")
def net():
    return network()


@pytest.mark.parametrize("resolver", RESOLVERS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_runtime_and_resolver_computes_the_reference_at_every_size(runtime, resolver, net):
    interpreter_class, load, resolvers = RUNTIMES[runtime]
    interpreter = interpreter_class(
        model_content=net.content,
        experimental_delegates=[load(delegate_path())],
        experimental_op_resolver_type=resolvers[resolver],
    )
    for count in (1, 3, 2, 1):
        values = images(count, seed=count)
        np.testing.assert_array_equal(predict(interpreter, values), net.expected(values)[0])


@pytest.mark.parametrize("resolver", RESOLVERS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_tensors_between_its_operators_stay_the_runtimes_own(runtime, resolver, net):
    interpreter_class, load, resolvers = RUNTIMES[runtime]
    interpreter = interpreter_class(
        model_content=net.content,
        experimental_delegates=[load(delegate_path())],
        experimental_op_resolver_type=resolvers[resolver],
        experimental_preserve_all_tensors=True,
    )
    values = images(2)
    output, words = net.expected(values)
    np.testing.assert_array_equal(predict(interpreter, values), output)
    np.testing.assert_array_equal(interpreter.get_tensor(net.pooled), words)


def test_without_the_delegate_the_file_does_not_run(net):
    interpreter = litert.Interpreter(model_content=net.content)
    with pytest.raises(RuntimeError, match="unresolved custom op: TfqBitpack"):
        interpreter.allocate_tensors()


def test_one_delegate_serves_several_interpreters_in_threads_at_once(net):
    delegate = load_delegate(num_threads=2)
    results = {}

    def work(seed):
        interpreter = open_file(net.content, delegate=delegate)
        values = images(2, seed)
        first = predict(interpreter, values)
        equal = all(np.array_equal(predict(interpreter, values), first) for _ in range(50))
        results[seed] = equal and np.array_equal(first, net.expected(values)[0])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(4), True)


def thread_count():
    with open("/proc/self/status", encoding="utf-8") as file:
        (line,) = (line for line in file if line.startswith("Threads:"))
    return int(line.split()[1])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_it_has_the_threads_of_its_option_or_else_of_the_interpreter(runtime):
    interpreter_class, load, resolvers = RUNTIMES[runtime]
    content = network(with_relu=False).content
    for options, num_threads, expected in [({}, 1, 1), ({}, 3, 3), ({"threads": 2}, 5, 2)]:
        delegate = load(delegate_path(), options)
        interpreter = interpreter_class(
            model_content=content,
            experimental_delegates=[delegate],
            num_threads=num_threads,
            experimental_op_resolver_type=resolvers["BUILTIN_WITHOUT_DEFAULT_DELEGATES"],
        )
        before = thread_count()
        interpreter.allocate_tensors()
        assert thread_count() - before == expected - 1
        del interpreter, delegate
        assert thread_count() <= before


def test_a_malformed_file_gives_the_operator_and_the_reason():
    content = models.one_operator(
        "TfqBconv2d",
        ((1, 4, 4, 1), np.int32),
        [np.zeros((8, 4), np.uint8), np.zeros(8, np.int32), np.zeros(1, np.int32)],
        ((1, 4, 4, 1), np.int32),
        {**models.BCONV2D, "version": 7, "channels_in": 32},
    )
    interpreter = open_file(content)
    wanted = r"TfqBconv2d: version 7 is not known \(this library knows 1\)\. Node number 1"
    with pytest.raises(RuntimeError, match=wanted):
        interpreter.allocate_tensors()


def test_a_size_that_does_not_fit_is_an_error_and_the_next_one_runs(net):
    interpreter = open_file(net.content)
    values = images(1)
    index = interpreter.get_input_details()[0]["index"]
    expected = predict(interpreter, values)
    interpreter.resize_tensor_input(index, (1, 9, 9, 41))
    with pytest.raises(RuntimeError, match=r"TfqBitpack: the threshold must have the shape \(41\)"):
        interpreter.allocate_tensors()
    np.testing.assert_array_equal(predict(interpreter, values), expected)
