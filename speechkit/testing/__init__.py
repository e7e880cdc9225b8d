"""Behavioural checks of a part: what its interface promises, tried on it.

An author's tests, whole:

    from speechkit.testing import every_check

    @every_check(my_plugin.speechkit_models()[0], "model", settings={"size": 16})
    def test_contract(check):
        check()

`check` runs all of them and gives a record for each; `speechkit plugins check` shows these.
"""

from speechkit.testing.checks import Check, Result, Unmet
from speechkit.testing.running import check, checks_of, every_check

__all__ = ["Check", "Result", "Unmet", "check", "checks_of", "every_check"]
