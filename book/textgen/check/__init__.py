"""Checks that a chapter and its exercises run on themselves.

`figure` holds a number in the prose against this run. Every other check takes a learner's function, tries it
on small cases and answers in one sentence: a hint for a stub, praise for what is right, a diagnosis otherwise.
Each chapter's checks are a module of this package, written with `exercise` and `compare`.
"""

from .ch01_logistic_regression import bigram_counts, cross_entropy, gradient, pareto_keep, sigmoid
from .ch02_mlp import exactly_one, layer, start_weights, tanh_backprop
from .ch02_words_as_numbers import longest_match, nearest, pull, windows
from .ch03_rnn_lstm import add_noise, clip, ctc_probability, edit_distance, lstm_step, rnn_step
from .ch04_attention import attention, causal_mask, pairs_in_band, split_heads
from .ch05_gpt import cache_size, next_token_pairs, nucleus, pre_norm_block
from .ch05_using_gpt import answer_targets, pass_at_k, power_law, prepend
from .harness import Diagnosis, figure
