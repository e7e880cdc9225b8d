"""The search: CTC prefix beam search with an n-gram language model, a frame at a time.

Hannun et al., "First-pass large vocabulary continuous speech recognition using bi-directional
recurrent DNNs", 2014, but with hypotheses recombined where language model state, place in the
lexicon and last label are the same. What makes it fast:

- Probabilities are scaled, not logarithms: sums need no exponential.
- Candidates are counted by rank in buckets. Once `beam` of them are better, anything worse is
  rejected before it is looked up; no sorting, and the beam comes out nearly sorted.
- A hypothesis asks the language model what the end of its word costs at most once.
- Labels are tried from the most probable on, until none can survive.

The same code runs without numba: integers stay within 63 bits by masks, not by overflow.
"""

import math

from speechkit_beam.compiling import compiled, inlined
from speechkit_beam.lm import END, UNKNOWN, step
from speechkit_beam.records import (
    BLANK,
    BUCKETS,
    EDGES,
    JOIN,
    KEPT,
    LENGTH_AT,
    LONGEST,
    LOWEST,
    OUTSIDE,
    ROOT,
    SHIFT,
    Array,
    Labels,
    Records,
    Settings,
    Work,
)

_MASK = (1 << LENGTH_AT) - 1
_MIX_1 = 0x1E3779B97F4A7C15
_MIX_2 = 0x3F58476D1CE4E5B9
_MIX_3 = 0x14D049BB133111EB
_MOST_FRAMES = (1 << 31) - 1  # an int32 holds
_LOOK_BACK = 8  # joins
_FLOOR = 1e-30  # of probabilities: a model that is too sure ends no hypothesis


@compiled
def advance(
    probs: Array,
    start: int,
    settings: Settings,
    labels: Labels,
    nodes: Records,
    lm: Array,
    beam: Records,
    trace: Records,
    progress: Records,
    work: Work,
) -> int:
    """Read frames from `start` on, until the trace may have no room for the next one.

    Args:
        probs: (T, V) float32, probabilities of the labels.
        start: the frame to begin with.
        settings: as the user chose.
        labels: how they are spelled.
        nodes: (N + 1,) the lexicon.
        lm: NgramArrays.
        beam: (K,) the hypotheses, changed in place.
        trace: (A,) is written on.
        progress: (1,) is brought up to date.
        work: for this call alone.

    Returns:
        The frame to go on with; T when all were read.
    """
    now = progress[0]
    tally = work.tally[0]
    room = len(trace) - settings.beam - 2 * len(work.merged)
    for frame in range(start, len(probs)):
        if now.traced > room:
            return frame
        row = probs[frame]
        _choose_labels(row, settings, labels, work.chosen, tally)
        if tally.inside + tally.parting == 0:
            _wait(row, settings, beam, now)
        else:
            _stay(row, settings, beam, now, work)
            for source in range(now.kept):
                _extend_word(beam[source], row, settings, labels, nodes, trace, work)
                _end_word(beam[source], source, row, settings, labels, nodes, lm, trace, work)
            _keep_best(row, settings, beam, trace, now, work)
        now.frame += 1
    return len(probs)


@inlined
def _choose_labels(
    row: Array, settings: Settings, labels: Labels, chosen: Array, tally: Records
) -> None:
    """Sort the labels worth a try, `top_k` of them at most, most probable first."""
    count = 0
    for label in range(1, len(row)):
        prob = float(row[label])
        if prob < settings.least:
            continue
        if count == settings.top_k:
            if prob <= row[chosen[0, count - 1]]:
                continue
            count -= 1
        at = count
        while at > 0 and row[chosen[0, at - 1]] < prob:
            chosen[0, at] = chosen[0, at - 1]
            at -= 1
        chosen[0, at] = label
        count += 1
    tally.inside = 0
    tally.parting = 0
    for at in range(count):
        label = chosen[0, at]
        if labels.parts[label]:
            chosen[1, tally.parting] = label
            tally.parting += 1
        else:
            chosen[0, tally.inside] = label
            tally.inside += 1


