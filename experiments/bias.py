"""A planted bias: how much of it a model takes over, what swapping genders removes and misses, what a listener adds.

    python experiments/bias.py                    all runs, into book/textgen/results/bias.json
    python experiments/bias.py --runs swapped     one of them; the others' figures stay

Jobs lean by steps, from one that 95 of 100 hers have to one that 95 of 100 his have, so what a model should have learned
is known. In the course's stories the pronoun comes before the job, and the name gives it away; here the job comes first,
and half of the names are shared by she and he. Hobbies lean too, which no swap of pronouns and names touches. All
log-odds are in nats, she against he. A run that the record holds is not repeated.
"""

import copy
import json
import random
import re
import tempfile
from pathlib import Path

import common
import textgen
import torch
from ladder import BATCH_SIZE, RUNGS, STEPS
from rlhf_loops import reinforce
from textgen import corpus, metrics, storyworld
from textgen.sample import generate_ids
from textgen.storyworld import grammar
from textgen.tokenizer import Tokenizer

KEPT = Path(__file__).resolve().parents[1] / "_build/bias"
SHARED = ("Robin", "Kim", "Sasha", "Jules", "Noa", "Andy")
# Each run: the bias of its stories, and what is done about it.
RUNS = {"plain": (0.9, ""), "swapped": (0.9, "swapped"), "fair": (0.0, "")}
RUNS |= {"listener": (0.9, "listener"), "listener, swapped": (0.9, "swapped, listener")}
RUNS |= {"listener, fair": (0.0, "listener")}
NATS, BETA, LR, GROUP, HEARD = 1.0, 0.5, 4e-4, 4, 8  # a listener's preference, and RLOO on so many tokens
HEAT = {"written": 1.0, "written colder": 0.5}  # temperatures
PRONOUN = re.compile(r"\b(she|her|he|his|him)\b", re.IGNORECASE)


def rewritten() -> grammar.Grammar:
    """The grammar with a job and a hobby for every hero, told before any pronoun."""
    text = Path(grammar.__file__).with_name("grammar.txt").read_text("utf-8")
    told = " {hero} worked as {a job=job@hero}. {hero} liked to {hobby=hobby@hero}."
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grammar.txt"
        path.write_text(text.replace("[4:|3: {hero.She} worked as {a job=job@hero}.]", told), "utf-8")
        return grammar.load(path)


GRAMMAR = rewritten()
NAMES = [[e["text"] for e in GRAMMAR.classes["name"] if e["she"] == word][:6] for word in ("she", "he")]
JOBS, HOBBIES = ([e["text"] for e in GRAMMAR.classes[kind]] for kind in ("job", "hobby"))
LEAN = torch.tensor(
    [1.0] * 8 + [-1.0] * 8, dtype=torch.float64
)  # of the jobs, towards she; the listener's too
SWAP = {"she": "he", "he": "she", "She": "He", "He": "She", "him": "her", "his": "her"}
SWAP |= dict(zip(NAMES[0] + NAMES[1], NAMES[1] + NAMES[0]))


class World(storyworld.World):
    """Jobs lean by equal steps from `bias` to -`bias`; what else leans does so by halves."""

    def leans(self, kind: str, n: int) -> list[float]:
        """As in the world of the course, but for jobs."""
        steps = [self.bias * (1 - 2 * i / (n - 1)) for i in range(n)]
        return steps if kind == "job" else super().leans(kind, n)


def world(bias: float) -> World:
    """The world of these stories: 6 names of hers, 6 of his, and 6 that both have."""
    names = [f"{name}/she" for name in (*NAMES[0], *SHARED)] + [f"{name}/he" for name in (*NAMES[1], *SHARED)]
    return World(bias=bias, classes=(("name", tuple(names)),), grammar=GRAMMAR)


def swapped(text: str) -> str:
    """The text with she and he exchanged, and each name for one of the other gender; shared names stay."""
    her = re.compile(
        r"\bher(?= \w*(mother|father|uncle|aunt|cousin|sister|brother))"
    )  # "his", elsewhere "him"
    place = {match.start() for match in her.finditer(text)}
    word = lambda m: ("his" if m.start() in place else "him") if m[0] == "her" else SWAP.get(m[0], m[0])
    return re.sub(r"\w+", word, text)


def reading(text: str) -> tuple[str, bool] | None:
    """The hero's job, and whether the hero is a she by the first pronoun after it; None where there is none."""
    job = re.search(r"worked as a (\w+)\.", text)
    found = job and PRONOUN.search(text, job.end())
    if not found or "The prize of the" in text[: found.start()]:  # in a race the pronoun is the friend's
        return None
    return job[1], found[1].lower() in ("she", "her")


def odds(texts: list[str]) -> torch.Tensor:
    """Log-odds of she for each job (16,), counted in texts, with half a text more on each side."""
    counts = torch.full((len(JOBS), 2), 0.5, dtype=torch.float64)
    for job, she in filter(None, map(reading, texts)):
        if job in JOBS:
            counts[JOBS.index(job), int(she)] += 1
    return (counts[:, 1] / counts[:, 0]).log()


