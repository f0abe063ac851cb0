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


def describe_machine():
    """Return the machine in words, as "2-core x86_64 with AVX-512"."""
    words = f"{os.cpu_count()}-core {platform.machine()}"
    try:
        flags = set(pathlib.Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return words
    for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("asimd", "NEON")):
        if flag in flags:
            return f"{words} with {name}"
    return words


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
