"""Error rates as N2's notebook counts them: to compare with what it published."""

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from speechkit import Config


class N2ProtocolConfig(Config):
    """It has no settings."""


class N2Protocol:
    """Word and character error rate of each utterance over its hypothesis, and their mean.

    The notebook gives jiwer the hypothesis where the reference belongs, utterance by utterance, and
    takes the mean: each rate is over the length of the hypothesis, and a short utterance counts as
    much as a long one. An empty hypothesis, at which jiwer stopped with an error then, counts as 1
    (as 0 where the reference is empty, too). Without pairs: 0.

    >>> N2Protocol(N2ProtocolConfig())([("a b c d", "a b"), ("e", "e")])
    {'wer': 0.5, 'cer': 0.6666666666666666}
    """

    def __init__(self, config: N2ProtocolConfig) -> None:
        pass

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
        """(reference, hypothesis) of every utterance -> "wer" and "cer"."""
        count = max(1, len(pairs))
        return {
            "wer": sum(_rate(ref.split(), hyp.split()) for ref, hyp in pairs) / count,
            "cer": sum(_rate(ref, hyp) for ref, hyp in pairs) / count,
        }


def _rate(reference: Sequence[str], hypothesis: Sequence[str]) -> float:
    if not hypothesis:
        return float(bool(reference))
    return Levenshtein.distance(reference, hypothesis) / len(hypothesis)