@inlined
def _either(summed: bool, one: float, other: float) -> float:  # noqa: FBT001 - compiled
    """Two ways to the same: their sum, or the more probable one."""
    if summed:
        return one + other
    return max(one, other)


@inlined
def probability(row: Array, label: int) -> float:
    """Of a label in a frame."""
    return max(float(row[label]), _FLOOR)


@inlined
def _wait(row: Array, settings: Settings, beam: Records, now: Records) -> None:
    """A frame in which nothing is said, a blank mostly: no hypothesis is extended or dropped."""
    best = 0.0
    for at in range(now.kept):
        hyp = beam[at]
        total = _either(settings.summed, hyp.blank, hyp.label)
        hyp.label *= probability(row, hyp.last)
        hyp.blank = total * probability(row, BLANK)
        best = max(best, _either(settings.summed, hyp.blank, hyp.label))
    for at in range(now.kept):
        beam[at].blank /= best
        beam[at].label /= best
    now.log_scale += math.log(best)


@inlined
def _stay(row: Array, settings: Settings, beam: Records, now: Records, work: Work) -> None:
    """Begin a frame: every hypothesis as it is, by a blank, or as its last label goes on."""
    tally = work.tally[0]
    tally.number += 1
    if tally.number > _MOST_FRAMES:
        for slot in range(len(work.table)):
            work.table[slot].frame = 0
        tally.number = 1
    tally.used = now.kept
    tally.merged = 0
    tally.best = 0.0
    slots = len(work.table) - 1
    for at in range(now.kept):
        work.candidates[at] = beam[at]
        hyp = work.candidates[at]
        total = _either(settings.summed, hyp.blank, hyp.label)
        # Between words, another boundary after a blank parts the same words.
        label = total if hyp.place == ROOT and hyp.last != BLANK else hyp.label
        hyp.blank = total * probability(row, BLANK)
        hyp.label = label * probability(row, hyp.last)
        total = _either(settings.summed, hyp.blank, hyp.label)
        hyp.best = total
        hyp.added = KEPT
        hyp.merged = -1
        work.rank[at] = total * hyp.potential
        tally.best = max(tally.best, work.rank[at])
        slot = _slot(hyp.place, hyp.state, hyp.last) & slots
        while work.table[slot].frame == tally.number:
            slot = (slot + 1) & slots
        work.table[slot].frame = tally.number
        work.table[slot].candidate = at
    tally.cutoff = tally.best * settings.worst
    work.rank[now.kept] = tally.cutoff
    tally.cut = _bucket(work.rank_bits[now.kept])
    tally.above = 0
    for at in range(now.kept):
        _count(_bucket(work.rank_bits[at]), settings, work)


@inlined
def _extend_word(
    source: Records,
    row: Array,
    settings: Settings,
    labels: Labels,
    nodes: Records,
    trace: Records,
    work: Work,
) -> None:
    """Go on with the word, or begin one at the root, by the labels that do not part words."""
    tally = work.tally[0]
    total = _either(settings.summed, source.blank, source.label)
    for at in range(tally.inside):
        label = work.chosen[0, at]
        prob = float(row[label])
        if total * source.reach * prob < tally.cutoff:
            break  # nor can any less probable label survive
        gain = (source.blank if label == source.last else total) * prob
        if gain * source.reach < tally.cutoff:
            continue
        place = walked(source.place, label, labels, nodes)
        _add(source.entry, label, gain, place, source.state, settings, nodes, trace, work)


