"""The `tfq` command: the Python API on files.

`COMMANDS` is the table of subcommands. Each has its own absl flags, so that `tfq demo --epochs 1`
and `tfq benchmark m.tflite --num_threads 2` know nothing of each other.
"""

import logging
import os
import sys
from collections.abc import Callable
from typing import NamedTuple

from absl import flags

# TensorFlow reads these when it is imported, which a command does when it runs.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# It warns of every function that is traced for a second shape.
TENSORFLOW_LOGGER = logging.getLogger("tensorflow")

SUCCESS, FAILURE, USAGE = 0, 1, 2
INTERRUPTED = 130
HELP = ("--help", "-h")
ERRORS = (ValueError, TypeError, OSError, RuntimeError, ImportError)


class Command(NamedTuple):
    """A subcommand.

    Attributes:
        arguments: names of its positional arguments.
        help: what it does, in one line.
        define_flags: adds its flags to an absl `FlagValues`.
        run: `(flag_values, *arguments) -> exit code`, None for success.
    """

    arguments: tuple[str, ...]
    help: str
    define_flags: Callable
    run: Callable


def main(argv=None) -> int:
    """Run the command line.

    Args:
        argv: the arguments behind the program's name, None for those of the process.

    Returns:
        0 for success, 1 for an error (one line on stderr), 2 for a wrong command line.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in (*HELP, "help"):
        print(_usage(), file=sys.stdout if argv else sys.stderr)
        return SUCCESS if argv else USAGE
    name, *rest = argv
    if name not in COMMANDS:
        print(f"tfq: unknown command {name!r}\n{_usage()}", file=sys.stderr)
        return USAGE
    command, values = COMMANDS[name], flags.FlagValues()
    command.define_flags(values)
    if any(each in HELP for each in rest):
        print(_command_usage(name, values))
        return SUCCESS
    values.set_gnu_getopt(True)  # flags may stand behind arguments
    try:
        arguments = values([name, *rest])[1:]
        if len(arguments) != len(command.arguments):
            wanted = " ".join(command.arguments) or "no arguments"
            raise flags.Error(f"takes {wanted}, received: {' '.join(arguments) or 'none'}")
    except flags.Error as error:
        print(f"tfq {name}: {error}\n{_command_usage(name, values)}", file=sys.stderr)
        return USAGE
    TENSORFLOW_LOGGER.setLevel(logging.ERROR)
    try:
        return command.run(values, *arguments) or SUCCESS
    except ERRORS as error:
        return _fail(name, error)
    except KeyboardInterrupt:
        print(f"tfq {name}: interrupted", file=sys.stderr)
        return INTERRUPTED


def _fail(name, error):
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"tfq {name}: error: {text}", file=sys.stderr)
    return FAILURE


def _usage():
    lines = ["usage: tfq COMMAND [ARGUMENTS] [--FLAGS]", ""]
    for name, command in COMMANDS.items():
        lines.append(f"  {' '.join(('tfq', name, *command.arguments))}\n      {command.help}")
    return "\n".join([*lines, "", "tfq COMMAND --help shows a command's flags."])


def _command_usage(name, values):
    command = COMMANDS[name]
    lines = [f"usage: {' '.join(('tfq', name, *command.arguments))} [--FLAGS]", f"  {command.help}"]
    for flag in (values[each] for each in values):
        default = "" if flag.default is None else f" (default: {flag.default})"
        lines.append(f"  --{flag.name}: {flag.help}{default}")
    return "\n".join(lines)


# One pair of functions a command: its flags, and what it does. TensorFlow is imported there.


def _no_flags(values):
    del values


def _demo_flags(values):
    flags.DEFINE_integer(
        "epochs", None, "Epochs of each training, 5 where not given.", 1, flag_values=values
    )
    flags.DEFINE_string("output", "demo", "Folder for the results.", flag_values=values)
    flags.DEFINE_string(
        "data", None, "Folder with the Fashion-MNIST idx files.", flag_values=values
    )


def _demo(values):
    from tfq_lowbit.demo import load_data, run_demo
    from tfq_lowbit.demo.files import require_writable_folder
    from tfq_lowbit.demo.run import DEFAULT_EPOCHS

    require_writable_folder(values.output)
    run_demo(
        load_data(values.data),
        values.output,
        epochs=DEFAULT_EPOCHS if values.epochs is None else values.epochs,
        say=lambda text: print(text, flush=True),
    )


def _quantize_flags(values):
    flags.DEFINE_string(
        "recipe", "lsq", "lsq, pact, dorefa, ternary or weight_only.", flag_values=values
    )
    flags.DEFINE_integer("weight_bits", 4, "Width of weights.", 2, 8, flag_values=values)
    flags.DEFINE_integer(
        "activation_bits", 4, "Width of activations, 2 to 8 or 16.", 2, 16, flag_values=values
    )
    flags.DEFINE_integer(
        "first_last_bits", 8, "Width of the first and last layer.", 2, 8, flag_values=values
    )
    flags.DEFINE_integer(
        "block_size",
        None,
        "Inputs that share a step size (weight_only), a multiple of 32.",
        flag_values=values,
    )
    flags.DEFINE_string("data", None, "Calibration inputs, a .npy file.", flag_values=values)
    flags.DEFINE_enum(
        "on_unsupported",
        "error",
        ["error", "float"],
        "What becomes of layers without an integer form: refused, or left in float.",
        flag_values=values,
    )


def _quantize(values, source, target):
    import tfq_lowbit as tfq

    names = ("lsq", "pact", "dorefa", "ternary", "weight_only")
    makers = {name: getattr(tfq.Recipe, name) for name in names}
    if values.recipe not in makers:
        raise ValueError(
            f"Flag --recipe must be one of {', '.join(makers)}. Received: {values.recipe!r}"
        )
    widths = {"first_last_bits": values.first_last_bits, "block_size": values.block_size}
    if values.recipe != "weight_only":
        widths["activation_bits"] = values.activation_bits
    elif not values["first_last_bits"].present:
        widths["first_last_bits"] = None
    if values.recipe != "ternary":
        widths["weight_bits"] = values.weight_bits
    quantized = tfq.quantize_model(
        _load_model(source),
        makers[values.recipe](**widths),
        _load_array(values.data),
        values.on_unsupported,
    )
    _save_model(quantized, target)
    print(tfq.summary(quantized))


def _summary(values, source):
    import tfq_lowbit as tfq

    print(tfq.summary(_load_model(source)))


def _export_flags(values):
    _target_flag(values, "The runtime the file is for")
    flags.DEFINE_enum("prefer", "size", ["size", "speed"], "size or speed.", flag_values=values)
    for side in ("input", "output"):
        flags.DEFINE_enum(
            f"{side}_type",
            None,
            ["float32", "int8", "int16"],
            f"Type of the file's {side}s; the target's own where not given.",
            flag_values=values,
        )
    flags.DEFINE_enum(
        "custom_ops",
        "binary",
        ["binary", "lowbit"],
        "Layers that run on bits, binary or lowbit (inputs of at most two bits too).",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "activations",
        "int8",
        ["int8", "float", "dynamic"],
        "int8; of models with quantized weights alone float, or dynamic: quantized in each call.",
        flag_values=values,
    )
    flags.DEFINE_string("data", None, "Inputs to verify on, a .npy file.", flag_values=values)


def _export(values, source, target):
    import tfq_lowbit as tfq

    print(
        tfq.export_tflite(
            _load_model(source),
            target,
            target=values.target,
            prefer=values.prefer,
            input_type=values.input_type,
            output_type=values.output_type,
            verify_data=_load_array(values.data),
            custom_ops=values.custom_ops,
            activations=values.activations,
        )
    )


def _target_flag(values, text):
    flags.DEFINE_string(
        "target", "litert", f"{text}: litert, edgetpu, ethos-u or tflm.", flag_values=values
    )


def _check_flags(values):
    _target_flag(values, "The runtime to check for")
    flags.DEFINE_boolean(
        "run_tools", True, "Also run Vela or tflite-micro where installed.", flag_values=values
    )


def _check(values, path):
    import tfq_lowbit as tfq

    report = tfq.check(path, values.target, values.run_tools)
    print(report)
    return SUCCESS if report.is_clean else FAILURE


def _verify_flags(values):
    flags.DEFINE_string("data", None, "Inputs to compare on, a .npy file.", flag_values=values)
    flags.mark_flag_as_required("data", flag_values=values)
    flags.DEFINE_boolean("per_layer", False, "Compare layer by layer too.", flag_values=values)


def _verify(values, source, path):
    import tfq_lowbit as tfq

    fidelity = tfq.verify(
        _load_model(source), path, _load_array(values.data), per_layer=values.per_layer
    )
    print(fidelity)
    codes = fidelity if isinstance(fidelity, tfq.Fidelity) else None
    if codes is not None and not codes.is_exact and not codes.islands:
        return _fail("verify", "this machine's LiteRT does not equal the lowered graph.")
    return SUCCESS


def _benchmark_flags(values):
    flags.DEFINE_integer("num_threads", 1, "Threads of the kernels.", 1, flag_values=values)
    flags.DEFINE_integer("repetitions", 200, "Timed inferences.", 1, flag_values=values)
    flags.DEFINE_integer("warmup", 20, "Inferences before.", 0, flag_values=values)


def _benchmark(values, path):
    from tfq_lowbit.runtime import benchmark

    print(benchmark(path, values.num_threads, values.repetitions, values.warmup))


def _inspect(values, path):
    from tfq_lowbit.runtime import read_contents

    print(read_contents(path))


def _load_model(path):
    import keras

    return keras.models.load_model(path, compile=False)


def _save_model(model, path):
    if not path.endswith(".keras"):
        raise ValueError(f"The file to write must end in .keras. Received: {path!r}")
    temporary = f"{path.removesuffix('.keras')}.{os.getpid()}.part.keras"
    try:
        model.save(temporary)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _load_array(path):
    """Return the array of a .npy file, None for no path."""
    import numpy as np

    if path is None:
        return None
    try:
        return np.load(path)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"Flag --data must name a .npy file with one array of numbers ({error}). "
            f"Received: {path!r}"
        ) from error


COMMANDS = {
    "demo": Command(
        (),
        "Train, quantize, export, verify and time a small network on Fashion-MNIST.",
        _demo_flags,
        _demo,
    ),
    "quantize": Command(
        ("FLOAT.keras", "QUANTIZED.keras"),
        "Put quantizers into a float model, ready for fine-tuning.",
        _quantize_flags,
        _quantize,
    ),
    "summary": Command(
        ("MODEL.keras",), "Show bits, bytes and MACs of each layer.", _no_flags, _summary
    ),
    "export": Command(
        ("MODEL.keras", "FILE.tflite"),
        "Write a quantized model as an integer .tflite file and verify it.",
        _export_flags,
        _export,
    ),
    "verify": Command(
        ("MODEL.keras", "FILE.tflite"),
        "Compare a quantized model and its file on the same inputs.",
        _verify_flags,
        _verify,
    ),
    "check": Command(
        ("FILE.tflite",),
        "Say of each operator of any file whether a target takes it, and how to mend it.",
        _check_flags,
        _check,
    ),
    "benchmark": Command(
        ("FILE.tflite",), "Time a file in LiteRT on this machine.", _benchmark_flags, _benchmark
    ),
    "inspect": Command(
        ("FILE.tflite",), "Show a file's operators, types and bytes.", _no_flags, _inspect
    ),
}


if __name__ == "__main__":
    sys.exit(main())
