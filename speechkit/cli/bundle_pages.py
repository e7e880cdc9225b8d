"""What `speechkit verify` says: of what the bundle is, its numbers, and whether they hold."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from speechkit.bundle import Contents, Rescored, Verified
from speechkit.cli.page import Block, Heading, Paragraph, Table
from speechkit.cli.score_tables import told
from speechkit.scoring.told import interval_shown

_TOLD = ("error", "warning")  # findings of the audit
_MOST = 1e15  # of seconds, or whatever is counted


def pages(found: Verified) -> Iterator[Block]:
    """The whole of it, the verdict last."""
    contents = found.contents
    yield Heading(contents.name, 1)
    if description := _text(_at(contents.recipe, "recipe", "description")):
        yield Paragraph(description)
    yield Table(["what", "it is"], list(_facts(contents)), texts=2)
    yield Heading("Speech")
    headings = ["part", "corpus", "fingerprint", "utterances", "hours", "speakers"]
    yield Table(headings, list(_speech(contents)), texts=3)
    if decoders := list(_decoders(contents)):
        yield Heading("Decoders")
        yield Table(["decoder", "settings", "language model", "of text"], decoders, texts=4)
    yield Heading("Audit of the data, when it was trained")
    yield from _audit(contents)
    yield Heading("Scores")
    headings = ["test", "decoder", "scored again", "WER", "95 %", "CER", "SER", "words"]
    yield Table(headings, [_score(each) for each in found.rows], texts=3)
    for line in told([each.stored for each in found.rows]):
        yield Paragraph(line)
    if other := list(_other(found.rows)):
        yield Heading("What is not equal")
        yield Table(["test", "decoder", "number", "in the bundle", "scored again"], other, texts=5)
    if contents.changed:
        yield Heading("Files that are not what they were")
        yield Table(["file", ""], [list(each) for each in contents.changed.items()], texts=2)
    yield Heading("Verdict")
    yield Paragraph(_verdict(found))
    yield Paragraph(
        f"Its sum is {contents.sum}. Whoever changes a bundle can make one that holds with another "
        "sum: compare it with the one that was published. That a model recognised these texts is "
        "its author's word."
    )


def _facts(contents: Contents) -> Iterator[list[str]]:
    recipe, environment = contents.recipe, contents.environment
    yield ["language", _text(_at(recipe, "recipe", "language"))]
    sizes = (_at(stage, "measured", "parameters") for stage in contents.stages.values())
    size = next(filter(None, map(_number, sizes)), None)
    parameters = f", {size:,.0f} parameters" if size else ""
    yield ["model", f"{_text(_at(recipe, 'model', 'use'))}{parameters}"]
    rules = _table(_at(recipe, "text"))
    if rules:
        yield ["text rules", _settings(rules)]
    packages = _table(_at(environment, "packages")) | _table(_at(environment, "plugins"))
    versions = {key: _at(environment, key) for key in ("speechkit", "python")} | packages
    made_with = [f"{name} {_text(version)}" for name, version in versions.items() if version]
    yield ["made with", ", ".join(made_with)]
    yield ["on", f"{_text(_at(environment, 'device'))}, {_text(_at(environment, 'system'))}"]
    weights = contents.sizes.get("model.safetensors")
    yield ["weights", f"in it, {weights:,} bytes" if weights else "not in it"]


def _speech(contents: Contents) -> Iterator[list[str]]:
    """A row a part: what it is, how much of it there is, and what stands for its content."""
    corpora = {name: _at(contents.recipe, "corpus", name) for name in ("train", "validation")}
    corpora |= _table(_at(contents.recipe, "corpus", "test"))
    trained_on = _at(contents.stages, "train", "inputs", "data")
    for name, corpus in corpora.items():
        if corpus is None:
            continue
        mark = _at(contents.stages, f"emit {name}", "inputs", "data") or _at(trained_on, name)
        part = _at(contents.audit, "parts", name)
        seconds, speakers = _number(_at(part, "seconds")), _at(part, "speakers")
        yield [
            name,
            " + ".join(_corpora(_table(corpus))),
            _text(mark),
            _text(_at(part, "utterances")),
            "" if seconds is None else f"{seconds / 3600:.2f}",
            "not named" if speakers == 0 else _text(speakers),
        ]


def _corpora(table: Mapping[str, Any]) -> Iterator[str]:
    """What each corpus of a part is: one, or several in tables of their own."""
    for each in [table] if "use" in table else table.values():
        yield " ".join(_text(_at(each, key)) for key in ("use", "path")).strip()


def _decoders(contents: Contents) -> Iterator[list[str]]:
    """A row a decoder: its settings, the weights that were found, its language model."""
    shown = set()
    for row, _ in contents.rows:
        made_from = _at(contents.stages, f"decode {row.decoder} {row.test}", "inputs")
        if row.decoder in shown or made_from is None:
            continue
        shown.add(row.decoder)
        settings = _table(_at(made_from, "decoder")) | _table(_at(made_from, "weights"))
        settings = {key: settings[key] for key in settings if key not in {"use", "revision"}}
        model = _table(_at(made_from, "lm", "lm"))
        texts = _at(made_from, "lm", "text")
        files = [each[0] for each in _list(texts) if _is_file(each)]
        if _at(made_from, "lm", "train"):
            files.append("transcripts of train")
        yield [
            row.decoder,
            _settings(settings) or "none",
            _settings(model) or "none",
            ", ".join(files),
        ]


def _is_file(stamp: Any) -> bool:  # noqa: ANN401 - JSON that another may have written
    return isinstance(stamp, list) and bool(stamp) and isinstance(stamp[0], str)


def _audit(contents: Contents) -> Iterator[Block]:
    yield Paragraph(_text(_at(contents.audit, "verdict")) or "There was none.")
    findings = _at(contents.audit, "findings")
    rows = [
        [
            _text(_at(each, "severity")),
            " → ".join(map(_text, _list(_at(each, "parts")))),
            _text(_at(each, "what")),
            " ".join(_text(_at(each, key)) for key in ("count", "total", "unit")),
        ]
        for each in _list(findings)
        if _at(each, "severity") in _TOLD
    ]
    if rows:
        yield Table(["", "where", "finding", "found, of"], rows, texts=4)


def _score(each: Rescored) -> list[str]:
    row = each.stored
    return [
        row.test,
        row.decoder,
        "NOT EQUAL" if each.other else "equal",
        f"{row.wer:.4f}",
        interval_shown(row),
        f"{row.cer:.4f}",
        "" if row.ser is None else f"{row.ser:.4f}",
        f"{row.words:,}",
    ]


def _other(rows: Sequence[Rescored]) -> Iterator[list[str]]:
    for each in rows:
        for key in each.other:
            numbers = (row.row().get(key) for row in (each.stored, each.again))
            yield [each.stored.test, each.stored.decoder, key, *map(_text, numbers)]


def _verdict(found: Verified) -> str:
    utterances = sum(each.again.utterances for each in found.rows)
    wrong = sum(bool(each.other) for each in found.rows)
    contents, rows = found.contents, _counted(len(found.rows), "row")
    if found.holds:
        return (
            f"Equal: {rows} of scores, counted again from {utterances:,} references and "
            f"hypotheses; all {len(contents.sizes)} files are as its manifest says."
        )
    what = [f"{wrong} of {rows} of scores do not follow from its texts"] if wrong else []
    if contents.changed:
        what.append(f"{_counted(len(contents.changed), 'file')} not what it was: see above")
    return f"NOT EQUAL: {'; '.join(what)}."


def _at(value: Any, *keys: str) -> Any:  # noqa: ANN401 - JSON that another may have written
    """What stands at a path of tables; None where there is nothing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _table(value: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - as above
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:  # noqa: ANN401 - as above
    """A number that can be one of seconds or parameters."""
    return value if isinstance(value, float | int) and abs(value) < _MOST else None


def _text(value: Any) -> str:  # noqa: ANN401 - as above
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return "?" if _number(value) is None else f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return repr(value)


def _settings(table: dict[str, Any]) -> str:
    """`beam 100; lm_weight 0.8`; what is not set is left out."""
    said = [
        f"{key} {_text(value)}" for key, value in table.items() if value not in (None, "", [], {})
    ]
    return "; ".join(said)


def _counted(number: int, one: str) -> str:
    return f"{number:,} {one}" + ("" if number == 1 else "s")
