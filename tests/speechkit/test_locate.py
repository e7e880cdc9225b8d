"""Where a key of a TOML text is found."""

import time
import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from speechkit.locate import lines_of

KEYS = st.text("abcdefg_-", min_size=1, max_size=4)
VALUES = st.sampled_from(
    [
        "1",
        '"#x = 1"',
        '"[a]"',
        "[\n 1,\n # ]\n 2,\n]",
        '"""\n[a]\nb = 1\n"""',
        "'''\n]\n'''",
        "{x = 1, y.z = [2]}",
        "1979-05-27",
        "inf",
    ]
)
TABLES = st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4)


@settings(deadline=None)
@given(TABLES, st.booleans())
def test_every_table_and_key_is_at_the_line_that_gives_it(document, is_array):
    text = ""
    for table, pairs in document.items():
        header = f"[[{table}]]" if is_array else f"[{table}]"
        given_twice = f"{header}\n" if is_array else ""
        text += f"# {table}\n{given_twice}\n{header}  # here\n"
        text += "".join(f"{key} = {value}\n" for key, value in pairs.items())
    tomllib.loads(text)
    lines, found = text.split("\n"), lines_of(text)
    for table, pairs in document.items():
        place = (table, 1) if is_array else (table,)
        assert lines[found[place] - 1].endswith("]  # here")
        for key, value in pairs.items():
            first = f"{key} = {value}".split("\n")[0]
            assert lines[found[*place, key] - 1] == first


def test_items_of_an_array_over_lines_are_found():
    text = 'a = 1\n[t]\nfiles = [\n  "x",  # ]\n\n  "y", "z",\n  { k = 1 },\n]\nb = 2\n'
    found = lines_of(text)
    places = [("t", "files", 0), ("t", "files", 1), ("t", "files", 2), ("t", "files", 3, "k")]
    assert [found[place] for place in places] == [4, 6, 6, 7]
    assert found["t", "files"] == 3
    assert found["t", "b"] == 9


def test_dotted_keys_and_headers_within_arrays_of_tables():
    text = "[[a]]\n[a.b]\nc.d = 1\n[[a]]\n[[a.e]]\n[[a.e]]\nf = 1\n[a.b]\nc = 2\n"
    found = lines_of(text)
    assert found["a", 0, "b", "c", "d"] == 3
    assert found["a", 1] == 4
    assert found["a", 1, "e", 1, "f"] == 7
    assert found["a", 1, "b", "c"] == 9


def test_a_table_is_where_its_own_header_is():
    assert lines_of("[a.b]\n[a]\n")["a",] == 2


def test_a_long_array_does_not_take_long():
    text = "a = [\n" + "".join(f'  "line {number}",\n' for number in range(2000)) + "]\nb = 1\n"
    begin = time.process_time()
    assert lines_of(text)["b",] == 2003
    assert time.process_time() - begin < 1
