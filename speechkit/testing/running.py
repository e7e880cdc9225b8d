"""The checks of a kind, run on a part: for a report, or as an author's tests."""

from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from speechkit.component import Component
from speechkit.errors import PluginError
from speechkit.near import near
from speechkit.testing.checks import Check, Result
from speechkit.testing.subject import Subject

if TYPE_CHECKING:
    import pytest

_HOMES = {
    "corpus": "corpora",
    "features": "features",
    "augmentation": "augmentations",
    "units": "units",
    "model": "models",
    "decoder": "decoders",
    "language_model": "language_models",
    "text_rule": "text_rules",
    "score_protocol": "score_protocols",
}
"""Kind of part -> the module with its checks."""


def checks_of(kind: str) -> tuple[Check, ...]:
    """The checks of a kind of part, in the order in which they are run.

    >>> [each.name for each in checks_of("units")][:2]
    ['is_units', 'text_comes_back']

    Raises:
        PluginError: there are none for this kind.
    """
    if kind not in _HOMES:
        raise PluginError(f"there are no checks of the kind `{kind}`", hint=near(kind, _HOMES))
    module = import_module(f"speechkit.testing.{_HOMES[kind]}")
    checks: tuple[Check, ...] = tuple(module.CHECKS)
    return checks


def check(
    component: Component[Any],
    kind: str,
    *,
    settings: Mapping[str, Any] | None = None,
    skip: Collection[str] = (),
    told: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Run every check on a part, and say what each saw.

    Args:
        component: what a plugin's hook gives.
        kind: of the part: "model", "features", ...
        settings: keys of its table in a recipe; paths are relative to the working directory.
        skip: names of checks to leave out.
        told: called with each result as it comes.

    Returns:
        A record per check. If the part cannot be built, the first alone.

    Raises:
        PluginError: there are no checks for this kind, or `skip` names one that is none.
    """
    checks = checks_of(kind)
    names = [each.name for each in checks]
    if unknown := sorted(set(skip) - set(names)):
        raise PluginError(f"there is no check `{unknown[0]}`", hint=near(unknown[0], names))
    subject = Subject(component, kind, settings)
    results: list[Result] = []
    for each in checks:
        if each.name in skip:
            continue
        results.append(each(subject))
        if told:
            told(results[-1])
        if each is checks[0] and results[0].outcome == "failed":
            break
    return results


def every_check(
    component: Component[Any],
    kind: str,
    *,
    settings: Mapping[str, Any] | None = None,
    skip: Collection[str] = (),
) -> "pytest.MarkDecorator":
    """Make a test of each check: a decorator for a test that calls its one argument, `check`.

    Args:
        component: what a plugin's hook gives.
        kind: of the part.
        settings: keys of its table in a recipe.
        skip: names of checks to leave out.

    Raises:
        PluginError: there are no checks for this kind, or `skip` names one that is none.
    """
    import pytest  # noqa: PLC0415 - of authors' tests, not of users

    checks = [each for each in checks_of(kind) if each.name not in skip]
    subject = Subject(component, kind, settings)

    def tried(each: Check) -> Callable[[], None]:
        def run() -> None:
            __tracebackhide__ = True
            result = each(subject)
            if result.outcome == "skipped":
                pytest.skip(result.saw)
            if result.outcome == "failed":
                pytest.fail(
                    f"{result.component} {result.check}\ndid:   {result.did}\n"
                    f"saw:   {result.saw}\ncause: usually {result.cause}",
                    pytrace=False,
                )

        return run

    return pytest.mark.parametrize(
        "check", [pytest.param(tried(each), id=each.name) for each in checks]
    )
