"""One control, two lives: `explore` gives a drawing sliders in a notebook and in the published book.

A notebook has a kernel, so there the sliders are ipywidgets. A page of the book has none: there every picture
is drawn while the book is built and `explore.js` switches between them. `draw` is the same function in both.
"""

import inspect
import itertools
import json
import os
from collections.abc import Callable, Iterator
from html import escape
from math import prod

from matplotlib.figure import Figure
from PIL import Image, ImageChops

from .. import plots

BOOK_BUILD = "TEXTGEN_BOOK_BUILD"  # the environment variable that the book's build sets to "1"
MAX_SETTINGS = 150  # more take too long to draw, and too many bytes
MAX_BYTES = 400_000  # of one control in a page


def explore(draw: Callable, *, alt: str | Callable | None = None, **controls) -> "Explore":
    """Show what `draw` draws, with a control for each of its arguments.

    `draw` is a pure function that returns a matplotlib figure or a string of HTML (pass text from a reader
    through `escape`). Each control is a list or tuple of values: strings make a menu, anything else a slider.
    The picture shown first is that of `draw`'s own defaults, or of each control's first value. A figure needs alt
    text: attached by `plots.alt`, returned by `draw` as `(figure, text)`, or given here as a template such as
    `"The curve at b1 = {b1}"` or a function of the controls. Raises ValueError, in one sentence, on controls
    that do not fit `draw`, on more than 150 settings, and in a book build on more than 400 kB.
    """
    return Explore(draw, alt, controls)


class Explore:
    """What `explore` returns: displayed by a notebook, walked by a test with `grid` and `draw`."""

    def __init__(self, draw: Callable, alt: str | Callable | None, controls: dict):
        """Take `explore`'s arguments; raises ValueError where they do not fit together."""
        self._draw, self._alt, self.controls = draw, alt, checked(draw, controls)
        self.start = {name: values[0] for name, values in self.controls.items()}
        for name, argument in inspect.signature(draw).parameters.items():
            if name in controls and (start := argument.default) is not argument.empty:
                self.start[name] = start
                if start not in controls[name]:
                    raise ValueError(f"draw's default {name}={start!r} is not in its list; add it there.")
        # now, not when Jupyter asks for it: Jupyter swallows what a display raises, and the build would pass
        self._shown = self.page() if in_book() else self.html(**self.start)

    def grid(self) -> Iterator[dict]:
        """Iterate over all settings as keyword arguments of `draw`; the last control changes fastest."""
        for values in itertools.product(*self.controls.values()):
            yield dict(zip(self.controls, values, strict=True))

    def draw(self, **setting) -> tuple[Figure | str, str]:
        """Draw one setting and return the figure or HTML with its alt text ("" for HTML that needs none)."""
        picture, words = self._draw(**setting), None
        if isinstance(picture, tuple) and len(picture) == 2:
            picture, words = picture
        if not isinstance(picture, Figure | str):
            raise TypeError(f"draw must return a figure or a string of HTML, not {type(picture).__name__}.")
        if self._alt is not None:
            words = self._alt(**setting) if callable(self._alt) else self._alt.format(**setting)
        if isinstance(picture, Figure):
            plots.plt.close(picture)  # or the notebook would show it a second time
            words = plots.alt_text(plots.alt(picture, words) if words else picture)
        return picture, words or ""

    def html(self, **setting) -> str:
        """Return one setting's picture as HTML, an `<img>` with alt text where it is a figure."""
        picture, words = self.draw(**setting)
        return picture if isinstance(picture, str) else plots.img(plots.pixels(picture), words)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        """Hand Jupyter the control that can work where this runs, and a picture for where none can."""
        if in_book():
            return {"text/html": self._shown, "text/plain": describe(self.start)}
        note, bundle = f"This is {describe(self.start)}. Run the notebook to move the controls.", {}
        try:
            view = {"version_major": 2, "version_minor": 0, "model_id": self.widget().model_id}
            bundle["application/vnd.jupyter.widget-view+json"] = view
        except ImportError:
            note = f"The controls need ipywidgets (pip install ipywidgets); this is {describe(self.start)}."
        html = f"<div>{self._shown}<p>{escape(note)}</p></div>"
        return bundle | {"text/html": html, "text/plain": note}

    def widget(self):
        """Build the live control out of ipywidgets 7 or 8; it redraws at every change."""
        import ipywidgets as widgets

        boxes = []
        for name, values in self.controls.items():
            kind = widgets.Dropdown if is_menu(values) else widgets.SelectionSlider
            options = [(label(value), i) for i, value in enumerate(values)]
            boxes.append(kind(options=options, value=values.index(self.start[name]), description=name))
            boxes[-1].style.description_width = "7em"
        shown = widgets.HTML(self._shown)

        def redraw(_):
            try:
                shown.value = self.html(
                    **{b.description: self.controls[b.description][b.value] for b in boxes}
                )
            except Exception as error:  # noqa: BLE001 (nobody sees what a callback raises)
                shown.value = f"<p>{escape(f'{type(error).__name__}: {error}')}</p>"

        for box in boxes:
            box.observe(redraw, names="value")
        return widgets.VBox([*boxes, shown])

    def page(self) -> str:
        """Draw the whole grid and return one block of HTML that works with no kernel: see explore.js.

        Figures are cut to 16 levels a channel, and all but the first keep only the pixels that differ from it:
        bars and their labels take 2.4 kB instead of 8 as a palette PNG, or 16 as SVG.
        """
        (first, words), frames, said = self.draw(**self.start), [], []
        base = None if isinstance(first, str) else coarse(first)
        for setting in self.grid():
            picture, text = self.draw(**setting)
            if isinstance(picture, str) != (base is None):
                raise ValueError("draw must return the same kind, figure or HTML, at every setting.")
            frames.append(picture if base is None else patch(base, coarse(picture)))
            said.append(text)
        data = {"image": base is not None, "alt": said, "controls": [], "frames": list(dict.fromkeys(frames))}
        data["order"] = list(map(data["frames"].index, frames))
        for name, values in self.controls.items():
            control = {"labels": list(map(label, values)), "start": values.index(self.start[name])}
            data["controls"].append({"name": name, "menu": is_menu(values), **control})
        block = f"""<div class="textgen-explore" role="group" aria-label="{escape(", ".join(self.controls))}">
<div class="textgen-explore-controls"></div>
<div class="textgen-explore-picture">{first if base is None else plots.img(base, words, "WEBP")}</div>
<p class="textgen-explore-said" aria-live="polite"></p>
<noscript><p>This is {escape(describe(self.start))}. The controls need JavaScript.</p></noscript>
<script type="application/json">{json.dumps(data).replace("<", chr(92) + "u003c")}</script>
</div>"""
        if (size := len(block.encode())) > MAX_BYTES:
            names = ", ".join(self.controls)
            raise ValueError(f"{names} take {size:,} bytes, at most {MAX_BYTES:,}: give shorter lists.")
        return block


