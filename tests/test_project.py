"""What holds for the project as a whole: imports, private APIs, file sizes, public names."""

import ast
import importlib
import inspect
from importlib.metadata import entry_points
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "tfq_lowbit"
MAX_LINES = 400

# A room (a module or folder right under the package) may import itself and what its row names.
UP_TO_QUANTIZERS = {"same_bits", "ste", "packing", "ops", "calibration", "quantizers"}
UP_TO_MODEL = UP_TO_QUANTIZERS | {"wrappers", "model"}
UP_TO_EXPORT = UP_TO_MODEL | {"targets", "native", "export"}
ABOVE_EXPORT = {"training", "ptq", "mixed_precision", "report", "runtime"}
MAY_IMPORT = {
    "same_bits": set(),
    "ste": {"same_bits"},
    "packing": set(),
    "native": set(),
    "targets": set(),
    "calibration": set(),
    "ops": {"packing", "native", "same_bits"},
    "quantizers": UP_TO_QUANTIZERS,
    "wrappers": UP_TO_QUANTIZERS,
    "model": UP_TO_MODEL,
    "training": UP_TO_MODEL,
    "ptq": UP_TO_MODEL,
    "mixed_precision": UP_TO_MODEL,
    "export": UP_TO_EXPORT,
    "report": UP_TO_EXPORT,
    "runtime": UP_TO_EXPORT,
    "tfmot": UP_TO_EXPORT,
    "demo": UP_TO_EXPORT | {"report", "runtime"},
    "cli": UP_TO_EXPORT | ABOVE_EXPORT | {"demo", "__init__"},
    "__init__": UP_TO_EXPORT | ABOVE_EXPORT,
}

# Dotted prefixes that no file may use; a trailing underscore stands for any private name.
FORBIDDEN = ("keras.src", "keras._", "tensorflow.keras", "tensorflow.python.keras")
ONLY_IN_TFMOT = ("tensorflow_model_optimization", "tf_keras")

# The public names: they grow by decision.
PUBLIC_NAMES = {
    "Binarize",
    "BinaryWrapper",
    "CheckReport",
    "ExportReport",
    "Fidelity",
    "FloatIsland",
    "FoldedBatchNormalization",
    "IntegerWeights",
    "Interpreter",
    "LSQ",
    "PACT",
    "QuantizeActivation",
    "QuantizeWrapper",
    "QuantizedAveragePooling2D",
    "RPReLU",
    "Recipe",
    "SnapToGrid",
    "benchmark",
    "calibrate",
    "check",
    "compile_with_vela",
    "delegate_path",
    "export_tflite",
    "gelu_tanh",
    "integer_weights",
    "quantize_model",
    "quantizers",
    "register_layer",
    "summary",
    "training",
    "use_packed_kernels",
    "verify",
}


def sources(package):
    """Yields (path, room, syntax tree) of each file."""
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        yield path, room, ast.parse(path.read_text(encoding="utf-8"))


def imported_names(tree, path, package):
    """Yields every imported dotted name, made absolute; `from a import b` gives a.b."""
    here = (package.name, *path.relative_to(package).with_suffix("").parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level] if node.level else ()
            module = (*base, *([node.module] if node.module else []))
            yield from (".".join((*module, alias.name)) for alias in node.names)


