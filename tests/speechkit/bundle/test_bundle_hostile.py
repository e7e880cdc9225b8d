"""Files that are no bundles, or are made to do harm: refused in words, and nothing is unpacked."""

import io
import json
import struct
import tracemalloc
import zipfile

import pytest
from bundle_changes import files_of, pack, signed

from speechkit.bundle import archive as archives
from speechkit.bundle import verify
from speechkit.bundle.archive import MANIFEST, WEIGHTS
from speechkit.errors import BundleError

DECODED = "decoded/beam/lj.jsonl"
NOT_WRITTEN = "speechkit has not written this"


def refused(place, match):
    """Verify, which must refuse, leave nothing anywhere, and need little memory."""
    before = sorted(place.parent.rglob("*"))
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=match) as raised:
            verify(place)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sorted(place.parent.rglob("*")) == before
    assert most < 100_000_000
    assert str(raised.value).isprintable() or "\n" in str(raised.value)
    assert len(str(raised.value)) < 1000


def entry(name="run/recipe.toml", **changes) -> zipfile.ZipInfo:
    made = archives._entry(name)
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def packed(place, *entries, content=b"x = 1\n"):
    """An archive of entries that zipfile writes as they are."""
    with zipfile.ZipFile(place, "w") as opened:
        for each in entries:
            opened.writestr(each, content)
    return place


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("/etc/passwd", "is an absolute path"),
        ("C:/windows/system.ini", "is an absolute path"),
        ("run/../../.bashrc", "leads out of the bundle's folder"),
        ("../recipe.toml", "leads out of the bundle's folder"),
        ("run\\..\\..\\x", "no file in a bundle has such a name"),
        ("recipe.toml", "no file in a bundle has such a name"),
        ("run//recipe.toml", "no file in a bundle has such a name"),
        ("run/./recipe.toml", "no file in a bundle has such a name"),
        ("run/recipe\u202elmot", "no file in a bundle has such a name"),
        ("run/\x1b[2Jrecipe.toml", "no file in a bundle has such a name"),
        ("run/" + "x" * 600, "no file in a bundle has such a name"),
        ("run/decoded/", "is a folder of its own"),
    ],
)
def test_names_that_lead_elsewhere(tmp_path, name, match):
    refused(packed(tmp_path / "one.zip", entry(name)), match)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"external_attr": 0o120777 << 16}, "is a link"),
        ({"external_attr": 0o060666 << 16}, "is a device"),
        ({"external_attr": 0o040755 << 16}, "is a folder"),
        ({"external_attr": 0o104755 << 16}, "has another external_attr"),
        ({"compress_type": zipfile.ZIP_BZIP2}, "has another compress_type"),
        ({"compress_type": zipfile.ZIP_LZMA}, "has another compress_type"),
        ({"date_time": (2026, 1, 1, 0, 0, 0)}, "has another date_time"),
        ({"extra": b"\x01\x99\x02\x00ab"}, "has another extra"),
        ({"comment": b"run me"}, "has another comment"),
    ],
)
def test_entries_that_are_no_plain_files(tmp_path, changes, match):
    refused(packed(tmp_path / "one.zip", entry(**changes)), match)


def patched(place, old: bytes, new: bytes, *, times=-1):
    content = place.read_bytes()
    assert old in content
    place.write_bytes(content.replace(old, new, times))
    return place


def test_a_name_twice(tmp_path):
    place = packed(tmp_path / "one.zip", entry("run/a.json"), entry("run/b.json"))
    refused(patched(place, b"run/b.json", b"run/a.json"), "'run/a.json' is in it twice")


def test_two_folders(tmp_path):
    place = packed(tmp_path / "one.zip", entry("run/a.json"), entry("ruin/a.json"))
    refused(place, "holds 2 folders")


def test_names_that_are_cut_or_not_utf_8(tmp_path):
    place = packed(tmp_path / "one.zip", entry("run/a.json.exe"))
    refused(patched(place, b"a.json.exe", b"a.json\0exe"), "no file in a bundle has such a name")
    place = packed(tmp_path / "one.zip", entry("run/\u0434.json"))
    refused(patched(place, "\u0434".encode(), b"\xff\xfe"), "is damaged: 'utf-8' codec")


def test_an_encrypted_file(tmp_path, bundle):
    place = pack(tmp_path / "other.zip", files_of(bundle))
    header = struct.pack("<4s2BH", b"PK\x01\x02", 20, 3, 20)
    refused(patched(place, header + b"\0\0", header + b"\1\0"), "is encrypted")


