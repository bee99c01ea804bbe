"""The model in JavaScript against the same model in Python, and `live` in a notebook and in a book build.

One run of Node.js answers all questions about the model; what Chromium makes of the controls is in test_live_site.py.
"""

import inspect
import itertools
import json
import random
import shutil
import subprocess
import sys
import unicodedata
import warnings
from html import unescape

import pytest
import textgen
import torch
from conftest import need
from safetensors import safe_open
from safetensors.torch import load as load_tensors
from textgen import hub, inputs, storyworld
from textgen.page import chat_widget, live_widget, pack
from textgen.sample import filter_logits, sample, uniforms
from textgen.tokenizer import Tokenizer
from transformers import GPT2LMHeadModel, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

torch.set_num_threads(1)
PROMPTS = [
    "Once there was a brave fox named Ada.",
    "<|story|>My name is",
    "",
    "Sum: 12 + 30 =",
    "naïve 🦊 שלום\n\n x",
]
SETTINGS = [
    {"temperature": 0},
    {"temperature": 0.9, "top_k": 40, "top_p": 0.95, "seed": 7},
    {"temperature": 1.3, "seed": 2**32 - 1},
    {"temperature": 0.7, "top_k": 3, "seed": 1},
    {"temperature": 1.0, "top_p": 0.8, "seed": 123},
]
SLIDING = [("Once there was a quiet owl.", 400), ("Ada had a red kite. " * 60, 150)]
HALVES = ["Once \ud83d there", "\udc00\ud83d"]
EXTREME = [1e-308, 5e-324, 9.9e-7, 1e-6, 1e300, 1e308]
HARNESS = """
import fs from "node:fs";
import * as G from "./joined.mjs";
import * as alone from "./gpt.mjs";
const ask = JSON.parse(fs.readFileSync("ask.json"));
const bytes = (name) => new Uint8Array(fs.readFileSync(name));
const models = Object.fromEntries(ask.models.flatMap((name) => [
  [name, new G.GPT(bytes(name), G.simd)],
  [`${name} plain`, new alone.GPT(bytes(name))],
]));
const gpt = models[ask.models[0]];
const shared = gpt.cache(); // full of the text before, of another window
const t = gpt.tokenizer;
const answer = {
  read: ask.read.map(({ model, ids }) => {
    const cache = models[model].cache();
    models[model].next(cache, ids.slice(0, 3)); // in two parts, as when a text grows
    const last = models[model].next(cache, ids);
    const logits = ids.map((_, i) => Array.from(models[model].logits(cache, i)));
    return { last: Array.from(last), logits, attention: cache.attention.map((w) => Array.from(w)) };
  }),
  texts: ask.texts.map(([prompt, settings]) => G.generate(gpt, prompt, settings, shared)),
  plain: ask.texts.slice(0, 3).map(([prompt, settings]) => G.generate(models["pocket plain"], prompt, settings)),
  inWebAssembly: [gpt, models["pocket plain"]].map(({ wte }) => wte.buffer.constructor.name + (wte.buffer === gpt.wpe.buffer)),
  filtered: ask.logits.map((row) => ask.settings.map((one) => Array.from(G.filtered(Float64Array.from(row), one)))),
  drawn: ask.logits.map((row) => ask.u.map((u) => G.draw(G.filtered(Float64Array.from(row)), u))),
  uniforms: ask.seeds.map((seed) => { const next = G.uniforms(seed); return Array.from({ length: 50 }, next); }),
  streams: ask.streams.map((seed) => Array.from({ length: 301 }, (_, row) => Array.from({ length: 5 }, G.uniforms(seed, row)))),
  rows: [0, 1, 2].map((row) => G.generate(gpt, ask.texts[0][0], { row, max_new_tokens: 60, seed: 5 }, shared)),
  encoded: ask.strings.map((text) => t.encode(text)),
  decoded: ask.ids.map((ids) => t.decode(ids)),
  pieces: ask.strings.map((text) => t.pieces(t.encode(text)).join("")),
};
const refused = (call) => {
  try { call(); } catch ({ message }) { return message; }
};
const numbers = [NaN, Infinity].map((number) => Float64Array.of(1, number, 2));
answer.damaged = [...numbers, Float64Array.of(-Infinity, -Infinity)].flatMap((logits) =>
  [0, 1, 1e308].map((temperature) => refused(() => G.filtered(logits, { temperature }))));
answer.half = ask.halves.map((text) => refused(() => t.encode(text)));
answer.extreme = ask.temperatures.map((temperature) => G.generate(gpt, "Once", { ...ask.extreme, temperature }, shared));
delete globalThis.WebAssembly;
answer.without = G.generate(new G.GPT(bytes("pocket"), G.simd), ...ask.texts[0]);
fs.writeFileSync("answer.json", JSON.stringify(answer));
"""


