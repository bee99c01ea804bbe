"""The instructor's page: its plans add up, and its sections, exercises, figures and messages are those of the book."""

import re
from functools import cache

import nbformat
import pytest
from conftest import ROOT
from textgen import check
from toc import notebooks

PAGE = (ROOT / "book/instructor.md").read_text(encoding="utf-8")
NOTEBOOKS = {path.name: path for path in notebooks()}
CHAPTERS = [name for name in NOTEBOOKS if name[:2].isdecimal()]
LINK = re.compile(r"\[([^\]]*)\]\(([\w-]+\.ipynb)(?:#([\w-]+))?\)")


def part(heading: str) -> str:
    """What stands under a heading of the page, up to the next of its level or above."""
    level = heading.split()[0]
    after = PAGE.partition(f"{heading}\n")[2]
    assert after, f"no heading {heading!r}"
    return re.split(rf"^#{{2,{len(level)}}} ", after, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The rows of the tables in a text, a list of cells each, without the heads."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]
    bars = [i for i, row in enumerate(cells) if set("".join(row)) <= set("- ")]
    return [row for i, row in enumerate(cells) if i not in bars and i + 1 not in bars]


@cache
def read(name: str) -> tuple[str, str, str]:
    """A notebook's prose, its code, and what it printed."""
    cells = nbformat.read(NOTEBOOKS[name], as_version=4).cells
    prose, code = (
        "\n".join(cell.source for cell in cells if cell.cell_type == kind) for kind in ("markdown", "code")
    )
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return prose, code, "\n".join(output.get("text", "") for output in outputs)


def slug(heading: str) -> str:
    """The anchor of a heading, as the book and GitHub make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def headings(name: str) -> list[str]:
    """The headings of a notebook's sections."""
    return re.findall(r"^##+ (.*)$", read(name)[0], re.MULTILINE)


PLANS = {
    title: rows(part(f"### {title}")) for title in re.findall(r"^### (.*)$", part("## Plans"), re.MULTILINE)
}


def test_there_is_a_plan_for_each_length():
    assert [int(re.search(r"\((\d+) minutes\)$", title)[1]) for title in PLANS] == [90, 120, 240, 480]


@pytest.mark.parametrize("title", PLANS)
def test_minutes_of_a_plan_add_up(title):
    at = 0
    for clock, minutes, *_ in PLANS[title]:
        assert clock == f"{at // 60}:{at % 60:02}"
        at += int(minutes)
    assert at == int(re.search(r"\((\d+) minutes\)$", title)[1])


@pytest.mark.parametrize("title", PLANS)
def test_sections_of_a_plan_have_the_minutes_of_their_pages(title):
    named = []
    for row in PLANS[title]:
        assert len(row) == 6
        if found := LINK.search(row[2]):
            words, name, _ = found.groups()
            minutes = "1 minute" if row[1] == "1" else f"{row[1]} minutes"
            assert f"{words} ({minutes})" in headings(name), row
            assert row[2].split()[0] == name[:2]
            named.append((name, words))
    assert len(set(named)) == len(named) >= 9  # none is taught twice


@pytest.mark.parametrize("title", PLANS)
def test_a_break_comes_before_two_hours_are_over(title):
    sitting = 0
    for _, minutes, name, *_ in PLANS[title]:
        sitting = 0 if name in ("**Break**", "**Lunch**") else sitting + int(minutes)
        assert sitting < 120


def test_what_may_be_skipped_is_there():
    for plan in PLANS.values():
        for row in plan:
            if found := re.search(r"(?:skip|leave out) \*([^*]+)\*", row[5]):
                page = LINK.search(row[2])[2]
                assert any(heading.startswith(f"{found[1]} (") for heading in headings(page)), row


def test_every_link_to_a_page_arrives():
    for words, name, anchor in LINK.findall(PAGE):
        assert name in NOTEBOOKS, words
        assert not anchor or anchor in map(slug, headings(name)), (words, anchor)
    own = set(map(slug, re.findall(r"^##+ (.*)$", PAGE, re.MULTILINE)))
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= own
    glossary = (ROOT / "book/glossary.md").read_text(encoding="utf-8")
    terms = set(map(slug, re.findall(r"^## (.*)$", glossary, re.MULTILINE)))
    assert set(re.findall(r"\]\(glossary\.md#([\w-]+)\)", PAGE)) <= terms


def key_of(name: str) -> list[list[str]]:
    """The rows of the answer key that belong to a page."""
    sections = re.split(r"^### ", part("## Answer key"), flags=re.MULTILINE)[1:]
    (section,) = [one for one in sections if LINK.search(one)[2] == name]
    return rows(section)


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_check_has_its_row_in_the_answer_key(name):
    called = set(re.findall(r"\bcheck\.(\w+)\(", read(name)[1])) - {"figure", "claim"}
    named = [row[1].removeprefix("`check.").removesuffix("`") for row in key_of(name) if row[1]]
    assert sorted(named) == sorted(called)
    assert all(callable(getattr(check, one)) for one in named)


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_question_without_a_check_has_a_row_too(name):
    prose = read(name)[0]
    open_part = re.findall(r"without a check:\n\n(.*?)(?=\n\n|\Z)", prose, re.DOTALL)
    open_part += re.findall(r"^## Try it\n\n(.*?)(?=\n\n|\Z)", prose, re.MULTILINE | re.DOTALL)
    asked = len(re.findall(r"^- ", "\n".join(open_part), re.MULTILINE))
    key = key_of(name)
    assert sum(row[0].startswith("Explore: ") or "## Try it" in prose for row in key) == asked
    exercises = len(re.findall(r"^\*\*\d\. ", prose, re.MULTILINE))
    assert sum(row[0][0].isdecimal() for row in key) == exercises


@pytest.mark.parametrize("name", CHAPTERS)
def test_figures_to_compare_are_those_that_the_page_checks(name):
    mine = [row for row in rows(part("## Is mine right?")) if LINK.search(row[0])[2] == name]
    assert len(mine) == 3
    for _, label, record, within in mine:
        agree = f"they agree within {within}" if within != "exactly" else "they agree"
        found = rf"^ *{re.escape(label)}: \S+ \(on record: {re.escape(record)}; {agree}\)$"
        claim = rf"^ *{re.escape(label)}: {record} in this run$"
        assert re.search(found if within else claim, read(name)[2], re.MULTILINE), label


@pytest.mark.parametrize("name", CHAPTERS)
def test_times_are_those_of_the_pages(name):
    (row,) = [row for row in rows(part("## The day before")) if LINK.search(row[0])[2] == name]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"\]\(book/{name}\).*?\| {row[1]} minutes \|", readme)
    assert f"takes {row[2]}" in read(name)[0]


