"""`guess`: what it shows before and after, that texts stay text, and that the page needs no script for it."""

import re

import pytest
from textgen import guess

SIX = {"fewer than 3": False, "3 to 5": False, "6 or more": True}


def shown(**changes) -> str:
    return guess(**{"question": "How many?", "choices": SIX, "result": "It was 6."} | changes)._repr_html_()


def test_each_choice_is_a_button_of_one_group_and_the_right_one_is_marked():
    html = shown()
    names = re.findall('type="radio" name="([^"]+)"', html)
    assert len(names) == len(SIX) and len(set(names)) == 1
    assert html.count('class="right"') == 1 and "<script" not in html
    assert names[0] not in shown(question="How few?")


def test_a_reader_may_change_a_setting_so_that_no_choice_is_right():
    assert 'class="right"' not in shown(choices=dict.fromkeys(SIX, False))


def test_texts_are_text():
    html = shown(question="<b>1 < 2</b>", choices={"<i>": True, "&": False}, result="<script>x</script>")
    assert "<b>" not in html and "<i>" not in html and "<script" not in html and "&lt;script&gt;" in html


def test_as_text_the_question_comes_without_its_answer():
    said = repr(guess("How many?", SIX, "It was 6."))
    assert "How many?" in said and "3 to 5" in said and "It was" not in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"question": " "}, "question must be a text"),
        ({"result": 6}, "result must be a text"),
        ({"choices": {"6": True}}, "at least two"),
        ({"choices": ["6", "7"]}, "choices must be a dict"),
        ({"choices": {6: True, 7: False}}, "choices must be a dict"),
    ],
)
def test_what_cannot_be_asked_is_said(changes, words):
    with pytest.raises(ValueError, match=words):
        shown(**changes)