def fuzzed(n, seed=0):
    """Strings of every kind of character. Those that Unicode had in 2002 are classed alike by every program today."""
    r, old = random.Random(seed), unicodedata.ucd_3_2_0
    ranges = [
        (32, 127),
        (0, 256),
        (0x100, 0x600),
        (0x600, 0x700),
        (0x900, 0xE00),
        (0x2000, 0x2100),
        (0x3000, 0xD7A4),
    ]
    words = "\n".join(story.text for story in storyworld.stories(20, seed=1)).split(" ")
    special = [
        "<|endoftext|>",
        "<|qa|>",
        "<|story|>",
        "<|none|>",
        "<|",
        "'s",
        "'LL",
        "'re",
        "🦊",
        "👩‍👩‍👧",
        "\ufeff",
        "\u0085",
        "\x00",
    ]
    texts = []
    for _ in range(n):
        parts = []
        for _ in range(r.randint(0, 25)):
            kind = r.random()
            if kind < 0.25:
                parts.append(r.choice(["", " ", "  "]) + r.choice(words))
            elif kind < 0.35:
                parts.append(r.choice(special))
            elif kind < 0.5:
                parts.append("".join(r.choices(" \t\n\r\u00a0\u2003\u2028\u3000", k=r.randint(1, 4))))
            else:
                low, high = r.choice(ranges)
                characters = map(chr, (r.randrange(low, high) for _ in range(r.randint(1, 5))))
                parts += [
                    c for c in characters if old.category(c) == unicodedata.category(c) not in ("Cn", "Cs")
                ]
        texts.append("".join(parts))
    return texts


def odd_model():
    """A small GPT, off the int8 grid, whose sizes are no multiples of four."""
    tokenizer = Tokenizer.bpe([story.text for story in storyworld.stories(50, seed=3)], vocab_size=301)
    torch.manual_seed(0)
    config = textgen.GPTConfig(vocab_size=301, block_size=19, n_layer=3, n_head=3, n_embd=15)
    return textgen.GPT(config).eval(), tokenizer


@pytest.fixture(scope="module")
def pocket():
    return textgen.load("pocket-gpt")


