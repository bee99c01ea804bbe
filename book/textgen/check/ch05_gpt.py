"""The checks of chapter 05, first page: the block, what it is trained on, the nucleus, and the cache."""

from collections.abc import Callable

import numpy as np
import torch

from .harness import answers, attempt, compare, exercise, near


@exercise(
    hint="ids[:, :-1] are all tokens but the last of each row; what should each of them be followed by?",
    more="the answers are the same rows one place further on: cut off the first column instead of the last.",
    praise="Right: at every place the target is the token that comes next.",
)
def next_token_pairs(call: Callable) -> str | None:
    """Check `next_token_pairs(ids)`: (B, T + 1) to what the model reads and what it should say, (B, T) each."""
    ids = torch.tensor([[5, 3, 9, 7], [2, 8, 4, 6]])
    answer = call(ids)
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return "Return two things: what the model reads, and what it should say at each place."
    read, said = map(np.asarray, answer)
    if read.shape != said.shape:
        came = f"{read.shape} and {said.shape}"
        return f"Every place needs one answer, so both must have one shape; yours are {came}."
    first, last = ids[:, :-1], ids[:, 1:]
    if read.shape == (2, 2):
        return "You lost a place: each row of 4 tokens gives 3 pairs."
    mistakes = {
        "You shifted the wrong one: the model reads a token and should say the one before it.": (last, first),
        "Nothing is shifted: the model would learn to repeat the token it reads.": (first, first),
        "Nothing is shifted: the model would learn to repeat what it reads.": (ids, ids),
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
    more="change x twice: add what attention makes of norm_1 of x, and then what the MLP makes of norm_2 of this new x.",
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

    a, post = x + attend(norm_1(x)), norm_1(x + attend(x))
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
    }
    otherwise = "Follow the picture of one block: norm, attention, add; norm, MLP, add."
    return compare(call(x, *parts), block(x), mistakes, otherwise)


@exercise(
    hint="sort the probabilities, add them up from the largest, and stop with the first sum that reaches p.",
    more="sort(descending=True) gives values and order; keep a token while the cumsum before it is below p, and put it back by the order.",
    praise="Right: the fewest tokens that reach p together, each in its place, and they sum to 1 again.",
)
def nucleus(call: Callable) -> str | None:
    """Check `nucleus(probabilities, p)`: (V,), 0 except for the fewest likeliest tokens that reach p; sum 1."""
    q = torch.tensor([0.05, 0.4, 0.15, 0.1, 0.3])  # p = 0.8 takes 0.4, 0.3 and 0.15
    kept = {n: q.where(q >= q.sort().values[-n], 0) for n in (1, 2, 3, 4)}  # the n likeliest

    def scaled(part):
        return part / part.sum()

    mistakes = {
        "What is left must sum to 1 again: divide by its sum.": kept[3],
        "You stopped one token early: the token whose sum reaches p belongs to the nucleus.": scaled(kept[2]),
        "You kept one token too many: 0.4 + 0.3 + 0.15 already reach 0.8.": scaled(kept[4]),
        "They are sorted now: each probability must stay with its own token.": (
            scaled(kept[3]).sort(descending=True).values
        ),
        "You sorted from the small end: the nucleus consists of the likeliest tokens.": q,
        "p is a bound for their sum, not for each of them.": q * 0,
    }
    otherwise = "For probabilities 0.05, 0.4, 0.15, 0.1, 0.3 and p = 0.8 the second, third and fifth stay."
    if problem := compare(call(q, 0.8), scaled(kept[3]), mistakes, otherwise, 1e-5):
        return problem
    if not near(attempt(call, q, 0.01), scaled(kept[1])):
        return "A small p leaves the likeliest token, not none."
    return None if near(attempt(call, q, 1.0), q, 1e-5) else "p = 1 leaves all tokens as they are."


@exercise(
    hint="each layer keeps, for each token, a key and a value of n_embd numbers over all heads.",
    more="it is a product of four numbers: the three that you are given, and 2, for a key and a value.",
    praise="Right: a key and a value of n_embd numbers for each layer and token, however many heads share them.",
)
def cache_size(call: Callable) -> str | None:
    """Check `cache_size(n_layer, n_embd, tokens)`: how many numbers a KV cache holds for one text."""
    cases = [(4, 128, 10), (12, 768, 1024), (96, 12288, 2048)]
    right = np.array([2 * layers * width * tokens for layers, width, tokens in cases])
    layers, _, tokens = np.array(cases).T
    mistakes = {
        "Keys and values: that is two rows, not one.": right / 2,
        "Every layer has keys and values of its own.": right / layers,
        "Queries are used once, so they are not cached.": 1.5 * right,
        "The cache grows with the tokens, not with their square: scores are not cached.": right * tokens,
        "That is in bytes, four to a number: count numbers.": 4 * right,
    }
    otherwise = f"For 4 layers of width 128 and 10 tokens there are {right[0]:,} numbers."
    return compare(answers(call, cases), right, mistakes, otherwise)