@inlined
def _end_word(
    source: Records,
    at: int,
    row: Array,
    settings: Settings,
    labels: Labels,
    nodes: Records,
    lm: Array,
    trace: Records,
    work: Work,
) -> None:
    """End the word by the labels that part words; those of several characters begin the next."""
    tally = work.tally[0]
    total = _either(settings.summed, source.blank, source.label)
    for choice in range(tally.parting):
        label = work.chosen[1, choice]
        gain = (source.blank if label == source.last else total) * float(row[label])
        state = source.state
        if source.place != ROOT:
            if source.end_factor < 0:
                if gain * _most_at_end(source.place, settings, nodes) < tally.cutoff:
                    continue
                factor, after = word_end(source.place, state, settings, nodes, lm)
                source.end_factor = factor
                source.end_state = after
                # The candidate that is this hypothesis unextended need not ask again.
                work.candidates[at].end_factor = factor
                work.candidates[at].end_state = after
            gain *= source.end_factor
            state = source.end_state
        elif label == labels.boundary:
            continue  # the hypothesis stays what it is: see `_stay`
        place = walked(ROOT, label, labels, nodes)
        _add(source.entry, label, gain, place, state, settings, nodes, trace, work)


@inlined
def walked(place: int, label: int, labels: Labels, nodes: Records) -> int:
    """Where a label's characters lead to."""
    for at in range(labels.first[label], labels.first[label + 1]):
        code = labels.characters[at]
        child = -1
        if place < OUTSIDE:
            child = _child(place, code, nodes)
        place = child if child >= 0 else _mixed(place, code)
    return place


@inlined
def _child(place: int, code: int, nodes: Records) -> int:
    """The node one character further; -1 where no word goes on so."""
    low = nodes[place].first_child
    end = nodes[place + 1].first_child
    high = end
    while low < high:
        middle = (low + high) >> 1
        if nodes[middle].code < code:
            low = middle + 1
        else:
            high = middle
    return low if low < end and nodes[low].code == code else -1


@inlined
def _most_at_end(place: int, settings: Settings, nodes: Records) -> float:
    """What the end of a word brings at most: the language model gives no more than 1."""
    if place < OUTSIDE and nodes[place].word >= 0:
        return settings.word_factor * float(nodes[place].bonus)
    if settings.closed:
        return 0.0
    return settings.word_factor * float(settings.oov[_outside(place)])


@inlined
def word_end(
    place: int, state: int, settings: Settings, nodes: Records, lm: Array
) -> tuple[float, int]:
    """What the end of a word brings, and the state after it."""
    word = UNKNOWN
    if place < OUTSIDE and nodes[place].word >= 0:
        word = nodes[place].word
    elif settings.closed:
        return 0.0, state
    log_prob, after = step(lm, state, word)
    factor = math.exp(settings.lm_weight * log_prob) * _most_at_end(place, settings, nodes)
    return factor, after


@inlined
def _mixed(place: int, code: int) -> int:
    """Place outside the lexicon: hash of a spelling and one character more."""
    mixed = ((int(place) & _MASK) * _MIX_1 + (int(code) + 1) * _MIX_2) & _MASK
    length = min(_outside(place) + 1, LONGEST)
    return OUTSIDE | (length << LENGTH_AT) | (mixed ^ (mixed >> 29))


@inlined
def _outside(place: int) -> int:
    """How many characters a place is outside the lexicon."""
    return (place >> LENGTH_AT) & LONGEST


@inlined
def _slot(place: int, state: int, last: int) -> int:
    """Hash of what makes hypotheses the same."""
    mixed = (int(place) & _MASK) * _MIX_1 + (int(state) + 1) * _MIX_2 + int(last) * _MIX_3
    return (mixed & _MASK) >> 29