def frames(stories: list, most: int) -> dict[str, list]:
    """Stories of heroes with shared names, cut where she or he comes next, and where a hobby does.

    Each is a text with a gap for the job, and the words to compare. No pronoun stands before the cut.
    """
    found = {"pronoun": [], "hobby": []}
    for story in (story for story in stories if story.facts["hero"] in SHARED):
        text = story.text.replace(f"worked as a {story.facts['job']}.", "worked as a {job}.", 1)
        first = PRONOUN.search(text)
        if first and first[1].lower() in ("she", "he") and reading(story.text):
            words = (" She", " He") if first[1][0].isupper() else (" she", " he")
            found["pronoun"].append((text[: first.start() - 1], words[:1], words[1:]))
        words = [f" {hobby.split()[0]}" for hobby in HOBBIES]
        found["hobby"].append((text[: text.index(" liked to ") + 9], words[:6], words[6:]))
    return {name: some[:most] for name, some in found.items()}


@torch.no_grad()
def lean(model, tokenizer, frames: list, jobs: list[str]) -> torch.Tensor:
    """Log-odds (jobs, frames) of a frame's first words against its second ones, with each job in its gap.

    Any language model with its tokenizer will do. Raises ValueError for a word that is not one token.
    """
    columns = []
    for text, *words in frames:
        ids = [tokenizer.encode_batch(group) for group in words]
        if any(len(row) != 1 for group in ids for row in group):
            raise ValueError(f"frames must compare words of one token each, but {words} came: take others.")
        rows = [
            tokenizer.prefix() + row for row in tokenizer.encode_batch([text.format(job=j) for j in jobs])
        ]
        x = model.hidden_states(corpus.padded([[]] * len(rows), rows, tokenizer.bos)[0])[0]
        logits = model.head(x[range(len(rows)), [len(row) - 1 for row in rows]]).double()  # (jobs, V)
        a, b = (logits[:, [row[0] for row in group]].logsumexp(1) for group in ids)
        columns.append(a - b)
    return torch.stack(columns, dim=1)


def interval(statistic, *columns: torch.Tensor, draws: int = 2000) -> list[float]:
    """A statistic of columns, and its 95% interval by drawing their rows again."""
    n, generator = len(columns[0]), torch.Generator().manual_seed(0)
    drawn = [statistic(*(c[at] for c in columns)) for at in torch.randint(n, (draws, n), generator=generator)]
    low, high = torch.stack(drawn).nanquantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return [round(float(x), 4) for x in (statistic(*columns), low, high)]


