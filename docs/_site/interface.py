"""The outside of a class or a function, as it is written: what its reader needs of its source."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any


def interface(thing: type | Callable[..., Any]) -> str:
    """The source of a class or a function: no bodies of functions, and no private ones.

    Comments and docstrings stay, since shapes, units and promises stand there.

    """
    source = textwrap.dedent(inspect.getsource(thing))
    [top] = ast.parse(source).body
    lines: list[str | None] = list(source.splitlines())
    for first, last in _inside(top):
        lines[first - 1 : last] = [None] * (last - first + 1)
    return "\n".join(_without_gaps(line for line in lines if line is not None)).strip()


def _inside(node: ast.AST) -> Iterator[tuple[int, int]]:
    """First and last line of each piece that is no part of the outside."""
    if isinstance(node, ast.FunctionDef):
        documented = ast.get_docstring(node) is not None
        if body := node.body[documented:]:
            yield body[0].lineno, body[-1].end_lineno or body[-1].lineno
    elif isinstance(node, ast.ClassDef):
        for each in node.body:
            if isinstance(each, ast.FunctionDef) and not _is_shown(each):
                first = min([each.lineno, *(mark.lineno for mark in each.decorator_list)])
                yield first, each.end_lineno or each.lineno
            else:
                yield from _inside(each)


def _is_shown(method: ast.FunctionDef) -> bool:
    return method.name == "__init__" or ast.get_docstring(method) is not None


def _without_gaps(lines: Iterator[str]) -> Iterator[str]:
    """Never two empty lines in a row."""
    last = ""
    for line in lines:
        if line.strip() or last.strip():
            yield line.rstrip()
        last = line
