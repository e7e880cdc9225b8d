"""What the small model is made with."""

from rich.console import Console
from tones import RECIPE

from speechkit.reporter import Reporter

WITH_LM = (
    RECIPE.replace('name = "tones"', 'name = "tones"\ndescription = "Hears <tones> | and no words"')
    + '[lm]\nuse = "ngram"\norder = 2\n[decoder]\nuse = "kenlm"\nprocesses = 1\n'
    + "[tune]\nsettings = 4\nutterances = 6\n"
)
LICENCE = "model: Apache-2.0; tones: public domain"


def quiet() -> Reporter:
    return Reporter(Console(quiet=True))