def test_files_that_expand_without_end(tmp_path, monkeypatch):
    bomb = packed(tmp_path / "one.zip", entry("run/audit.json"), content=b"0" * 100_000_000)
    assert bomb.stat().st_size < 100_000
    refused(bomb, r"would expand from 97,\d+ bytes to 100,000,000")

    # One that says it is small is read no further than that.
    content = bomb.read_bytes()
    size, lie = struct.pack("<L", 100_000_000), struct.pack("<L", 1000)
    bomb.write_bytes(content.replace(size, lie))
    refused(bomb, "is damaged|has no such file|is missing")

    monkeypatch.setattr(archives, "MOST_BYTES", 10)
    place = packed(tmp_path / "two.zip", entry("run/a.json"), entry("run/b.json"))
    refused(place, "its files together: 12 bytes, and a bundle has 10 at most")
    monkeypatch.setattr(archives, "MOST_WEIGHTS_BYTES", 5)
    refused(packed(tmp_path / "w.zip", entry(f"run/{WEIGHTS}")), "6 bytes, and a bundle has 5")


def test_too_many_files(tmp_path):
    many = packed(tmp_path / "one.zip", *(entry(f"run/{n}") for n in range(1001)), content=b"")
    refused(many, "there are 1,001 files in it: a bundle has 1,000 at most")


def test_a_list_of_files_that_is_none(tmp_path, bundle):
    end = bundle.read_bytes()[-22:]
    sign, *_, length, place, _ = struct.unpack("<4s4H2LH", end)
    head = bundle.read_bytes()[:-22]
    for numbers, match in [
        ((0, 0, 65535, 65535, length, place, 0), "there are 65,535 files in it"),
        ((0, 0, 10, 10, 2**32 - 1, place, 0), "its list of files is 4,294,967,295 bytes long"),
        ((0, 0, 10, 10, length, place + 1, 0), NOT_WRITTEN),
        ((0, 0, 9, 9, length, place, 0), "holds 9 files, and lists 10"),
        ((0, 0, 0, 0, length, place, 0), NOT_WRITTEN),
        ((1, 1, 10, 10, length, place, 0), NOT_WRITTEN),
        ((0, 0, 10, 10, length, place, 4), "does not end as a bundle does"),
    ]:
        bundle.write_bytes(head + struct.pack("<4s4H2LH", sign, *numbers))
        refused(bundle, match)


def test_bytes_before_between_and_behind(tmp_path, bundle):
    whole = bundle.read_bytes()
    for other, match in [
        (b"#!/bin/sh\n" + whole, NOT_WRITTEN),
        (whole + b"\n", "does not end as a bundle does"),
        (whole[:-1], "does not end as a bundle does"),
        (whole[: len(whole) // 2], "does not end as a bundle does"),
        (b"", "is no ZIP file"),
        (b"hello" * 100, "does not end as a bundle does"),
    ]:
        bundle.write_bytes(other)
        refused(bundle, match)


def test_bytes_behind_the_last_file(bundle):
    whole = bundle.read_bytes()
    *numbers, place, comment = struct.unpack("<4s4H2LH", whole[-22:])
    end = struct.pack("<4s4H2LH", *numbers, place + 6, comment)
    bundle.write_bytes(whole[:place] + b"hidden" + whole[place:-22] + end)
    refused(bundle, "there is something behind its files")


def test_a_file_that_is_shorter_than_it_says(tmp_path, bundle):
    files = files_of(bundle)
    place = pack(tmp_path / "other.zip", {**files, WEIGHTS: b"x" * 7654})
    refused(patched(place, struct.pack("<L", 7654) * 2, struct.pack("<2L", 7654, 7655)), "damaged")


def test_entries_that_share_their_bytes(tmp_path):
    """As a bomb has them that names one block many times."""
    place = packed(tmp_path / "one.zip", entry("run/a.json"), entry("run/b.json"))
    content = bytearray(place.read_bytes())
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = struct.pack("<L", 0)
    place.write_bytes(content)
    refused(place, "'run/b.json' does not follow on what is before it")


def test_a_file_that_other_programs_would_unpack_under_another_name(tmp_path):
    place = packed(tmp_path / "one.zip", entry("run/a.json"))
    refused(patched(place, b"run/a.json", b"run/a.html", times=1), "listed as another file")


def test_places_that_are_no_files(tmp_path):
    refused(tmp_path, "is a folder, not a bundle")
    refused(tmp_path / "none.zip", "there is no such file")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("model.pt", "nothing that could run"),
        ("tuning/x.pkl", "nothing that could run"),
        ("conftest.py", "nothing that could run"),
        ("inner.zip", "a bundle holds no other archive"),
        ("decoded/beam/lj.jsonl.gz", "a bundle holds no other archive"),
        ("report.html", "a bundle has no such file"),
        ("decoded/beam/x/lj.jsonl", "a bundle has no such file"),
        ("decoded/beam/other.jsonl", "is in it, and no score of it"),
    ],
)
def test_files_that_no_bundle_has(tmp_path, bundle, name, match):
    files = {**files_of(bundle), name: b"\x80\x04."}
    refused(pack(tmp_path / "other.zip", signed(files)), match)


