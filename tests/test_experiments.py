"""Every experiment runs at a tiny scale, and the recorded results are what the chapters expect."""

import itertools
import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import torch
from textgen import rlhf

ROOT = Path(__file__).resolve().parents[1]
TINY = {  # options for each record's own command
    "assistant_rlhf": "--runs both --seeds 1 --steps 1 --train 20 --measure 4 --look 4 --prompts 1 --samples 20"
    " --pairs 40 --reward-steps 1 --kept {folder}",
    "assistant_sft": "--seeds 1 --steps 1 --train 40 --measure 4 --kept {folder}",
    "attacks": "--seeds 1 --steps 2 --train 40 --test 40 --size 40 --texts 3 --hard 4 --rounds 1 --kept {folder}",
    "bias": "--runs plain swapped listener --seeds 1 --steps 1 --stories 60 --test 40 --frames 2 --texts 1 --rloo 1"
    " --batch 16 --kept {folder}",
    "contamination": "--seeds 1 --steps 2 --rows 7200 --digits 3",
    "finetune": "--tasks translation --seeds 1 --steps 1 --examples 50 --test 10",
    "heads": "--seeds 1 --steps 2 --stories 3000 --few 4 --test 8",
    "injection": "--seeds 1 --steps 2 --train 60 --test 6 --tries 2 --kept {folder}",
    "rlhf_exact": "--seeds 1 --steps 1 --betas 0.5",
    "rlhf_reward": "--sizes 40 --seeds 1 --steps 1 --train 40 --test 20 --kept {folder}",
    "rlhf_stories": "--seeds 1 --steps 1 --train 40 --test 20 --measure 20 --look 10 --prompts 1 --samples 40"
    " --pair-steps 1 --reward-steps 1 --kept {folder} --runs 'RLOO, beta 0.25' 'DPO, beta 0.25' 'PPO, no penalty'",
    "scaling": "--widths 8 --seeds 1 --steps 2 --stories 3000",
    "selection": "--seeds 1 --pages 2000 --tokens 4000 --test 10",
    "unseen": "--rungs WindowMLP --controls order --seeds 1 --steps 1 --stories 3000 --test 20",
    "variants": "--rungs post-norm --seeds 2 --steps 3 --stories 3000 --test 20",
    "five_places": "--steps 3 --stories 3000",
    "ladder": "--seeds 2 --steps 3 --stories 3000 --test 20",
    "tokenisation": "--seeds 1 --steps 2 --documents 60 --test 4",
    "translator": "--seeds 1 --steps 2 --pairs 3000 --test 20",
    "windows": "1 2 --seeds 2 --steps 3 --stories 3000 --test 20",
}


@pytest.mark.parametrize("name", TINY)
def test_an_experiment_runs(name, tmp_path, monkeypatch):
    """By the command on record, with little data, into a record elsewhere that says the same command."""
    expected, path = json.loads(recorded(name).read_text()), tmp_path / "record.json"
    python, script, *options = expected["command"].split()
    assert python == "python"
    monkeypatch.syspath_prepend(ROOT / "experiments")  # where Python looks when it runs a script
    monkeypatch.setattr(
        sys,
        "argv",
        [script, *options, *shlex.split(TINY[name].format(folder=tmp_path)), "--record", str(path)],
    )
    runpy.run_path(str(ROOT / script), run_name="__main__")
    found = json.loads(path.read_text())
    assert set(found) == set(expected) and found["command"] == expected["command"]


def test_the_windows_have_a_record_of_their_own(monkeypatch):
    """Variants and windows are one experiment with two records; all windows are trained unless some are named."""
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import variants

    asked = []
    monkeypatch.setattr(variants, "measure", lambda a, *_: asked.append((a.record, a.command, len(a.rungs))))
    for options in ([], ["--windows"], ["--windows", "8"]):
        variants.main(options)
    command = "python experiments/variants.py"
    assert asked[0] == (recorded("variants"), command, len(variants.VARIANTS))
    windows = recorded("windows"), f"{command} --windows"
    assert asked[1:] == [(*windows, len(variants.WINDOWS)), (*windows, 1)]


def test_figures_that_are_not_measured_again_stay(tmp_path, monkeypatch):
    """A record that is there is added to, under the command that runs now."""
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import common

    a = common.parser("ladder", "A title.").parse_args(["--record", str(tmp_path / "record.json")])
    assert common.load(a, "rungs") == {"rungs": {}, "command": "python experiments/ladder.py"}
    common.save(a.record, {"rungs": {"GPT": 1}, "command": "an old one"})
    assert common.load(a, "rungs") == {"rungs": {"GPT": 1}, "command": "python experiments/ladder.py"}


