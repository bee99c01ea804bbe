"""TRL's trainers on the course's task: RLOO and DPO of the current release, PPO of 1.12.0. README.md says why each setting.

Only what TRL's arguments offer is used: nothing in it is patched. The optimizer and its schedule are the course's.
"""

import os
import tempfile
from types import SimpleNamespace

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

import textgen
import torch
import transformers
from datasets import Dataset
from rlhf_exact import LONGEST
from rlhf_loops import CRITIC_LR, EPOCHS, LAM, VALUE_CLIP, adamw
from textgen import corpus, rlhf
from textgen.hub import WEIGHTS
from textgen.train import schedule

FOLDER = str(WEIGHTS / "pocket-gpt")


class Watch(transformers.TrainerCallback):
    """Lets the clock look; with `check`, keeps what TRL logs and the course's own figures for the same texts."""

    def __init__(self, clock, check: bool):
        self.clock, self.check, self.logs, self.found, self.batches = clock, check, [], [], []

    def on_train_begin(self, args, state, control, **kwargs):
        self.clock(0)

    def on_step_begin(self, args, state, control, **kwargs):
        if self.batches:
            self.found.append({"loss": self.dpo_loss(self.batches[state.global_step])})

    def on_step_end(self, args, state, control, **kwargs):
        self.clock(state.global_step)

    def on_log(self, args, state, control, logs, **kwargs):
        self.logs.append(logs)

    def log_probs(self, contexts: list, rows: list) -> tuple[torch.Tensor, ...]:
        """Of whole texts (B,), under the policy as it is and under the reference; and the number of choices."""
        ids, mask = corpus.padded(contexts, rows, self.clock.world.end)
        models = self.clock.policy(), self.clock.world.reference
        with torch.no_grad():
            return *(rlhf.token_log_probs(model, ids, mask).sum(1) for model in models), mask.sum()

    def scores(self, rows: list) -> torch.Tensor:
        """The exact rewards (B,) of what the policy wrote."""
        world = self.clock.world
        scores = world.scores(rows)
        if self.check:
            new, known, choices = self.log_probs([world.context] * len(rows), rows)
            kl, mean = (new - known).sum(), scores.mean()
            by_rloo, by_ppo = (mean, kl / choices), (mean, kl / len(rows))
            names = "reward", "kl", "objective/scores", "objective/kl"  # TRL's
            self.found.append(dict(zip(names, by_rloo + by_ppo)))
        return scores

    def dpo_loss(self, pairs: list[dict]) -> torch.Tensor:
        """The loss for a batch of pairs, as TRL has tokenized them."""
        rows = [row[name] for name in ("chosen_ids", "rejected_ids") for row in pairs]
        assert all(row["prompt_ids"] == self.clock.world.context for row in pairs)
        new, known, _ = self.log_probs([row["prompt_ids"] for row in pairs] * 2, rows)
        return rlhf.dpo_loss(*new.chunk(2), *known.chunk(2), self.clock.beta)[0]

    def differences(self) -> dict[str, float]:
        """The largest difference over the steps, for each figure that TRL logs too."""
        names = [name for name in self.found[0] if name in self.logs[0]]
        steps = list(zip(self.logs, self.found))  # the last log sums up the training
        assert names and all(name in log for log, _ in steps for name in names), "TRL logs by other names now"
        each = {name: max(abs(log[name] - float(ours[name])) for log, ours in steps) for name in names}
        return {name: round(difference, 7) for name, difference in each.items()}


class Rewards(torch.nn.Module):
    """The exact reward in the clothes of TRL's reward model: the "hidden state" of a text is its reward throughout."""

    base_model_prefix = "backbone"

    def __init__(self, watch: Watch):
        super().__init__()
        self.watch, self.score = watch, torch.nn.Identity()

    def backbone(self, input_ids, **kwargs) -> SimpleNamespace:
        """Rewards (B, T, 1) of whole texts, in which TRL has put 0, the end token too, in the place of padding."""
        world = self.watch.clock.world
        rows = [row[len(world.context) :] for row in input_ids.tolist()]
        rows = [row[: row.index(world.end) + 1] if world.end in row else row for row in rows]
        scores = self.watch.scores(rows)[:, None, None].expand(*input_ids.shape, 1)
        return SimpleNamespace(hidden_states=[scores])


