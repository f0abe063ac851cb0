"""A runtime that files are written for: its tables, and LiteRT's where it has none of its own."""

from dataclasses import dataclass
from types import ModuleType

from tfq_lowbit.targets import litert


@dataclass(frozen=True)
class Target:
    """The tables of one runtime, read by the exporter and by `check`.

    A table that the target's module does not define is LiteRT's: `target.MAX_MULTIPLIER`.

    Attributes:
        name: as `export_tflite(target=...)` has it.
        tables: module of what the exporter reads.
        rules: module of what `check` reads: `STATEMENT`, `OPERATORS` (the newest version of each
            that is taken, None for any; None in place of the table for all operators), `RULES` and
            `FILE_RULES`; it may have `notes(file)`.
    """

    name: str
    tables: ModuleType
    rules: ModuleType

    def __getattr__(self, table):
        if not table.isupper():  # a table is; anything else would hide a misspelled method
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {table!r}")
        return getattr(self.tables if hasattr(self.tables, table) else litert, table)

    def find_version(self, operator, weights="", variant=""):
        """Return the `Version` of an operator: see `litert.find_version`."""
        return litert.find_version(operator, weights, variant, self.VERSIONS)

    def choose_container(
        self, operator, low, high, depth, prefer, largest_sum=0, is_per_channel=True
    ):
        """Choose the stored type of an operator's weights: see `litert.choose_container`."""
        return litert.choose_container(
            operator, low, high, depth, prefer, largest_sum, is_per_channel, tables=self
        )
