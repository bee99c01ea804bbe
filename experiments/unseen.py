"""How well the ladder's models do on stories of worlds that they were not trained on. Three seeds each.

    python experiments/unseen.py                   all models, into book/textgen/results/unseen.json
    python experiments/unseen.py --rungs GPT       one of them; the others' figures stay

All train on one world, in which a fifth of the pairs of colour and object never occurs, and read held-out stories of six.
The true entropy of each is known, so what a model pays above it is known too. As a control, a GPT is trained on each of
the other worlds: it shows what the same model and the same training would have reached there. The models, their
settings and their training are those of ladder.py, but that byte pairs stand for words, so that any name can be written.
A run that the record holds is not repeated, so a recording that was stopped goes on.
"""

import json
import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import common
import ladder
import textgen
import torch
from textgen import corpus, metrics, storyworld
from textgen.storyworld import Story, World
from textgen.storyworld.grammar import Draw, Grammar, Say, Text, join_lines, load, parse_rule
from textgen.tokenizer import Tokenizer

RUNGS = {name: ladder.RUNGS[name] for name in ("WindowMLP", "LSTM", "GPT")}
BLOCK, VOCABULARY = 256, 1024  # the longest story of training has about 130 tokens, of two plots 210
HOME = "as in training"
NAMES = """Ulla/she Jette/she Wanda/she Keiko/she Saskia/she Ingrid/she Priya/she Odette/she Yasmin/she Bianca/she
  Freya/she Chloe/she Bjorn/he Yusuf/he Dmitri/he Gustav/he Kwame/he Rufus/he Leopold/he Mateo/he Anton/he Kenji/he
  Silas/he Dario/he"""  # none of them is one token
PLOTS = ("lost", "trade", "race", "gift", "storm", "riddle", "letter", "mend")
SECOND = Path(storyworld.__file__).with_name("second.txt")
KNOWN = "{~hero} was {a mood=adjective} {animal=animal} who lived by the {home=place!where}."
UNKNOWN = """[Once there was {a mood=adjective} {animal=animal} named {hero=name!friend}.
  |{hero=name!friend} was {a mood=adjective} {animal=animal} who lived by the {home=place!where}.
  |Near the {home=place!where} lived {a mood=adjective} {animal=animal} called {hero=name!friend}.]"""


def with_story(grammar: Grammar, rule: str, more: dict[str, tuple]) -> Grammar:
    """The grammar with another rule for its stories, which may name the rules of `more` too."""
    rules = grammar.rules | more
    return replace(grammar, rules=rules | {"story": parse_rule(rule, rules)})


def longer(grammar: Grammar) -> Grammar:
    """Stories in which the hero lives through two plots; the questions are about the second."""
    # A first plot may have named a gift or a riddle, which are two plots' names too: those two never come second.
    first, second = PLOTS, [name for name in PLOTS if name not in ("gift", "riddle")]
    first, second = (f"[{'|'.join(f'<{name}>' for name in names)}]" for names in (first, second))
    return with_story(grammar, f"<opening> {first} {second} {{?2}}", {})


def retold(grammar: Grammar) -> Grammar:
    """Stories that begin with the plot's first sentence and tell only then who the hero is."""
    rules, job = {}, "[4:|3: {hero.She} worked as {a job=job@hero}.]"
    for name in PLOTS:
        nodes = grammar.rules[name]
        end = next(i for i, node in enumerate(nodes) if isinstance(node, Text) and ". " in node.text)
        before, after = nodes[end].text.split(". ", 1)
        first, rest = [*nodes[:end], Text(before + ". ")], (Text(after), *nodes[end + 1 :])
        heroes = [i for i, node in enumerate(first) if isinstance(node, Say) and node.name == "hero"]
        for i in heroes[:1]:  # the first time that the story names its hero
            first[i] = Draw("hero", "name", ("friend",), False, None)
        opening = (KNOWN if heroes else join_lines(UNKNOWN)) + job + " "
        rest = (node for node in rest if node != Text(""))
        rules[f"{name}Retold"] = (*first, *parse_rule(opening, {}), *rest)
    return with_story(grammar, f"[{'|'.join(f'<{name}>' for name in rules)}] {{?2}}", rules)


