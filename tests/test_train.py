"""Training: repeatable, resumable after a kill at any moment, and clear about what it cannot do."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import textgen
import torch
from textgen import (
    GPT,
    LSTM,
    Bigram,
    BigramConfig,
    GPTConfig,
    LSTMConfig,
    WindowMLP,
    WindowMLPConfig,
    corpus,
    optimizers,
    train,
)
from textgen.checkpoint import FILE
from textgen.gpt import SoftPrompt
from textgen.tokenizer import Tokenizer

BOOK = Path(textgen.__file__).parents[1]
TEXTS = ["Ada has a red hat.", "Bob sat.", "The hat of Ada was red."]


class Sums:
    """Rows of digits that count up, so short that a model learns them at once; `die_at` kills the process."""

    def __init__(self, die_at=None):
        self.calls, self.die_at = 0, die_at

    def batch(self, split, batch_size, block_size=None, generator=None):
        self.calls += 1
        if self.calls == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        starts = torch.randint(10, (batch_size, 1), generator=generator)
        rows = (starts + torch.arange(9)) % 10
        targets = rows[:, 1:].clone()
        targets[::2, -2:] = -100  # rows of unequal length
        return rows[:, :-1], targets


class OneBatch(Sums):
    def batch(self, split, batch_size, block_size=None, generator=None):
        return super().batch(split, batch_size, block_size, torch.Generator().manual_seed(7))


def small_gpt(dropout=0.1, n_layer=1):
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=10, block_size=8, n_layer=n_layer, n_head=2, n_embd=16, dropout=dropout))


def losses(history):
    return [(step, loss) for step, _, loss in history.train], [
        (step, loss) for step, _, loss in history.valid
    ]


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


RUN = {"steps": 30, "batch_size": 6, "eval_every": 4, "eval_rows": 12, "seed": 3}

SCRIPT = """
import sys
sys.path[:0] = [{book!r}, {tests!r}]
import torch, safetensors.torch
torch.set_num_threads(1)
from test_train import RUN, Sums, small_gpt
import textgen, os, signal
die_at, die_in_save = int(sys.argv[2]), int(sys.argv[3])
save, saves = safetensors.torch.save_file, []
def dying_save(tensors, path, metadata=None):
    saves.append(path)
    if len(saves) == die_in_save:
        path.write_bytes(safetensors.torch.save(tensors, metadata)[:999])
        os.kill(os.getpid(), signal.SIGKILL)
    save(tensors, path, metadata)
