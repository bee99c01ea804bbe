"""The checks of chapter 05, first page: the block, what it is trained on, the nucleus, and the cache."""

from collections.abc import Callable

import numpy as np
import torch

from .harness import answers, attempt, compare, exercise, near


@exercise(
    hint="at each place the model has read some tokens of a row and is asked for the one after them; for which place is there none to ask for?",
    more="both answers are cut out of ids, and each lacks one column: which one can nobody ask about, and which one is never asked for?",
    praise="Right: at every place the target is the token that comes next.",
)
def next_token_pairs(call: Callable) -> str | None:
    """Check `next_token_pairs(ids)`: (B, T + 1) to what the model reads and what it should say, (B, T) each."""
    ids = torch.tensor([[5, 3, 9, 7], [2, 8, 4, 6]])
    answer = call(ids.clone())
    two = isinstance(answer, tuple | list) or getattr(answer, "ndim", 0) == 3
    if not two or len(answer) != 2:
        return "Return two things: what the model reads, and what it should say at each place."
    read, said = map(np.asarray, answer)
    if read.shape != said.shape:
        came = f"{read.shape} and {said.shape}"
        return f"Every place needs one answer, so both must have one shape; yours are {came}."
    if any(part.dtype.kind not in "iu" for part in (read, said)):
        return "Token ids are whole numbers: the loss takes numbers with a point for something else."
    first, last = ids[:, :-1], ids[:, 1:]
    if near(read, ids[:, :-2]) and near(said, ids[:, 2:]):
        return "You moved by two places: the model should say the very next token."
    if read.shape == (2, 2):
        return "You lost a place: each row of 4 tokens gives 3 pairs."
    mistakes = {
        "You shifted the wrong one: the model reads a token and should say the one before it.": (last, first),
        "Nothing is shifted: the model would learn to repeat the token it reads.": (first, first),
        "Nothing is shifted: the model would learn to repeat what it reads.": (ids, ids),
        "The next token is the one that stands next in its row, not the next number.": (first, first + 1),
        "You shifted along the batch: the next token is in the next column, not in the next row.": (
            ids[:-1],
            ids[1:],
        ),
        "After its last token a row does not begin again: cut it, do not roll it.": (ids, ids.roll(-1, 1)),
    }
    known = {sentence: torch.stack(pair) for sentence, pair in mistakes.items()}
    otherwise = "From rows of 4 tokens the model reads the first 3 and should say the last 3."
    return compare(np.stack((read, said)), torch.stack((first, last)), known, otherwise)


@exercise(
    hint="each part reads a norm of the stream and adds its answer to the stream, attention first.",
    more="there are two additions, one after the other, and the second part must notice what the first has changed.",
    praise="Right: both parts read a norm of the stream, and both only add to it.",
)
def pre_norm_block(call: Callable) -> str | None:
    """Check `pre_norm_block(x, norm_1, attend, norm_2, mlp)`: the stream after a block; the parts are functions."""
    parts = [lambda x: x / 2 + 1, lambda x: 3 * x, lambda x: x / 4 - 1, lambda x: x**2]
    norm_1, attend, norm_2, mlp = parts
    x = torch.tensor([[1.0, -2.0, 0.5], [4.0, 0.0, -1.0]])

    def same(x):
        return x

    def block(x, norm_1=norm_1, norm_2=norm_2):
        x = x + attend(norm_1(x))
        return x + mlp(norm_2(x))

    def behind(x):
        x = x + norm_1(attend(x))
        return x + norm_2(mlp(x))

    def on_stream(x):
        x = norm_1(x)
        x = norm_2(x + attend(x))
        return x + mlp(x)

    a, post = x + attend(norm_1(x)), norm_1(x + attend(x))
    mlp_first, taken = x + mlp(norm_2(x)), x - attend(norm_1(x))
    after = (
        "That is post-norm, as in 2017: GPT-2 normalises what a part reads, and leaves the stream as it is."
    )
    mistakes = {
        after: norm_2(post + mlp(post)),
        "The MLP must read the stream after attention has added to it.": a + mlp(norm_2(x)),
        "You dropped the stream: each part is added to x, it does not replace it.": mlp(
            norm_2(attend(norm_1(x)))
        ),
        "The norms are missing: each part reads a norm of the stream.": block(x, same, same),
        "The second norm is missing: the MLP reads norm_2 of the stream.": block(x, norm_2=same),
        "You used norm_1 twice: the MLP has a norm of its own.": block(x, norm_2=norm_1),
        "You swapped the norms: norm_1 comes before attention.": block(x, norm_2, norm_1),
        "You added to the norm: the stream goes on as x itself, not as norm_1(x).": block(norm_1(x), same),
        "That is half a block: after attention comes the MLP.": a,
        "That is half a block: before the MLP comes attention.": mlp_first,
        "Attention comes first, then the MLP.": mlp_first + attend(norm_1(mlp_first)),
        "A norm stands before its part, not behind it: it is what the part reads.": behind(x),
        "You put the norms on the stream itself: only what a part reads is normalised.": on_stream(x),
        "Each part is added to the stream, not taken from it.": taken - mlp(norm_2(taken)),
    }
    otherwise = "Follow the picture of one block: norm, attention, add; norm, MLP, add."
    return compare(call(x.clone(), *parts), block(x), mistakes, otherwise)


