"""The first promise as assertions: what is shipped computes what was trained."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tests.evaluator import evaluate
from tfq_lowbit.export import KERAS_LITERT, lower, write_tflite
from tfq_lowbit.export.verify import verify_program
from tfq_lowbit.native import load_delegate
from tfq_lowbit.targets import TARGETS

# What Keras and the runtime compute in float differs in last bits: of layers in float, of binary
# layers whose scales fold into one, of layers that were wrapped by hand, whose quantizers do not
# know how their inputs were computed. Values within rounding errors of the middle between two codes
# may then fall to either side.
MIN_EQUAL_FRACTION, FREE_TIES = 0.999, 4
MAX_STEP_DIFFERENCE = 1
# End to end such a tie spreads, and now and then moves the larger of two close scores; among few
# inputs that may be one, whatever the fraction.
MIN_TOP1_AGREEMENT, FREE_TOP1 = 0.995, 1


def run_litert(content, inputs, resolver="AUTO"):
    """Returns the outputs of LiteRT, with its default resolver, at the batch of `inputs`.

    The delegate is loaded for a file with custom operators.
    """
    delegates = [load_delegate()] if b"Tfq" in content else None
    interpreter = Interpreter(
        model_content=content,
        num_threads=1,
        experimental_delegates=delegates,
        experimental_op_resolver_type=OpResolverType[resolver],
    )
    details = interpreter.get_input_details()
    has_fixed_batch = details[0]["shape_signature"][0] == 1
    count = len(inputs[0])
    made = []
    for start in range(count if has_fixed_batch else 1):
        fed = [values[start : start + 1] if has_fixed_batch else values for values in inputs]
        for detail, values in zip(details, fed, strict=True):
            interpreter.resize_tensor_input(detail["index"], values.shape)
        interpreter.allocate_tensors()
        for detail, values in zip(details, fed, strict=True):
            interpreter.set_tensor(detail["index"], values)
        interpreter.invoke()
        outputs = interpreter.get_output_details()
        made.append([interpreter.get_tensor(each["index"]) for each in outputs])
    return [np.concatenate(each) for each in zip(*made, strict=True)]


def as_fed(program, data):
    """Returns `data` as the file takes them: codes for an int8 input."""
    arrays = data if isinstance(data, list) else [data]
    return [
        tensor.grid.encode(values) if tensor.grid else values
        for tensor, values in zip(program.inputs, arrays, strict=True)
    ]


def check_shipped(model, data, num_evaluated=4, **options):
    """Asserts that LiteRT equals the lowered graph, in whole and by layer, and the evaluator.

    Args:
        model: a calibrated model.
        data: an array, or a list of arrays.
        num_evaluated: how many samples the evaluator, which is slow, computes.
        options: of `lower`.

    Returns:
        The `Fidelity`, by layer.
    """
    program = lower(model, **options)
    content = write_tflite(program, TARGETS[program.options["target"]])
    fidelity = verify_program(model, program, content, data, per_layer=True)
    assert fidelity.is_exact, fidelity
    fed = [values[:num_evaluated] for values in as_fed(program, data)]
    for evaluated, run in zip(evaluate(content, fed), run_litert(content, fed), strict=True):
        np.testing.assert_array_equal(evaluated, run)
    return fidelity


def check_trained(fidelity):
    """Asserts that Keras in evaluation computes the codes of the file, in whole and by layer.

    A function that the runtime computes with the system's math library, and Keras with its own, may
    part where a value lies in the middle between two codes.
    """
    layers, outputs = (
        {name: pairs[KERAS_LITERT] for name, pairs in table.items() if KERAS_LITERT in pairs}
        for table in (fidelity.layers, fidelity.outputs)
    )
    assert layers
    parted = {name: each for name, each in layers.items() if not each.is_exact}
    for name, each in parted.items():
        assert each.ties == each.count - each.equal, (name, str(each))
    if parted:
        check_close(fidelity)
    else:
        assert all(each.is_exact for each in outputs.values()), fidelity


def check_close(fidelity):
    """Asserts that Keras in evaluation computes the codes of the file but for ties."""
    for name, pairs in fidelity.layers.items():
        if KERAS_LITERT in pairs:
            agreement = pairs[KERAS_LITERT]
            free = max(FREE_TIES, (1 - MIN_EQUAL_FRACTION) * agreement.count)
            parted = agreement.count - agreement.equal - agreement.ties
            assert parted <= free, (name, str(agreement))
            assert agreement.max_step_difference <= MAX_STEP_DIFFERENCE, (name, str(agreement))
    assert any(KERAS_LITERT in pairs for pairs in fidelity.layers.values())
    for pairs in fidelity.outputs.values():
        agreement = pairs[KERAS_LITERT]
        free = max(FREE_TOP1, (1 - MIN_TOP1_AGREEMENT) * agreement.samples)
        assert agreement.samples - agreement.same_top1 <= free, fidelity


def check_promise(model, data, has_ties=False, **options):
    """Asserts both links of the promise; returns the `Fidelity`."""
    fidelity = check_shipped(model, data, **options)
    (check_close if has_ties else check_trained)(fidelity)
    return fidelity