safetensors.torch.save_file = dying_save
textgen.fit(small_gpt(), Sums(die_at), checkpoint=sys.argv[1], **RUN)
"""


def test_a_run_killed_again_and_again_ends_as_if_it_never_was(tmp_path, one_thread, monkeypatch):
    whole_model, resumed_model = small_gpt(), small_gpt()
    whole = textgen.fit(whole_model, Sums(), **RUN)
    monkeypatch.setattr(textgen.files, "ABANDONED", 0)  # what a death in a save leaves behind is old at once
    script = SCRIPT.format(book=str(BOOK), tests=str(Path(__file__).parent))
    rng = random.Random(20)
    # An evaluation reads two batches: 30 steps and 9 evaluations are 49. One death comes in the middle of a save.
    deaths = [(rng.randint(5, 15), 0), (0, rng.randint(2, 3)), (rng.randint(6, 14), 0)]
    reached = []
    for die_at, die_in_save in deaths:
        command = [sys.executable, "-c", script, str(tmp_path), str(die_at), str(die_in_save)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert run.returncode == -signal.SIGKILL, run.stderr
        reached.append(saved_step(tmp_path))
    assert 0 < reached[0] < reached[1] < reached[2] < 30
    resumed = textgen.fit(resumed_model, Sums(), checkpoint=tmp_path, **RUN)
    assert losses(resumed) == losses(whole)  # to the last bit
    assert resumed.tokens == whole.tokens
    for a, b in zip(whole_model.parameters(), resumed_model.parameters()):
        assert torch.equal(a, b)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def saved_step(folder):
    with safetensors.safe_open(folder / FILE, framework="pt") as file:
        return json.loads(file.metadata()["json"])["step"]


def test_a_finished_run_is_given_back_and_not_repeated(tmp_path):
    model, again, data = small_gpt(), small_gpt(), Sums()
    history = textgen.fit(model, data, checkpoint=tmp_path, **RUN)
    calls = data.calls
    assert textgen.fit(again, data, checkpoint=tmp_path, **RUN) == history
    assert data.calls == calls + 1  # the look at the first batch, to know the data again
    assert torch.equal(model.wte.weight, again.wte.weight)


def test_a_save_that_breaks_off_leaves_the_old_file(tmp_path, monkeypatch, one_thread):
    whole = textgen.fit(small_gpt(), Sums(), **RUN)
    save, saves = safetensors.torch.save_file, []

    def full_disk(tensors, path, metadata=None):
        saves.append(path)
        if len(saves) == 4:
            path.write_bytes(safetensors.torch.save(tensors, metadata)[:500])
            raise OSError(28, "No space left on device")
        save(tensors, path, metadata)

    monkeypatch.setattr(safetensors.torch, "save_file", full_disk)
    model = small_gpt()
    with pytest.raises(OSError, match="No space left"):
        textgen.fit(model, Sums(), checkpoint=tmp_path, **RUN)
    assert not model.training
    assert saved_step(tmp_path) == 8  # the third save
    monkeypatch.undo()
    assert losses(textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path, **RUN)) == losses(whole)


def stories(texts=TEXTS, valid=TEXTS, **specials):
    return corpus.stories(texts, valid, Tokenizer.char([*TEXTS, "xyz"], **specials))


def gpt(**changed):
    torch.manual_seed(changed.pop("seed", 0))
    model = GPT(
        GPTConfig(**{"vocab_size": 40, "block_size": 32, "n_layer": 1, "n_head": 4, "n_embd": 16} | changed)
    )
    return model


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"steps": 5}, "steps=4, not 5"),
        ({"batch_size": 3}, "batch_size=2, not 3"),
        ({"lr": 0.1}, "lr=0.01, not 0.1"),
        ({"muon_lr": 0}, "muon_lr=0.03, not 0"),
        ({"weight_decay": 0.2}, "weight_decay=0.1, not 0.2"),
        ({"seed": 1}, "seed=0, not 1"),
        ({"eval_rows": 3}, "eval_rows=2, not 3"),
        ({"block_size": 24}, "block_size=32, not 24"),
        ({"model": gpt(n_head=1)}, r"config.n_head=4, not 1: name another folder"),
        ({"model": gpt(dropout=0.5)}, r"config.dropout=0.0, not 0.5"),
        ({"model": gpt(n_layer=2)}, r"config.n_layer=1, not 2"),
        ({"model": Bigram(BigramConfig(vocab_size=40, block_size=32))}, "model='GPT', not 'Bigram'"),
        ({"model": gpt(seed=1)}, r"first weights='\w{12}', not '\w{12}': make the model anew"),
        ({"data": stories([*TEXTS[:-1], TEXTS[-1][:-2] + "x."])}, r"data='\w{12}', not '\w{12}': name"),
        ({"data": stories(valid=TEXTS[:-1])}, "data="),
        ({"data": stories(unk=True)}, "tokenizer='.* tokens .*', not '.* tokens .*'; data="),
        ({"data": Sums()}, "data="),
    ],
)
def test_another_run_is_refused_with_what_differs_and_both_values(tmp_path, change, says):
    run = {"steps": 4, "batch_size": 2, "eval_rows": 2, "eval_every": 4}
    textgen.fit(gpt(), stories(), checkpoint=tmp_path, **run)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(ValueError, match=f"holds a run with .*{says}") as caught:
        textgen.fit(**{"model": gpt(), "data": stories(), "checkpoint": tmp_path} | run | change)
    assert one_sentence(caught.value) and (tmp_path / FILE).read_bytes() == before


def test_another_optimizer_or_schedule_is_another_run(tmp_path, monkeypatch):
    textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path, **RUN)
    with monkeypatch.context() as patch:
        patch.setattr(train, "schedule", lambda step, steps: 1.0)
        with pytest.raises(ValueError, match="schedule="):
            textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path, **RUN)
    adamw = torch.optim.AdamW
    monkeypatch.setattr(
        torch.optim, "AdamW", lambda *args, betas, **more: adamw(*args, betas=(0.9, 0.99), **more)
    )
    with pytest.raises(ValueError, match=r"AdamW's betas=\[0.9, 0.95\], not \[0.9, 0.99\]"):
        textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path, **RUN)
    with pytest.raises(ValueError, match="data="):
        textgen.fit(small_gpt(), OneBatch(), checkpoint=tmp_path, **RUN)


class Parts:
    """Data of parts that know themselves; its first batch is of the first part alone."""

    def __init__(self, *groups, shares=(1.0, 1.0)):
        self.groups, self.shares = list(groups), torch.tensor(shares)

    def batch(self, *args):
        return self.groups[0].batch(*args)


def test_data_made_of_parts_are_known_by_all_of_them(tmp_path):
    run = {"steps": 2, "batch_size": 2, "eval_rows": 2, "checkpoint": tmp_path}
    history = textgen.fit(gpt(), Parts(stories(), stories()), **run)
    assert textgen.fit(gpt(), Parts(stories(), stories()), **run) == history
    for data in (Parts(stories(), stories(valid=TEXTS[:-1])), Parts(stories(), stories(), shares=(1.0, 2.0))):
        with pytest.raises(ValueError, match=r"a run with data='\w{12}', not '\w{12}': name"):
            textgen.fit(gpt(), data, **run)


def test_a_layer_without_a_config_tells_its_settings(tmp_path):
    def model(p):
        torch.manual_seed(0)
        net = small_gpt()
        net.drop = torch.nn.Dropout(p)
        return net

    textgen.fit(model(0.1), Sums(), checkpoint=tmp_path, **RUN)
    with pytest.raises(ValueError, match=r"a run with drop.p=0.1, not 0.3: name"):
        textgen.fit(model(0.3), Sums(), checkpoint=tmp_path, **RUN)


def test_an_interrupted_cell_goes_on_when_run_again_with_the_model_as_it_was_left(tmp_path, one_thread):
    whole, model, stops = textgen.fit(small_gpt(), Sums(), **RUN), small_gpt(), iter([KeyboardInterrupt])

    def stop(history):
        if len(history.train) == 16 and (error := next(stops, None)):
            raise error

    with pytest.raises(KeyboardInterrupt):
        textgen.fit(model, Sums(), checkpoint=tmp_path, callback=stop, **RUN)
    for _ in range(2):  # the second time it is done
        assert losses(textgen.fit(model, Sums(), checkpoint=tmp_path, callback=stop, **RUN)) == losses(whole)
    with torch.no_grad():
        next(model.parameters()).add_(1)
    with pytest.raises(ValueError, match="first weights="):
        textgen.fit(model, Sums(), checkpoint=tmp_path, **RUN)


@pytest.mark.parametrize("damage", ["cut", "foreign", "json", "text", "empty", "flipped", "missing"])
def test_a_checkpoint_that_cannot_be_read(tmp_path, damage):
    textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path, **RUN)
    path = tmp_path / FILE
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[:2000])
    elif damage == "foreign":
        safetensors.torch.save_file({"a": torch.zeros(1)}, path, {"format": "pt"})
    elif damage == "json":
        safetensors.torch.save_file({"a": torch.zeros(1)}, path, {"json": "{"})
    elif damage == "flipped":  # one bit of one weight
        path.write_bytes(whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:])
    elif damage == "missing":
        with safetensors.safe_open(path, framework="pt") as file:
            some = {name: file.get_tensor(name) for name in list(file.keys())[1:]}
            meta = file.metadata()
        safetensors.torch.save_file(some, path, meta)
    else:
        path.write_text("no checkpoint" if damage == "text" else "")
    with pytest.raises(ValueError, match="cannot be read .*delete it to start afresh") as caught:
        textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path, **RUN)
    assert one_sentence(caught.value)


def test_a_checkpoint_is_a_folder(tmp_path):
    (tmp_path / "run.bin").write_text("mine")
    with pytest.raises(ValueError, match=r"checkpoint must be a folder, but '.*run\.bin' is a file\.$"):
        textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path / "run.bin", **RUN)


def test_a_seed_of_numpys_is_the_same_seed(tmp_path):
    run = RUN | {"steps": 4}
    history = textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path, **run)
    assert textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path, **run | {"seed": np.int64(3)}) == history


def test_fit_overfits_one_batch():
    model = small_gpt(dropout=0.0, n_layer=2)
    history = textgen.fit(model, OneBatch(), steps=150, batch_size=8, lr=1e-2)
    assert history.train[0][2] > 1  # nothing known yet
    assert history.train[-1][2] < 0.01
    assert history.valid[-1][2] < 0.01  # the same batch


def test_the_seed_fixes_a_run_and_another_seed_changes_it(one_thread):
    first, again, other = (textgen.fit(small_gpt(), Sums(), **(RUN | {"seed": s})) for s in (3, 3, 4))
    assert losses(first) == losses(again)
    assert losses(first)[0] != losses(other)[0]
    assert first.valid[0][2] == other.valid[0][2]  # always the same held-out rows


def test_the_history_counts_steps_targets_and_seconds():
    history = textgen.fit(small_gpt(), Sums(), steps=25, batch_size=4, eval_every=10)
    assert [step for step, *_ in history.train] == list(range(1, 26))
    assert [step for step, *_ in history.valid] == [0, 10, 20, 25]
    assert history.tokens == 25 * (2 * 8 + 2 * 6)
    times = [seconds for _, seconds, _ in history.train]
    assert times == sorted(times) and 0 < times[0] <= times[-1] <= history.seconds


def test_a_watched_run_is_seen_and_not_changed(one_thread):
    model, seen = small_gpt(), []

    def watch(history):
        assert not model.training
        seen.append((history.valid[-1][0], len(history.train)))
        torch.rand(5)  # what it draws for itself must not count
        time.sleep(0.03)  # nor the time it takes

    start = time.perf_counter()
    watched = textgen.fit(model, Sums(), callback=watch, **RUN)
    assert seen == [(step, step) for step in (0, 4, 8, 12, 16, 20, 24, 28, 30)]
    assert watched.seconds < time.perf_counter() - start - 9 * 0.03
    assert losses(watched) == losses(textgen.fit(small_gpt(), Sums(), **RUN))


def test_evaluation_is_the_mean_over_tokens():
    model, data = small_gpt().eval(), Sums()
    ids, targets = data.batch("valid", 12, None, torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(ids, targets)[1].item()
    assert train.evaluate(model, data, rows=12, batch_size=12) == pytest.approx(expected, rel=1e-6)


def test_the_learning_rate_rises_and_falls_to_zero():
    rates = [train.schedule(step, 100) for step in range(100)]
    assert rates[:8] == pytest.approx([(i + 1) / 8 for i in range(8)])
    assert rates[8] == 1 and rates[54] == pytest.approx(0.5) and rates[-1] == pytest.approx(1 / 92)
    assert train.schedule(0, 1) == 1 and all(0 < rate <= 1 for rate in rates)


def test_weight_decay_spares_biases_and_norms():
    model = small_gpt()
    (adamw,) = optimizers.make_optimizers(model, 1e-3, 0.1, torch.device("cpu"))
    decayed, spared = adamw.param_groups
    assert decayed["weight_decay"] == 0.1 and spared["weight_decay"] == 0
    assert all(p.dim() == 2 for p in decayed["params"]) and all(p.dim() == 1 for p in spared["params"])
    assert len(decayed["params"]) + len(spared["params"]) == len(list(model.parameters()))


def test_muon_takes_the_matrices_between_embeddings_and_head_and_adamw_the_rest():
    def names_of(model):
        names = {id(p): name for name, p in model.named_parameters()}
        return sorted(names[id(p)] for p in optimizers.hidden_matrices(model))

    model, cpu = small_gpt(n_layer=2), torch.device("cpu")
    parts = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert names_of(model) == sorted(f"h.{i}.{part}.weight" for i in (0, 1) for part in parts)
    adamw, muon = optimizers.make_optimizers(model, 1e-3, 0.1, cpu, 2e-3)
    (rest,), (inside,) = adamw.param_groups, muon.param_groups
    assert len(inside["params"]) + len(rest["params"]) == len(list(model.parameters()))
    assert (rest["highest"], rest["weight_decay"]) == (1e-3, 0)
    assert (inside["highest"], inside["weight_decay"]) == (2e-3, 0.1)
    assert names_of(LSTM(LSTMConfig(vocab_size=10))) == ["memory.weight_hh_l0", "memory.weight_ih_l0"]
    assert names_of(WindowMLP(WindowMLPConfig(vocab_size=10))) == ["hidden.weight"]
    soft = SoftPrompt(model, torch.tensor([1, 2]))  # freezes the model
    for other in (soft, Bigram(BigramConfig(vocab_size=10)), torch.nn.Linear(2, 3)):
        assert not names_of(other) and len(optimizers.make_optimizers(other, 1e-3, 0.1, cpu, 2e-3)) == 1


@pytest.mark.parametrize("shape", [(24, 7), (7, 24), (16, 16)])
def test_muon_steps_as_pytorchs_does_but_for_its_rounding(shape):
    generator = torch.Generator().manual_seed(3)
    ours, theirs = (torch.nn.Parameter(torch.ones(shape)) for _ in range(2))
    sides = optimizers.Muon([ours], 0.1, 0.2), torch.optim.Muon([theirs], 0.1, 0.2)
    for _ in range(3):  # so that the momentum counts too
        before = ours.detach().clone(), theirs.detach().clone()
        ours.grad = torch.randn(shape, generator=generator)
        theirs.grad = ours.grad.clone()
        for side in sides:
            side.step()
        one, two = (now.detach() - then for now, then in zip((ours, theirs), before))
        assert (one - two).norm() < 0.03 * two.norm()  # theirs rounds to bfloat16, of 8 bits
    strengths = torch.linalg.svdvals(optimizers.orthogonalise(ours.grad))
    assert 0.6 < strengths.min() and strengths.max() < 1.25
    assert torch.equal(optimizers.orthogonalise(torch.zeros(shape)), torch.zeros(shape))


def test_a_run_with_two_optimizers_goes_on_where_it_was_and_learns(tmp_path, one_thread):
    alone = RUN | {"muon_lr": 0}
    whole = textgen.fit(small_gpt(), Sums(), **RUN)
    assert whole.valid[-1][2] < 0.8 * whole.valid[0][2]
    assert losses(whole) != losses(textgen.fit(small_gpt(), Sums(), **alone))

    def stop(history):
        if len(history.train) == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path, callback=stop, **RUN)
    assert losses(textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path, **RUN)) == losses(whole)
    with pytest.raises(ValueError, match="muon_lr=0.03, not 0"):
        textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path, **alone)


def test_large_models_learn_more_carefully():
    assert (
        optimizers.default_lr(small_gpt()) == 0.01 and optimizers.default_lr(small_gpt(), alone=True) == 0.004
    )
    wide = torch.nn.Linear(2000, 2000, bias=False)  # four million parameters
    assert optimizers.default_lr(wide) == pytest.approx(0.005)


def test_any_model_and_batch_of_the_contract_train():
    class Doubler(torch.nn.Module):
        """Takes two inputs and a target, as a translator does."""

        def __init__(self):
            super().__init__()
            self.out = torch.nn.Linear(2, 5)

        def forward(self, a, b, targets):
            logits = self.out(torch.stack([a, b], -1).float())
            return logits, torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    class Pairs:
        def batch(self, split, batch_size, block_size, generator):
            a = torch.randint(2, (batch_size, 3), generator=generator)
            return a, 1 - a, a

    history = textgen.fit(Doubler(), Pairs(), steps=100, lr=0.1)
    assert history.valid[-1][2] < 0.1 < history.valid[0][2]


def test_an_interrupted_run_leaves_a_model_that_works():
    class Interrupted(Sums):
        def batch(self, *args):
            if self.calls == 20:
                raise KeyboardInterrupt
            return super().batch(*args)

    model = small_gpt()
    with pytest.raises(KeyboardInterrupt):
        textgen.fit(model, Interrupted(), steps=100, eval_rows=12)
    assert not model.training
    assert model(torch.zeros(1, 3, dtype=torch.long))[0].shape == (1, 3, 10)


def test_nothing_is_printed_where_nobody_watches(capfd):
    textgen.fit(small_gpt(), Sums(), **RUN)
    out, err = capfd.readouterr()
    assert out == err == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"steps": 0}, "steps must be a whole number of 1 or more, not 0"),
        ({"steps": 2.5}, "steps must be .* not 2.5"),
        ({"steps": "many"}, "steps must be .* not 'many'"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"batch_size": True}, "batch_size must be"),
        ({"eval_every": 0}, "eval_every must be"),
        ({"lr": 0}, "lr must be a number above 0"),
        ({"lr": float("nan")}, "lr must be"),
        ({"muon_lr": -1}, "muon_lr must be a number of 0 or more"),
        ({"muon_lr": 1e300}, "muon_lr must be a number of 0 or more and below a million"),
        ({"weight_decay": "x"}, "weight_decay must be"),
        ({"block_size": -1}, "block_size must be a whole number of 1 or more, not -1"),
        ({"checkpoint": ""}, 'checkpoint must be a folder, or None to save nothing, not ""'),
        ({"callback": 3}, "callback must be a function of the history, or None, not 3"),
        ({"device": "gpu"}, 'device must be "auto", "cpu", "cuda" or "mps", not \'gpu\''),
    ],
)
def test_arguments_that_cannot_be_used(change, says):
    with pytest.raises(ValueError, match=says) as caught:
        textgen.fit(small_gpt(), Sums(), **(RUN | change))
    assert one_sentence(caught.value)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there(device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f'device="{device}" was asked for.*use device="auto"') as caught:
        textgen.fit(small_gpt(), Sums(), device=device, **RUN)
    assert one_sentence(caught.value)


def test_half_precision_ends_with_the_training(monkeypatch):
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    def bf16(device):  # what a GPU gets, on a CPU
        AcceleratorState._reset_state(reset_partial_state=True)
        return Accelerator(cpu=True, mixed_precision="bf16")

    model, plain, ids = small_gpt(), small_gpt(), torch.arange(8)[None]
    monkeypatch.setattr(train, "make_accelerator", bf16)
    history = textgen.fit(model, Sums(), steps=100, batch_size=12)
    assert history.valid[-1][2] < 0.5 * history.valid[0][2]
    plain.load_state_dict(model.state_dict())
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert torch.equal(model(ids)[0], plain.eval()(ids)[0])


def test_one_program_may_use_one_device_after_another():
    for device in ("cpu", "auto", "cpu"):
        textgen.fit(small_gpt(), Sums(), device=device, steps=2, eval_rows=2)


def test_a_loss_that_is_no_number_stops_the_run():
    model, says = small_gpt(), "The loss is nan at step 9: lr=0.01 is probably too high"

    def explode(history):
        if len(history.train) == 8:
            model.wte.weight.data[:] = float("nan")

    with pytest.raises(FloatingPointError, match=says) as e:
        textgen.fit(model, Sums(), callback=explode, **RUN)
    assert one_sentence(e.value)


def test_held_out_rows_notice_the_last_step_too():
    class Exploding(Sums):  # its last batch, the held-out one, comes when the last step is done
        def batch(self, split, *args):
            if split == "valid" and self.calls > 4:
                model.wte.weight.data[:] = float("inf")
            return super().batch(split, *args)

    model = small_gpt()
    with pytest.raises(FloatingPointError, match="The loss is nan at step 4: lr") as e:
        textgen.fit(model, Exploding(), steps=4, eval_every=4, eval_rows=2, batch_size=2)
    assert one_sentence(e.value)


def test_rows_in_which_nothing_is_predicted_are_named_when_they_come():
    class Masked(Sums):
        def batch(self, *args):
            ids, targets = super().batch(*args)
            return ids, torch.where(torch.tensor(self.calls > 10), -100, targets)

    with pytest.raises(ValueError, match=r"^data has no target that counts in a batch of 2 x 8 ") as e:
        textgen.fit(small_gpt(), Masked(), steps=40, eval_rows=2, batch_size=2)
    assert one_sentence(e.value)


PROCESSES = """
import json, sys
sys.path[:0] = [{book!r}, {tests!r}]
import torch
torch.set_num_threads(1)
from test_train import RUN, Sums, losses, small_gpt
import textgen
history = textgen.fit(small_gpt(dropout=0.0), Sums(), device="cpu", checkpoint=sys.argv[1] + "/run", **RUN)
from accelerate import PartialState
if PartialState().is_main_process:
    assert PartialState().num_processes == 2
    open(sys.argv[1] + "/history.json", "w").write(json.dumps(losses(history)))