@exercise(
    hint="p is what the kept tokens must reach together, with as few of them as possible: which one do you take first?",
    more="take tokens from the likeliest down until their sum reaches p; whatever you sort, the answer stands in the order in which the tokens came.",
    praise="Right: the fewest tokens that reach p together, each in its place, and they sum to 1 again.",
)
def nucleus(call: Callable) -> str | None:
    """Check `nucleus(probabilities, p)`: (V,), 0 except for the fewest likeliest tokens that reach p; sum 1."""
    q = torch.tensor([0.4, 0.05, 0.1, 0.3, 0.15])  # p = 0.5 takes 0.4 and 0.3
    kept = {n: q.where(q >= q.sort().values[-n], 0) for n in (1, 2, 3)}  # the n likeliest

    def scaled(part):
        return part / part.sum()

    def trial(p):
        return attempt(call, q.clone(), p)

    mistakes = {
        "What is left must sum to 1 again: divide by its sum.": kept[2],
        "Divide what is left by its sum: softmax gives something to the tokens that you cut.": kept[
            2
        ].softmax(0),
        "You stopped one token early: the token whose sum reaches p belongs to the nucleus.": scaled(kept[1]),
        "You kept one token too many: 0.4 + 0.3 already reach 0.5.": scaled(kept[3]),
        "They are sorted now: each probability must stay with its own token.": (
            scaled(kept[2]).sort(descending=True).values
        ),
        "You began at the small end: the nucleus consists of the likeliest tokens.": scaled(
            q.where(q < 0.4, 0)
        ),
        "You added them up as they came: begin with the likeliest.": scaled(
            q * torch.tensor([1, 1, 1, 0, 0])
        ),
        "All tokens are still there: keep the fewest that reach p together.": q,
        "p is a bound for their sum, not for each of them.": q * 0,
        "Those are marks: return the probabilities of the tokens that stay.": (kept[2] > 0).double(),
    }
    otherwise = "For probabilities 0.4, 0.05, 0.1, 0.3, 0.15 and p = 0.5 the first and fourth stay."
    if problem := compare(call(q.clone(), 0.5), scaled(kept[2]), mistakes, otherwise, 1e-5):
        return problem
    if not near(trial(0.8), scaled(q.where(q > 0.1, 0)), 1e-5):
        return "With p = 0.8 three tokens stay, with 0.5 two: how many depends on p."
    if not near(trial(0.01), scaled(kept[1])):
        return "A small p leaves the likeliest token, not none."
    return None if near(trial(1.0), q, 1e-5) else "p = 1 leaves all tokens as they are."


@exercise(
    hint="begin with one token in one layer: which of its rows does attention need again later, and how long is each over all heads?",
    more="whatever one token needs in one layer, every token needs, and in every layer.",
    praise="Right: a key and a value of n_embd numbers for each layer and token, however many heads share them.",
)
def cache_size(call: Callable) -> str | None:
    """Check `cache_size(n_layer, n_embd, tokens)`: how many numbers a KV cache holds for one text."""
    cases = [(4, 128, 10), (12, 768, 1024), (96, 12288, 2048)]
    right = np.array([2 * layers * width * tokens for layers, width, tokens in cases])
    layers, widths, tokens = np.array(cases).T
    mistakes = {
        "Keys and values: that is two rows, not one.": right / 2,
        "Every layer has keys and values of its own.": right / layers,
        "Queries are used once, so they are not cached.": 1.5 * right,
        "The cache grows with the tokens, not with their square: scores are not cached.": right * tokens,
        "That is in bytes, four to a number: count numbers.": 4 * right,
        "That is in bytes, two to a number: count numbers.": 2 * right,
        "Every token has keys and values of its own.": right / tokens,
        "A key has n_embd numbers over all heads; which two rows of that length are kept?": right / widths,
    }
    otherwise = f"For 4 layers of width 128 and 10 tokens there are {right[0]:,} numbers."
    return compare(answers(call, cases), right, mistakes, otherwise)
