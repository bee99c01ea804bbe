"""Checks that a chapter and its exercises run on themselves.

`figure` holds a number in the prose against this run. Every other check takes a learner's function, tries it
on small cases and answers in one sentence: a hint for a stub, praise for what is right, a diagnosis otherwise.
Each chapter's checks are a module of this package, written with `exercise` and `compare`.
"""

from .logistic import bigram_counts, cross_entropy, gradient, pareto_keep, sigmoid
from .report import Diagnosis, figure

__all__ = ["Diagnosis", "bigram_counts", "cross_entropy", "figure", "gradient", "pareto_keep", "sigmoid"]
