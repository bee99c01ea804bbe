"""The checks of chapter 05, first page, and the page's own GPT on a real GPT-2 folder, as with `gpt2` where there is a network."""

from pathlib import Path

import nbformat
import numpy as np
import textgen
import torch
from exercise_cases import exercise_tests
from textgen import check


def nucleus(q, p, extra=0):
    values, order = q.sort(descending=True)
    keep = int((values.cumsum(0) < p - 1e-6).sum()) + 1 + extra
    kept = torch.zeros_like(q)
    kept[order[:keep]] = values[:keep]
    return kept / kept.sum()


def block(x, norm_1, attend, norm_2, mlp):
    a = x + attend(norm_1(x))
    return a + mlp(norm_2(a))


def post_norm(x, norm_1, attend, norm_2, mlp):
    x = norm_1(x + attend(x))
    return norm_2(x + mlp(x))


def in_place(x, norm_1, attend, norm_2, mlp):
    x += attend(norm_1(x))
    x += mlp(norm_2(x))
    return x


def by_loop(q, p):
    kept, left = [0.0] * len(q), list(range(len(q)))
    while left and sum(kept) < p - 1e-6:
        best = max(left, key=lambda i: q[i])
        kept[best] = float(q[best])
        left.remove(best)
    return [value / sum(kept) for value in kept]


def in_numpy(q, p):
    q = np.asarray(q, dtype=float)
    order = np.argsort(q)  # the least likely first
    out = np.cumsum(q[order]) <= 1 - p + 1e-6
    out[-1] = False
    q = np.where(np.isin(np.arange(len(q)), order[out]), 0, q)
    return q / q.sum()


def emptied(q, p):
    values, order = q.sort(descending=True)
    q[order[values.cumsum(0) - values >= p - 1e-6]] = 0
    return q / q.sum()


def unsorted(q, p):
    kept = q.where(q.cumsum(0) - q < p - 1e-6, 0)
    return kept / kept.sum()


def from_below(q, p):
    values, order = q.sort()
    kept = torch.zeros_like(q)
    kept[order] = values.where(values.cumsum(0) - values < p - 1e-6, 0)
    return kept / kept.sum()


def sandwich(x, norm_1, attend, norm_2, mlp):
    x = x + norm_1(attend(x))
    return x + norm_2(mlp(x))


def on_the_stream(x, norm_1, attend, norm_2, mlp):
    x = norm_1(x)
    x = norm_2(x + attend(x))
    return x + mlp(x)


