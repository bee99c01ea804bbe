"""The checks of chapter 07, first page: exposure of a secret, overlap with what was read, and the area under a curve."""

from collections.abc import Callable
from math import log, log2, log10

import numpy as np

from .harness import attempt, compare, exercise, near


@exercise(
    hint="count how many candidates the model thinks likelier than the secret; the likeliest of all has rank 1.",
    more="rank is 1 + the number of log-probabilities above log_probs[secret], and the exposure log2(len(log_probs)) - log2(rank).",
    praise="Right: an exposure of log2(n) is a secret that the model would guess first, and chance alone gives about 1.4.",
)
def exposure(call: Callable) -> str | None:
    """Check `exposure(log_probs, secret)`: of all candidates (n,) and the secret's place, to bits."""
    parts = [4, 11, 9, 30, 3, 12, 10, 2, 5, 6, 7, 8, 10, 1, 11, 3]
    found, secret = np.log(np.array(parts) / 132), 5  # of 16, it has rank 2
    mistakes = {
        "The rank starts at 1: the likeliest candidate has rank 1, not 0.": 4,
        "The secret is counted with those above it: count the likelier ones, and add 1.": 4 - log2(3),
        "Those are nats: take the logarithm to base 2.": log(8),
        "Those are powers of ten: take the logarithm to base 2.": log10(8),
        "You rank from below: rank 1 is the likeliest candidate.": 4 - log2(15),
        "That is the rank: take log2 of the number of candidates, less log2 of it.": 2,
        "The number of candidates is missing: log2(len(log_probs)) less log2 of the rank.": -1,
        "The sign is turned: the likeliest secret has the LARGEST exposure.": -3,
        "That is how unlikely the secret is: exposure compares it with the other candidates.": -log2(
            12 / 132
        ),
        "You rank by place: sort by log-probability, and look where the secret comes.": 4 - log2(6),
    }
    otherwise = "A secret that is second of sixteen has an exposure of 4 - 1 = 3 bits; yours differs."
    if problem := compare(call(found.copy(), secret), 3.0, mistakes, otherwise):
        return problem
    right = [attempt(call, found.copy(), place) for place in (3, 13)]
    ends = "Of sixteen candidates the likeliest has 4 bits, and the last has none."
    return None if near(right, [4, 0]) else ends


@exercise(
    hint="cut both sides into all runs of n words, and see which runs of the text the other side has too.",
    more="the runs of a text are words[i : i + n] for i up to len(words) - n; a set of tuples holds those of `known`, and each of its texts gives its own.",
    praise="Right: a share of 1 means that each run of it was there before. It cannot see a paraphrase.",
)
def overlap(call: Callable) -> str | None:
    """Check `overlap(text, known, n)`: a text, a list of texts, and words in a run, to a share."""
    text, known = "Ada saw a red kite by the mill", ["Ada saw a red", "kite by the millstone"]
    mistakes = {
        "You run over the end of one text into the next: a run must lie within one of them.": 5 / 6,
        "You look for letters: a run ends with a whole word, and a millstone is no mill.": 4 / 6,
        "The last run is missing: there are len(words) - n + 1 of them.": 3 / 5,
        "Divide by the runs of the text, not by its words.": 3 / 8,
        "Divide by the runs of the text, not by those that are known.": 3 / 4,
        "That is how many: divide by the number of runs of the text.": 3,
        "You compare single words: a run has n words.": 7 / 8,
        "You count what is in both and divide by all that is in either: divide by the runs of the text.": 3
        / 7,
    }
    otherwise = "Of the 6 runs of three words 3 are known: 0.5; yours differs."
    if problem := compare(call(text, list(known), 3), 3 / 6, mistakes, otherwise):
        return problem
    turned = {
        "That is the share of runs that are NOT known: turn it round.": 1 - 5 / 7,
        "Take runs of n words: n is 2 now, not 3.": 3 / 6,
    }
    otherwise = "Of the 7 runs of two words 5 are known; yours differs."
    if problem := compare(attempt(call, text, list(known), 2), 5 / 7, turned, otherwise):
        return problem
    once = {"A run that occurs twice counts twice: a set would count it once.": 1 / 2}
    otherwise = "Of the runs 'red red', 'red red', 'red kite' two are known: 2 / 3; yours differs."
    if problem := compare(attempt(call, "red red red kite", ["so red red"], 2), 2 / 3, once, otherwise):
        return problem
    if not near(attempt(call, "a red", list(known), 3), 0):
        return "A text of fewer than n words has no run: return 0, since nothing is known."
    nothing = attempt(call, text, [], 3)
    return None if near(nothing, 0) else "Where no text was read, nothing of the document is known: return 0."


@exercise(
    hint="compare each member with each other document, and count how often the member has the larger score.",
    more="members[:, None] > others is a table of all pairs; its mean, with half a point for each pair that is equal, is the area.",
    praise="Right: 0.5 is a coin, 1 a perfect detector, and no threshold had to be chosen.",
)
def auc(call: Callable) -> str | None:
    """Check `auc(members, others)`: scores (m,) and (n,), to the area under the ROC curve."""
    members, others = np.array([3.0, 1.0, 2.0]), np.array([2.0, 0.0, 1.0, 2.0])
    mistakes = {
        "Equal scores count half, and here they count as lost.": 7 / 12,
        "Equal scores count half, and here they count as won.": 10 / 12,
        "It is turned round: the members should have the larger scores.": 3.5 / 12,
        "That is a number of pairs: divide by how many pairs there are.": 8.5,
        "Divide by all pairs, members times others.": 8.5 / 3,
        "Divide by all pairs, and not by the number of the others alone.": 8.5 / 4,
        "That is the difference of the means: count pairs.": 2 - 5 / 4,
        "You compare the first member with the first other, and so on: compare each with each.": 1,
        "That is how far the area is from a coin: 0.5 itself is the coin.": 8.5 / 12 - 0.5,
        "That is 2 AUC - 1, which runs from -1 to 1: return the area.": 17 / 12 - 1,
    }
    otherwise = "Of these 12 pairs 7 are won and 3 are equal: 8.5 / 12 = 0.708; yours differs."
    if problem := compare(call(members.copy(), others.copy()), 8.5 / 12, mistakes, otherwise):
        return problem
    ends = [attempt(call, members + 9, others.copy()), attempt(call, members - 9, others.copy())]
    return (
        None
        if near(ends, [1, 0])
        else "Where every member is above all others the area is 1, and 0 below all."
    )
