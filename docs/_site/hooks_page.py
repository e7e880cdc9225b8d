"""Writes `reference/hooks.md` from the code: `python docs/_site/hooks_page.py`."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from speechkit import API_VERSION, hookspecs, interfaces
from speechkit.hookspecs import HOOKS, KINDS, RECIPES, TRACKER_HOOKS

PLACE = Path(__file__).parents[1] / "reference" / "hooks.md"

HEAD = f"""# Hooks

A plugin is a module with some of these functions, each under `@hookimpl`:

```python
from speechkit import Component, Config, hookimpl

speechkit_api = {API_VERSION}  # the version of the plugin interface it is written for


@hookimpl
def speechkit_models():
    return [Component("mine", Config, MyModel)]
```

It is found by the entry point of its distribution (`pyproject.toml`), or given with
`speechkit --plugin FILE` for one command:

```toml
[project.entry-points.speechkit]
my_plugin = "my_package"
```

- **Names.** A recipe asks for a part by its name, `use = "mine"`. Where two distributions offer
  one name, their owner tells them apart: `use = "my-distribution:mine"`, or the entry point's
  name before the colon. A name that speechkit's own parts have means speechkit's own, whatever
  else is installed; only of a file given with `--plugin`, which somebody asked for, it must be told
  apart, too: `use = "speechkit:greedy"`, or `"FILE.py:greedy"`. A trained model, and a run, keep
  whose parts they were made of.
- **Versions.** A plugin that says nothing of `speechkit_api` is taken for one of version 1. One
  of another version than speechkit has, {API_VERSION} now, is not used. The version goes up when
  plugins must be changed; a new hook, or a new field of a record, does not raise it.
- **What goes wrong** is a row of `speechkit plugins list` with its cause and a remedy: a plugin
  that does not import, is of another version, has a hook of an unknown name or without
  `@hookimpl`, offers what it may not, or is installed in several versions. Nothing else is
  touched by it; a run warns of it, and where a part is not found, the message names the plugins
  that did not load.
- **What all code shares.** PyTorch's default dtype, device, threads and flags, NumPy's errors, the
  global random generators, environment variables, the working directory, `sys.path`, filters of
  everybody's warnings, the locale, signal handlers: what a plugin changes of these while it is
  loaded is put back, and is a row of `speechkit plugins list` that says what it was. A part sets
  what it needs in its constructor or forward, for as long as that runs.
- `speechkit --disable-plugin NAME …` leaves a plugin, or all of a distribution's, out of one
  command.
- A function may leave out arguments that it does not need.
"""

PARTS = """Each gives a list of `Component(name, config, build, revision=1)`: how a recipe asks for
the part, its settings (a subclass of `speechkit.Config`), and what makes it, called as
`build(config, ...)` with what stands below. `revision` goes up when its results change.
"""

TRACKERS = """## Trackers

They are told how a run goes: to keep its curves and scores in MLflow, W&B, or a table of one's own.
`examples/tracker` in the repository is one, a distribution of three short modules.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_parts(), *_recipes(), *_trackers()]).rstrip() + "\n"


def _parts() -> Iterator[str]:
    yield "## Parts of recipes\n"
    yield PARTS
    for kind, hook in KINDS.items():
        yield from _hook(hook, f"{hook} (kind `{kind}`)")
    for record in (interfaces.TextRule, interfaces.ScoreProtocol):
        yield from _record(record)


def _recipes() -> Iterator[str]:
    yield "## Recipes\n"
    yield from _hook(RECIPES, RECIPES)


def _trackers() -> Iterator[str]:
    yield TRACKERS
    yield _meaning("TRACKER_HOOKS") + "\n"
    for hook in TRACKER_HOOKS:
        yield from _hook(hook, hook)
    for record in (
        interfaces.RunInfo,
        interfaces.StepEnd,
        interfaces.EpochEnd,
        interfaces.RunEnd,
    ):
        yield from _record(record)


def _hook(name: str, heading: str) -> Iterator[str]:
    (spec,) = [
        each for each in _TREE.body if isinstance(each, ast.FunctionDef) and each.name == name
    ]
    assert spec.returns is not None
    signature = f"def {name}({ast.unparse(spec.args)}) -> {ast.unparse(spec.returns)}"
    yield f"### {heading}\n\n```python\n@hookimpl\n{signature}\n```\n"
    said, _, arguments = (inspect.getdoc(getattr(hookspecs, name)) or "").partition("\nArgs:\n")
    yield said.rstrip() + "\n"
    lines = [each.strip().partition(": ") for each in arguments.splitlines() if each]
    if lines:
        yield "\n".join(f"- `{argument}`: {meaning}" for argument, _, meaning in lines) + "\n"


def _record(record: type) -> Iterator[str]:
    yield f"### {record.__name__}\n\n```text\n{inspect.getdoc(record)}\n```\n"
    call = record.__dict__.get("__call__")
    if call:
        yield f"```text\n__call__{inspect.signature(call)}\n{inspect.getdoc(call)}\n```\n"


def _meaning(name: str) -> str:
    """The text under a constant of `hookspecs`."""
    for at, node in enumerate(_TREE.body):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            text = _TREE.body[at + 1]
            assert isinstance(text, ast.Expr)
            return inspect.cleandoc(ast.literal_eval(text.value))
    raise LookupError(name)


_TREE = ast.parse(inspect.getsource(hookspecs))
assert set(HOOKS) == {each.name for each in _TREE.body if isinstance(each, ast.FunctionDef)}

if __name__ == "__main__":
    PLACE.write_text(page(), encoding="utf-8")
