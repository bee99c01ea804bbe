"""Figures of one look, each with words for who cannot see it.

Importing this module applies `textgen.mplstyle`. A figure leaves a notebook through `show`, which writes one
`<img>` with its alt text: JupyterLab, Colab and the published book all keep it, while the alt text of a bare
`image/png` output is lost in each of them.
"""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

STYLE = Path(__file__).with_name("textgen.mplstyle")
INK, BLUE, ORANGE, PALE = "#1f2933", "#0b5394", "#c2540a", "#d5dee8"
plt.style.use(STYLE)


def alt(figure: Figure, text: str) -> Figure:
    """Attach to `figure` the words that stand for it, and return the figure.

    Raises ValueError where `text` is empty.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"alt must be a sentence that says what the figure shows, not {text!r}.")
    figure.textgen_alt = " ".join(text.split())
    return figure


def alt_text(figure: Figure) -> str:
    """Return the words attached to `figure`, or raise ValueError where there are none."""
    if not getattr(figure, "textgen_alt", ""):
        raise ValueError(
            "The figure has no alt text: say what it shows, as in show(figure, 'Loss falls ...')."
        )
    return figure.textgen_alt


def pixels(figure: Figure, dpi: float = 120) -> Image.Image:
    """Draw `figure` as an RGB image of `dpi` dots per inch, and let pyplot forget the figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    plt.close(figure)  # otherwise a notebook shows the figure a second time, without its words
    return Image.open(buffer).convert("RGB")