def test_messages_are_those_that_are_raised():
    folders = [*(ROOT / "book/textgen").rglob("*.py"), *(ROOT / "tools").glob("*.py")]
    source = "\n".join(path.read_text(encoding="utf-8") for path in folders)
    source = re.sub(r"['\"]\s*\n\s*f?['\"]", "", source).replace("{hint}", "").replace('\\"', '"')
    for message, why, mend in rows(part("## Common errors")):
        assert why and mend
        if not message.endswith("*"):  # with a star it is Python's, Jupyter's or Colab's
            assert re.fullmatch("`.*`|.*", message)[0].strip("`") in source, message


def test_commands_are_those_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = set(re.findall(r"^make (\w+)", PAGE, re.MULTILINE))
    assert commands == {"book", "student", "slides", "bundle", "serve"}
    assert all(re.search(rf"^{command}:", makefile, re.MULTILINE) for command in commands)


@pytest.mark.parametrize("chapter", ["00", "05", "06", "07"])
def test_a_guide_has_three_questions_and_a_misconception(chapter):
    guide = part(f"### Chapter {chapter}")
    assert re.findall(r"^(\d)\. \*\*", guide, re.MULTILINE) == ["1", "2", "3"]
    assert guide.count("*Common misconception: ") == 1
    titles = {
        re.sub(r" \(\d+ minutes?\)", "", heading)
        for name in CHAPTERS
        if name.startswith(chapter)
        for heading in headings(name)
    }
    pointed = {" ".join(words.split()) for words in re.findall(r"(?<!\*)\*(\w[^*]+)\*(?!\*)", guide)}
    if chapter != "00":  # there it follows from the question
        assert len([words for words in pointed if any(one.startswith(words) for one in titles)]) >= 2


def test_the_page_is_in_the_book_and_can_be_found():
    assert "book/instructor" in (ROOT / "_toc.yml").read_text()
    assert ":link: instructor\n" in (ROOT / "book/index.md").read_text()
    assert "](book/instructor.md)" in (ROOT / "README.md").read_text()


def test_it_is_short_beside_its_tables():
    words = [word for line in PAGE.splitlines() if not line.startswith("|") for word in line.split()]
    assert len(words) <= 2500
