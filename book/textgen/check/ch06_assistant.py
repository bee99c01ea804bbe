"""The checks of chapter 06, second page: what the loss counts in a dialogue, honesty, and what fits into the block."""

from collections.abc import Callable
from math import nan

import numpy as np

from .harness import Unfinished, attempt, compare, exercise, near


def tried(call: Callable, *arguments):
    """As `attempt`, for a second case: None is a case that was not thought of, no stub, and becomes nan too."""
    try:
        return attempt(call, *arguments)
    except Unfinished:
        return nan


@exercise(
    hint="put questions and answers into one row, with one `end` behind the last answer; the targets are one token ahead.",
    more="beside the row keep a copy with -100 for each question, except that the start token of a later question counts, as the end of the answer before it; return row[:-1] and copy[1:].",
    praise="Right: the model learns to answer and to stop, at the end and in the middle, and not to ask.",
)
def dialogue_targets(call: Callable) -> str | None:
    """Check `dialogue_targets(exchanges, end)`: pairs of ids (question, answer), to (ids, targets)."""
    row = np.array([1, 11, 12, 21, 22, 1, 13, 23, 1])
    right = np.array([-100, -100, 21, 22, 1, -100, 23, 1])
    answer = call([([1, 11, 12], [21, 22]), ([1, 13], [23])], 1)
    two = np.iterable(answer) and len(answer) == 2 and all(map(np.iterable, answer))
    if not two or any(np.ndim(token) for part in answer for token in part):
        return "Return two things, ids and targets, each one row of numbers for the whole dialogue."
    ids, targets = map(np.asarray, answer)
    if near(ids, right) and near(targets, row[:-1]):
        return "The two are swapped: ids comes first."
    told = (targets != -100) & (targets != 0)
    if told.any() and len(ids) == len(targets):
        if near(targets[told], ids[told]):
            return "The targets are not shifted: the target of each token is the NEXT one."
        if near(targets[told], np.roll(ids, 1)[told]):
            return "The targets are shifted the wrong way: each is the token before, not the next one."
    inputs = {
        "Two ends come after the first answer: the next start token is its end.": np.insert(row, 5, 1)[:9],
        "Nothing ends the first answer: the next question keeps its start token.": np.delete(row, 5)[:-1],
        "The last answer has no end: put `end` behind it, and only then cut ids and targets.": row[:-2],
        "ids is one token too long: nothing follows the last end, so it is a target only.": row,
        "The exchanges before the last belong to the row too: the model must read them.": row[5:-1],
    }
    counted = {  # columns of row
        "The questions are counted too: the model is to answer, so their targets are -100.": range(9),
        "Only the last answer counts now: every answer of a dialogue is one to learn from.": [7, 8],
        "Only the first answer counts now: every answer of a dialogue is one to learn from.": [3, 4, 5],
        "No end is counted, so the model would never learn to stop.": [3, 4, 7],
        "The end in the middle is not counted: there the model would not learn to stop.": [3, 4, 7, 8],
        "The end of the last answer is not counted: there the model would not learn to stop.": [3, 4, 5, 7],
        "The first token of an answer is lost: the last of the question must predict it.": [4, 5, 8],
    }
    outputs = {key: np.where(np.isin(range(9), at), row, -100)[1:] for key, at in counted.items()}
    outputs["Use -100 for what is not counted: 0 is a token of its own."] = np.maximum(right, 0)
    if problem := compare(ids[:9], row[:-1], inputs, f"The ids are {row[:-1].tolist()}; yours are not."):
        return problem
    otherwise = f"The targets of {row[:-1].tolist()} are {right.tolist()}; yours are not."
    uneven = f"Each id has one target, the last id the end: 8 ids have 8 targets, not {len(targets)}."
    if problem := compare(targets, right, outputs, otherwise if len(targets) == 8 else uneven):
        return problem
    if not near(tried(call, [([2, 5], [6])], 2), ([2, 5, 6], [-100, 6, 2])):
        return "A question 2 5 and an answer 6 alone, with 2 for `end`, have the targets -100 6 2."
    right = [2, 5, 6, 2, 7, 8, 9, 2, 3, 4, 5], [-100, 6, 2, -100, -100, 9, 2, -100, 4, 5, 2]
    answer = tried(call, [([2, 5], [6]), ([2, 7, 8], [9]), ([2, 3], [4, 5])], 2)
    return None if near(answer, right) else "Of three exchanges all three answers count, and the end of each."