def data_uri(image: Image.Image, format: str = "PNG") -> str:
    """Write `image` as a data URI: PNG for notebooks, lossless "WEBP" (a quarter less) for many pictures."""
    buffer, options = io.BytesIO(), {"lossless": True, "quality": 100, "method": 4}
    if format == "PNG":  # 64 colours are enough for lines and letters, and cost a quarter of the bytes
        options = {"optimize": True}
        image = image.quantize(64, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        image.putpalette([255 if level > 252 else level for level in image.getpalette()])  # white stays white
    image.save(buffer, format, **options)
    return f"data:image/{format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def img(image: Image.Image, alt: str, format: str = "PNG") -> str:
    """Write `image` as an HTML `<img>` that holds its own data."""
    return (
        f'<img alt="{html.escape(alt)}" width="{image.width}" height="{image.height}"'
        f' style="max-width:100%;height:auto" src="{data_uri(image, format)}">'
    )


def show(figure: Figure, text: str | None = None) -> None:
    """Display `figure` in a notebook with `text` as its alt text (the helpers below bring their own).

    Raises ValueError where the figure has no alt text.
    """
    from IPython.display import display

    words = alt_text(figure if text is None else alt(figure, text))
    display({"text/html": img(pixels(figure), words), "text/plain": words}, raw=True)


def visible(token: str) -> str:
    """Write a token so that its blanks are seen: `␣the`, `⏎`."""
    return token.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥") or "(empty)"


def bar_label(p: float) -> str:
    """Write a probability so that what is small is not taken for what is gone."""
    return "cut" if p == 0 else "<0.01" if p < 0.005 else f"{p:.2f}"


def next_token_bars(
    tokens: Sequence[str], before: Sequence[float], after: Sequence[float] | None = None, top: int = 8
) -> Figure:
    """Draw the `top` most likely next tokens, and all others in one bar, before and after filtering.

    `tokens` (V,) holds each token's text, `before` and `after` (V,) probabilities that sum to 1. Rows and
    scale do not depend on `after`, so that pictures compare. Raises ValueError where the lengths disagree.
    """
    rows = [np.asarray(p, dtype=float) for p in (before, after) if p is not None]
    if any(p.shape != (len(tokens),) for p in rows):
        raise ValueError(f"next_token_bars needs one probability for each of the {len(tokens)} tokens.")
    order = np.argsort(-rows[0], kind="stable")
    names = [visible(tokens[i]) for i in order[:top]] + ["all others"] * (len(tokens) > top)
    figure, ax = plt.subplots(figsize=(5.6, 0.9 + 0.42 * len(names)))
    looks = [(PALE, "///", "before filtering", -0.2), (BLUE, None, "after filtering", 0.2)]
    said, height = [], 0.8 / len(rows) - 0.02
    for p, (colour, hatch, name, shift) in zip(rows, looks, strict=False):
        values = [*p[order[:top]], p[order[top:]].sum()][: len(names)]
        places = np.arange(len(names)) + (shift if len(rows) > 1 else 0)
        ax.barh(places, values, height, color=colour, hatch=hatch, label=name)
        said.append(", ".join(f"{n} {v:.2f}" for n, v in zip(names, values, strict=True) if v))
    for place, value in zip(places, values, strict=True):  # the last row's: numbers on both would collide
        ax.text(value + 0.01, place, bar_label(value), va="center", fontsize=12)
    ax.set(xlim=(0, 1.1), xlabel="probability", xticks=[0, 0.25, 0.5, 0.75, 1])
    ax.set_yticks(range(len(names)), [name.replace("$", r"\$") for name in names])  # a dollar is no formula
    ax.invert_yaxis()
    if len(rows) == 1:
        return alt(figure, f"Bars of the next token's probability: {said[0]}.")
    ax.legend(loc="lower right")
    kept = f"After, {np.count_nonzero(rows[1])} of {len(tokens)} tokens are left: {said[1]}."
    return alt(figure, f"Bars of the next token's probability. Before filtering: {said[0]}. {kept}")


def ladder(rungs: Mapping[str, float], entropy: float, spread: Mapping[str, float] | None = None) -> Figure:
    """Draw the bits per character of every rung so far, the newest last, and the entropy that none can pass.

    `rungs` maps a model's name to its bits per character, `spread` to half its range over seeds, where known.
    """
    if not rungs:
        raise ValueError("ladder needs at least one rung, such as {'bigram': 0.91}.")
    values, newest = list(rungs.values()), len(rungs) - 1
    errors = [(spread or {}).get(name, 0) for name in rungs]
    looks = [(PALE, "///")] * newest + [(BLUE, None)]
    figure, ax = plt.subplots(figsize=(5.6, 1.7 + 0.5 * len(rungs)))
    ax.barh(list(rungs), values, 0.62, color=[c for c, _ in looks], hatch=[h for _, h in looks])
    for row, (value, error) in enumerate(zip(values, errors, strict=True)):
        if error:
            ax.errorbar(value, row, xerr=error, color=INK, capsize=4)
        ax.text(value + error + max(values) * 0.015, row, f"{value:.3f}", va="center")
    ax.axvline(entropy, color=ORANGE, ls="--")
    ax.text(entropy, -0.75, f" true entropy {entropy:.4f}", color=ORANGE, va="center", fontweight="bold")
    ax.set(xlim=(0, max(entropy * 2, *values) * 1.18), ylim=(newest + 0.5, -1.1), xlabel="bits per character")
    steps = ", ".join(f"{name} {value:.3f}" for name, value in rungs.items())
    line = f"A dashed line marks the true entropy, {entropy:.4f}."
    return alt(figure, f"Bits per character, rung by rung: {steps}. {line}")


def five_places(live: Mapping[str, Sequence[tuple[float, str, float]]]) -> Figure:
    """Draw what each rung of the ladder says at five places of one story: `live` maps rungs to `metrics.at_places`.

    A bar is the probability of the true word; beside it stands the word that the rung itself would write. Rungs that
    are not in `live` come from the record (`experiments/five_places.py`) and are hatched.
    """
    from .metrics import PLACES
    from .recorded import results

    record = results("five_places")["rungs"]
    rungs = {name: live.get(name, record.get(name)) for name in [*record, *(set(live) - set(record))]}
    figure, axes = plt.subplots(
        len(PLACES), 1, figsize=(5.6, 0.7 + 0.36 * len(rungs) * len(PLACES)), sharex=True
    )
    said = []
    for i, (ax, place) in enumerate(zip(axes, PLACES, strict=True)):
        before, true = place.rsplit(" ", 1)
        for row, (name, found) in enumerate(rungs.items()):
            p, first, _ = found[i]
            look = {"color": BLUE} if name in live else {"color": PALE, "hatch": "///"}
            ax.barh(row, p, 0.7, **look)
            ax.text(p + 0.01, row, f"{first} {'✓' if first == true else '✗'}", va="center", fontsize=12)
        ax.set(xlim=(0, 1.3), xticks=[0, 0.5, 1])
        ax.set_yticks(range(len(rungs)), list(rungs))
        ax.invert_yaxis()
        ax.set_title(f"… {before} [{true}]", fontsize=13)
        chances = ", ".join(f"{name} {found[i][0]:.2f}, says {found[i][1]}" for name, found in rungs.items())
        said.append(f"{before} [{true}]: {chances}")
    axes[-1].set_xlabel("probability of the true word (hatched: on record)")
    return alt(figure, f"What each rung says at five places of one story. {'; '.join(said)}.")


def recall_by_distance(models: Mapping[str, Mapping[tuple[str, int], float]]) -> Figure:
    """Draw how often each model names a fact again, against the words since it was last said; a panel a kind.

    `models` maps a name to `metrics.average(rows, edges)`: {(kind, least distance): fraction}. Each of its steps
    is a mark, at "7–9" for edges 7 and 10; all models must share their edges.
    """
    if not models or not all(models.values()):
        raise ValueError(
            "recall_by_distance needs {model: metrics.average(rows, edges)}, none of them empty."
        )
    kinds = sorted({kind for found in models.values() for kind, _ in found})
    edges = sorted({edge for found in models.values() for _, edge in found})
    names = [f"{a}–{b - 1}" if b - a > 1 else f"{a}" for a, b in pairwise(edges)]
    names.append(f"{edges[-1]}+")
    figure, axes = plt.subplots(
        len(kinds), 1, figsize=(5.6, 1.2 + 1.7 * len(kinds)), sharex=True, squeeze=False
    )
    said = []
    for ax, kind in zip(axes[:, 0], kinds):
        for (name, found), mark in zip(models.items(), "os^Dv", strict=False):
            row = [found.get((kind, edge), np.nan) for edge in edges]
            ax.plot(range(len(edges)), row, marker=mark, label=name, clip_on=False)
            steps = ", ".join(f"{v:.2f} at {n}" for n, v in zip(names, row) if not np.isnan(v))
            said.append(f"{name}, {kind}: {steps} words")
        ax.set(ylim=(0, 1), yticks=[0, 0.5, 1], ylabel="recall")
        ax.set_title(kind)
    ax.set_xticks(range(len(edges)), names)
    ax.set_xlabel("words since it was last said")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return alt(figure, f"Recall of {', '.join(kinds)} by distance. {'; '.join(said)}.")
