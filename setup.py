"""Builds the package; the metadata is in pyproject.toml, extension modules are listed here."""

from setuptools import setup

setup()
