"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import relevance

MODULES = [m.name for m in pkgutil.iter_modules(relevance.__path__) if m.name != "__main__"]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name):
    module = importlib.import_module(f"relevance.{name}")

    assert doctest.testmod(module).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = (importlib.import_module(f"relevance.{name}") for name in MODULES)

    assert sum(bool(test.examples) for m in modules for test in finder.find(m)) >= 5
