"""The bundle: one zip that is the same each time, holds all that it names, and reads from a stick with no network."""

import zipfile

import bundle
import nbformat
import pytest
from small import SOLUTION, chapter
from test_site import reader, settle


@pytest.fixture
def wheel(tmp_path):
    """A file that stands for the wheel; tests/test_package.py builds the real one."""
    path = tmp_path / "text_generation_course-1.0-py3-none-any.whl"
    path.write_bytes(b"wheel")
    return path


@pytest.fixture
def tiny(tmp_path):
    """A built book of one page."""
    folder = tmp_path / "html"
    (folder / "book").mkdir(parents=True)
    (folder / "_static/vendor/mathjax").mkdir(parents=True)
    (folder / "book/index.html").write_text("<title>Tiny</title>")
    (folder / "index.html").write_text("")
    return folder


def test_a_bundle_holds_all_that_its_readme_names(tiny, wheel, tmp_path):
    page, target = tmp_path / "09-sample.ipynb", tmp_path / "book-1.zip"
    nbformat.write(chapter(), page)
    bundle.write_zip(bundle.gather(tiny, [page], wheel), target)
    archive = zipfile.ZipFile(target)
    assert archive.testzip() is None
    files = {name.removeprefix("book-1/"): archive.read(name) for name in archive.namelist()}
    assert sorted(files) == [
        "README.txt",
        "index.html",
        "notebooks/09-sample.ipynb",
        "site/book/index.html",
        "site/index.html",
        "student/09-sample.ipynb",
        wheel.name,
    ]
    assert b'href="site/book/index.html"' in files["index.html"]
    assert f"pip install {wheel.name} --no-deps".encode() in files["README.txt"]
    assert files["notebooks/09-sample.ipynb"] == page.read_bytes()
    solution = SOLUTION.splitlines()[1].strip().encode()
    assert solution in files["notebooks/09-sample.ipynb"] and solution not in files["student/09-sample.ipynb"]


def test_the_same_files_give_the_same_bytes(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, names in ((one, "ab"), (two, "ba")):
        folder.mkdir()
        bundle.write_zip({name: name.encode() for name in names}, folder / "book.zip")
    assert (one / "book.zip").read_bytes() == (two / "book.zip").read_bytes()
    assert not list(tmp_path.rglob("*.part"))


def test_without_a_book_that_reads_offline_there_is_no_bundle(tiny):
    assert bundle.fault(tiny) is None
    (tiny / "_static/vendor/mathjax").rmdir()
    assert "built without npm's files" in bundle.fault(tiny)
    (tiny / "book/index.html").unlink()
    assert bundle.fault(tiny) == "There is no book yet: run make book first."


def test_a_book_older_than_its_sources_is_not_packed(tiny, monkeypatch):
    monkeypatch.setattr(bundle, "SITE", tiny)
    monkeypatch.setattr(bundle, "stale", lambda site: f"{site.name} is old.")
    assert bundle.main() == "html is old."


def test_the_real_book_reads_from_the_zip(site, wheel, browser, tmp_path):
    bundle.write_zip(bundle.gather(site, [], wheel), tmp_path / "book-1.zip")
    zipfile.ZipFile(tmp_path / "book-1.zip").extractall(tmp_path / "a stick")
    home = (tmp_path / "a stick/book-1").as_uri()
    with reader(browser, home) as page:
        page.context.set_offline(True)
        page.goto(f"{home}/index.html")
        page.wait_for_url(f"{home}/site/book/index.html")
        assert page.locator("h1").first.inner_text().startswith("Text Generation")
        settle(page, f"{home}/site/book/02-mlp.html")
        slider = page.locator(".textgen-explore input").first
        picture = page.locator(".textgen-explore-picture").first
        before = picture.inner_html()
        slider.press("ArrowRight")
        page.wait_for_function(
            "(before) => document.querySelector('.textgen-explore-picture').innerHTML !== before", arg=before
        )
        if (site / "slides").is_dir():
            page.get_by_role("link", name="slides", exact=True).click()
            page.wait_for_function("window.Reveal?.getTotalSlides?.() > 10")
            assert page.url == f"{home}/site/slides/02-mlp.html"
        assert not page.troubles
