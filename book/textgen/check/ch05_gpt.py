"""The checks of chapter 05, first page: the block, what it is trained on, the nucleus, and the cache."""

from collections.abc import Callable

import numpy as np
import torch

from .harness import attempt, compare, exercise


@exercise(
    hint="ids[:, :-1] are all tokens but the last of each row; what should each of them be followed by?",
    praise="Right: at every place the target is the token that comes next.",
)
def next_token_pairs(call: Callable) -> str | None:
    """Check `next_token_pairs(ids)`: (B, T + 1) to what the model reads and what it should say, (B, T) each."""
    ids = torch.tensor([[5, 3, 9, 7], [2, 8, 4, 6]])
    answer = call(ids)
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return "Return two things: what the model reads, and what it should say at each place."
    shapes = [tuple(np.shape(part)) for part in answer]
    if shapes[0] != shapes[1]:
        return f"Every place needs one answer, so both must have one shape; yours are {shapes[0]} and {shapes[1]}."
    if shapes[0] == (2, 2) and not torch.equal(torch.as_tensor(answer[0]), ids[:, :-1]):
        return "You lost a place: from rows of 4 tokens come 3 questions."
    mistakes = {
        "You moved the wrong one: now the model reads a token and is asked for the one before it.": (
            ids[:, 1:],
            ids[:, :-1],
        ),
        "Nothing is moved: the model would learn to repeat the token it reads.": (ids[:, :-1], ids[:, :-1]),
        "Nothing is moved: the model would learn to repeat what it reads.": (ids, ids),
        "You moved along the batch: the next token stands in the next column, not in the next row.": (
            ids[:-1],
            ids[1:],
        ),
        "The last token of a row has no next one, and the first of the row is none: cut, do not roll.": (
            ids,
            ids.roll(-1, 1),
        ),
    }
    otherwise = "From rows of 4 tokens the model reads the first 3 and should say the last 3."
    known = {sentence: torch.stack(pair) for sentence, pair in mistakes.items()}
    return compare(np.stack(answer), torch.stack((ids[:, :-1], ids[:, 1:])), known, otherwise)


@exercise(
    hint="two lines: x = x + attend(norm_1(x)), and then the same with the MLP.",
    praise="Right: both parts read a norm of the stream, and both only add to it.",
)
def pre_norm_block(call: Callable) -> str | None:
    """Check `pre_norm_block(x, norm_1, attend, norm_2, mlp)`: the stream after a block; the parts are functions."""
    parts = [lambda x: x / 2 + 1, lambda x: 3 * x, lambda x: x / 4 - 1, lambda x: x**2]
    norm_1, attend, norm_2, mlp = parts
    x = torch.tensor([[1.0, -2.0, 0.5], [4.0, 0.0, -1.0]])
    a = x + attend(norm_1(x))
    post = norm_1(x + attend(x))
    mistakes = {
        "These are post-norms, as in 2017: GPT-2 norms what goes into a part, and leaves the stream alone.": norm_2(
            post + mlp(post)
        ),
        "The MLP must read the stream after attention has added to it.": a + mlp(norm_2(x)),
        "You dropped the stream: each part is added to x, it does not replace it.": mlp(
            norm_2(attend(norm_1(x)))
        ),
        "The norms are missing: each part reads a norm of the stream.": (b := x + attend(x)) + mlp(b),
        "The second norm is missing: the MLP reads norm_2 of the stream.": a + mlp(a),
        "You used norm_1 twice: the MLP has a norm of its own.": a + mlp(norm_1(a)),
        "You swapped the norms: norm_1 stands before attention.": (c := x + attend(norm_2(x)))
        + mlp(norm_1(c)),
        "You added to the norms: what goes on is x itself, not norm_1(x).": (
            d := norm_1(x) + attend(norm_1(x))
        )
        + mlp(norm_2(d)),
        "That is half a block: after attention comes the MLP.": a,
    }
    otherwise = "Follow the picture of one block: norm, attention, add; norm, MLP, add."
    return compare(call(x, *parts), a + mlp(norm_2(a)), mistakes, otherwise)


@exercise(
    hint="sort the probabilities, add them up from the largest, and stop with the first sum that reaches p.",
    praise="Right: the fewest tokens that reach p together, each in its place, and they sum to 1 again.",
)
def nucleus(call: Callable) -> str | None:
    """Check `nucleus(probabilities, p)`: (V,) with all but the likeliest that reach p at 0, and sum 1."""
    q = torch.tensor([0.05, 0.4, 0.15, 0.1, 0.3])
    right = torch.tensor([0, 0.4, 0.15, 0, 0.3])  # p = 0.8 takes 0.4, 0.3 and 0.15
    mistakes = {
        "What is left must sum to 1 again: divide by its sum.": right,
        "You stopped one token early: the token whose sum reaches p belongs to the nucleus.": (
            torch.tensor([0, 4, 0, 0, 3]) / 7
        ),
        "You kept one token too many: 0.4 + 0.3 + 0.15 reach 0.8 already.": torch.tensor([0, 8, 3, 2, 6])
        / 19,
        "They are sorted now: each probability must stand at its own token.": (
            torch.tensor([0.4, 0.3, 0.15, 0, 0]) / 0.85
        ),
        "You sorted from the small end: the nucleus is made of the likeliest.": (
            torch.tensor([1, 8, 3, 2, 6]) / 20
        ),
        "p is a bound for their sum, not for each of them.": q * 0,
    }
    otherwise = "For probabilities 0.05, 0.4, 0.15, 0.1, 0.3 and p = 0.8 the second, third and fifth stay."
    problem = compare(call(q, 0.8), right / right.sum(), mistakes, otherwise, 1e-5)
    if problem:
        return problem
    least, all_of_it = attempt(call, q, 0.01), attempt(call, q, 1.0)
    alone = compare(
        least, torch.tensor([0.0, 1, 0, 0, 0]), {}, "A small p leaves the likeliest token, not none."
    )
    return alone or compare(all_of_it, q, {}, "p = 1 leaves all tokens as they are.", 1e-5)


@exercise(
    hint="each layer keeps, for each token, a key and a value of n_embd numbers over all heads.",
    praise="Right: two rows of n_embd numbers a layer and token, however many heads share them.",
)
def cache_size(call: Callable) -> str | None:
    """Check `cache_size(n_layer, n_embd, tokens)`: how many numbers a KV cache holds for one text."""
    cases = [(4, 128, 10), (12, 768, 1024), (96, 12288, 2048)]
    right = [2 * layers * width * tokens for layers, width, tokens in cases]
    mistakes = {
        "Keys and values: that is two rows, not one.": [r / 2 for r in right],
        "Every layer has keys and values of its own.": [2 * width * tokens for _, width, tokens in cases],
        "Queries are not kept: nobody asks an old question again.": [1.5 * r for r in right],
        "The cache grows with the tokens, not with their square: scores are not kept.": [
            r * tokens for r, (_, _, tokens) in zip(right, cases)
        ],
        "That is in bytes, four to a number: count numbers.": [4 * r for r in right],
    }
    answers = [call(*cases[0]), *(attempt(call, *case) for case in cases[1:])]
    otherwise = f"For 4 layers of width 128 and 10 tokens there are {right[0]:,} numbers."
    return compare(answers, right, mistakes, otherwise)