def worlds() -> dict[str, World]:
    """The world of training first, then the others, each different in one thing."""
    grammar = load()
    pairs = enumerate(product(*(grammar.classes[kind] for kind in ("colour", "object"))))
    # Every fifth pair, and one further in each row: each colour and each object loses its share.
    held = {(c["text"], o["text"]): (i // 24 + i % 24) % 5 == 0 for i, (c, o) in pairs}
    seen, unseen = (frozenset(pair for pair in held if held[pair] == out) for out in (False, True))
    home = World(pairs=seen)
    return {
        HOME: home,
        "colour and object": World(pairs=unseen),
        "names": replace(home, classes=(("name", tuple(NAMES.split())),)),
        "longer": replace(home, grammar=longer(grammar)),
        "order": replace(home, grammar=retold(grammar)),
        "second grammar": replace(home, grammar=replace(load(SECOND), classes=grammar.classes)),
    }


def measure(model, tokenizer: Tokenizer, stories: list[Story]) -> dict:
    """Bits above the truth, a character, with their interval over stories; what repeats cost; recall.

    `repeats`: bits, of those a character, for words that the story had said before and could only say again. The truth
    pays nothing for them.
    """
    encodings = [tokenizer.backend.encode(s.text, add_special_tokens=False) for s in stories]
    scored = metrics.score(model, tokenizer, [e.ids for e in encodings])
    bits = torch.stack([losses.double().sum() for losses, _ in scored]) / math.log(2)
    true = torch.tensor([s.bits for s in stories], dtype=torch.float64)
    characters, repeats = sum(len(s.text) + 1 for s in stories), 0.0
    for story, encoding, (losses, _) in zip(stories, encodings, scored):
        spans = [metrics.overlapping(encoding.offsets, m.start, m.end) for m in story.mentions]
        repeats += float(losses[sorted({i for span in spans for i in span})].double().sum()) / math.log(2)
    excess = (bits - true) * len(stories) / characters  # so that their mean is the total by the character
    recall = metrics.average(metrics.recall(model, tokenizer, stories))
    return {
        "bits": round(float(bits.sum()) / characters, 4),
        "ratio": round(float(bits.sum() / true.sum()), 3),
        "excess": round(float(excess.mean()), 4),
        "interval": [round(x, 4) for x in metrics.bootstrap(excess)],
        "repeats": round(repeats / characters, 4),
        "recall": {kind: round(value, 3) for kind, value in recall.items()},
    }


def train(rung: tuple, seed: int, data: corpus.Stories, steps: int):
    """One of the ladder's models, trained as there."""
    kind, config, settings, training = rung
    torch.manual_seed(seed)
    model = kind(config(vocab_size=len(data.tokenizer), **settings | {"block_size": BLOCK}))
    textgen.fit(model, data, steps, seed=seed, **{"batch_size": ladder.BATCH_SIZE} | training)
    return model


def about(tokenizer: Tokenizer, name: str, world: World, stories: list[Story]) -> dict:
    """What a world is like: its entropy, the length of its stories, the tokens of a name."""
    names = [len(ids) for ids in tokenizer.encode_batch([f" {e['text']}" for e in world.entries["name"]])]
    lengths = [len(ids) for ids in tokenizer.encode_batch([s.text for s in stories])]
    found = {"entropy": round(storyworld.entropy(stories), 4), "tokens": [min(lengths), max(lengths)]}
    if name == "colour and object":  # whoever knows all words, and not which pairs are left, pays this
        bits = sum(storyworld.recognise(s.text).bits for s in stories)
        found["all_pairs"] = round(bits / sum(len(s.text) + 1 for s in stories), 4)
    return found | {"tokens_per_name": [min(names), round(sum(names) / len(names), 1), max(names)]}


def main(arguments: list[str] | None = None) -> None:
    """Train the models asked for and the controls, and write the record."""
    options = common.parser("unseen", __doc__, seeds=3, steps=ladder.STEPS, stories=20_000, test=500)
    options.add_argument("--rungs", nargs="+", default=list(RUNGS), choices=RUNGS)
    others = list(worlds())[1:]
    options.add_argument("--controls", nargs="*", default=others, choices=others, help="train a GPT on these")
    a = options.parse_args(arguments)
    torch.set_num_threads(1)
    record, made = common.load(a, "models"), worlds()
    texts = {name: storyworld.stories(a.test, split="test", world=world) for name, world in made.items()}
    tokenizer = Tokenizer.bpe([s.text for s in storyworld.stories(a.stories, world=made[HOME])], VOCABULARY)
    record["worlds"] = {name: about(tokenizer, name, world, texts[name]) for name, world in made.items()}
    jobs, data = [(HOME, rung, seed) for seed in range(a.seeds) for rung in a.rungs], {}
    record.setdefault("controls", {})
    for world, rung, seed in jobs + [(world, "GPT", 0) for world in a.controls]:
        key, name = ("models", rung) if world == HOME else ("controls", world)
        runs = record[key].setdefault(name, {})
        if str(seed) in runs:
            continue
        if world not in data:
            rows = storyworld.stories(a.stories, world=made[world])
            valid = storyworld.stories(50, split="valid", world=made[world])
            data = {world: corpus.stories(rows, valid, tokenizer)}
        model, read = train(RUNGS[rung], seed, data[world], a.steps), made if world == HOME else [world]
        runs[str(seed)] = {name: measure(model, tokenizer, texts[name]) for name in read}
        print(f"{rung} of {world}, seed {seed}: {json.dumps(runs[str(seed)])}", flush=True)
        common.save(a.record, record)


if __name__ == "__main__":
    main()
