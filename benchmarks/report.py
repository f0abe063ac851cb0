"""How the benchmarks write what they measured: tables, the machine in words, versions."""

import importlib.metadata
import os
import pathlib
import platform


def markdown_table(headings, rows):
    """Return a Markdown table, first column to the left, the others to the right."""
    lines = [list(map(str, row)) for row in (headings, *rows)]
    rule = [":--"] + ["--:"] * (len(headings) - 1)
    lines.insert(1, rule)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def processor_flags():
    """Return the features of the processor by Linux's names, an empty set elsewhere."""
    return set(_processor().get("flags", _processor().get("Features", "")).split())


def describe_machine():
    """Return the machine in words, as "2-core x86_64 with AVX-512 (GenuineIntel 6, model 106)"."""
    words = f"{os.cpu_count()}-core {platform.machine()}"
    flags, processor = processor_flags(), _processor()
    names = (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("asimd", "NEON"))
    found = [name for flag, name in names if flag in flags][:1]
    if "amx_int8" in flags:
        found.append("AMX")
    if found:
        words += f" with {' and '.join(found)}"
    if "vendor_id" in processor:
        family, model = processor["cpu family"], processor["model"]
        words += f" ({processor['vendor_id']} {family}, model {model})"
    return words


def _processor():
    """Return what Linux says of the first processor."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def read_versions(packages):
    """Return a dict from package to version."""
    return {name: importlib.metadata.version(name) for name in packages}


def made_with(command, versions, note=""):
    """Return the lines that say what made a result, and on what."""
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"`{command}`\n\n{describe_machine()}; Python {platform.python_version()}, {shown}.{note}"
    )


def write_result(name, title, *parts):
    """Write `benchmarks/<name>.md` and print it."""
    text = "\n\n".join([f"# {title}", *parts]) + "\n"
    path = pathlib.Path(__file__).parent / f"{name}.md"
    partial = path.with_suffix(".md.part")
    partial.write_text(text)
    os.replace(partial, path)
    print(text)
