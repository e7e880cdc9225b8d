"""The words of a KenLM binary: kenlm's Python package looks words up, and lists none.

`build_binary` writes them, each closed by a zero byte, at the end of the file, `<unk>` first; the
head of the file says whether it did (lm/binary_format.hh of KenLM, format version 5).
"""

import mmap
import struct
from pathlib import Path

_PARAMETERS = struct.Struct("<B3xfI?3xI")  # order, multiplier, kind, has words, search version
_AT = 88  # after the values that tell whether the machine is of the same kind
_COUNTS_AT = _AT + _PARAMETERS.size
_FIRST = b"<unk>\0"


def binary_words(path: Path) -> list[str] | None:
    """Words of a binary, without the special ones; None: it does not hold them.

    Nothing else is checked: KenLM does that, when it opens the file.
    """
    with path.open("rb") as file:
        head = file.read(_COUNTS_AT + 8)
        if len(head) < _COUNTS_AT + 8:
            return None
        *_, has_words, _ = _PARAMETERS.unpack_from(head, _AT)
        [count] = struct.unpack_from("<Q", head, _COUNTS_AT)
        if not has_words:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            start = whole.rfind(_FIRST)
            words = whole[start:].split(b"\0")[:-1] if start >= 0 else []
    if len(words) != count:
        return None
    return [word.decode(errors="replace") for word in words[1:] if word not in {b"<s>", b"</s>"}]