@pytest.fixture(scope="module")
def theirs():
    folder = hub.WEIGHTS / "pocket-gpt"
    return GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def question(pocket):
    """All that Node.js is asked."""
    _, tokenizer = pocket
    r = random.Random(1)
    logits = 4 * torch.randn(6, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits[4] = logits[4].round()  # many equals
    logits[5, :] = 1.5
    read = [{"model": "pocket", "ids": [tokenizer.bos, *tokenizer.encode(prompt)]} for prompt in PROMPTS]
    read.append({"model": "pocket", "ids": [r.randrange(len(tokenizer)) for _ in range(256)]})
    read.append({"model": "odd", "ids": [r.randrange(301) for _ in range(19)]})
    read += [one | {"model": f"{one['model']} plain"} for one in read]
    texts = [(p, s | {"max_new_tokens": 100, "stop": False}) for p in PROMPTS[:3] for s in SETTINGS]
    texts += [(p, s | {"max_new_tokens": n, "stop": False}) for p, n in SLIDING for s in SETTINGS[1:3]]
    texts += [(p, SETTINGS[1] | {"max_new_tokens": 250}) for p in PROMPTS]  # most of them end
    return {
        "models": ["pocket", "odd"],
        "read": read,
        "texts": texts,
        "logits": logits.tolist(),
        "settings": [
            {"temperature": t, "top_k": k, "top_p": p}
            for t, k, p in itertools.product(
                (0, 0.5, 1.0, 1.7), (None, 1, 5, 199, 500), (None, 1e-9, 0.3, 0.9, 1.0)
            )
        ],
        "u": [0, 1e-9, 0.25, 0.5, 0.75, 0.999, 1 - 2**-32],
        "streams": [0, 1, 42, 2**32 - 1],
        "seeds": [0, 1, 42, 2**31, 2**32 - 1, 2**32 + 5],
        "strings": fuzzed(2000),
        "halves": HALVES,
        "temperatures": EXTREME,
        "extreme": {"max_new_tokens": 12, "seed": live_widget.plain(seed=2**60 + 5)["seed"], "stop": False},
        "ids": [[r.randrange(len(tokenizer)) for _ in range(r.randint(0, 12))] for _ in range(500)],
    }


@pytest.fixture(scope="module")
def answer(pocket, question, tmp_path_factory):
    """What Node.js says."""
    if not shutil.which("node"):
        need("There is no node: gpt.js stays untested outside the browser.")
    folder = tmp_path_factory.mktemp("node")
    (folder / "pocket").write_bytes(pack.pack(*pocket))
    (folder / "odd").write_bytes(pack.pack(*odd_model()))
    (folder / "ask.json").write_text(json.dumps(question))
    (folder / "gpt.mjs").write_text(live_widget.script(("gpt.js",)))
    (folder / "joined.mjs").write_text(live_widget.script(live_widget.MODEL))
    (folder / "harness.mjs").write_text(HARNESS)
    run = subprocess.run(["node", "harness.mjs"], cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads((folder / "answer.json").read_text())


def test_logits_and_attention_are_those_of_transformers(question, answer, theirs):
    odd, _ = odd_model()
    for asked, got in zip(question["read"], answer["read"], strict=True):
        ids, model = torch.tensor([asked["ids"]]), asked["model"]
        with torch.no_grad():
            if model.startswith("pocket"):
                out = theirs(ids, output_attentions=True)
                logits, attention = out.logits[0], out.attentions
            else:
                logits, _, attention = odd(ids, return_attention=True)
                logits = logits[0]
        assert (torch.tensor(got["logits"]) - logits).abs().max() < 1e-4
        assert got["last"] == got["logits"][-1]
        weights = torch.stack([layer[0] for layer in attention])  # (n_layer, n_head, T, T)
        assert len(got["attention"]) == ids.shape[1]
        for t, row in enumerate(got["attention"]):
            row = torch.tensor(row).view(*weights.shape[:2], t + 1)
            assert (row - weights[:, :, t, : t + 1]).abs().max() < 1e-5


def by_transformers(theirs, tokenizer, prompt, n, settings):
    """Draw `n` tokens with transformers' model and warpers, the whole text read for each, and mulberry32."""
    temperature, top_k, top_p = (settings.get(name) for name in ("temperature", "top_k", "top_p"))
    warpers = [TemperatureLogitsWarper(temperature)] if temperature else []
    warpers += [TopKLogitsWarper(top_k)] if top_k else []
    warpers += [TopPLogitsWarper(top_p)] if top_p else []
    ids = torch.tensor([[tokenizer.bos, *tokenizer.encode(prompt)]])
    given = ids.shape[1]
    for u in uniforms(settings.get("seed", 0), n)[0].tolist():
        with torch.no_grad():
            logits = theirs(ids).logits[:, -1].double()
        for warper in warpers:
            logits = warper(None, logits)
        sums = logits.softmax(-1)[0].cumsum(0)
        token = int((sums > u).nonzero()[0]) if temperature else int(logits.argmax())
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
    return prompt + tokenizer.decode(ids[0, given:].tolist())


def test_a_hundred_tokens_are_those_of_transformers(question, answer, theirs, pocket):
    for (prompt, settings), text in list(zip(question["texts"], answer["texts"], strict=True))[:2]:
        assert settings["max_new_tokens"] == 100
        assert text == by_transformers(theirs, pocket[1], prompt, 100, settings)


@pytest.mark.filterwarnings("ignore:The prompt with its continuation")
def test_every_text_is_that_of_generate(question, answer, pocket):
    """Greedy, drawn, stopped at its end, longer than the block: the same, character for character."""
    for (prompt, settings), text in zip(question["texts"], answer["texts"], strict=True):
        assert text == textgen.generate(*pocket, prompt, **settings), (prompt[:40], settings)


def test_with_webassembly_and_without_the_same(answer):
    assert answer["inWebAssembly"] == ["ArrayBuffertrue", "ArrayBufferfalse"]  # one memory; an array each
    assert answer["plain"] == answer["texts"][:3] and answer["without"] == answer["texts"][0]


def test_filters_and_draws_are_those_of_python(question, answer):
    u = torch.tensor(question["u"], dtype=torch.float64)
    for row, by_setting, drawn in zip(question["logits"], answer["filtered"], answer["drawn"], strict=True):
        row = torch.tensor(row, dtype=torch.float64)
        for settings, got in zip(question["settings"], by_setting, strict=True):
            want, got = filter_logits(row, **settings).softmax(-1), torch.tensor(got, dtype=torch.float64)
            if len(row.unique()) < len(row):  # which of equals top-p keeps, PyTorch's sort leaves open
                got, want = got.sort().values, want.sort().values
            assert torch.equal(got > 0, want > 0), settings
            assert (got - want).abs().max() < 1e-12
        assert drawn == sample(row.expand(len(u), -1), u).tolist()
    for seed, numbers in zip(question["seeds"], answer["uniforms"], strict=True):
        assert numbers == uniforms(seed, 50)[0].tolist()


def test_each_row_of_a_call_draws_from_the_stream_of_python(question, answer, pocket):
    for seed, streams in zip(question["streams"], answer["streams"], strict=True):
        assert streams == uniforms(seed, 5, rows=301).tolist()
    prompt = question["texts"][0][0]
    assert answer["rows"] == textgen.generate(*pocket, [prompt] * 3, 60, seed=5)
    assert len(set(answer["rows"])) == 3


def test_what_python_refuses_javascript_refuses_in_the_same_words(answer, pocket):
    assert answer["damaged"] == [inputs.DAMAGED] * 9
    for text, said in zip(HALVES, answer["half"], strict=True):
        with pytest.raises(ValueError) as error:
            pocket[1].encode(text)
        assert said == str(error.value)


def test_extreme_temperatures_and_seeds_beyond_a_double_write_what_generate_writes(question, answer, pocket):
    settings = question["extreme"] | {"seed": 2**60 + 5}
    texts = [textgen.generate(*pocket, "Once", **settings, temperature=t) for t in EXTREME]
    assert answer["extreme"] == texts
    assert texts[0] == texts[2] == textgen.generate(*pocket, "Once", **settings, temperature=0)


def test_tokens_are_those_of_tokenizers(question, answer, pocket):
    _, tokenizer = pocket
    assert len(question["strings"]) == 2000 and len(set(question["strings"])) > 1900
    assert answer["encoded"] == tokenizer.encode_batch(question["strings"])
    assert answer["decoded"] == [tokenizer.decode(ids) for ids in question["ids"]]
    assert answer["pieces"] == question["strings"]


# What Python hands over.


def test_packing_loses_nothing(pocket, tmp_path):
    model, tokenizer = pocket
    packed = pack.pack(model, tokenizer)
    assert len(packed) < 1.1 * model.num_parameters()
    stored = load_tensors(packed)
    for name, tensor in model.state_dict().items():
        whole = stored[name]
        assert whole.dtype == (torch.int8 if tensor.dim() == 2 else torch.float32)
        assert torch.equal(whole * stored[f"{name}.scale"][:, None] if tensor.dim() == 2 else whole, tensor)
    (tmp_path / "packed").write_bytes(packed)
    with safe_open(tmp_path / "packed", "pt") as file:
        assert json.loads(file.metadata()["gpt"])["config"]["block_size"] == model.config.block_size


def test_packing_keeps_weights_off_the_grid_as_they_are():
    model, tokenizer = odd_model()
    model.wpe.weight.data[3] = 0
    stored = load_tensors(pack.pack(model, tokenizer))
    assert all(torch.equal(stored[name], tensor) for name, tensor in model.state_dict().items())


ATTACK = "<img src=x onerror=alert(1)></script>"
VIEW = "application/vnd.jupyter.widget-view+json"


def test_in_the_book_a_block_and_no_widget(book, pocket, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)  # an import would raise
    w = textgen.live(*pocket, ATTACK, {"An attack": ATTACK}, 20, temperature=0.8, seed=3, compare={"seed": 4})
    bundle = w._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    html = bundle["text/html"]
    assert html.startswith('<div class="textgen-live" data-model="pocket-gpt">')
    words, _, rest = html.partition('<script type="application/json">')
    script, _, end = rest.partition("</script>")
    assert "<img" not in html and end == "\n</div>"
    data = json.loads(script)
    texts = [textgen.generate(*pocket, ATTACK, 20, temperature=0.8, seed=seed) for seed in (3, 4)]
    assert data["texts"] == texts and w.text == bundle["text/plain"] == texts[0]
    assert data["prompt"] == data["prompts"]["An attack"] == ATTACK
    assert data["settings"][1] == {"temperature": 0.8, "top_k": None, "top_p": None, "seed": 4}
    assert (data["n_layer"], data["n_head"], data["block_size"]) == (4, 4, 256)
    for text in texts:  # readable as it stands, with no JavaScript
        assert text in unescape(words.replace("<b>", "").replace("</b>", ""))
    assert "With JavaScript it runs here" in words


def test_in_the_book_the_model_must_ship(book, pocket):
    model, tokenizer = pocket
    other = textgen.GPT(model.config)
    with pytest.raises(ValueError, match=r"^In the book model must be one that ships with the course: .*\.$"):
        textgen.live(other, tokenizer, max_new_tokens=1)
    with pytest.raises(
        ValueError, match=r"^model must be a GPT .* but LSTM came: .*, or leave in_browser out\.$"
    ):
        textgen.live(textgen.LSTM(textgen.LSTMConfig()), tokenizer, max_new_tokens=1)


def test_a_model_ships_as_it_is_or_not_at_all(monkeypatch):
    model, tokenizer = textgen.load("pocket-gpt")
    assert pack.shipped_name(pack.pack(model, tokenizer)) == "pocket-gpt"
    with monkeypatch.context() as patch:  # the folders are read once
        patch.setattr(pack.hub, "load", None)
        assert pack.shipped_name(pack.pack(model, tokenizer)) == "pocket-gpt"
    other_tokens = Tokenizer.bpe([story.text for story in storyworld.stories(50, seed=3)], vocab_size=301)
    with pytest.raises(ValueError, match="must be one that ships"):
        pack.shipped_name(pack.pack(model, other_tokens))
    with torch.no_grad():
        model.h[2].mlp.c_fc.weight[5, 7] *= 1 + 1e-6
    with pytest.raises(ValueError, match="must be one that ships"):
        pack.shipped_name(pack.pack(model, tokenizer))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("sums", [True, False])
def test_a_damaged_folder_says_that_it_is_damaged(book, pocket, monkeypatch, tmp_path, name, sums):
    for folder in ("pocket-gpt", "translator"):  # the second is no GPT
        shutil.copytree(hub.WEIGHTS / folder, tmp_path / folder)
        if not sums:
            (tmp_path / folder / "SHA256SUMS").unlink()
    monkeypatch.setattr(hub, "WEIGHTS", tmp_path)
    damaged = tmp_path / "pocket-gpt" / name
    content = damaged.read_bytes()
    damaged.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"^\S*{name} is truncated or altered .*again\.$"):
        textgen.live(*pocket, max_new_tokens=1)
    damaged.write_bytes(content)  # the next call tries again
    assert textgen.live(*pocket, max_new_tokens=1).data["model"] == "pocket-gpt"


def test_in_a_notebook_a_widget_with_words_beside_it(notebook, pocket):
    w = textgen.live(*pocket, ATTACK, max_new_tokens=5, temperature=0)
    bundle, _ = w._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain", VIEW}
    assert "<img" not in bundle["text/html"] and "<b>&lt;img src=x" in bundle["text/html"]
    assert "Run the notebook" in bundle["text/plain"]
    widget = w._widget
    assert w.text == textgen.generate(*pocket, ATTACK, 5, temperature=0)
    widget.text = "written in the browser"  # as the browser's message does
    assert w.text == "written in the browser"
    assert widget.weights == pack.pack(*pocket) and "model" not in widget.data
    assert "export default { render };" in widget._esm and "\nimport " not in widget._esm
    scripts = {path.relative_to(live_widget.HERE).as_posix() for path in live_widget.HERE.rglob("*.js")}
    assert scripts - {"explore.js", "label.js"} == {
        *live_widget.MODEL,
        *live_widget.CONTROLS,
        *chat_widget.FILES,
    }  # each is joined


def test_without_anywidget_the_text_and_what_is_missing(notebook, pocket, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    live_widget.widget_class.cache_clear()
    bundle, _ = textgen.live(*pocket, "Ada", max_new_tokens=2, temperature=0)._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert "pip install anywidget" in bundle["text/html"] and "<b>Ada</b>" in bundle["text/html"]


def test_live_takes_what_generate_takes(notebook, pocket):
    ours, theirs = (inspect.signature(f).parameters for f in (textgen.live, textgen.generate))
    for name in ("max_new_tokens", "temperature", "top_k", "top_p", "seed"):
        assert ours[name].default == theirs[name].default
    for wrong, said in (
        ({"temperature": -1}, "temperature must be"),
        ({"compare": {"top_p": 2}}, "top_p must be"),
        ({"compare": {"prompt": "x"}}, r"compare must hold .* but prompt came"),
        ({"max_new_tokens": 0}, "max_new_tokens must be"),
    ):
        with pytest.raises(ValueError, match=said):
            textgen.live(*pocket, **wrong)


def test_what_a_browser_cannot_run_stays_in_python(notebook, pocket):
    model, bpe = pocket
    letters = Tokenizer.char(["abcdefghijklmnopqrstuvwxyz ."])
    small = textgen.GPTConfig(vocab_size=len(letters), n_layer=1, n_embd=8)
    banded = textgen.GPTConfig(n_layer=1, n_embd=8, sliding_window=4)
    assert pack.misfit(model, bpe) == ""
    for other, tokenizer, said in (
        (textgen.GPT(small), letters, "BPE as in GPT-2 .*, but one of characters or words came: .*bpe"),
        (textgen.GPT(banded), bpe, "sliding_window=4 came"),
        (textgen.RNN(textgen.RNNConfig()), bpe, "must be a GPT .* but RNN came"),
        (textgen.GPT(textgen.GPTConfig(n_layer=8, n_embd=256)), bpe, "at most 5,000,000 weights .*: train"),
    ):
        with pytest.raises(ValueError, match=said):
            textgen.live(other, tokenizer, max_new_tokens=1, in_browser=True)
    w = textgen.live(textgen.GPT(small), letters, "ab", max_new_tokens=2)
    assert not w._widget.weights
    with pytest.raises(ValueError, match="leave in_browser out"):
        textgen.live(textgen.GPT(small), letters, "ab", max_new_tokens=2, in_browser=True)


class Wire:
    """Stands for the widget on whose wire the answers go out."""

    def send(self, reply, buffers):
        self.reply, self.floats = (
            reply,
            [torch.frombuffer(bytearray(b), dtype=torch.float32) for b in buffers],
        )


def ask(w, what, *given):
    wire = Wire()
    w._answer(wire, {"id": 5, "ask": what, "with": list(given)}, [])
    assert wire.reply["id"] == 5
    return wire


@pytest.mark.parametrize("rung", ["GPT", "LSTM", "Bigram"])
def test_python_answers_what_the_controls_ask(notebook, rung):
    letters = Tokenizer.char(["abcdefghijklmnopqrstuvwxyz ."])
    torch.manual_seed(0)
    model = getattr(textgen, rung)(getattr(textgen, f"{rung}Config")(vocab_size=len(letters))).train()
    w = textgen.live(model, letters, "ab", max_new_tokens=2, in_browser=False)
    opened = ask(w, "open").reply
    assert opened["end"] == letters.bos and opened["pieces"][1:3] == [letters.piece(1), letters.piece(2)]
    ids = [letters.bos, *ask(w, "encode", "a fox").reply["ids"]]
    assert ask(w, "decode", ids).reply["text"] == "a fox"
    row = torch.tensor([ids])
    model.eval()
    with torch.no_grad():
        want = model(row)[0][0]
    for end in (2, 3, 6, 4, 6):  # on from what was read, and back
        (logits,) = ask(w, "next", "one", ids[:end]).floats
        assert (logits - want[end - 1]).abs().max() < 1e-5
    looked = ask(w, "look", ids[:5]).floats
    assert (looked[0] - want[4]).abs().max() < 1e-5
    assert len(looked) == (2 if rung == "GPT" else 1)
    if rung == "GPT":
        attention = torch.stack([layer[0, :, 4, :5] for layer in model(row, return_attention=True)[2]])
        assert (looked[1].view_as(attention) - attention).abs().max() < 1e-5
    for session in ("one", *map(str, range(20)), "one"):  # each opening of the page asks as a new session
        (logits,) = ask(w, "next", session, ids[:4]).floats
        assert (logits - want[3]).abs().max() < 1e-5
    assert list(w._states) == ["19", "one"]
    error = ask(w, "encode", "Fox 7").reply["error"]
    assert "'7'" in error and "\n" not in error


def test_the_window_slides_without_a_warning_of_its_own(notebook, pocket):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        textgen.live(*pocket, "Ada", max_new_tokens=10)
