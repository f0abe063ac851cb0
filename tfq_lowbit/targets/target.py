"""A runtime that files are written for: its tables, and LiteRT's where it has none of its own."""

from dataclasses import dataclass, replace
from types import ModuleType

from tfq_lowbit.targets import litert, litert_int16


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
        data: type of the activations that the tables are read for: beside "INT16", a table is the
            target's `INT16_...`, else LiteRT's for that type where it has one.
    """

    name: str
    tables: ModuleType
    rules: ModuleType
    data: str = "INT8"

    def __getattr__(self, table):
        if not table.isupper():  # a table is; anything else would hide a misspelled method
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {table!r}")
        places = [(self.tables, table), (litert, table)]
        if self.data == "INT16":
            places = [(self.tables, f"INT16_{table}"), (litert_int16, table), *places]
        module, name = next(place for place in places if hasattr(*place) or place == places[-1])
        return getattr(module, name)

    def beside(self, data):
        """Return the target with the tables for activations of a type, "INT8" or "INT16"."""
        return replace(self, data=data)

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
