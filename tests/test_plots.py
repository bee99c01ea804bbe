"""Figures: alt text that cannot be forgotten, one style, pictures small and white enough to publish."""

import base64
import io
import re

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image
from textgen import plots

matplotlib.use("agg")
TOKENS = [" the", " a", " little", "\n", " $1$", " boat", " Ada", ".", " fox", " hill", "", " red"]
LOGITS = np.random.default_rng(0).normal(0, 1.5, len(TOKENS))
BEFORE = np.exp(LOGITS) / np.exp(LOGITS).sum()
AFTER = np.where(np.sort(BEFORE)[-4] <= BEFORE, BEFORE, 0)
AFTER = AFTER / AFTER.sum()


@pytest.fixture
def shown(monkeypatch):
    """Collect the mime bundles that `show` hands to Jupyter."""
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: bundles.append(data))
    return bundles


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def picture(html):
    data = re.search(r'src="data:image/\w+;base64,([^"]+)"', html).group(1)
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_show_writes_one_picture_with_its_words(shown):
    figure, ax = plt.subplots()
    ax.plot([1, 2], [3, 4])
    plots.show(figure, 'Loss falls\n  from "3" to <1>.')
    (bundle,) = shown
    assert set(bundle) == {"text/html", "text/plain"}  # a bare image/png would lose the words
    assert 'alt="Loss falls from &quot;3&quot; to &lt;1&gt;."' in bundle["text/html"]
    assert bundle["text/plain"] == 'Loss falls from "3" to <1>.'
    assert picture(bundle["text/html"]).convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert not plt.get_fignums(), "Jupyter would show the figure a second time"


def test_a_figure_without_words_is_refused(shown):
    figure, _ = plt.subplots()
    with pytest.raises(ValueError, match="no alt text"):
        plots.show(figure)
    with pytest.raises(ValueError, match="alt must be a sentence"):
        plots.show(figure, "  ")
    assert not shown


def test_a_chapter_of_twelve_figures_stays_under_half_a_megabyte():
    rng = np.random.default_rng(0)
    figure, ax = plt.subplots()
    ax.scatter(rng.normal(size=569), rng.normal(size=569), alpha=0.4)
    ax.set_title("The heaviest kind of figure: a cloud of points")
    assert len(plots.img(plots.pixels(figure), "A cloud of points.")) < 500_000 / 12


def test_webp_is_lossless():
    figure = plots.ladder({"bigram": 0.9}, 0.185)
    image = plots.pixels(figure)
    assert (np.asarray(picture(plots.img(image, "x", "WEBP")).convert("RGB")) == np.asarray(image)).all()


def test_style_is_applied_and_large_enough_on_a_telephone():
    """10 px or more where the figure is 350 px wide; dark ink on white; curves also differ by dashes."""
    sizes = ["font.size", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"]
    width = plt.rcParams["figure.figsize"][0] * 72
    assert min(plt.rcParams[size] for size in sizes) * 350 / width >= 10
    cycle = plt.rcParams["axes.prop_cycle"].by_key()
    assert len(set(map(str, cycle["linestyle"]))) == len(cycle["color"])
    for colour in [*cycle["color"], plots.INK, plots.BLUE, plots.ORANGE]:
        rgb = np.array(matplotlib.colors.to_rgb(colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 3, f"{colour} is too pale on white"


def test_next_token_bars_show_what_filtering_did():
    figure = plots.next_token_bars(TOKENS, BEFORE, AFTER, top=8)
    words = plots.alt_text(figure)
    assert "After, 4 of 12 tokens are left: ␣Ada" in words and "all others" in words
    ax = figure.axes[0]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert len(names) == 9 and names[-1] == "all others" and "⏎" in names
    before, after = ([bar.get_width() for bar in container] for container in ax.containers)
    assert sum(before) == pytest.approx(1) and sum(after) == pytest.approx(1)
    assert before == pytest.approx([*sorted(BEFORE)[::-1][:8], sum(sorted(BEFORE)[:4])])
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("cut") == 5 and f"{max(AFTER):.2f}" in texts
    assert (
        ax.containers[0][0].get_hatch() and not ax.containers[1][0].get_hatch()
    )  # told apart without colour
    plots.pixels(figure)


def test_next_token_bars_alone_and_all_of_a_small_vocabulary():
    words = plots.alt_text(plots.next_token_bars(["a", "b", "$x$"], [0.5, 0.3, 0.2]))
    assert words == "Bars of the next token's probability: a 0.50, b 0.30, $x$ 0.20."
    with pytest.raises(ValueError, match="each of the 2 tokens"):
        plots.next_token_bars(["a", "b"], [0.5, 0.3, 0.2])
    with pytest.raises(ValueError, match="each of the 3 tokens"):
        plots.next_token_bars(["a", "b", "c"], [0.5, 0.3, 0.2], [1.0])


def test_ladder_grows_and_names_the_finish_line():
    first = plots.ladder({"bigram": 0.911}, 0.185)
    second = plots.ladder({"bigram": 0.911, "MLP": 0.4}, 0.185, spread={"MLP": 0.02})
    assert len(first.axes[0].patches) == 1 and len(second.axes[0].patches) == 2
    assert "bigram 0.911, MLP 0.400" in plots.alt_text(second) and "0.185" in plots.alt_text(second)
    texts = [text.get_text().strip() for text in second.axes[0].texts]
    assert texts == ["0.911", "0.400", "true entropy 0.1850"]
    old, new = second.axes[0].patches
    assert old.get_hatch() and not new.get_hatch()
    assert second.axes[0].get_xlim()[0] == 0
    assert plots.pixels(second).height > plots.pixels(first).height
    with pytest.raises(ValueError, match="at least one rung"):
        plots.ladder({}, 0.185)


def test_recall_by_distance_has_a_panel_a_kind_and_a_line_a_model():
    near = {("name", 4): 0.5, ("name", 7): 0.25, ("colour", 7): 0.125}  # no colour is asked for at 4 to 6
    far = {("name", 4): 1.0, ("name", 7): 1.0, ("colour", 7): 0.75}
    figure = plots.recall_by_distance({"WindowMLP": near, "GPT": far})
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["colour", "name"]
    colour, name = figure.axes
    assert [line.get_ydata().tolist() for line in name.lines] == [[0.5, 0.25], [1.0, 1.0]]
    assert np.isnan(colour.lines[0].get_ydata()[0]) and colour.lines[0].get_ydata()[1] == 0.125
    assert [label.get_text() for label in name.get_xticklabels()] == ["4–6", "7+"]
    assert len({(line.get_marker(), line.get_linestyle()) for line in name.lines}) == 2
    words = plots.alt_text(figure)
    assert "WindowMLP, colour: 0.12 at 7+ words" in words and "GPT, name: 1.00 at 4–6, 1.00 at 7+" in words
    plots.pixels(figure)
    with pytest.raises(ValueError, match="none of them empty"):
        plots.recall_by_distance({"GPT": {}})


def test_five_places_shows_what_ran_and_what_is_on_record():
    from textgen import metrics, results

    figure = plots.five_places({"Bigram": [(0.25, "kite", 0.5)] * len(metrics.PLACES)})
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == list(results("five_places")["rungs"]) and len(names) == 5
    bars = figure.axes[0].patches
    assert [bool(bar.get_hatch()) for bar in bars] == [name != "Bigram" for name in names]
    assert bars[names.index("Bigram")].get_width() == 0.25 and "Bigram 0.25, says kite" in plots.alt_text(
        figure
    )
