"""The checks of chapter 06, second page: the assistant. The right targets are also those of the package's own rows."""

import numpy as np
import pytest
import textgen
import torch
from exercise_cases import exercise_tests
from textgen import check, corpus
from textgen.dialogue import chat_ids


def dialogue_targets(exchanges, end):
    ids, counted = [], []
    for question, answer in exchanges:
        start = end if ids else -100  # a later start token is the end of the answer before it
        counted += [start] + [-100] * (len(question) - 1) + answer
        ids += question + answer
    return ids, [*counted[1:], end]


def dialogue_targets_in_arrays(exchanges, end):
    parts = [part for exchange in exchanges for part in exchange]
    row = np.concatenate([*parts, [end]])
    said = np.repeat([i % 2 for i in range(len(parts))], list(map(len, parts))) == 1
    told = np.append(said, False) | np.append(False, said)  # an answer's tokens, and the token after it
    return np.stack([row[:-1], np.where(told, row, -100)[1:]])


def rows(exchanges, end, counts=lambda i, n, token: True, between=(), last=True):
    """The row and its copy; counts(i, n, token): whether token (its place, or "end") of answer i of n is counted."""
    row, copy = [], []
    for i, (question, answer) in enumerate(exchanges):
        if i:
            row, copy = [*row, *between], [*copy, *between]
        begins = end if i and counts(i - 1, len(exchanges), "end") else -100
        copy += [begins] + [-100] * (len(question) - 1)
        copy += [token if counts(i, len(exchanges), t) else -100 for t, token in enumerate(answer)]
        row += question + answer
    ending = [end] if last else []
    return row + ending, copy + [t if counts(i, i + 1, "end") else -100 for t in ending]


def shifted(**changes):
    def answer(exchanges, end):
        row, copy = rows(exchanges, end, **changes)
        return row[:-1], copy[1:]

    return answer


def changed(change):
    """The right ids and targets, changed: change(ids, targets)."""
    return lambda exchanges, end: change(*dialogue_targets(exchanges, end))


def without_starts(exchanges, end):
    return dialogue_targets([exchanges[0], *((q[1:], a) for q, a in exchanges[1:])], end)


def masked_by_ids(exchanges, end):
    """A target counts where the token itself, not the next one, is of an answer."""
    row, copy = rows(exchanges, end)
    told = [i > 0 and token != -100 and token != end for i, token in enumerate(copy[:-1])]
    return row[:-1], [token if counts else -100 for token, counts in zip(row[1:], told)]


def honesty(known, unsure):
    unknowable = [u for k, u in zip(known, unsure) if not k]
    knowable = [u for k, u in zip(known, unsure) if k]
    return sum(unknowable) / len(unknowable), sum(knowable) / len(knowable)


def honesty_in_arrays(known, unsure):
    return unsure[~known].mean(), unsure[known].mean()


def honesty_in_tensors(known, unsure):
    known, unsure = torch.as_tensor(known), torch.as_tensor(unsure).float()
    return torch.stack([unsure[~known].mean(), unsure[known].mean()])


def parts(known, unsure):
    """How many of the unknowable questions are admitted, of how many; how many knowable ones refused, of how many."""
    return sum(unsure & ~known), sum(~known), sum(unsure & known), sum(known)


def shares(change):
    return lambda known, unsure: change(*parts(known, unsure))


def newest(lengths, limit):
    n = len(lengths)
    while n > 1 and sum(lengths[-n:]) > limit:
        n -= 1
    return n


def newest_by_sums(lengths, limit):
    return max(1, int((np.cumsum(lengths[::-1]) <= limit).sum()))


def newest_in_tensors(lengths, limit):
    return (torch.tensor(lengths).flip(0).cumsum(0) <= limit).sum().clamp(min=1)


def newest_by_dropping(lengths, limit):
    while len(lengths) > 1 and sum(lengths) > limit:
        lengths.pop(0)
    return len(lengths)


def with_gaps(lengths, limit):
    kept = []
    for length in reversed(lengths):
        if sum(kept) + length <= limit:
            kept.append(length)
    return len(kept)


def ends_early(lengths, limit):
    """Returns None where everything fits."""
    for n in range(1, len(lengths) + 1):
        if sum(lengths[-n:]) > limit:
            return max(1, n - 1)


def ends_late(lengths, limit):
    """Returns None where nothing fits."""
    for n in range(len(lengths), 0, -1):
        if sum(lengths[-n:]) <= limit:
            return n