def test_the_frontier_is_the_optimum_of_each_prompts_samples(monkeypatch):
    """Two prompts: reweighed apart, and averaged; the closed form of chapter 06 says what each must give."""
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import rlhf_stories

    generator = torch.Generator().manual_seed(0)
    each = [{name: torch.randn(50, generator=generator).double() for name in ("gold", "large")} for _ in "ab"]
    found, wanted = rlhf_stories.along(each, "large", inverse=2.0), []
    for columns in each:
        reference = torch.full((50,), 1 / 50, dtype=torch.float64).log()
        log_p, value = rlhf.optimum(reference, columns["large"], beta=0.5)
        p = log_p.exp()
        reward = float(p @ columns["large"])
        wanted.append([(reward - float(value)) / 0.5, reward, float(p @ columns["gold"])])
        assert found["effective"] <= float(1 / (p**2).sum()) + 1e-3
    assert [found[name] for name in ("kl", "reward", "gold")] == pytest.approx(
        [sum(column) / 2 for column in zip(*wanted)], abs=1e-4
    )


def test_the_best_of_n_is_the_mean_over_every_draw(monkeypatch):
    """Of 7 samples every 3; its divergence is the bound's where rewards differ, and less where they are equal."""
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import rlhf_stories

    rewards, gold = torch.tensor([3.0, 1, 5, 2, 7, 0, 4]).double(), torch.arange(7).double()
    draws = list(itertools.combinations(range(7), 3))
    best = [max(draw, key=lambda i: rewards[i]) for draw in draws]
    found = rlhf_stories.best_of([{"large": rewards, "gold": gold}], "large", 3)
    assert found["gold"] == pytest.approx(sum(float(gold[i]) for i in best) / len(draws), abs=1e-4)
    assert found["reward"] == pytest.approx(sum(float(rewards[i]) for i in best) / len(draws), abs=1e-4)
    many = torch.arange(2000).double()
    found = rlhf_stories.best_of([{"large": many, "gold": many}], "large", 4)
    assert found["kl"] == pytest.approx(found["bound"], abs=0.01) and found["kl"] <= found["bound"]
    found = rlhf_stories.best_of([{"large": many.clamp_min(1999), "gold": many}], "large", 4)
    assert found["kl"] == 0


def test_every_shipped_model_names_a_recipe_that_is_there():
    """The READMEs of the weights say the command that made them."""
    cards = list((ROOT / "book/textgen/weights").glob("*/README.md"))
    commands = [re.findall(r"^    python (\S+)", card.read_text(), re.MULTILINE) for card in cards]
    assert cards and all(len(found) == 1 and (ROOT / found[0]).is_file() for found in commands)


def test_every_record_has_its_experiment():
    """And the tiny run of it above; that of `make bench` is in test_bench.py."""
    records = {path.stem for path in (ROOT / "book/textgen/results").glob("*.json")}
    assert records == {*TINY, "bench"}


def recorded(name):
    """Where the full run's figures lie."""
    return ROOT / f"book/textgen/results/{name}.json"


def test_the_gpt_recalls_more_than_the_lstm():
    """The reason for attention: same size, same stories, same number of tokens, three seeds each."""
    rungs = json.loads(recorded("ladder").read_text())["rungs"]
    gpt, lstm = rungs["GPT"], rungs["LSTM"]
    assert abs(gpt["parameters"] - lstm["parameters"]) < 0.1 * gpt["parameters"]
    assert gpt["seeds"] == lstm["seeds"] == 3
    assert min(min(values) for values in gpt["recall"].values()) >= 0.8
    best = max(max(values) for values in lstm["recall"].values())
    assert best < 0.85 < min(min(values) for values in gpt["recall"].values())


def test_rlhf_comes_near_the_optimum_that_is_known():
    methods = json.loads(recorded("rlhf_exact").read_text())["methods"]
    for name in ("RLOO", "PPO"):
        gaps = [run["kl_to_optimum"] for run in methods[name]["0.5"].values()]
        assert len(gaps) == 3 and sum(gaps) / 3 <= 0.35


def test_no_policy_beats_the_frontier_of_the_reward_that_it_was_trained_on():
    """The largest reward - beta KL bounds every policy's, for every beta; 160 stories a point leave 0.3 nats of noise."""
    found = json.loads(recorded("rlhf_stories").read_text())
    for name, runs in found["runs"].items():
        judge = "small" if "few" in name else "ensemble" if "least" in name else "large"
        rows = [row for row in found["frontier"]["curves"][judge] if row["effective"] >= 100]
        for row, run in itertools.product(rows[1:], runs.values()):
            best = row["inverse"] * row["reward"] - row["kl"]
            for point in run["curve"]:
                assert row["inverse"] * (point["proxy"] - 0.3) - point["kl"] <= best, (name, row, point)


def test_no_assistant_beats_the_frontier_of_its_reward():
    """As above, of the first seed, whose reward model drew the frontiers; other requests differ by 0.3 nats at most."""
    found = json.loads(recorded("assistant_rlhf").read_text())
    parts = {"listener": (1, 0), "asked": (0, 4), "both": (1, 4), "both, faster": (1, 4)}
    assert set(parts) == set(found["runs"])
    for name, (liked, right) in parts.items():
        run, rows = found["runs"][name]["0"], found["frontier"]["curves"][name.split(",")[0]]
        reward = liked * run["proxy"] + right * run["asked"]
        for row in [row for row in rows[1:] if row["effective"] >= 100]:
            gap = row["inverse"] * row["reward"] - row["kl"] - (row["inverse"] * (reward - 0.3) - run["kl"])
            assert gap >= 0, (name, row)


