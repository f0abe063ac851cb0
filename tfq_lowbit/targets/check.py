"""Whether a target takes a .tflite file: each operator against the target's rules."""

import os

from tfq_lowbit.targets.findings import CheckReport, Finding
from tfq_lowbit.targets.micro import find_micro_failure
from tfq_lowbit.targets.reading import read_bytes, read_file
from tfq_lowbit.targets.table import TARGETS
from tfq_lowbit.targets.vela import find_vela_failure

# What runs the file itself, where its package is installed: `(content) -> (statement, Finding)`.
TRIALS = {"ethos-u": find_vela_failure, "tflm": find_micro_failure}


def check(path_or_bytes, target="litert", run_tools=True) -> CheckReport:
    """Check a .tflite file, written by this library or any other, against a target's rules.

    Args:
        path_or_bytes: path of the file, or its content.
        target: "litert", "edgetpu", "ethos-u" or "tflm".
        run_tools: also give a file that breaks no rule to Vela ("ethos-u") or tflite-micro
            ("tflm"), where they are installed.

    Returns:
        A `CheckReport`: for each operator whether it is taken, else the rule that it breaks and how
        to mend it.

    Raises:
        ValueError: if the file cannot be read or the target is unknown.
        TypeError: if `path_or_bytes` is neither a path nor bytes.

    Example:
        >>> print(check("model.tflite", target="edgetpu"))  # doctest: +SKIP
        model.tflite for edgetpu: 64 of 65 operators are taken
        ...
        DEQUANTIZE 'dense': It is not among the operators ... Export with output_type='int8'.
    """
    if target not in TARGETS:
        raise ValueError(
            f"Argument `target` must be one of {sorted(TARGETS)}. Received: {target!r}"
        )
    content = read_bytes(path_or_bytes)
    report = check_view(read_file(content), target)
    path = str(path_or_bytes) if isinstance(path_or_bytes, str | os.PathLike) else ""
    statement, findings = report.statement, list(report.findings)
    if run_tools and target in TRIALS and report.is_clean:
        tried, failure = TRIALS[target](content)
        statement, findings = f"{statement} {tried}", [*failure, *findings]
    return CheckReport(path, target, statement, tuple(findings), report.operators, report.notes)


def check_view(file, target) -> CheckReport:
    """Check a `FileView` as `check` does, by rules alone."""
    rules = TARGETS[target].rules
    findings: list[Finding] = []
    operators = []
    for rule in rules.FILE_RULES:
        findings += rule.findings(file)
    for operator in file.operators:
        found = _check_operator(operator, rules)
        operators.append((operator.code, operator.name, not any(each.is_error for each in found)))
        findings += found
    notes = [f"{file.num_bytes:,} bytes"] if file.num_bytes else []
    notes += rules.notes(file) if hasattr(rules, "notes") else []
    return CheckReport("", target, rules.STATEMENT, tuple(findings), tuple(operators), tuple(notes))


def _check_operator(operator, rules):
    if rules.OPERATORS is not None and operator.code not in rules.OPERATORS:
        mends = {"QUANTIZE": "input", "DEQUANTIZE": "output"}
        mend = "Replace the layer by others that are taken, or cut the model there."
        if operator.code in mends:
            mend = f"Export with {mends[operator.code]}_type='int8'."
        rule = "It is not among the operators that the target takes"
        return [Finding(operator.code, operator.name, rule, "", mend)]
    findings = [each for rule in rules.RULES for each in rule.findings(operator)]
    newest = None if rules.OPERATORS is None else rules.OPERATORS[operator.code]
    if newest is not None and operator.version > newest:
        findings.append(
            Finding(
                operator.code,
                operator.name,
                f"The target knows it up to version {newest}",
                f"version {operator.version}",
                "Export with this target, which writes the oldest version that will do.",
            )
        )
    return findings