def used_names(tree, path, package):
    """Yields imported names and dotted attribute chains, with the import's alias undone."""
    yield from imported_names(tree, path, package)
    aliases = {
        alias.asname: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.asname
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            root, _, rest = ast.unparse(node).partition(".")
            yield f"{aliases.get(root, root)}.{rest}"


def begins_with(name, prefix):
    return name.startswith(prefix) if prefix.endswith("_") else f"{name}.".startswith(f"{prefix}.")


def wrong_imports(package):
    """Finds rooms without a row, and imports of ours that a row does not name."""
    rooms = {room for _, room, _ in sources(package)}
    findings = [f"{room}: a room without a row in MAY_IMPORT" for room in rooms - set(MAY_IMPORT)]
    for path, room, tree in sources(package):
        for name in imported_names(tree, path, package):
            top, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            target = target if target in rooms else "__init__"
            if top == package.name and target not in MAY_IMPORT.get(room, set()) | {room}:
                findings.append(f"{path.relative_to(package)}: {room} must not import {name}")
    return findings


def forbidden_names(package):
    """Finds private Keras, `tf.keras`, and Keras 2 outside `tfmot.py`."""
    findings = []
    for path, room, tree in sources(package):
        forbidden = FORBIDDEN if room == "tfmot" else FORBIDDEN + ONLY_IN_TFMOT
        for name in used_names(tree, path, package):
            if any(begins_with(name, prefix) for prefix in forbidden):
                findings.append(f"{path.relative_to(package)}: {name}")
    return findings


def long_files(package):
    return [
        str(path.relative_to(package))
        for path in sorted(package.rglob("*.py"))
        if len(path.read_text(encoding="utf-8").splitlines()) > MAX_LINES
    ]


def does_more_than_export(package):
    """Finds statements of `__init__.py` files besides docstring, imports and dunder constants."""
    findings = []
    for path, _, tree in sources(package):
        if path.name != "__init__.py":
            continue
        body = tree.body[1:] if ast.get_docstring(tree) else tree.body
        for node in body:
            is_dunder = isinstance(node, ast.Assign) and all(
                isinstance(t, ast.Name) and t.id.startswith("__") for t in node.targets
            )
            if not isinstance(node, ast.Import | ast.ImportFrom) and not is_dunder:
                findings.append(f"{path.relative_to(package)}:{node.lineno}")
    return findings


def undocumented(module):
    """Finds public names, and methods of public classes, that nothing describes.

    A method that a class outside the package declares (Keras's `build`, `call`, `get_config`)
    has its meaning from there.
    """
    findings = []
    for name in module.__all__:
        value = getattr(module, name)
        if not inspect.getdoc(value) or (inspect.isclass(value) and not value.__doc__):
            findings.append(name)
        if not inspect.isclass(value):
            continue
        ours = [c for c in value.__mro__ if c.__module__.partition(".")[0] == module.__name__]
        declared = {m for c in value.__mro__ if c not in ours for m in vars(c)}
        methods = {m for c in ours for m in vars(c) if not m.startswith("_")} - declared
        for method in sorted(methods):
            attribute = inspect.getattr_static(value, method)
            documentable = isinstance(attribute, property | classmethod | staticmethod)
            documentable = documentable or inspect.isfunction(attribute)
            if documentable and not inspect.getdoc(getattr(value, method)):
                findings.append(f"{name}.{method}")
    return findings


def test_imports_point_one_way():
    assert wrong_imports(PACKAGE) == []


def test_the_import_table_has_no_cycle_and_nothing_imports_tfmot_or_cli():
    for room, below in MAY_IMPORT.items():
        assert not below & {"tfmot", "cli"}
        for other in below - {room, "__init__"}:
            assert room not in MAY_IMPORT[other], f"{room} and {other} may import each other"


def test_only_public_keras_is_used():
    assert forbidden_names(PACKAGE) == []


def test_no_file_is_longer_than_400_lines():
    assert long_files(PACKAGE) == []


def test_init_files_only_export():
    assert does_more_than_export(PACKAGE) == []


def test_the_public_names_are_the_listed_ones():
    assert sorted(importlib.import_module("tfq_lowbit").__all__) == sorted(PUBLIC_NAMES)


def test_every_public_name_is_documented():
    assert undocumented(importlib.import_module("tfq_lowbit")) == []


def test_the_tfq_command_is_installed():
    (command,) = entry_points(group="console_scripts", name="tfq")
    assert command.value == "tfq_lowbit.cli:main"
    assert callable(command.load())


# The checks themselves, each on a small package with one fault.


@pytest.fixture
def write_package(tmp_path):
    def write(files):
        for name, text in files.items():
            path = tmp_path / "tfq_lowbit" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path / "tfq_lowbit"

    return write


@pytest.mark.parametrize(
    "text",
    [
        "import tfq_lowbit.model.recipe",
        "from tfq_lowbit import model",
        "from tfq_lowbit.model import Recipe",
        "from ..model import Recipe",
        "from .. import model",
        "def late():\n    from tfq_lowbit.model import Recipe",
        "import tfq_lowbit as tfq",
        "from tfq_lowbit import quantize_model",
        "from .. import cli",
    ],
)
def test_an_import_against_the_order_is_found(write_package, text):
    others = {"model/__init__.py": "", "cli.py": "", "__init__.py": "from .model import a"}
    package = write_package({**others, "quantizers/lsq.py": text})
    (finding,) = wrong_imports(package)
    assert finding.startswith("quantizers/lsq.py")


def test_imports_in_order_pass(write_package):
    package = write_package(
        {
            "__init__.py": "from tfq_lowbit.quantizers import LSQ",
            "ste.py": "import numpy",
            "quantizers/__init__.py": "from .lsq import LSQ",
            "quantizers/lsq.py": "from .. import ste\nfrom tfq_lowbit.ste import round_ste\n"
            "from . import base\nimport keras",
            "quantizers/base.py": "from ..ste import round_ste",
        }
    )
    assert wrong_imports(package) == []


def test_a_room_without_a_row_is_found(write_package):
    assert wrong_imports(write_package({"helpers.py": ""}))


@pytest.mark.parametrize(
    "text",
    [
        "from keras.src.layers import Layer",
        "from keras import src",
        "import keras.src.backend as backend",
        "from keras._tf_keras import keras",
        "import keras\nkeras.src.backend",
        "import keras as k\nk.src.backend",
        "import tensorflow as tf\ntf.keras.layers.Dense(1)",
        "from tensorflow import keras",
        "from tensorflow.python.keras import layers",
        "import tf_keras",
        "import tensorflow_model_optimization as tfmot",
    ],
)
def test_a_private_or_foreign_keras_is_found(write_package, text):
    assert forbidden_names(write_package({"model/build.py": text}))


def test_public_keras_passes_and_tfmot_may_use_keras_2(write_package):
    public = "import keras\nfrom keras import ops\nkeras.layers.Dense(1)\nkeras.utils.source"
    package = write_package({"model/build.py": public, "tfmot.py": "import tf_keras"})
    assert forbidden_names(package) == []


def test_a_file_of_401_lines_is_found(write_package):
    package = write_package({"a.py": "\n" * MAX_LINES, "b.py": "\n" * (MAX_LINES + 1)})
    assert long_files(package) == ["b.py"]


def test_an_init_file_that_does_something_is_found(write_package):
    plain = '"""Doc."""\nfrom .a import b\n__all__ = ["b"]\n'
    package = write_package({"__init__.py": plain, "model/__init__.py": plain + "def f(): ...\n"})
    assert does_more_than_export(package) == ["model/__init__.py:4"]


def test_an_undocumented_name_or_method_is_found(write_package, monkeypatch):
    package = write_package(
        {
            "__init__.py": "import collections\n"
            "def f(): pass\n"
            "class A: pass\n"
            "class B(collections.UserDict):\n"
            "    '''Documented.'''\n"
            "    def get(self, key): pass\n"  # declared by the foreign base
            "    def new(self): pass\n"
            "    def said(self): '''Says.'''\n"
            "__all__ = ['f', 'A', 'B']\n"
        }
    )
    spec = importlib.util.spec_from_file_location("fake_tfq", package / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert undocumented(module) == ["f", "A", "B.new"]
