"""Adversarial inputs: a few words, chosen by gradients, that turn a reward model's or a question answerer's verdict.

    python experiments/attacks.py                         all victims, into book/textgen/results/attacks.json
    python experiments/attacks.py --victims answers       one of them; the others' figures stay

A swap is picked by a first-order estimate through the embeddings and then verified (arXiv:1712.06751); one suffix for all
texts is searched in the same way (arXiv:1908.07125). Random swaps cost the model as much work. An attack succeeds where
harm is above 0 and the truth stays: the reward model ranks the worse of two stories first, and the listener does not; or a
token of an answer is no longer pocket-gpt's first choice, and the facts still stand. A seed on record is not repeated.
"""

import json
import random
from pathlib import Path

import common
import rlhf_reward
import textgen
import torch
from textgen import corpus, metrics, rlhf, storyworld
from torch import Tensor

SWAPS = (1, 2, 4, 8)  # to report
TRIED, BACKWARD = 8, 2  # swaps that a step verifies; what a backward pass costs, in forward ones
SUFFIX, WIDE, SEARCHED, CONTROLS = (
    5,
    24,
    40,
    20,
)  # tokens; tried in a place; texts to search on; random suffixes
ROWS = 16  # texts attacked side by side
VICTIMS = ("reward", "answers")