RIGHT = [
    (check.next_token_pairs, lambda ids: (ids[:, :-1], ids[:, 1:])),
    (check.pre_norm_block, block),
    (check.nucleus, nucleus),
    (check.cache_size, lambda layers, width, tokens: 2 * layers * width * tokens),
    (check.next_token_pairs, lambda ids: [ids.numpy()[:, :-1], np.roll(ids.numpy(), -1, axis=1)[:, :-1]]),
    (check.next_token_pairs, lambda ids: torch.stack((ids[:, :-1], ids[:, 1:]))),
    (
        check.next_token_pairs,
        lambda ids: ([row[:-1].tolist() for row in ids], [row[1:].tolist() for row in ids]),
    ),
    (check.pre_norm_block, in_place),
    (check.pre_norm_block, lambda x, n, a, m, f: f(m(x + a(n(x)))) + a(n(x)) + x),
    (check.nucleus, by_loop),
    (check.nucleus, in_numpy),
    (check.nucleus, emptied),
    (check.cache_size, lambda layers, width, tokens: sum(2 * width for _ in range(layers)) * tokens),
    (check.cache_size, lambda *sizes: 2.0 * np.prod(np.array(sizes, dtype=float))),
]
WRONG = [
    (check.next_token_pairs, lambda ids: ids[:, 1:], "two things"),
    (check.next_token_pairs, lambda ids: (ids, ids[:, 1:]), "one shape"),
    (check.next_token_pairs, lambda ids: (ids[:, 1:-1], ids[:, 2:]), "lost a place"),
    (check.next_token_pairs, lambda ids: (ids[:, 1:], ids[:, :-1]), "shifted the wrong one"),
    (check.next_token_pairs, lambda ids: (ids[:, :-1], ids[:, :-1]), "repeat the token"),
    (check.next_token_pairs, lambda ids: (ids, ids), "repeat what it reads"),
    (check.next_token_pairs, lambda ids: (ids[:-1], ids[1:]), "along the batch"),
    (check.next_token_pairs, lambda ids: (ids, ids.roll(-1, 1)), "do not roll"),
    (check.next_token_pairs, lambda ids: (ids[:, :-1], ids[:, 1:].flip(0)), "first 3"),
    (check.next_token_pairs, lambda ids: (ids[:, :-1], ids[:, 1:].float()), "whole numbers"),
    (check.next_token_pairs, lambda ids: (ids[:, :-1], ids[:, :-1] + 1), "not the next number"),
    (check.next_token_pairs, lambda ids: (ids[:, :-2], ids[:, 2:]), "two places"),
    (check.next_token_pairs, lambda ids: (ids[:, :-1], ids[:, -1:]), "one shape"),
    (check.pre_norm_block, lambda x, n, a, m, f: x + f(m(x)), "before the MLP"),
    (check.pre_norm_block, lambda x, n, a, m, f: block(x, m, f, n, a), "Attention comes first"),
    (check.pre_norm_block, sandwich, "not behind it"),
    (check.pre_norm_block, on_the_stream, "on the stream itself"),
    (
        check.pre_norm_block,
        lambda x, n, a, m, f: block(x, n, lambda y: -a(y), m, lambda y: -f(y)),
        "not taken",
    ),
    (check.nucleus, lambda q, p: nucleus(q, p) * 0 + (nucleus(q, p) > 0), "are marks"),
    (check.nucleus, lambda q, p: (nucleus(q, p) * 0.7).softmax(0), "softmax gives something"),
    (check.nucleus, unsorted, "as they came"),
    (check.nucleus, lambda q, p: nucleus(q, 0.5), "depends on p"),
    (check.nucleus, lambda q, p: q, "still there"),
    (check.cache_size, lambda layers, width, tokens: 4 * layers * width * tokens, "two to a number"),
    (check.cache_size, lambda layers, width, tokens: 2 * layers * width, "Every token"),
    (check.cache_size, lambda layers, width, tokens: 2 * layers * tokens, "over all heads"),
    (check.pre_norm_block, post_norm, "post-norm"),
    (check.pre_norm_block, lambda x, n, a, m, f: x + a(n(x)) + f(m(x)), "after attention has added"),
    (check.pre_norm_block, lambda x, n, a, m, f: f(m(a(n(x)))), "dropped the stream"),
    (check.pre_norm_block, lambda x, n, a, m, f: block(x, abs, a, abs, f), "Follow the picture"),
    (
        check.pre_norm_block,
        lambda x, n, a, m, f: block(x, lambda y: y, a, lambda y: y, f),
        "norms are missing",
    ),
    (check.pre_norm_block, lambda x, n, a, m, f: block(x, n, a, lambda y: y, f), "second norm is missing"),
    (check.pre_norm_block, lambda x, n, a, m, f: block(x, n, a, n, f), "norm_1 twice"),
    (check.pre_norm_block, lambda x, n, a, m, f: block(x, m, a, n, f), "swapped the norms"),
    (check.pre_norm_block, lambda x, n, a, m, f: block(n(x), lambda y: y, a, m, f), "added to the norm:"),
    (check.pre_norm_block, lambda x, n, a, m, f: x + a(n(x)), "half a block"),
    (check.nucleus, lambda q, p: nucleus(q, p) * 0.7, "sum to 1 again"),
    (check.nucleus, lambda q, p: nucleus(q, p, -1), "one token early"),
    (check.nucleus, lambda q, p: nucleus(q, p, 1), "one token too many"),
    (check.nucleus, lambda q, p: nucleus(q, p).sort(descending=True).values, "sorted now"),
    (check.nucleus, from_below, "at the small end"),
    (check.nucleus, lambda q, p: q * (q > p), "not for each"),
    (check.nucleus, lambda q, p: nucleus(q, p) if p > 0.1 else q * 0, "not none"),
    (check.nucleus, lambda q, p: nucleus(q, min(p, 0.9)), "leaves all tokens"),
    (check.nucleus, lambda q, p: q.flip(0), "first and fourth"),
    (check.cache_size, lambda layers, width, tokens: layers * width * tokens, "two rows"),
    (check.cache_size, lambda layers, width, tokens: 2 * width * tokens, "of its own"),
    (check.cache_size, lambda layers, width, tokens: 3 * layers * width * tokens, "Queries"),
    (check.cache_size, lambda layers, width, tokens: 2 * layers * width * tokens**2, "square"),
    (check.cache_size, lambda layers, width, tokens: 8 * layers * width * tokens, "bytes"),
    (check.cache_size, lambda layers, width, tokens: 7, "10,240"),
]


TestChecks = exercise_tests(RIGHT, WRONG)


def assembled(*contents):
    """The namespace of the chapter's imports, its four classes, and the cells that hold `contents`."""
    path = Path(__file__).resolve().parents[1] / "book/05-gpt.ipynb"
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    space = {}
    for part in ("from torch import nn", "class SelfAttention", "class MLP", "class GPT", *contents):
        exec(next(cell for cell in cells if part in cell), space)  # noqa: S102 (the book's own)
    return space


def test_the_pages_model_runs_a_gpt2_folder(tmp_path, monkeypatch, capsys):
    import transformers

    config = transformers.GPT2Config(vocab_size=300, n_positions=64, n_layer=2, n_head=2, n_embd=16)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    textgen.tokenizer.Tokenizer.bpe(["My name is Lewis"], vocab_size=300).save_pretrained(tmp_path)
    load = textgen.load
    monkeypatch.setattr(textgen, "load", lambda name: load(tmp_path if name == "gpt2" else name))
    assembled('textgen.load("gpt2")')
    said = capsys.readouterr().out
    assert "12,416 parameters, and the same logits from your classes." in said
    assert "My name is Lewis and I like to" in said


def test_without_a_network_the_page_says_so_and_goes_on(monkeypatch, capsys):
    def unreachable(name):
        raise ConnectionError("gpt2 could not be fetched.")

    monkeypatch.setattr(textgen, "load", unreachable)
    assembled('textgen.load("gpt2")')
    assert capsys.readouterr().out == "gpt2 could not be fetched.\n"


def test_the_pages_classes_start_as_the_courses_gpt():
    space = assembled("def start")
    config = textgen.GPTConfig(vocab_size=30, block_size=8, n_layer=2, n_head=2, n_embd=8)
    torch.manual_seed(0)
    course = textgen.GPT(config).state_dict()
    torch.manual_seed(0)
    page = space["start"](space["GPT"](config), config).state_dict()
    assert course.keys() == page.keys()
    assert all(torch.equal(course[name], page[name]) for name in course)
