"""Every rung keeps the contract, and the GPT is Hugging Face's GPT-2, number for number."""

import copy
import json
import math
import random
import re

import pytest
import safetensors.torch
import textgen
import torch
from textgen import (
    GPT,
    LSTM,
    RNN,
    Bigram,
    GPTConfig,
    LSTMConfig,
    WindowMLP,
    WindowMLPConfig,
    gpt2_folder,
    models,
)
from textgen.gpt import SoftPrompt
from textgen.models import log_probs
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

torch.set_num_threads(1)  # tiny models: a second thread costs more than it brings
RUNGS = [Bigram, WindowMLP, RNN, LSTM, GPT]


def make(rung, **settings):
    torch.manual_seed(0)
    config = getattr(textgen, rung.__name__ + "Config")(**{"vocab_size": 19, "block_size": 24} | settings)
    return rung(config)


def shaken(model, seed):
    """Weights far from where initialisation puts them, biases and norms included."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = 0.3 * torch.randn(p.shape, generator=generator, dtype=torch.float64)
        p.data = (noise + ("ln_" in name and name.endswith("weight"))).to(p.dtype)
    return model.eval()


def random_config(seed):
    r = random.Random(seed)
    n_head = r.choice([1, 2, 3, 4])
    return GPTConfig(
        vocab_size=r.randint(11, 90),
        block_size=r.randint(8, 40),
        n_layer=r.randint(1, 4),
        n_head=n_head,
        n_embd=n_head * r.choice([8, 16, 32]),
    )


def one_sentence(error) -> str:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and ". " not in text, text
    return text


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("seed", range(6))
def test_transformers_reads_our_folder_and_computes_the_same(tmp_path, seed, dtype):
    ours = shaken(GPT(random_config(seed)).to(dtype), seed)
    ours.save_pretrained(tmp_path)
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path, dtype=dtype, attn_implementation="eager").eval()
    compare(ours, theirs, dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("seed", range(6, 12))
def test_we_read_their_folder_and_compute_the_same(tmp_path, seed, dtype):
    c = random_config(seed)
    config = GPT2Config(
        vocab_size=c.vocab_size,
        n_positions=c.block_size,
        n_layer=c.n_layer,
        n_head=c.n_head,
        n_embd=c.n_embd,
        attn_implementation="eager",
    )
    theirs = shaken(GPT2LMHeadModel(config).to(dtype), seed)
    theirs.save_pretrained(tmp_path)
    ours = GPT.from_pretrained(tmp_path)
    assert ours.config == GPTConfig(**{**vars(c), "dropout": 0.1})
    assert not ours.training
    compare(ours, theirs, dtype)


def compare(ours, theirs, dtype):
    c = ours.config
    assert ours.wte.weight.dtype == dtype
    assert ours.num_parameters() == theirs.num_parameters()
    ids = torch.randint(c.vocab_size, (3, c.block_size))
    with torch.no_grad():
        want = theirs(ids, attention_mask=torch.ones_like(ids), output_attentions=True)
        fused, _ = ours(ids)
        logits, _, attentions = ours(ids, return_attention=True)
    limit = 1e-10 if dtype == torch.float64 else 1e-5 * want.logits.abs().max().item()
    assert want.logits.std() > 0.5  # far from the flat logits of a new model
    assert (fused - want.logits).abs().max() <= limit
    assert (logits - want.logits).abs().max() <= limit
    assert len(attentions) == c.n_layer
    for mine, other in zip(attentions, want.attentions):
        assert mine.shape == (3, c.n_head, c.block_size, c.block_size)
        assert (mine - other).abs().max() <= (1e-12 if dtype == torch.float64 else 5e-5)


def test_the_layout_of_the_first_gpt2_files_is_read(tmp_path):
    ours = shaken(make(GPT, n_layer=2, n_head=2, n_embd=8), 0)
    ours.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    old = {k.removeprefix("transformer."): t for k, t in safetensors.torch.load_file(path).items()}
    old |= {f"h.{i}.attn.bias": torch.ones(1, 1, 24, 24) for i in range(2)}
    safetensors.torch.save_file(old, path)
    ids = torch.randint(19, (2, 24))
    assert torch.equal(GPT.from_pretrained(tmp_path)(ids)[0], ours(ids)[0])


def test_gpt2_has_124_million_parameters():
    with torch.device("meta"):
        gpt2 = GPT(GPTConfig(vocab_size=50257, block_size=1024, n_layer=12, n_head=12, n_embd=768))
    assert gpt2.num_parameters() == 124_439_808


@pytest.mark.parametrize("rung", RUNGS)
def test_contract(rung):
    model = make(rung)
    ids = torch.randint(19, (3, 10))
    logits, loss = model(ids)
    assert logits.shape == (3, 10, 19) and loss is None
    targets = torch.randint(19, (3, 10))
    targets[:, 4:] = -100
    _, loss = model(ids, targets)
    by_hand = -logits.log_softmax(-1)[:, :4].gather(2, targets[:, :4, None]).mean()
    assert loss.item() == pytest.approx(by_hand.item(), abs=1e-6)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("rung", RUNGS)
def test_logits_do_not_depend_on_what_comes_later(rung):
    model = shaken(make(rung).double(), 1)
    ids = torch.randint(19, (1, 20))
    later = ids.clone()
    later[:, 12:] = (later[:, 12:] + 1) % 19
    a, b = model(ids)[0], model(later)[0]
    assert torch.allclose(a[:, :12], b[:, :12], atol=1e-12)
    assert not torch.allclose(a[:, 12:], b[:, 12:])


@pytest.mark.parametrize("rung", [*RUNGS, "banded"])
def test_next_in_pieces_equals_the_whole_at_once(rung):
    model = make(GPT, sliding_window=3) if rung == "banded" else make(rung)
    model = shaken(model.double(), 2)
    ids = torch.randint(19, (4, 20))
    logits, _ = model(ids)
    state, at = None, 0
    for length in (1, 6, 1, 1, 5, 2, 4):
        got, state = model.next(ids[:, at : at + length], state)
        at += length
        assert (got - logits[:, at - 1]).abs().max() < 1e-10
    assert at == 20


@pytest.mark.parametrize("rung", RUNGS)
def test_a_state_can_be_continued_twice(rung):
    model = shaken(make(rung).double(), 3)
    ids = torch.randint(19, (2, 8))
    _, state = model.next(ids[:, :7])
    first, _ = model.next(ids[:, 7:], state)
    model.next((ids[:, 7:] + 1) % 19, state)
    again, _ = model.next(ids[:, 7:], state)
    assert torch.equal(first, again)


@pytest.mark.parametrize("rung", RUNGS)
def test_learns(rung):
    model = make(rung)
    ids = torch.arange(19).repeat(2)[None, :20]
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    before = model(ids[:, :-1], ids[:, 1:])[1].item()
    for _ in range(30):
        optimiser.zero_grad()
        model(ids[:, :-1], ids[:, 1:])[1].backward()
        optimiser.step()
    after = model(ids[:, :-1], ids[:, 1:])[1].item()
    assert before == pytest.approx(math.log(19), abs=0.5)
    assert after < 0.9 * before


def test_window_mlp_sees_its_window_and_no_more():
    model = shaken(make(WindowMLP, window=4).double(), 0)
    ids = torch.randint(19, (1, 12))
    for back in range(8):
        other = ids.clone()
        other[0, 11 - back] = (other[0, 11 - back] + 1) % 19
        same = torch.equal(model(other)[0][0, 11], model(ids)[0][0, 11])
        assert same == (back >= 4)


def test_configs_are_frozen():
    with pytest.raises(AttributeError):
        LSTMConfig().n_embd = 3
    assert WindowMLPConfig(window=3) == WindowMLPConfig(window=3)


@pytest.mark.parametrize("window", [None, 1, 3])
def test_fused_attention_equals_the_five_lines(window):
    model = shaken(make(GPT, sliding_window=window).double(), 4)
    ids, mask = torch.randint(19, (2, 24)), torch.rand(4, 4, dtype=torch.float64)
    assert torch.allclose(model(ids)[0], model(ids, return_attention=True)[0], atol=1e-11)
    a, b = model(ids, head_mask=mask)[0], model(ids, head_mask=mask, return_attention=True)[0]
    assert torch.allclose(a, b, atol=1e-11)
    assert not torch.allclose(a, model(ids)[0])


def test_window_bands_the_odd_layers():
    model = shaken(make(GPT, sliding_window=3), 0)
    _, _, attentions = model(torch.randint(19, (2, 24)), return_attention=True)
    i, j = torch.arange(24)[:, None], torch.arange(24)
    for layer, weights in enumerate(attentions):
        seen = (j <= i) & ((i - j < 3) if layer % 2 else True)
        assert torch.equal(weights > 0, seen.expand_as(weights))
        assert torch.allclose(weights.sum(-1), torch.ones(2, 4, 24))


def test_head_mask_silences_one_head():
    model = shaken(make(GPT).double(), 5)
    ids, mask = torch.randint(19, (2, 9)), torch.ones(4, 4)
    assert torch.equal(model(ids, head_mask=mask)[0], model(ids)[0])
    mask[1, 2] = 0
    masked, _ = model(ids, head_mask=mask)
    model.h[1].attn.c_proj.weight.data[:, 64:96] = 0  # the columns that carry head 2 of 4, 32 numbers each
    assert torch.allclose(masked, model(ids)[0], atol=1e-12)


def test_embeddings_stand_in_for_ids():
    model = shaken(make(GPT), 6)
    ids = torch.randint(19, (2, 9))
    prompt = model.wte(ids).detach().requires_grad_()
    logits, loss = model(embeddings=prompt, targets=ids)
    assert torch.equal(logits, model(ids)[0])
    loss.backward()
    assert prompt.grad.abs().sum() > 0


@pytest.mark.parametrize("n_embd, std", [(768, 0.02), (192, 0.04)])
def test_initial_weights_are_gpt2s_at_its_width_and_larger_below(n_embd, std):
    model = make(GPT, n_layer=2, n_embd=n_embd)
    assert model.wpe.weight.std().item() == pytest.approx(std, rel=0.05)
    for block in model.h:
        assert block.attn.c_attn.weight.std().item() == pytest.approx(std, rel=0.05)
        for layer in (block.attn.c_proj, block.mlp.c_proj):
            assert layer.weight.std().item() == pytest.approx(std / math.sqrt(4), rel=0.05)
            assert not layer.bias.any()


def test_dropout_works_in_training_only():
    model = shaken(make(GPT, dropout=0.5), 7)
    ids = torch.randint(19, (1, 9))
    assert torch.equal(model(ids)[0], model(ids)[0])
    model.train()
    assert not torch.equal(model(ids)[0], model(ids)[0])
    assert not torch.equal(model(ids, return_attention=True)[0], model(ids, return_attention=True)[0])


def test_too_many_tokens_are_refused():
    model = make(GPT)
    with pytest.raises(ValueError) as error:
        model(torch.zeros(1, 25, dtype=torch.long))
    assert "25" in one_sentence(error) and "24" in str(error.value)
    _, state = model.next(torch.zeros(1, 24, dtype=torch.long))
    with pytest.raises(ValueError, match="block_size"):
        model.next(torch.zeros(1, 1, dtype=torch.long), state)


def test_heads_must_share_the_stream_evenly():
    with pytest.raises(ValueError) as error:
        GPT(GPTConfig(n_embd=10, n_head=4))
    assert "n_embd 10" in one_sentence(error)


@pytest.mark.parametrize("settings", [{"sliding_window": 5}, {"dropout": 0.25}, {}])
def test_save_and_load_keep_config_and_weights(tmp_path, settings):
    model = shaken(make(GPT, **settings), 8)
    model.save_pretrained(tmp_path / "new" / "folder")
    back = GPT.from_pretrained(tmp_path / "new" / "folder")
    assert back.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), back.state_dict().values()))
    assert all(p.requires_grad for p in back.parameters())


@pytest.mark.parametrize("moment", ["while writing", "before replacing"])
def test_an_interrupted_save_leaves_the_old_files(tmp_path, monkeypatch, moment):
    old, new = shaken(make(GPT), 9), shaken(make(GPT), 10)
    old.save_pretrained(tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())

    def half(path, content):
        path.open("wb").write(content[: len(content) // 2])
        raise KeyboardInterrupt

    def never(*_):
        raise KeyboardInterrupt

    if moment == "while writing":
        monkeypatch.setattr(gpt2_folder.Path, "write_bytes", half)
    else:
        monkeypatch.setattr(gpt2_folder.os, "replace", never)
    with pytest.raises(KeyboardInterrupt):
        new.save_pretrained(tmp_path)
    monkeypatch.undo()
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert torch.equal(GPT.from_pretrained(tmp_path).wte.weight, old.wte.weight)


def change_config(folder, **settings):
    path = folder / "config.json"
    settings = json.loads(path.read_text()) | settings
    path.write_text(json.dumps({name: value for name, value in settings.items() if value is not ...}))


def change_weights(folder, change):
    path = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    change(tensors)
    safetensors.torch.save_file(tensors, path)


def cut(path, keep):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


def point(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n")


POINTER = "is a pointer of Git LFS, not the file itself; run git lfs pull there"
DAMAGE = {
    "no config": (lambda f: (f / "config.json").unlink(), FileNotFoundError, "config.json"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), FileNotFoundError, "model.safetensors"),
    "weights cut": (lambda f: cut(f / "model.safetensors", 0.5), ValueError, "truncated or altered"),
    "weights cut short": (lambda f: cut(f / "model.safetensors", 0.999), ValueError, "truncated or altered"),
    "weights empty": (lambda f: cut(f / "model.safetensors", 0), ValueError, "truncated or altered"),
    "config cut": (lambda f: cut(f / "config.json", 0.5), ValueError, "truncated or altered"),
    "config a list": (lambda f: (f / "config.json").write_text("[]"), ValueError, "config.json"),
    "a tensor less": (
        lambda f: change_weights(f, lambda t: t.pop("transformer.h.0.ln_1.bias")),
        ValueError,
        "model.safetensors lacks transformer.h.0.ln_1.bias, but its config.json asks for the shape (128,)",
    ),
    "another architecture's tensors": (
        lambda f: change_weights(f, lambda t: [t.update({"model.norm": t.pop(name)}) for name in list(t)]),
        ValueError,
        "model.safetensors lacks h.0.attn.c_attn.bias",  # where no name begins with transformer.
    ),
    "a tensor more": (
        lambda f: change_weights(f, lambda t: t.update(more=torch.ones(2))),
        ValueError,
        "model.safetensors has more in the shape (2,), but its config.json has no place for it",
    ),
    "another width": (
        lambda f: change_weights(
            f, lambda t: t.update({"transformer.h.1.mlp.c_fc.weight": torch.ones(128, 9)})
        ),
        ValueError,
        "has transformer.h.1.mlp.c_fc.weight in the shape (128, 9), but its config.json asks for the shape (128, 512)",
    ),
    "a pickle": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        FileNotFoundError,
        "but pytorch_model.bin, a pickle, which could run any code when it is opened; with transformers, GPT2LMHead",
    ),
    "pieces": (
        lambda f: (f / "model.safetensors").rename(f / "model-00001-of-00002.safetensors"),
        FileNotFoundError,
        "but model-00001-of-00002.safetensors, one of several pieces; with transformers, GPT2LMHeadModel.from_pre",
    ),
    "weights a pointer": (lambda f: point(f / "model.safetensors"), ValueError, POINTER),
    "config a pointer": (lambda f: point(f / "config.json"), ValueError, POINTER),
    "no n_positions": (
        lambda f: change_config(f, n_positions=...),
        ValueError,
        "config.json has no n_positions, which must be a number",
    ),
    "n_positions in words": (
        lambda f: change_config(f, n_positions="many"),
        ValueError,
        "config.json says n_positions = 'many', but that must be a number",
    ),
    "a layer fewer": (lambda f: change_config(f, n_layer=3), ValueError, "h.3."),
    "other shape": (lambda f: change_config(f, vocab_size=20), ValueError, "wte.weight"),
    "other activation": (lambda f: change_config(f, activation_function="relu"), ValueError, "gelu_new"),
    "other architecture": (lambda f: change_config(f, model_type="llama"), ValueError, "llama"),
    "not tied": (lambda f: change_config(f, tie_word_embeddings=False), ValueError, "tie_word_embeddings"),
    "not a number": (lambda f: change_config(f, n_head="four"), ValueError, "n_head"),
    "zero heads": (lambda f: change_config(f, n_head=0), ValueError, "n_head"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_refused_in_one_sentence(tmp_path, damage):
    make(GPT).save_pretrained(tmp_path)
    hurt, kind, word = DAMAGE[damage]
    hurt(tmp_path)
    with pytest.raises(kind) as error:
        GPT.from_pretrained(tmp_path)
    assert word in one_sentence(error)


@pytest.mark.parametrize("pieces", [False, True])
def test_the_advice_for_pickles_and_pieces_helps(tmp_path, pieces, monkeypatch):
    theirs = GPT2LMHeadModel(GPT2Config(vocab_size=19, n_positions=8, n_layer=1, n_head=1, n_embd=4))
    theirs.save_pretrained(tmp_path, max_shard_size=500 if pieces else "5GB")
    if not pieces:
        (tmp_path / "model.safetensors").unlink()
        torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError) as error:
        GPT.from_pretrained(tmp_path)
    (call,) = re.findall(r"GPT2LMHeadModel\..*\)(?= writes)", one_sentence(error))
    exec(call, {"GPT2LMHeadModel": GPT2LMHeadModel, "a_new_folder": tmp_path / "new"})  # noqa: S102
    assert torch.equal(GPT.from_pretrained(tmp_path / "new").wte.weight, theirs.transformer.wte.weight)


def test_tanh_gelu_is_the_one_of_gpt2():
    x = torch.linspace(-6, 6, 101, dtype=torch.float64)
    by_hand = 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    assert torch.allclose(F.gelu(x, approximate="tanh"), by_hand, atol=1e-14)
    assert not torch.allclose(F.gelu(x), by_hand, atol=1e-5)


@pytest.mark.parametrize("rung", RUNGS)
def test_hidden_states_are_what_the_head_reads(rung):
    model = make(rung).eval()
    ids = torch.randint(19, (3, 10))
    x, state = model.hidden_states(ids)
    assert x.shape[:2] == (3, 10)
    assert torch.equal(model.head(x), model(ids)[0])
    longer = model(torch.cat([ids, ids[:, :1]], dim=1))[0][:, -1]
    assert torch.allclose(model.next(ids[:, :1], state)[0], longer, atol=1e-5)


def test_log_probs_are_those_of_the_softmax_and_zero_where_nothing_is_asked():
    logits, targets = torch.randn(2, 5, 7), torch.randint(7, (2, 5))
    targets[0, 3] = -100
    found = log_probs(logits, targets)
    assert found.shape == (2, 5) and found[0, 3] == 0
    assert found[1, 2] == pytest.approx(float(logits[1, 2].log_softmax(-1)[targets[1, 2]]), abs=1e-6)
    assert torch.allclose(-found.sum() / 9, models.loss_of(logits, targets))


def test_a_soft_prompt_is_vectors_in_front_and_the_model_stays():
    model = shaken(make(GPT), 0)
    before = copy.deepcopy(model.state_dict())
    soft, ids = SoftPrompt(model, torch.tensor([3, 5])), torch.randint(19, (2, 6))
    in_front = model.wte(torch.tensor([[3, 5]])).expand(2, -1, -1)
    want = model(embeddings=torch.cat([in_front, model.wte(ids)], dim=1))[0][:, 2:]
    assert torch.equal(soft(ids)[0], want)
    assert soft.max_positions == model.max_positions - 2
    soft(ids, ids)[1].backward()
    assert [name for name, p in soft.named_parameters() if p.grad is not None] == ["prompt"]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_end_token_of_a_folder_is_kept(tmp_path):
    """Real GPT-2 ends its texts with token 50256, and must after it was saved here too."""
    GPT2LMHeadModel(
        GPT2Config(vocab_size=19, n_positions=8, n_layer=1, n_head=1, n_embd=4, eos_token_id=18)
    ).save_pretrained(tmp_path)
    GPT.from_pretrained(tmp_path).save_pretrained(tmp_path / "again")
    settings = json.loads((tmp_path / "again/config.json").read_text())
    assert [settings[f"{name}_token_id"] for name in ("bos", "eos", "pad")] == [18, 18, 18]


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.float8_e4m3fn])
def test_weights_that_gpt_cannot_compute_with_are_named(tmp_path, dtype):
    make(GPT, n_embd=8, n_head=2).save_pretrained(tmp_path)
    weights = safetensors.torch.load_file(tmp_path / "model.safetensors")
    safetensors.torch.save_file(
        weights | {"transformer.ln_f.bias": weights["transformer.ln_f.bias"].to(dtype)},
        tmp_path / "model.safetensors",
    )
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(
        ValueError,
        match=f"has transformer.ln_f.bias as {name}, which GPT cannot compute with; with transformers",
    ):
        GPT.from_pretrained(tmp_path)


def test_weights_of_several_floating_types_become_one(tmp_path):
    model = make(GPT, n_embd=8, n_head=2)
    model.save_pretrained(tmp_path)
    weights = safetensors.torch.load_file(tmp_path / "model.safetensors")
    safetensors.torch.save_file(
        {k: w.bfloat16() if w.dim() == 2 else w for k, w in weights.items()}, tmp_path / "model.safetensors"
    )
    again = GPT.from_pretrained(tmp_path)
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    assert torch.equal(again.wte.weight, model.wte.weight.bfloat16().float())


def test_a_folder_of_something_else_is_told_by_what_lies_there(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(
        FileNotFoundError, match=r"no config.json in .*, but adapter_config.json; give a folder"
    ):
        GPT.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama", "hidden_size": 16}')
    with pytest.raises(ValueError, match="says model_type = 'llama', but GPT has 'gpt2'"):
        GPT.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["vocab_size", "block_size", "n_layer", "n_embd"])
def test_a_gpt_of_nothing_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be a whole number of 1 or more, not 0"):
        GPT(GPTConfig(**{name: 0}))