def framed(page: str, title: str, height: int) -> str:
    """Put HTML that brings scripts of its own, as bertviz's does, into a frame of `height` pixels.

    A browser runs scripts that come with a page or a frame, but none that a control puts in later.
    """
    # require.js gives up on a file after seven seconds, which a slow line or machine may need
    page = "<script>var require = {waitSeconds: 0};</script>" + page
    page = page.replace("<select", '<select aria-label="Choose"')  # words for who cannot see the menu
    style = f"width:100%;height:{height}px;border:0;background:#fff"
    return f'<iframe title="{escape(title)}" style="{style}" srcdoc="{escape(page)}"></iframe>'


def in_book() -> bool:
    """Tell whether the book is being built: its pages have no kernel, so nothing may need one."""
    return os.environ.get(BOOK_BUILD) == "1"


def label(value) -> str:
    """Write a control's value as its reader sees it: 0.1, not 0.1000000001; "off" for None."""
    if value is None or isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def describe(setting: dict) -> str:
    """Write a setting as words: `temperature = 0.8, top_k = off`."""
    return ", ".join(f"{name} = {label(value)}" for name, value in setting.items())


def is_menu(values: list) -> bool:
    """Tell whether a control is a menu of strings; any other is a slider."""
    return all(isinstance(value, str) for value in values)


def checked(draw: Callable, controls: dict) -> dict[str, list]:
    """Return the controls as lists, or raise ValueError where they cannot be drawn."""
    if not controls:
        raise ValueError("explore needs at least one control, such as temperature=[0.5, 1.0, 1.5].")
    for name, values in controls.items():
        if not isinstance(values, list | tuple | range) or not 1 < len(values) == len({*map(label, values)}):
            raise ValueError(f"{name} must be a list of two or more different values, not {values!r}.")
    names, pictures = ", ".join(controls), prod(map(len, controls.values()))
    if pictures > MAX_SETTINGS:
        raise ValueError(f"{names} make {pictures:,} pictures, at most {MAX_SETTINGS}: give shorter lists.")
    try:
        inspect.signature(draw).bind(**controls)
    except TypeError as error:
        raise ValueError(f"The controls {names} do not fit draw's arguments: {error}.") from None
    return {name: list(values) for name, values in controls.items()}


def coarse(figure: Figure) -> Image.Image:
    """Draw `figure` with 16 levels a channel, so that equal things are equal pixels in every picture."""
    return plots.pixels(figure).point(lambda level: round(level / 17) * 17)


def patch(base: Image.Image, image: Image.Image) -> str:
    """Write the pixels in which `image` differs from `base`; the rest is transparent."""
    if image.size != base.size:
        raise ValueError(f"draw must return figures of one size; {base.size} and {image.size} pixels came.")
    changed = ImageChops.difference(image, base).convert("L").point(lambda level: 255 * (level > 0))
    if changed.getbbox() is None:
        return ""
    differs = Image.new("RGBA", image.size, (0, 0, 0, 0))
    differs.paste(image, mask=changed)
    return plots.data_uri(differs, "WEBP")