RIGHT = [
    (check.dialogue_targets, dialogue_targets),
    (check.dialogue_targets, dialogue_targets_in_arrays),
    (check.dialogue_targets, shifted()),
    (check.dialogue_targets, changed(lambda ids, targets: (torch.tensor(ids), torch.tensor(targets)))),
    (check.dialogue_targets, changed(lambda ids, targets: torch.tensor([ids, targets]))),
    (check.honesty, honesty),
    (check.honesty, honesty_in_arrays),
    (check.honesty, honesty_in_tensors),
    (check.honesty, lambda known, unsure: list(honesty(known.tolist(), unsure.tolist()))),
    (check.newest, newest),
    (check.newest, newest_by_sums),
    (check.newest, newest_in_tensors),
    (check.newest, newest_by_dropping),
]
WRONG = [
    (check.dialogue_targets, lambda e, end: dialogue_targets(e, end)[1], "two things"),
    (check.dialogue_targets, lambda e, end: (1, 2), "two things"),
    (
        check.dialogue_targets,
        lambda e, end: [dialogue_targets([x], end) for x in e],
        "for the whole dialogue",
    ),
    (check.dialogue_targets, changed(lambda ids, targets: ([ids], [targets])), "for the whole dialogue"),
    (check.dialogue_targets, changed(lambda ids, targets: (targets, ids)), "swapped"),
    (check.dialogue_targets, rows, "not shifted"),
    (check.dialogue_targets, lambda e, end: [part[:-1] for part in rows(e, end)], "not shifted"),
    (check.dialogue_targets, changed(lambda ids, targets: (ids, ids)), "not shifted"),
    (
        check.dialogue_targets,
        lambda e, end: rows(e, end, lambda i, n, t: t != "end" or i == n - 1),
        "not shifted",
    ),
    (
        check.dialogue_targets,
        lambda e, end: (rows(e, end)[0][1:], rows(e, end)[1][:-1]),
        "shifted the wrong way",
    ),
    (
        check.dialogue_targets,
        lambda e, end: (rows(e, end)[0][:-1], [-100, *rows(e, end)[1][:-2]]),
        "shifted the wrong way",
    ),
    (check.dialogue_targets, lambda e, end: shifted(between=[end])(e, end), "Two ends"),
    (
        check.dialogue_targets,
        lambda e, end: (rows(e, end, between=[end])[0], rows(e, end, between=[end])[1][1:]),
        "Two ends",
    ),
    (check.dialogue_targets, without_starts, "Nothing ends the first answer"),
    (check.dialogue_targets, shifted(last=False), "last answer has no end"),
    (check.dialogue_targets, lambda e, end: (rows(e, end)[0], rows(e, end)[1][1:]), "one token too long"),
    (
        check.dialogue_targets,
        lambda e, end: (rows(e, end)[0], [*rows(e, end)[1][1:], -100]),
        "one token too long",
    ),
    (check.dialogue_targets, lambda e, end: dialogue_targets(e[-1:], end), "before the last belong"),
    (check.dialogue_targets, lambda e, end: dialogue_targets(e[::-1], end), "The ids are"),
    (
        check.dialogue_targets,
        lambda e, end: (rows(e, end)[0][:-1], rows(e, end)[0][1:]),
        "questions are counted",
    ),
    (check.dialogue_targets, shifted(counts=lambda i, n, t: i == n - 1), "Only the last answer"),
    (check.dialogue_targets, shifted(counts=lambda i, n, t: i == 0), "Only the first answer"),
    (check.dialogue_targets, shifted(counts=lambda i, n, t: t != "end"), "No end is counted"),
    (check.dialogue_targets, shifted(counts=lambda i, n, t: t != "end" or i == n - 1), "end in the middle"),
    (
        check.dialogue_targets,
        shifted(counts=lambda i, n, t: t != "end" or i < n - 1),
        "end of the last answer",
    ),
    (check.dialogue_targets, masked_by_ids, "first token of an answer"),
    (check.dialogue_targets, changed(lambda ids, t: (ids, [max(x, 0) for x in t])), "0 is a token"),
    (check.dialogue_targets, changed(lambda ids, t: (ids, [x for x in t if x >= 0])), "8 targets, not 5"),
    (check.dialogue_targets, lambda e, end: (rows(e, end)[0][:-1], rows(e, end)[1]), "8 targets, not 9"),
    (check.dialogue_targets, changed(lambda ids, t: (ids, t[:-1])), "the last id the end"),
    (
        check.dialogue_targets,
        lambda e, end: (dialogue_targets(e, 1)[0], dialogue_targets(e, 0)[1]),
        "The targets of",
    ),
    (check.dialogue_targets, lambda e, end: dialogue_targets(e, 1), "2 for `end`"),
    (
        check.dialogue_targets,
        lambda e, end: dialogue_targets(e, end) if len(e) > 1 else None,
        "2 for `end`",
    ),
    (check.dialogue_targets, lambda e, end: dialogue_targets([e[0], *e[1:][-1:]], end), "three exchanges"),
    (
        check.dialogue_targets,
        shifted(counts=lambda i, n, t: i in (0, n - 1)),
        "three exchanges",
    ),
    (check.honesty, lambda known, unsure: (known != unsure).mean(), "One figure"),
    (check.honesty, lambda known, unsure: unsure[~known], "two numbers"),
    (check.honesty, lambda known, unsure: honesty(known, unsure)[::-1], "swapped"),
    (check.honesty, lambda known, unsure: ((unsure & ~known).mean(), (unsure & known).mean()), "not by all"),
    (check.honesty, lambda known, unsure: ((~known)[unsure].mean(), known[unsure].mean()), "unsure answers"),
    (check.honesty, shares(lambda a, unknowable, r, knowable: (a / knowable, r / unknowable)), "other kind"),
    (
        check.honesty,
        lambda known, unsure: (unsure[~known].mean(), (~unsure)[known].mean()),
        "refuses is turned",
    ),
    (
        check.honesty,
        lambda known, unsure: ((~unsure)[~known].mean(), unsure[known].mean()),
        "admits is turned",
    ),
    (
        check.honesty,
        lambda known, unsure: (unsure[~known].mean(), 1 - unsure[~known].mean()),
        "not 1 - admits",
    ),
    (check.honesty, shares(lambda a, unknowable, r, knowable: (a, r)), "counts"),
    (check.honesty, lambda known, unsure: [100 * x for x in honesty(known, unsure)], "per cent"),
    (check.honesty, lambda known, unsure: honesty(known, ~unsure), "0.8 and 0.25"),
    (check.newest, lambda lengths, limit: lengths[-newest(lengths, limit) :], "Return one number"),
    (check.newest, lambda lengths, limit: newest(lengths[::-1], limit), "keep the oldest"),
    (check.newest, lambda lengths, limit: len(lengths) - newest(lengths, limit), "how many are dropped"),
    (check.newest, with_gaps, "no gap"),
    (check.newest, lambda lengths, limit: newest(sorted(lengths)[::-1], limit), "the shortest"),
    (check.newest, lambda lengths, limit: 1 + newest(lengths[:-1], limit), "takes up tokens too"),
    (check.newest, lambda lengths, limit: newest(lengths, limit) + 1, "one too many: stop"),
    (check.newest, lambda lengths, limit: sum(lengths[-newest(lengths, limit) :]), "number of tokens"),
    (check.newest, lambda lengths, limit: len(lengths), "two fit into 75"),
    (check.newest, lambda lengths, limit: newest(lengths, limit - 1), "drop one too many"),
    (check.newest, lambda lengths, limit: newest(lengths, limit) + (sum(lengths) == 69), "three fit into 60"),
    (check.newest, ends_early, "all of it stays"),
    (check.newest, lambda lengths, limit: min(newest(lengths, limit), len(lengths) - 1), "all of it stays"),
    (check.newest, lambda lengths, limit: int((np.cumsum(lengths[::-1]) <= limit).sum()), "always stays"),
    (check.newest, ends_late, "always stays"),
]


TestChecks = exercise_tests(RIGHT, WRONG)


@pytest.fixture(scope="module")
def tokenizer():
    return textgen.load("pocket-gpt")[1]


def test_the_targets_are_those_of_the_packages_own_rows(tokenizer):
    (request,) = textgen.storyworld.requests(1, "dialogue")
    messages = request.dialogue
    assert len(messages) >= 4
    exchanges = [
        (chat_ids(messages[i : i + 1], tokenizer), tokenizer.encode(f" {messages[i + 1]['content']}"))
        for i in range(0, len(messages), 2)
    ]
    ids, targets = corpus.dialogues([messages], [messages], tokenizer).batch("train", 1)
    for right in (dialogue_targets, dialogue_targets_in_arrays):
        mine = right(exchanges, tokenizer.bos)
        assert list(mine[0]) == ids[0].tolist() and list(mine[1]) == targets[0].tolist()
    assert ids[0].tolist() == chat_ids(messages, tokenizer)


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_the_shares_are_of_any_kind_of_booleans(kind):
    known, unsure = kind([True, False, False, True, True]), kind([False, True, False, False, True])
    assert [float(share) for share in honesty(known, unsure)] == pytest.approx([1 / 2, 1 / 3])