class Judged:
    """The worse story of pairs that a reward model ranks rightly; harm is how far above the better one it comes.

    `suffix` tokens more, before the end, are all that may be changed where it is not 0; else what continues the prompt.
    """

    def __init__(self, model: rlhf.RewardModel, tokenizer, pairs: list, worth: list, n: int, suffix: int = 0):
        self.model, self.wte, self.tokenizer = model, model.gpt.wte.weight.detach(), tokenizer
        self.listener, self.allowed, found = storyworld.Listener(), words(tokenizer), []
        pairs = pairs[: 4 * n]  # enough to find `n`
        for pair, hers, its in zip(pairs, worth, rlhf_reward.scores(model, tokenizer, pairs).tolist()):
            best = int(hers[1] > hers[0])
            if hers[0] != hers[1] and its[best] > its[1 - best]:
                found.append((pair[0], pair[2 - best], pair[1 + best], hers[best], hers[1 - best], its[best]))
        self.prompts, texts, self.better, self.hers, self.own, self.rivals = zip(*found[:n])
        contexts = [tokenizer.prefix() + ids for ids in tokenizer.encode_batch(self.prompts)]
        rows = [ids + [tokenizer.bos] * (suffix + 1) for ids in tokenizer.encode_batch(texts)]
        self.ids, mask = corpus.padded(contexts, rows, tokenizer.bos)
        self.last, self.rivals = rlhf.last_choice(mask) + 1, torch.tensor(self.rivals)
        columns, ends = torch.arange(self.ids.size(1)), self.last[:, None]
        starts = ends - suffix if suffix else torch.tensor([[len(context)] for context in contexts])
        self.free = (columns >= starts) & (columns < ends) & (self.allowed[self.ids] | bool(suffix))

    def harm(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """The score (B,) of these embeddings of the texts `rows`, less that of the better story."""
        x = self.model.gpt.hidden_states(embeddings=embeddings)[0]
        return self.model.head(x[torch.arange(len(rows)), self.last[rows]])[:, 0] - self.rivals[rows]

    def text(self, ids: Tensor) -> str:
        """What a row says."""
        return self.tokenizer.decode(ids.tolist())

    def holds(self, ids: Tensor, row: int) -> bool:
        """Whether the listener still likes the other story better; else the attack has improved this one."""
        return self.listener.score(self.text(ids)) < self.hers[row]


class Answered:
    """Questions that pocket-gpt answers rightly; harm is how far a wrong token of the answer comes above the right one."""

    def __init__(self, model, tokenizer, documents: list, n: int):
        self.model, self.wte, self.tokenizer = model, model.wte.weight.detach(), tokenizer
        right = (
            d
            for d in documents
            if d.context and metrics.exact_match(model, tokenizer, [(d.prompt, d.answer)])
        )
        found = [d for d, _ in zip(right, range(n))]
        contexts = [tokenizer.prefix("qa") + tokenizer.encode(d.prompt) for d in found]
        answers = [ids + [tokenizer.bos] for ids in tokenizer.encode_batch([d.answer for d in found])]
        self.ids, self.mask = corpus.padded(contexts, answers, tokenizer.bos)
        grammar = storyworld.World().grammar  # no word that could be an answer is swapped in
        facts = {entry["text"] for kind in ("name", "colour", "object") for entry in grammar.classes[kind]}
        self.allowed, start = words(tokenizer, facts), len(tokenizer.prefix("qa"))
        self.free = torch.zeros_like(self.ids, dtype=torch.bool)
        for free, ids, d in zip(self.free, self.ids.tolist(), found):
            kept = set(
                tokenizer.encode(f" {d.question}{d.answer}")
            )  # what they name stays: the answer stays true
            end = start + len(tokenizer.encode(d.context))
            free[start:end] = torch.tensor([token not in kept for token in ids[start:end]])
        self.free &= words(tokenizer)[self.ids]

    def harm(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """The largest margin (B,) of a wrong token over the right one, anywhere in the answer."""
        logits, right = self.model(embeddings=embeddings)[0][:, :-1], self.ids[rows, 1:, None]
        margins = logits.scatter(2, right, -torch.inf).amax(2) - logits.gather(2, right)[..., 0]
        return margins.masked_fill(~self.mask[rows], -torch.inf).amax(1)

    def holds(self, ids: Tensor, row: int) -> bool:
        """True: what the answer rests on may not be changed."""
        return True


def words(tokenizer, without=()) -> Tensor:
    """True (V,) for tokens that are whole words with the space before them, and so are read again as they are."""
    pieces = [tokenizer.piece(i) for i in range(len(tokenizer))]
    return torch.tensor([p[:1] == " " and p[1:].isalpha() and p[1:] not in without for p in pieces])


def estimate(victim, ids: Tensor, rows: Tensor) -> Tensor:
    """First-order change of the harm (B, T, V) by each token in each place, (E[new] - E[old]) . gradient; free ones only."""
    x = victim.wte[ids].requires_grad_(True)
    gradient = torch.autograd.grad(victim.harm(x, rows).sum(), x)[0]  # (B, T, n_embd)
    found = gradient @ victim.wte.T - (gradient * x.detach()).sum(2, keepdim=True)
    return found.masked_fill(~possible(victim, ids, rows), -torch.inf)


def possible(victim, ids: Tensor, rows: Tensor) -> Tensor:
    """True (B, T, V) where a token may come into a place, and another one stands there."""
    other = torch.arange(len(victim.allowed)) != ids[..., None]
    return victim.free[rows][..., None] & victim.allowed & other


@torch.no_grad()
def harms(victim, ids: Tensor, rows: Tensor) -> Tensor:
    """The exact harm (B,)."""
    return torch.cat([victim.harm(victim.wte[some], at) for some, at in zip(ids.split(64), rows.split(64))])


def attack(victim, most: int, tried: int = TRIED, seed: int | None = None) -> list[tuple[Tensor, Tensor]]:
    """Swap one token after another, the worst of those tried: ids (n, T) and harm (n,) after 0, 1, ... `most` swaps.

    With a `seed` the swaps to try are random, and as many more as the gradient costs.
    """
    every, V, generator = (
        torch.arange(len(victim.ids)),
        len(victim.allowed),
        torch.Generator().manual_seed(seed or 0),
    )
    found = [(victim.ids, harms(victim, victim.ids, every))]
    for _ in range(most):
        ids, now = (tensor.clone() for tensor in found[-1])
        for rows in every.split(ROWS):
            if seed is None:
                best = estimate(victim, ids[rows], rows).max(2)  # the best word for each place
                place = best.values.topk(tried).indices
                picked = place * V + best.indices.gather(1, place)
            else:
                chances = possible(victim, ids[rows], rows).flatten(1).float()
                picked = chances.multinomial(tried + 1 + BACKWARD, generator=generator)
            new = ids[rows, None].repeat(1, picked.size(1), 1)  # (B, tried, T)
            new.scatter_(2, (picked // V)[..., None], (picked % V)[..., None])
            each = harms(victim, new.flatten(0, 1), rows.repeat_interleave(picked.size(1))).view(
                len(rows), -1
            )
            for row, candidates, values in zip(rows.tolist(), new, each):
                if values.max() > now[row]:
                    ids[row], now[row] = candidates[values.argmax()], values.max()
        found.append((ids, now))
    return found


def successes(victim, found: list) -> dict[str, list[float]]:
    """By how many swaps, at most: the share of texts on which an attack has succeeded, with its interval."""
    done, rates = torch.zeros(len(victim.ids), dtype=torch.bool), {}
    for k, (ids, harm) in enumerate(found):
        for row in ((harm > 0) & ~done).nonzero()[:, 0].tolist():
            done[row] = victim.holds(ids[row], row)
        if k in SWAPS:
            rates[str(k)] = rate(done.tolist())
    return rates


def rate(right: list[bool]) -> list[float]:
    """A share with its interval."""
    return [round(x, 4) for x in (sum(right) / len(right), *metrics.wilson(sum(right), len(right)))]


def with_suffix(victim: Judged, tokens: Tensor) -> Tensor:
    """The texts (n, T) with these tokens (SUFFIX,) before their end."""
    return victim.ids.masked_scatter(victim.free, tokens.repeat(len(victim.ids)))


def universal(victim: Judged, rounds: int) -> Tensor:
    """One suffix (SUFFIX,) for all texts, starting from " the": one place a round, the worst on average of the WIDE best."""
    every = torch.arange(len(victim.ids))
    tokens = torch.tensor(victim.tokenizer.encode(" the") * SUFFIX)
    now = harms(victim, with_suffix(victim, tokens), every).mean()
    for place in (number % SUFFIX for number in range(rounds)):
        ids, total = with_suffix(victim, tokens), 0
        for rows in every.split(ROWS):
            found = estimate(victim, ids[rows], rows)[victim.free[rows]].view(len(rows), SUFFIX, -1)
            total = total + found[:, place].sum(0)
        trials = tokens.repeat(WIDE, 1)
        trials[:, place] = total.topk(WIDE).indices
        means = torch.stack([harms(victim, with_suffix(victim, one), every).mean() for one in trials])
        if means.max() > now:
            tokens, now = trials[means.argmax()], means.max()
    return tokens


def suffixed(victim: Judged, tokens: Tensor, plain: Tensor) -> dict:
    """What a suffix does to texts of harm `plain`: its success, and what it adds to the model's score and the listener's."""
    ids = with_suffix(victim, tokens)
    harm = harms(victim, ids, torch.arange(len(ids)))
    hers = [victim.listener.score(victim.text(row)) for row in ids]
    done = [h > 0 and after < best for h, after, best in zip(harm.tolist(), hers, victim.hers)]
    gains = {"model": (harm - plain).tolist(), "listener": [a - b for a, b in zip(hers, victim.own)]}
    return {"success": rate(done)} | {name: average(gain) for name, gain in gains.items()}


def average(values: list[float]) -> list[float]:
    """A mean with its interval."""
    return [round(x, 4) for x in (sum(values) / len(values), *metrics.bootstrap(values))]


def control(victim: Judged, some: Tensor, plain: Tensor, seed: int) -> dict:
    """The same for suffixes drawn from `some` tokens, on average; a success counts whatever the listener says of it."""
    generator, every = torch.Generator().manual_seed(seed), torch.arange(len(victim.ids))
    drawn = some[torch.randint(len(some), (CONTROLS, SUFFIX), generator=generator)]
    found = [harms(victim, with_suffix(victim, tokens), every) for tokens in drawn]
    success = average([float((harm > 0).double().mean()) for harm in found])
    return {"success": success, "model": average([float((harm - plain).mean()) for harm in found])}


def hardened(a, victim: Judged, tokens: Tensor, pairs: dict, seed: int) -> rlhf.RewardModel:
    """A reward model trained from the start on the clean pairs and on attacked ones, as the listener labels those."""
    found, rng, rows = attack(victim, max(SWAPS)), random.Random(seed), []
    suffix, tokenizer = victim.tokenizer.decode(tokens.tolist()), victim.tokenizer
    for i, (prompt, better) in enumerate(zip(victim.prompts, victim.better)):
        text = victim.text(found[rng.choice(SWAPS)][0][i]).removeprefix(prompt)
        texts = [text + suffix * (i % 4 == 0), better]  # the suffix on every fourth
        rng.shuffle(texts)
        rows.append((prompt, *texts, victim.listener.compare(*(prompt + text for text in texts), rng)))
    rows += rlhf_reward.label(pairs["train"][: a.size], pairs["train worth"], seed)
    steps = a.steps or rlhf_reward.EPOCHS * len(rows) // rlhf_reward.BATCH_SIZE
    model = rlhf.RewardModel(textgen.load("pocket-gpt")[0])
    options = {"seed": seed, "eval_every": steps, "eval_rows": 1, "device": "cpu", "lr": rlhf_reward.LR}
    options["checkpoint"] = a.kept / f"hardened-{a.size}-{a.hard}-{seed}"
    textgen.fit(model, corpus.pairs(rows, rows, tokenizer), steps, rlhf_reward.BATCH_SIZE, **options)
    return model.requires_grad_(False)


def accuracy(model: rlhf.RewardModel, tokenizer, test: list) -> list[float]:
    """For each labelled pair 1 if the model agrees with the label, else 0."""
    scores = rlhf_reward.scores(model, tokenizer, [pair[:3] for pair in test])
    return (scores.argmax(1) == torch.tensor([pair[3] for pair in test])).double().tolist()


def reward(a, seed: int) -> dict:
    """Swaps, suffixes and adversarial training on a reward model."""
    pairs, tokenizer = rlhf_reward.comparisons(a.train, a.test, a.kept), textgen.load("pocket-gpt")[1]
    models = [rlhf_reward.trained(pairs, a.size, s, a.kept, a.steps) for s in (seed, (seed + 1) % 3)]
    (model, _, test), other = models[0], models[1][0]
    train, held = ((pairs[name], pairs[f"{name} worth"]) for name in ("train", "test"))
    judge = lambda one, suffix=0: Judged(one, tokenizer, *held, a.texts, suffix)
    search = lambda one: universal(Judged(one, tokenizer, *train, min(SEARCHED, a.texts), SUFFIX), a.rounds)
    plain = lambda victim: harms(victim, victim.ids, torch.arange(len(victim.ids)))

    victim, tokens = judge(model), search(model)
    found = {"guided": successes(victim, attack(victim, max(SWAPS)))}
    found["random"] = successes(victim, attack(victim, max(SWAPS), seed=seed))
    found["suffix"] = {"text": tokenizer.decode(tokens.tolist())}
    found["suffix"] |= suffixed(judge(model, SUFFIX), tokens, plain(victim))
    found["suffix, another model"] = suffixed(judge(other, SUFFIX), tokens, plain(judge(other)))
    said = [t for ids in tokenizer.encode_batch([pair[1] for pair in pairs["train"]]) for t in ids]
    common_words = torch.tensor([t for t in said if victim.allowed[t]])  # as often as stories say them
    for name, some in {"any": victim.allowed.nonzero()[:, 0], "common": common_words}.items():
        found[f"suffix, {name} words"] = control(judge(model, SUFFIX), some, plain(victim), seed)
    hard = hardened(a, Judged(model, tokenizer, *train, a.hard), tokens, pairs, seed)
    after, fresh = judge(hard), search(hard)
    found["hardened, guided"] = successes(after, attack(after, max(SWAPS)))
    found["hardened, the same suffix"] = suffixed(judge(hard, SUFFIX), tokens, plain(after))
    found["hardened, a fresh suffix"] = suffixed(judge(hard, SUFFIX), fresh, plain(after))
    before, now = accuracy(model, tokenizer, test), accuracy(hard, tokenizer, test)
    found["accuracy"] = {"before": average(before), "after": average(now)}
    found["accuracy"]["change"] = average([b - a for a, b in zip(before, now)])
    return found


def answers(a, seed: int) -> dict:
    """Swaps in what pocket-gpt is told before a question; the seed draws other texts."""
    gpt, tokenizer = textgen.load("pocket-gpt")
    documents = storyworld.documents(4 * a.texts, "qa", seed=seed, split="test")
    victim = Answered(gpt.requires_grad_(False), tokenizer, documents, a.texts)
    found = {"guided": successes(victim, attack(victim, max(SWAPS)))}
    return found | {"random": successes(victim, attack(victim, max(SWAPS), seed=seed))}


def main(arguments: list[str] | None = None) -> None:
    """Attack the victims asked for and write the record."""
    options = common.parser("attacks", __doc__, seeds=3, steps=None, train=8000, test=5000, size=2000)
    options.add_argument("--victims", nargs="+", default=list(VICTIMS), choices=VICTIMS)
    options.add_argument("--texts", type=int, default=150, help="held-out texts to attack")
    options.add_argument("--hard", type=int, default=500, help="attacked texts to train on")
    options.add_argument("--rounds", type=int, default=15, help="places visited in search of a suffix")
    options.add_argument(
        "--kept", type=Path, default=rlhf_reward.KEPT, help="where pairs and reward models are kept"
    )
    a = options.parse_args(arguments)
    torch.set_num_threads(1)
    record = common.load(a, "victims")
    for name in a.victims:
        runs = record["victims"].setdefault(name, {})
        for seed in range(a.seeds):
            if str(seed) not in runs:
                runs[str(seed)] = {"reward": reward, "answers": answers}[name](a, seed)
                print(f"{name}, seed {seed}: {json.dumps(runs[str(seed)])}", flush=True)
                common.save(a.record, record)


if __name__ == "__main__":
    main()
