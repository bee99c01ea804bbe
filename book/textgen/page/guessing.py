"""A guess before a result: `guess` asks the reader to commit to an answer first, then shows it beside what happened."""

import hashlib
from functools import cache
from html import escape
from importlib.resources import files


def guess(question: str, choices: dict[str, bool], result: str) -> "Guess":
    """Ask `question`, offer `choices`, and show `result`, a sentence or two, once the reader has chosen.

    `choices`: the words of each choice, and whether it is what happened, which the page's own figures decide:
    `{"1": n == 1, "2 to 4": 2 <= n <= 4, "more": n > 4}`. None of them need be right where a reader changed a setting.
    It is plain HTML and CSS, the same in a notebook and in the published book: no kernel, no script, nothing stored.
    Raises ValueError for an empty text, and for fewer than two choices.
    """
    for name, text in {"question": question, "result": result}.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name} must be a text that says something, not {text!r}.")
    if not isinstance(choices, dict) or len(choices) < 2 or not all(isinstance(one, str) for one in choices):
        raise ValueError(
            f"choices must be a dict from at least two texts to whether each is right, not {choices!r}."
        )
    return Guess(question, {words: bool(right) for words, right in choices.items()}, result)


@cache
def style() -> str:
    """The control's style sheet."""
    return (files(__package__) / "guess.css").read_text("utf-8")


class Guess:
    """What `guess` returns: displayed by a notebook and by a page of the book."""

    def __init__(self, question: str, choices: dict[str, bool], result: str):
        self.question, self.choices, self.result = question, choices, result

    def _repr_html_(self) -> str:
        name = (
            "guess-" + hashlib.sha256(self.question.encode()).hexdigest()[:8]
        )  # one group of buttons in a page
        label = '<label{}><input type="radio" name="{}" autocomplete="off"> {}</label>'.format
        marks = {True: ' class="right"', False: ""}
        buttons = "\n".join(label(marks[right], name, escape(words)) for words, right in self.choices.items())
        return f"""<fieldset class="textgen-guess"><style>{style()}</style>
<legend>{escape(self.question)}</legend>
{buttons}
<label class="show"><input type="checkbox" autocomplete="off"> That is my guess: show me</label>
<p role="status"><span>{escape(self.result)}</span></p>
</fieldset>"""

    def __repr__(self) -> str:
        """The question and its choices, without the result."""
        return f"A guess first: {self.question} ({'; '.join(self.choices)})"
