"""What changes the weights in `fit`: Muon for the hidden matrices, AdamW for the rest, and how fast."""

import torch
from torch import nn

from .inputs import number

TURNS = 5  # of Newton-Schulz's iteration, for Muon


def rates(model, lr: float | None, muon_lr: float | None, weight_decay: float) -> tuple[float, float, float]:
    """AdamW's and Muon's highest learning rates, their defaults filled in, and the weight decay.

    Raises ValueError for one that cannot be used.
    """
    zero_too = "a number of 0 or more and below a million, such as 0.1"
    weight_decay = number("weight_decay", weight_decay, lambda x: 0 <= x < 1e6, zero_too)
    if lr is not None:
        lr = number("lr", lr, lambda x: 0 < x < 1e6, "a number above 0 and below a million, such as 0.004")
    if muon_lr is not None:
        muon_lr = number("muon_lr", muon_lr, lambda x: 0 <= x < 1e6, zero_too)
    elif hidden_matrices(model):
        muon_lr = 3 * (default_lr(model) if lr is None else lr)
    else:
        muon_lr = 0.0
    return default_lr(model, alone=not muon_lr) if lr is None else lr, muon_lr, weight_decay


def default_lr(model, alone: bool = False) -> float:
    """AdamW's rate: 0.01 beside Muon, 0.004 `alone`; less by the root of the size above a million parameters."""
    size = sum(p.numel() for p in model.parameters())
    return (0.004 if alone else 0.01) * min(1.0, (1e6 / max(1, size)) ** 0.5)


def hidden_matrices(model) -> list:
    """The weights (out, in) of a model's linear and recurrent layers that are trained, but for `head`."""
    layers = {name: m for name, m in model.named_modules() if isinstance(m, (nn.Linear, nn.RNNBase))}
    inside = [layer for name, layer in layers.items() if name.split(".")[-1] not in ("", "head")]
    return [p for layer in inside for p in layer.parameters() if p.dim() == 2 and p.requires_grad]


def make_optimizers(
    model, lr: float, weight_decay: float, device: torch.device, muon_lr: float = 0.0
) -> list:
    """AdamW for all, or at a `muon_lr` above 0 Muon for the hidden matrices; "highest" is a group's learning rate.

    Both pull towards zero what they multiply with, but AdamW not biases and norms, and beside Muon not embeddings.
    """
    matrices = hidden_matrices(model) if muon_lr else []
    taken = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
    decayed = [p for p in rest if p.dim() > 1 and not matrices]
    others = [p for p in rest if p.dim() < 2 or matrices]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    fused = device.type in ("cpu", "cuda")
    optimizers = [torch.optim.AdamW([g for g in groups if g["params"]], lr, betas=(0.9, 0.95), fused=fused)]
    if matrices:
        optimizers.append(Muon(matrices, muon_lr, weight_decay))
    for group in [group for one in optimizers for group in one.param_groups]:
        group["highest"] = group["lr"]
    return optimizers


class Muon(torch.optim.Optimizer):
    """Steps of about the same size in all directions of a matrix (Jordan et al. 2024).

    PyTorch's Muon, but for one thing: that computes in bfloat16 everywhere, which many CPUs can only emulate.
    """

    def __init__(self, params, lr: float, weight_decay: float, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """Change each matrix (out, in) that has a gradient."""
        for group in self.param_groups:
            for p in [p for p in group["params"] if p.grad is not None]:
                mean = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p.grad))
                mean.lerp_(p.grad, 1 - group["momentum"])
                ahead = p.grad.lerp(mean, group["momentum"])  # Nesterov: the newest gradient counts twice
                p.mul_(1 - group["lr"] * group["weight_decay"])
                longer = max(1, p.size(0) / p.size(1)) ** 0.5
                p.add_(orthogonalise(ahead), alpha=-group["lr"] * longer)


def orthogonalise(matrix: torch.Tensor) -> torch.Tensor:
    """About U V^T of a matrix (out, in) = U S V^T, by Newton-Schulz's iteration; in bfloat16 on CUDA."""
    x = matrix.bfloat16() if matrix.is_cuda else matrix
    x = x.T if matrix.size(0) > matrix.size(1) else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(TURNS):
        gram = x @ x.T  # next, a s + b s^3 + c s^5 of each strength s
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=-4.775, alpha=2.0315), x, beta=3.4445)
    return x.T if matrix.size(0) > matrix.size(1) else x