LINE = {"id": "u1", "reference": "a", "hypothesis": "b"}


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        (MANIFEST, b"[]", "'manifest.json' cannot be read"),
        (MANIFEST, b"\xff", "'manifest.json' cannot be read"),
        (
            MANIFEST,
            b'{"format": "speechkit bundle 2", "name": "", "files": {}}',
            "has the format .speechkit bundle 2., not",
        ),
        ("recipe.toml", b"\xff\xfe", "'recipe.toml' cannot be read.*utf-8"),
        ("recipe.toml", b"x = " + b"[" * 100_000, "'recipe.toml' cannot be read"),
        ("recipe.toml", b"x = " + b"9" * 9999, "'recipe.toml' cannot be read"),
        ("stages.json", b"[" * 100_000, "'stages.json' cannot be read.*recursion"),
        ("stages.json", b"[]", "stages.json holds no table"),
        ("stages.json", b'"\xff"', "'stages.json' cannot be read"),
        ("scores.json", b"[]", "scores.json holds no score"),
        ("scores.json", b'{"wer": 0}', "'scores.json' cannot be read"),
        ("scores.json", b'[{"wer": "0.1"}]', "'scores.json' cannot be read"),
        (DECODED, b"\xff\n", "lj.jsonl' cannot be read"),
        (DECODED, json.dumps({**LINE, "hypothesis": 7}).encode(), "hypothesis: Input should be"),
        (DECODED, b'{"id": "\\ud800", "reference": "", "hypothesis": ""}', "hex escape"),
        (DECODED, b"{" * 100_000, "lj.jsonl' cannot be read"),
        (
            WEIGHTS,
            b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins.",
            "is no file of",
        ),
        (WEIGHTS, b"PK\x03\x04" + b"\0" * 100, "is no file of weights"),
        (WEIGHTS, b"", "is no file of weights"),
    ],
)
def test_files_that_are_not_what_their_names_say(tmp_path, bundle, name, content, match):
    files = signed({**files_of(bundle), name: content}) if name != MANIFEST else files_of(bundle)
    refused(pack(tmp_path / "other.zip", {**files, name: content}), match)


def test_files_that_are_missing(tmp_path, bundle):
    for name in (MANIFEST, "recipe.toml", "scores.json", "stages.json", DECODED):
        files = files_of(bundle)
        del files[name]
        files = files if name == MANIFEST else signed(files)
        refused(pack(tmp_path / "other.zip", files), f"{name} is missing")


def test_one_score_twice(tmp_path, bundle):
    files = files_of(bundle)
    rows = json.loads(files["scores.json"])
    files["scores.json"] = json.dumps([*rows, rows[0]]).encode()
    refused(pack(tmp_path / "other.zip", signed(files)), "two rows of one test and decoder")


@pytest.mark.parametrize(
    ("said", "heard", "match"),
    [
        ("a" * 300_000, "b" * 300_000, "too long to compare: 9.0e.10 pairs of letters"),
        ("a " * 60_000, "b " * 60_000, "lj.jsonl': 120,000 letters beside 120,000"),
        ("a\n" * 60_000, "b\n" * 60_000, "lj.jsonl': 120,000 letters beside 120,000"),
    ],
)
def test_texts_that_would_take_hours_to_compare(tmp_path, bundle, said, heard, match):
    line = {"id": "u1", "reference": said, "hypothesis": heard}
    files = signed({**files_of(bundle), DECODED: json.dumps(line).encode()})
    refused(pack(tmp_path / "other.zip", files), match)


def test_a_damaged_file_is_told_by_its_name(tmp_path, bundle):
    whole = bytearray(bundle.read_bytes())
    with zipfile.ZipFile(io.BytesIO(whole)) as opened:
        place = opened.infolist()[1].header_offset
    whole[place + 100 : place + 110] = b"\0" * 10
    bundle.write_bytes(whole)
    refused(bundle, r"the bundle is damaged: '.*'")
