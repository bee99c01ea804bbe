"""Checks that a chapter and its exercises run on themselves.

`figure` holds a number of this run against the one on record, and `claim` says whether a comparison holds in it.
Every other check takes a learner's function, tries it on small cases and answers in one sentence: a hint for a stub,
praise for what is right, a diagnosis and a hint otherwise. With TEXTGEN_STRICT=1 in the environment, as when the book
is tested, what does not hold is raised. Each page has a module of checks here, written with `exercise` and `compare`.
"""

from .ch01_logistic_regression import bigram_counts, cross_entropy, gradient, pareto_keep, sigmoid
from .ch02_mlp import exactly_one, layer, start_weights, tanh_backprop
from .ch02_words_as_numbers import longest_match, nearest, pull, windows
from .ch03_rnn_lstm import clip, lstm_step, rnn_step
from .ch03_sequences import add_noise, ctc_probability, edit_distance
from .ch04_attention import attention, causal_mask, pairs_in_band, split_heads
from .ch05_gpt import cache_size, next_token_pairs, nucleus, pre_norm_block
from .ch05_using_gpt import answer_targets, pass_at_k, power_law, prepend
from .ch06_assistant import dialogue_targets, honesty, newest
from .ch06_rlhf import advantages, best_of, choices, kl_terms
from .ch07_bias_and_attacks import exchange, first_order, slope
from .ch07_unseen import auc, exposure, overlap
from .harness import Diagnosis, claim, figure
