"""Which variants of espeak-ng's voices speak when a recipe names none.

Most of the hundred variants are near copies of others, some are effects: whispering, croaking,
robots. Those below were chosen by measurement. Kept were variants of which each of 30 words was
nearest, by dynamic time warping of cepstra without their means, to the same word of one of four
plain voices; of these, one of each group that sounds alike (in mean spectrum and fundamental
frequency). The voices of validation and test are no near copies of those of training.
"""

from speechkit_corpora.synthetic.grammar import Part

# Each list alternates between lower and higher voices and begins with the plainest, so that the
# first few of it are varied.
VARIANTS: dict[Part, tuple[str, ...]] = {
    "train": (
        *("m3", "f1", "edward", "Annie", "Mario", "f5"),
        *("gustave", "f3", "robert", "grandma", "ed", "pablo"),
        *("quincy", "Nguyen", "klatt3", "Andrea", "benjamin", "steph"),
        *("paul", "anika", "Tweaky", "Reed", "victor", "RicishayMax"),
        *("Gene2", "antonio", "marcelo", "boris", "Hugo", "sandro"),
        *("m8", "iven3", "Andy", "Jacky", "travis"),
    ),
    "validation": ("m1", "belinda", "max", "aunty"),
    "test": ("m7", "linda", "m4", "f2"),
}
