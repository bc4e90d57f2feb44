"""Tables of figures come from the cards and reports, not from a keyboard."""

import re

import pytest
import write_tables

from fer_jax.errors import FerError


def test_every_table_and_figure_in_readme_and_docs_is_current(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = write_tables.main(["--check"])
    assert (status, capsys.readouterr().err) == (0, "")


def test_a_table_that_somebody_changed_is_written_anew() -> None:
    page = "before\n<!-- table: model_speed -->\n| network |\n<!-- end -->\nafter\n"
    text = write_tables.with_tables(page, name="page.md")
    assert text.startswith("before\n<!-- table: model_speed -->\n| network | parameters |")
    assert text.endswith(" |\n<!-- end -->\nafter\n")
    assert write_tables.with_tables(text, name="page.md") == text


def test_a_figure_within_a_sentence_that_somebody_changed_is_written_anew() -> None:
    page = "of the faces <!-- figure: confident -->99 %<!-- end --> are right"
    text = write_tables.with_tables(page, name="page.md")
    assert re.fullmatch(r"of .* -->\d\d\.\d %<!-- end --> are right", text)
    assert "99 %" not in text


def test_a_table_of_another_name_is_refused_with_the_page_and_the_names() -> None:
    page = "<!-- table: speed -->\n<!-- end -->\n"
    with pytest.raises(FerError, match=r"page\.md: no table 'speed'; there are comparison, "):
        write_tables.with_tables(page, name="page.md")