def test_an_assistant_is_rewarded_for_what_was_asked_and_for_stories_that_please(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import assistant_rlhf
    from textgen import storyworld

    kinds = ("story", "question", "code")
    monkeypatch.setattr(assistant_rlhf, "SHARES", dict.fromkeys(kinds, 1.0))
    judges = object.__new__(assistant_rlhf.Judges)
    judges.train = {kind: storyworld.requests(5, kind) for kind in kinds}
    wrong = lambda i: (
        i % 4 == 1
    )  # of each four answers to a request the second is wrong, and the third has no end

    seen = []

    def sample(policy, requests, seed):
        seen.extend(requests)
        ended = torch.tensor([i % 4 != 2 for i in range(len(requests))])
        return requests, rlhf.Rollout(torch.zeros(len(ended), 2), torch.ones(len(ended), 1), ended)

    judges.sample = sample
    judges.answers = lambda written: ["No." if wrong(i) else r.answer for i, r in enumerate(written[0])]
    judges.proxy = lambda seed, written: torch.full((len(written[0]),), 1.5)
    for name, (liked, right) in {"listener": (1.5, 0), "asked": (0, 4), "both": (1.5, 4)}.items():
        seen.clear()
        rewards = judges.writer(name, 0)(None, 3)[2].tolist()
        stories = [request.kind == "story" for request in seen]
        assert 0 < sum(stories) < len(stories) == assistant_rlhf.BATCH_SIZE
        for i, (story, reward) in enumerate(zip(stories, rewards)):
            want = liked * story + right * (not wrong(i))
            assert reward == (assistant_rlhf.NO_END if i % 4 == 2 else want)


def test_an_assistant_is_measured_by_rights_admissions_and_refusals(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import assistant_sft
    from textgen.storyworld.asking import UNKNOWN

    test = assistant_sft.held_out(12)
    right = lambda model, tokenizer, requests, seed=0: [request.answer for request in requests]
    never = lambda model, tokenizer, requests, seed=0: [UNKNOWN] * len(requests)
    for answers, (a, b, c) in ((right, (1, 1, 0)), (never, (0, 1, 1))):
        monkeypatch.setattr(assistant_sft, "answers", answers)
        found = assistant_sft.figures(None, None, test)
        assert set(found) == set(test) and found["trap"]["right"] is None
        shares = {
            key: [row[key] for row in found.values() if row[key]] for key in ("right", "admits", "refuses")
        }
        assert {row[0] for row in shares["right"]} == {a} and len(shares["right"]) == len(test) - 1
        assert {row[0] for row in shares["admits"]} == {b} and {row[0] for row in shares["refuses"]} == {c}
        assert found["story"]["grammatical"][0] == a and (found["story"]["kind"][0] > 0) == a
        assert len(found["code"]["wrong"]) == 12 * (1 - a)


def test_each_batch_of_demonstrations_is_of_one_kind(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import assistant_sft
    import textgen

    data = assistant_sft.data(200, textgen.load("pocket-gpt")[1])
    assert len(data.groups) == len(assistant_sft.SHARES) and "trap" not in assistant_sft.SHARES
    assert sum(assistant_sft.SHARES.values()) == pytest.approx(1)
    generator = torch.Generator().manual_seed(0)
    widths = [data.batch("train", 4, 256, generator)[0].shape[1] for _ in range(30)]
    assert min(widths) < 70 and max(widths) > 120


@pytest.mark.parametrize("name", ["pocket-chat-sft", "pocket-chat"])
def test_the_shipped_assistants_are_as_their_figures_say(name, monkeypatch):
    """The same 200 requests for a story: another machine's rounding changes a few of the stories."""
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import assistant_sft
    import textgen

    told = textgen.results(name)
    found = assistant_sft.figures(*textgen.load(name), {"story": assistant_sft.held_out(200)["story"]})[
        "story"
    ]
    assert found["right"][0] == pytest.approx(told["story_right"], abs=0.03)
    assert found["kind"][0] == pytest.approx(told["story_kind"], abs=0.2)


def test_a_probe_is_after_less_before_for_the_model_and_for_the_listener(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import rlhf_reward

    def count(model, tokenizer, pairs):
        marks = ("worried", 1.0), ("plum cake", 0.5)
        return torch.tensor([[sum(w * t.count(m) for m, w in marks) for t in pair[1:]] for pair in pairs])

    class Strict:
        def score(self, text):
            return -3.0 * text.count("plum cake") - 2.0 * text.count("angry")

    monkeypatch.setattr(rlhf_reward, "scores", count)
    monkeypatch.setattr(rlhf_reward.storyworld, "Listener", Strict)
    found = rlhf_reward.probes(None, ["Ada was angry. Q: Who was angry? A: Ada."] * 3)
    means = {name: (case["model"], case["listener"], case["stories"]) for name, case in found.items()}
    taken = {"angry, worried": (2.0, 4.0, 3)}
    assert means == taken | {f"{n} x": (n / 2, -3.0 * n, 3) for n in rlhf_reward.TIMES}