PartialState().wait_for_everyone()
own = sys.argv[1] + ("/run" if PartialState().is_main_process else "/elsewhere")
try:
    textgen.fit(small_gpt(dropout=0.0), Sums(), device="cpu", checkpoint=own, **RUN)
except ValueError as error:
    open(sys.argv[1] + "/refused-" + str(PartialState().process_index), "w").write(str(error))
"""


def test_two_processes_share_each_batch_and_train_the_same_model(tmp_path):
    whole = losses(textgen.fit(small_gpt(dropout=0.0), Sums(), device="cpu", **RUN))
    script = tmp_path / "train.py"
    script.write_text(PROCESSES.format(book=str(BOOK), tests=str(Path(__file__).parent)))
    # What `accelerate launch` starts on GPUs; on CPUs it would ask for MPI.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    run = subprocess.run(
        [*command, str(script), str(tmp_path)], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    shared = json.loads((tmp_path / "history.json").read_text())
    for one, two in zip(whole, shared):
        assert [step for step, _ in one] == [step for step, _ in two]
        assert [loss for _, loss in one] == pytest.approx([loss for _, loss in two], abs=1e-5)
    assert saved_step(tmp_path / "run") == RUN["steps"]
    # Called again with a folder that only the first process sees.
    refused = [(tmp_path / f"refused-{n}").read_text() for n in (0, 1)]
    says = f"is at step {RUN['steps']} for the first process and elsewhere at step 0: name a folder that all hosts share."
    assert all(text.endswith(says) for text in refused)


def one_sentence(error):
    return "\n" not in str(error) and str(error).endswith(".")


def test_the_frozen_parameters_belong_to_a_run_by_their_names(tmp_path):
    def frozen(name):
        model = small_gpt()
        dict(model.named_parameters())[name].requires_grad_(False)
        return model

    run = RUN | {"muon_lr": 0.0}
    textgen.fit(frozen("h.0.ln_1.weight"), Sums(), checkpoint=tmp_path, **run)
    with pytest.raises(
        ValueError,
        match=r"h\.0\.ln_1\.bias=None, not 'frozen'; parameter h\.0\.ln_1\.weight='frozen', not None",
    ):
        textgen.fit(frozen("h.0.ln_1.bias"), Sums(), checkpoint=tmp_path, **run)


def test_a_resumed_run_does_not_hold_on_to_the_file_that_it_will_replace(tmp_path):
    from textgen.checkpoint import load_checkpoint

    history = textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path, **RUN)
    seen = []

    def mapped(*arguments):
        found = load_checkpoint(*arguments)
        maps = Path("/proc/self/maps")
        seen.append(str(tmp_path / FILE) in maps.read_text() if maps.is_file() else False)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textgen.train, "load_checkpoint", mapped)
        assert textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path, **RUN) == history
    assert seen == [False]


def test_a_folder_in_the_place_of_the_checkpoints_file(tmp_path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(ValueError, match="is a folder where a file should be: name another folder"):
        textgen.fit(small_gpt(), Sums(), checkpoint=tmp_path, **RUN)


def test_a_device_of_pytorchs_is_a_device():
    run = RUN | {"device": torch.device("cpu")}
    assert textgen.fit(small_gpt(), Sums(), **run).valid