@exercise(
    hint="look at the questions that cannot be known and at those that can be, each by themselves.",
    more="the mean of unsure[~known] is the first share, and that of unsure[known] the second.",
    praise="Right: two shares, one that should be large and one that should be small, and neither can hide the other.",
)
def honesty(call: Callable) -> str | None:
    """Check `honesty(known, unsure)`: a boolean for each question, to the shares (admits, refuses)."""
    known = np.array([1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 1, 0]) == 1  # 8 can be known, 5 cannot
    unsure = np.array([0, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1]) == 1  # 2 of the 8, and 4 of the 5
    answer = call(known.copy(), unsure.copy())
    if np.ndim(answer) == 0:
        return "One figure hides which mistake was made: return two shares, one of each kind of question."
    if np.shape(answer) != (2,):
        return "Return two numbers: the share of the unknowable questions, and that of the knowable ones."
    mistakes = {
        "The two are swapped: admits, about what cannot be known, comes first.": (2 / 8, 4 / 5),
        "Divide by the questions of that kind, known or not known, and not by all.": (4 / 13, 2 / 13),
        "You divide by the number of unsure answers: divide by the questions of that kind.": (4 / 6, 2 / 6),
        "Each share is divided by the number of the other kind of question.": (4 / 8, 2 / 5),
        "refuses is turned round: it is the share with an unsure answer, not with another.": (4 / 5, 6 / 8),
        "admits is turned round: it is the share with an unsure answer, not with another.": (1 / 5, 2 / 8),
        "refuses is not 1 - admits: it is about the questions that can be known.": (4 / 5, 1 / 5),
        "Those are counts: divide each by the number of questions of that kind.": (4, 2),
        "Return shares from 0 to 1, and not per cent.": (80, 25),
        "The second is the share that it answers: return the share that it refuses.": (4 / 5, 3 / 4),
    }
    otherwise = "It admits 4 of the 5 unknowable and refuses 2 of the 8 knowable: 0.8 and 0.25; yours differ."
    return compare(answer, (4 / 5, 2 / 8), mistakes, otherwise)


@exercise(
    hint="begin with all of them, and drop the oldest as long as the rest is too long and more than one is left.",
    more="n is len(lengths) at first, and goes down by 1 while n > 1 and sum(lengths[-n:]) > limit.",
    praise="Right: the newest exchanges that fit, without a gap, and always the one that must be answered.",
)
def newest(call: Callable) -> str | None:
    """Check `newest(lengths, limit)`: how many of the exchanges, oldest first, are kept from the end."""
    first = call([30, 10, 20, 10, 50], 75)
    if np.ndim(first):
        return "Return one number, how many exchanges are kept, and not the exchanges."
    mistakes = {  # of the case above, and of the one below
        "You keep the oldest: keep the newest, since the last one must be answered.": (4, 1),
        "That is how many are dropped: return how many are kept.": (3, 2),
        "You skip what is too long and go on beyond it: a dialogue must have no gap.": (3, 3),
        "You take the shortest: keep the newest, whatever their length.": (4, 3),
        "The last exchange takes up tokens too: count it with the others.": (5, 3),
        "You keep one too many: stop before the sum exceeds the limit.": (3, 4),
        "That is a number of tokens: return how many exchanges are kept.": (60, 70),
    }
    otherwise = "Of 30, 10, 20, 10, 50 two fit into 75: 50 and 10 make 60, and with 20 more it is too much."
    second = tried(call, [40, 40, 50, 10, 10], 75)
    if problem := compare((first, second), (2, 3), mistakes, otherwise):
        return problem
    exact = {"You drop one too many: what makes the limit exactly still fits.": 2}
    if problem := compare(tried(call, [9, 10, 20, 30], 60), 3, exact, "Of 9, 10, 20, 30 three fit into 60."):
        return problem
    if not near(tried(call, [5, 6, 7], 50), 3):
        return "Where the whole conversation fits, all of it stays: of 5, 6, 7 with a limit of 50 keep 3."
    alone = "The last exchange always stays, since it is asked now: return 1 even where it does not fit."
    return None if near([tried(call, rest, 50) for rest in ([10, 60], [60])], [1, 1]) else alone