@inlined
def _add(
    entry: int,
    label: int,
    gain: float,
    place: int,
    state: int,
    settings: Settings,
    nodes: Records,
    trace: Records,
    work: Work,
) -> None:
    """Add a candidate, or a way into one that is there.

    Args:
        entry: of the trace, of the hypothesis it extends.
        label: what is added.
        gain: probability of this way.
        place: where it leads to.
        state: of the language model, then.
        settings: as the user chose.
        nodes: the lexicon.
        trace: how hypotheses came about.
        work: of this frame.
    """
    if place < OUTSIDE:
        potential = float(nodes[place].potential)
    elif settings.closed:
        return
    else:
        potential = settings.outside[_outside(place)]
    tally = work.tally[0]
    if gain * potential < tally.cutoff:
        return
    slots = len(work.table) - 1
    slot = _slot(place, state, label) & slots
    while work.table[slot].frame == tally.number:
        at = work.table[slot].candidate
        known = work.candidates[at]
        if known.place == place and known.state == state and known.last == label:
            known.label = _either(settings.summed, known.label, gain)
            if settings.lattice:
                _remember(known, entry, label, gain, trace, work)
            if gain > known.best:
                known.best = gain
                known.added = label
                known.entry = entry
            total = _either(settings.summed, known.blank, known.label)
            _rank(at, work.rank_bits[at], total * potential, settings, work)
            return
        slot = (slot + 1) & slots
    at = tally.used
    tally.used += 1
    work.table[slot].frame = tally.number
    work.table[slot].candidate = at
    fresh = work.candidates[at]
    fresh.place = place
    fresh.state = state
    fresh.last = label
    fresh.blank = 0.0
    fresh.label = gain
    fresh.potential = potential
    fresh.reach = float(nodes[place].reach) if place < OUTSIDE else potential
    fresh.end_factor = -1.0
    fresh.entry = entry
    fresh.best = gain
    fresh.added = label
    fresh.merged = -1
    _rank(at, -1, gain * potential, settings, work)


@inlined
def _history(entry: int, added: int, trace: Records) -> int:
    """Hash of the labels up to an entry and one more."""
    history = trace[entry].history
    if added == KEPT:
        return int(history)
    mixed = (int(history) * _MIX_1 + (int(added) + 1) * _MIX_2) & _MASK
    return int(mixed ^ (mixed >> 29))


@inlined
def _remember(
    known: Records, entry: int, label: int, gain: float, trace: Records, work: Work
) -> None:
    """Note the worse of two histories of a candidate, for n-best lists."""
    tally = work.tally[0]
    ours = _history(known.entry, known.added, trace)
    theirs = _history(entry, label, trace)
    if ours == theirs or tally.merged == len(work.merged):
        return
    other = work.merged[tally.merged]
    if gain > known.best:
        other.history = ours
        other.entry = known.entry
        other.added = known.added
        other.best = known.best
    else:
        other.history = theirs
        other.entry = entry
        other.added = label
        other.best = gain
    other.next = known.merged
    known.merged = tally.merged
    tally.merged += 1


@inlined
def _bucket(rank_bits: int) -> int:
    return min(max((rank_bits >> SHIFT) - LOWEST, 0), BUCKETS - 1)


@inlined
def _rank(at: int, before: int, rank: float, settings: Settings, work: Work) -> None:
    """Count a candidate by its rank, and raise the cutoff if it is one too many.

    Args:
        at: the candidate.
        before: bits of its rank before; -1 for a new one.
        rank: its rank now.
        settings: as the user chose.
        work: of this frame.
    """
    tally = work.tally[0]
    work.rank[at] = rank
    if rank > tally.best:
        tally.best = rank
        tally.cutoff = max(tally.cutoff, rank * settings.worst)
    bucket = _bucket(work.rank_bits[at])
    if before >= 0:
        earlier = _bucket(before)
        if earlier == bucket:
            return
        if earlier >= tally.cut:
            work.buckets[earlier] -= 1
            tally.above -= 1
    _count(bucket, settings, work)


@inlined
def _count(bucket: int, settings: Settings, work: Work) -> None:
    """One more candidate in a bucket; what is below `beam` better ones cannot survive."""
    tally = work.tally[0]
    cut = tally.cut
    if bucket < cut:
        return
    work.buckets[bucket] += 1
    tally.above += 1
    if tally.above - work.buckets[cut] >= settings.beam:
        while tally.above - work.buckets[cut] >= settings.beam:
            tally.above -= work.buckets[cut]
            work.buckets[cut] = 0
            cut += 1
        tally.cut = cut
        tally.cutoff = max(tally.cutoff, EDGES[cut])


