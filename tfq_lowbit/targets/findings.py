"""What `check` says of a file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A rule that a file breaks.

    Attributes:
        operator: the operator, "" for the file as a whole.
        name: name of its output, after the layer in files of Keras models.
        rule: what the target asks for.
        found: what the file has.
        mend: what to do.
        is_error: whether the target refuses the operator, leaves it to another processor or
            computes it wrongly; else it runs, but not as well as it could.
    """

    operator: str
    name: str
    rule: str
    found: str
    mend: str
    is_error: bool = True

    def __str__(self):
        where = f"{self.operator} {self.name!r}: " if self.operator else ""
        label = "" if self.is_error else "note: "
        found = f" Found: {self.found}." if self.found else ""
        return f"{label}{where}{self.rule}.{found} {self.mend}"


@dataclass(frozen=True)
class CheckReport:
    """Whether a target takes a file; prints as a table.

    Attributes:
        path: the file, "" for bytes.
        target: the target.
        statement: how this was found out, and what it does not say.
        findings: the rules that it breaks.
        operators: for each operator, its name, that of its output, and whether it is taken.
        notes: what else is good to know, as its size.
    """

    path: str
    target: str
    statement: str
    findings: tuple[Finding, ...]
    operators: tuple[tuple[str, str, bool], ...]
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep the target from running the file, or make it wrong."""
        return tuple(finding for finding in self.findings if finding.is_error)

    @property
    def is_clean(self):
        """Whether every operator is taken."""
        return not self.errors

    def __str__(self):
        count = len(self.operators)
        taken = sum(is_taken for _, _, is_taken in self.operators)
        lines = [
            f"{self.path or 'the file'} for {self.target}: {taken} of {count} operators are taken",
            self.statement,
            *self.notes,
        ]
        by_code: dict[str, list[bool]] = {}
        for code, _, is_taken in self.operators:
            by_code.setdefault(code, []).append(is_taken)
        for code, each in sorted(by_code.items()):
            refused = f", {each.count(False)} not" if False in each else ""
            lines.append(f"  {each.count(True):4d} {code}{refused}")
        errors = [str(finding) for finding in self.errors]
        notes = [str(finding) for finding in self.findings if not finding.is_error]
        return "\n".join(lines + errors + notes)