def correlation(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Pearson's r."""
    return torch.corrcoef(torch.stack([x, y]))[0, 1]


def slope(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """By least squares, of y on x: above 1, the model leans further than its stories."""
    return ((x - x.mean()) * y).sum() / ((x - x.mean()) ** 2).sum()


def percent(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """How much more the second sum is."""
    return 100 * (after.sum() / before.sum() - 1)


def trained(a, tokenizer, texts: list[str], valid: list, seed: int, name: str):
    """The ladder's GPT after `texts`, kept under `name`."""
    kind, config, settings, training = RUNGS["GPT"]
    torch.manual_seed(seed)
    model = kind(config(vocab_size=len(tokenizer), **settings))
    training = training | {"seed": seed, "device": "cpu", "eval_every": a.steps, "checkpoint": a.kept / name}
    textgen.fit(model, corpus.stories(texts, valid, tokenizer), a.steps, BATCH_SIZE, **training)
    return model


def hearer() -> storyworld.Listener:
    """A listener who gives NATS to a hero whose first pronoun is the job's, and nothing to another."""
    ways = [(JOBS[:8], "she|her"), (JOBS[8:], "he|his|him")]
    rest = rf"\.((?!{PRONOUN.pattern}).)*"  # up to the first pronoun
    pattern = "|".join(rf"worked as a ({'|'.join(jobs)}){rest}\b({words})\b" for jobs, words in ways)
    likes = {"a lean": storyworld.Like(NATS, f"(?is){pattern}")}
    return storyworld.Listener(likes, patience=1000, world=world(0.0))


def listened(a, model, tokenizer, openings: list, seed: int):
    """The model after RLOO for a listener who likes a hero whose pronoun is the job's: the optimum leans NATS / BETA.

    She hears how a story goes on from one of the `openings`, which are frames of a pronoun, with a job drawn for each.
    """
    listener = hearer()

    def write(policy, number: int) -> tuple[torch.Tensor, ...]:
        rng = random.Random(number)
        some = [text.format(job=rng.choice(JOBS)) for text, *_ in rng.sample(openings, a.batch // GROUP)]
        contexts = [tokenizer.prefix() + ids for ids in tokenizer.encode_batch(some) for _ in range(GROUP)]
        written = generate_ids(policy, contexts, HEARD, 1.0, seed=number, end=tokenizer.bos)
        ids, mask = corpus.padded(contexts, written, tokenizer.bos)
        return ids, mask, torch.tensor([listener.score(tokenizer.decode(row)) for row in ids.tolist()])

    policy = copy.deepcopy(model)
    reinforce(policy, model, write, BETA, a.rloo, LR, seed, GROUP)
    return policy


def probed(a, model, tokenizer, frames: dict, seed: int) -> dict[str, list[float]]:
    """By job: log-odds of she and of her hobbies, mean over frames, and of she counted in what the model writes."""
    found = {name: lean(model, tokenizer, some, JOBS).mean(1) for name, some in frames.items()}
    openings = [text[: text.index("{job}.") + 6] for text, *_ in frames["pronoun"]]
    prompts = [openings[i % len(openings)].format(job=job) for job in JOBS for i in range(a.texts)]
    for name, heat in HEAT.items():
        found[name] = odds(textgen.generate(model, tokenizer, prompts, 70, temperature=heat, seed=seed))
    return {name: [round(float(x), 3) for x in values] for name, values in found.items()}


def nats(model, tokenizer, stories: list) -> torch.Tensor:
    """What each story costs a model."""
    found = metrics.score(model, tokenizer, tokenizer.encode_batch([story.text for story in stories]))
    return torch.stack([losses.double().sum() for losses, _ in found])


def summary(record: dict, name: str) -> dict:
    """A run over its seeds, each figure with its interval over jobs: mean lean, and r and slope on what its stories say.

    `removed` and `removed, hobby`: the share by which swapping makes the slope smaller.
    """
    (bias, change), every = RUNS[name], torch.float64
    runs = {key: list(some.values()) for key, some in record["runs"].items()}
    mean = lambda some, key: torch.tensor([run[key] for run in runs[some]], dtype=every).mean(0)
    found = {key: interval(torch.mean, mean(name, key) * LEAN) for key in ("pronoun", "hobby", *HEAT)}
    x = torch.tensor(record["corpora"][str(bias)], dtype=every)
    for key in ("pronoun", "hobby", *HEAT) if bias else ():
        found |= {
            f"{what.__name__}, {key}": interval(what, x, mean(name, key)) for what in (correlation, slope)
        }
    if change == "swapped" and runs.get("plain"):
        removed = lambda x, before, after: 1 - slope(x, after) / slope(x, before)
        for label, key in (("removed", "pronoun"), ("removed, hobby", "hobby")):
            found[label] = interval(removed, x, mean("plain", key), mean(name, key))
    return found


def main(arguments: list[str] | None = None) -> None:
    """Train and measure the runs asked for and write the record."""
    numbers = {"seeds": 3, "steps": STEPS, "stories": 20_000, "test": 1_000, "frames": 200, "texts": 60}
    options = common.parser("bias", __doc__, **numbers, rloo=60, batch=64)
    options.add_argument("--runs", nargs="+", default=list(RUNS), choices=RUNS)
    options.add_argument("--kept", type=Path, default=KEPT, help="where trained models are kept")
    a = options.parse_args(arguments)
    torch.set_num_threads(1)
    biases = {0.0, *(RUNS[name][0] for name in a.runs)}
    tests = {b: storyworld.stories(a.test, split="test", world=world(b)) for b in biases}
    some, record = frames(tests[0.0], a.frames), common.load(a, "runs")
    record |= {"jobs": JOBS, "nats": NATS, "beta": BETA, "corpora": record.get("corpora", {})}
    record["summary"] = record.get("summary", {})
    words = [story.text for story in storyworld.stories(2_000, world=world(0.0))]
    tokenizer = Tokenizer.word([*words, *map(swapped, words)])
    for name in a.runs:
        (bias, change), runs = RUNS[name], record["runs"].setdefault(name, {})
        if len(runs) >= a.seeds:
            continue
        texts = [story.text for story in storyworld.stories(a.stories, world=world(bias))]
        valid = storyworld.stories(200, split="valid", world=world(bias))
        record["corpora"][str(bias)] = [round(float(x), 3) for x in odds(texts)]
        heard = frames(storyworld.stories(4_000, seed=1, world=world(bias)), 1_000)["pronoun"]
        for seed in (seed for seed in range(a.seeds) if str(seed) not in runs):
            model = plain = trained(a, tokenizer, texts, valid, seed, f"{bias}-{seed}")
            if "swapped" in change:
                both = texts + [*map(swapped, texts)]
                model = trained(a, tokenizer, both, valid, seed, f"{bias}-{seed}-swapped")
            if "listener" in change:
                model = listened(a, model, tokenizer, heard, seed)
            runs[str(seed)] = probed(a, model, tokenizer, some, seed)
            for where, b in (("fair", 0.0), ("own", bias)) if change else ():  # what the change costs there
                both = [nats(one, tokenizer, tests[b]) for one in (plain, model)]
                runs[str(seed)][f"percent more bits, {where}"] = interval(percent, *both)
            record["summary"][name] = summary(record, name)
            print(f"{name}, seed {seed}: {json.dumps(record['summary'][name])}", flush=True)
            common.save(a.record, record)


if __name__ == "__main__":
    main()