@inlined
def _keep_best(
    row: Array, settings: Settings, beam: Records, trace: Records, now: Records, work: Work
) -> None:
    """The best candidates become the beam, bucket by bucket; within one, in order of arrival."""
    tally = work.tally[0]
    work.rank[tally.used] = tally.best
    highest = _bucket(work.rank_bits[tally.used])
    work.rank[tally.used] = tally.best * settings.worst
    lowest = max(tally.cut, _bucket(work.rank_bits[tally.used]))
    kept = 0
    for bucket in range(highest, lowest - 1, -1):
        count = work.buckets[bucket]
        work.buckets[bucket] = kept
        kept += count
    kept = min(kept, settings.beam)
    scale = 1.0 / tally.best
    for at in range(tally.used):
        bucket = _bucket(work.rank_bits[at])
        if bucket < lowest:
            continue
        to = work.buckets[bucket]
        if to >= kept:
            continue  # of the last bucket, one too many
        work.buckets[bucket] = to + 1
        beam[to] = work.candidates[at]
        hyp = beam[to]
        hyp.blank *= scale
        hyp.label *= scale
        hyp.entry = _write(hyp.entry, hyp.added, row, settings, trace, now)
        if settings.lattice:
            _join(hyp, row, settings, trace, now, work)
    work.buckets[tally.cut : highest + 1] = 0
    now.kept = kept
    now.log_scale += math.log(tally.best)


@inlined
def _write(
    parent: int, added: int, row: Array, settings: Settings, trace: Records, now: Records
) -> int:
    """Write a label on the trace; the entry a hypothesis is at then."""
    if added == KEPT:
        return parent
    entry = trace[now.traced]
    if settings.lattice:
        entry.history = _history(parent, added, trace)
    entry.parent = parent
    entry.other = 0
    entry.label = added
    entry.frame = now.frame
    entry.prob = row[added]
    now.traced += 1
    return int(now.traced - 1)


@inlined
def _join(
    hyp: Records, row: Array, settings: Settings, trace: Records, now: Records, work: Work
) -> None:
    """Write the other histories of a hypothesis on the trace: its entry is then a JOIN of them."""
    at = hyp.merged
    while at >= 0:
        other = work.merged[at]
        share = min(other.best / hyp.best, 1.0)
        if share >= settings.worst and not _joined(hyp.entry, other.history, share, trace):
            entry = _write(other.entry, other.added, row, settings, trace, now)
            join = trace[now.traced]
            join.history = trace[hyp.entry].history
            join.parent = hyp.entry
            join.other = entry
            join.label = JOIN
            join.frame = now.frame
            join.prob = share
            hyp.entry = now.traced
            now.traced += 1
        at = other.next


@inlined
def _joined(entry: int, history: int, share: float, trace: Records) -> bool:
    """Whether a history is among the last few joined already: it comes anew with every frame."""
    for _ in range(_LOOK_BACK):
        if trace[entry].label != JOIN:
            return False
        if trace[trace[entry].other].history == history and trace[entry].prob >= share:
            return True
        entry = trace[entry].parent
    return False


@compiled
def finish(
    settings: Settings,
    nodes: Records,
    lm: Array,
    beam: Records,
    progress: Records,
    scores: Array,
    whole: Array,
) -> None:
    """End every hypothesis: its last word, and the sentence. Changes nothing.

    Args:
        settings: as the user chose.
        nodes: the lexicon.
        lm: NgramArrays.
        beam: the hypotheses.
        progress: of the search.
        scores: (K,) float64, is given natural logarithms of their probabilities.
        whole: (K,) bool, is given whether the last word may end here; else it is left out.
    """
    now = progress[0]
    for at in range(now.kept):
        hyp = beam[at]
        total = _either(settings.summed, hyp.blank, hyp.label)
        score = math.log(max(total, 1e-300)) + now.log_scale
        state = hyp.state
        whole[at] = True
        if hyp.place != ROOT:
            factor, after = word_end(hyp.place, state, settings, nodes, lm)
            if factor > 0:
                score += math.log(factor)
                state = after
            else:
                whole[at] = False
        log_prob, _ = step(lm, state, END)
        scores[at] = score + settings.lm_weight * log_prob