def train(method: str, clock, rate: float, seed: int, check: bool = False) -> dict[str, float] | None:
    """Train by TRL; with `check`, return how far its logs are from the course's own figures."""
    world, beta, steps, scratch = clock.world, clock.beta, clock.steps, tempfile.TemporaryDirectory()
    policy = transformers.AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER, padding_side="left")
    prompt = tokenizer.decode(world.context[1:])  # the tokenizer itself puts the first token before it
    assert tokenizer(prompt)["input_ids"] == world.context
    clock.policy = lambda: policy.save_pretrained(scratch.name) or textgen.GPT.from_pretrained(scratch.name)
    watch, optimizer = Watch(clock, check), adamw(policy, rate)
    settings = {"seed": seed, "use_cpu": True, "bf16": False, "gradient_checkpointing": False}
    settings |= {"output_dir": scratch.name, "save_strategy": "no", "report_to": "none", "disable_tqdm": True}
    settings |= {"logging_steps": 1 if check else steps, "per_device_train_batch_size": world.size}
    given = {"processing_class": tokenizer, "callbacks": [watch]}

    if method == "PPO":
        from trl.experimental.ppo import PPOConfig, PPOTrainer

        tokenizer.pad_token = "<|intro|>"  # one that is not written: what equals it is masked
        kind, options = transformers.AutoModelForSequenceClassification, {"dtype": torch.float32}
        value = kind.from_pretrained(FOLDER, num_labels=1, **options)
        value.score.weight.data.zero_()  # as in the course: it starts by expecting nothing
        optimizer.add_param_group({"params": list(value.parameters()), "lr": CRITIC_LR})
        settings |= {"num_ppo_epochs": EPOCHS, "lam": LAM, "cliprange_value": VALUE_CLIP, "kl_coef": beta}
        settings |= {"response_length": LONGEST, "stop_token": "eos", "temperature": 1.0}
        settings |= {"total_episodes": steps * world.size, "num_sample_generations": 0}
        given |= {"ref_model": transformers.AutoModelForCausalLM.from_pretrained(FOLDER, **options)}
        given |= {"value_model": value, "reward_model": Rewards(watch), "args": PPOConfig(**settings)}
        rows = [{"input_ids": world.context}] * (steps * world.size)
        trainer, given["eval_dataset"] = PPOTrainer, Dataset.from_list(rows[:1])
    elif method == "RLOO":
        from trl import RLOOConfig, RLOOTrainer

        settings |= {"max_grad_norm": float(world.mask.sum(1).float().mean()), "max_steps": steps}
        settings |= {"beta": beta, "num_generations": world.size, "max_completion_length": LONGEST}
        given["reward_funcs"] = lambda completion_ids, **kwargs: watch.scores(completion_ids).tolist()
        rows, trainer, given["args"] = [{"prompt": prompt}] * steps, RLOOTrainer, RLOOConfig(**settings)
    else:
        from trl import DPOConfig, DPOTrainer

        texts = world.endings
        settings |= {"max_steps": steps, "beta": beta, "per_device_train_batch_size": world.size // 2}
        rows = [(texts[pair[c]], texts[pair[1 - c]]) for *pair, c in world.pairs(seed, steps)]
        rows = [{"prompt": prompt, "chosen": better, "rejected": worse} for better, worse in rows]
        trainer, given["args"] = DPOTrainer, DPOConfig(**settings)
    lower = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule(step, steps))
    given |= {"train_dataset": Dataset.from_list(rows), "optimizers": (optimizer, lower)}
    made = trainer(model=policy, **given)
    if check and method == "DPO":  # batches are put together ahead of time, so keep them until their step
        collate = made.data_collator
        made.data_collator = lambda batch: watch.batches.append(batch) or collate(batch)
    made.train()
    return watch.differences() if check else None
