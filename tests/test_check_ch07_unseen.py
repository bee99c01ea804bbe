"""The checks of chapter 07, first page: exposure, overlap and the area under the ROC curve."""

import math

import numpy as np
import torch
from exercise_cases import exercise_tests
from sklearn.metrics import roc_auc_score
from textgen import check


def exposure(log_probs, secret):
    return np.log2(len(log_probs)) - np.log2(1 + (log_probs > log_probs[secret]).sum())


def exposure_by_sorting(log_probs, secret):
    order = torch.tensor(log_probs).argsort(descending=True).tolist()
    return math.log2(len(order) / (1 + order.index(secret)))


def ranked(change):
    """change(number of candidates, rank)."""
    return lambda log_probs, secret: change(len(log_probs), 1 + (log_probs > log_probs[secret]).sum())


def runs(text, n):
    words = text.split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def overlap(text, known, n):
    seen = {run for one in known for run in runs(one, n)}
    return sum(run in seen for run in runs(text, n)) / max(1, len(runs(text, n)))


def overlap_in_sets(text, known, n):
    mine, seen = set(runs(text, n)), set().union(*(runs(one, n) for one in known))
    return len(mine & seen) / len(mine) if mine else 0


def overlap_by_loops(text, known, n):
    words, found, at = text.split(), 0, 0
    while at + n <= len(words):
        found += any(words[at : at + n] == other.split()[i : i + n] for other in known for i in range(99))
        at += 1
    return found / at if at else 0


def overlap_of_either(text, known, n):
    mine, seen = set(runs(text, n)), {run for one in known for run in runs(one, n)}
    return len(mine & seen) / max(1, len(mine | seen))


def overlap_with_spaces(text, known, n):
    found = [any(f" {' '.join(run)} " in f" {one} " for one in known) for run in runs(text, n)]
    return float(np.mean(found)) if found else 0.0


def letters(text, known, n):
    found = [any(" ".join(run) in one for one in known) for run in runs(text, n)]
    return sum(found) / max(1, len(found))


def without_the_last(text, known, n):
    seen = {run for one in known for run in runs(one, n)}
    mine = runs(text, n)[:-1]
    return sum(run in seen for run in mine) / max(1, len(mine))


def counted(change):
    """change(known runs of the text, its runs, its words, runs of the known texts)."""

    def answer(text, known, n):
        seen = [run for one in known for run in runs(one, n)]
        mine = runs(text, n)
        return change(sum(run in seen for run in mine), len(mine), len(text.split()), len(seen))

    return answer


def auc(members, others):
    return ((members[:, None] > others).mean() + (members[:, None] >= others).mean()) / 2


def auc_of_scikit_learn(members, others):
    return roc_auc_score([1] * len(members) + [0] * len(others), np.concatenate([members, others]))


def auc_by_loops(members, others):
    won = sum((m > o) + (m == o) / 2 for m in members for o in others)
    return won / (len(members) * len(others))


def auc_by_ranks(members, others):
    """Mann and Whitney's U from the ranks of all scores, the mean rank where they are equal."""
    both = np.concatenate([members, others])
    ranks = [(both < one).sum() + ((both == one).sum() + 1) / 2 for one in members]
    return (sum(ranks) - len(members) * (len(members) + 1) / 2) / (len(members) * len(others))


def of_pairs(change):
    return lambda members, others: change(members[:, None], others[None])


RIGHT = [
    (check.exposure, exposure),
    (check.exposure, exposure_by_sorting),
    (check.exposure, lambda p, secret: torch.tensor(exposure(p, secret))),
    (check.exposure, lambda p, secret: -math.log2((p >= p[secret]).mean())),
    (check.overlap, overlap),
    (check.overlap, overlap_by_loops),
    (check.overlap, overlap_with_spaces),
    (check.auc, auc),
    (check.auc, auc_of_scikit_learn),
    (check.auc, auc_by_loops),
    (check.auc, auc_by_ranks),
    (check.auc, lambda m, o: (np.sign(np.subtract.outer(m, o)).mean() + 1) / 2),
]
WRONG = [
    (check.exposure, ranked(lambda n, rank: np.log2(n) - np.log2(max(rank - 1, 1))), "starts at 1"),
    (check.exposure, ranked(lambda n, rank: np.log(n / rank)), "nats"),
    (check.exposure, ranked(lambda n, rank: np.log2(n / (n + 1 - rank))), "from below"),
    (check.exposure, ranked(lambda n, rank: rank), "That is the rank"),
    (check.exposure, ranked(lambda n, rank: -np.log2(rank)), "number of candidates is missing"),
    (check.exposure, ranked(lambda n, rank: np.log2(rank / n)), "sign is turned"),
    (check.exposure, lambda p, secret: -p[secret] / np.log(2), "how unlikely"),
    (check.exposure, lambda p, secret: np.log2(len(p) / (1 + secret)), "by place"),
    (check.exposure, lambda p, secret: 3.0, "likeliest has 4 bits"),
    (check.exposure, lambda p, secret: 2.5, "second of sixteen"),
    (check.exposure, lambda p, secret: np.log2(len(p) / (1 + (p >= p[secret]).sum())), "counted with those"),
    (check.exposure, ranked(lambda n, rank: np.log10(n / rank)), "powers of ten"),
    (check.overlap, overlap_in_sets, "counts twice"),
    (check.overlap, overlap_of_either, "in either"),
    (check.overlap, lambda text, known, n: overlap(text, known, n) if known else 1, "Where no text was read"),
    (check.overlap, lambda text, known, n: overlap(text, [" ".join(known)], n), "over the end"),
    (check.overlap, letters, "millstone"),
    (check.overlap, without_the_last, "last run is missing"),
    (check.overlap, counted(lambda right, n, words, known: right / words), "not by its words"),
    (check.overlap, counted(lambda right, n, words, known: right / known), "not by those that are known"),
    (check.overlap, counted(lambda right, n, words, known: right), "how many"),
    (check.overlap, lambda text, known, n: overlap(text, known, 1), "single words"),
    (check.overlap, lambda text, known, n: 1 - overlap(text, known, n), "NOT known"),
    (check.overlap, lambda text, known, n: overlap(text, known, 3), "n is 2 now"),
    (check.overlap, lambda text, known, n: overlap(text, known, n) if len(text) > 9 else 1, "fewer than n"),
    (check.overlap, lambda text, known, n: 0.123, "3 are known"),
    (check.auc, of_pairs(lambda m, o: (m > o).mean()), "count as lost"),
    (check.auc, of_pairs(lambda m, o: (m >= o).mean()), "count as won"),
    (check.auc, lambda members, others: auc(others, members), "turned round"),
    (check.auc, of_pairs(lambda m, o: ((m > o) + (m == o) / 2).sum()), "number of pairs"),
    (check.auc, of_pairs(lambda m, o: ((m > o) + (m == o) / 2).sum() / len(m)), "all pairs, members"),
    (check.auc, of_pairs(lambda m, o: ((m > o) + (m == o) / 2).sum() / o.size), "others alone"),
    (check.auc, lambda members, others: members.mean() - others.mean(), "difference of the means"),
    (check.auc, lambda members, others: 8.5 / 12, "all others"),
    (check.auc, lambda members, others: 0.2, "7 are won"),
    (check.auc, lambda m, o: ((m > o[:3]) + (m == o[:3]) / 2).mean(), "each with each"),
    (check.auc, lambda m, o: auc(m, o) - 0.5, "far the area"),
    (check.auc, lambda m, o: np.sign(np.subtract.outer(m, o)).mean(), "2 AUC"),
]
TestExercises = exercise_tests(RIGHT, WRONG)
