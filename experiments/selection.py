"""Does choosing the text pay? A small GPT reads a crawl as it is, or what chapter 01's filter leaves of it.

    python experiments/selection.py     three seeds each, into book/textgen/results/selection.json

Three quarters of the pages are bad in the five ways of `storyworld.crawl`, a quarter are good stories. All runs read the
same number of tokens and are measured by bits per character of held-out stories.
"""

import common
import numpy as np
import textgen
import torch
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from textgen import corpus, storyworld

PAGES, TOKENS, BATCH_SIZE = 16_000, 400_000, 16


def trusted(n: int, seed: int) -> list[str]:
    """Half stories, half documents of the five other kinds, as in chapter 01."""
    texts = [story.text for story in storyworld.stories(n // 2, seed=seed)]
    for kind in storyworld.KINDS[1:]:
        texts += [document.text for document in storyworld.documents(n // 10, kind, seed=seed)]
    return texts


def quality_filter():
    """Chapter 01's filter by scikit-learn: hashed words and pairs, logistic regression; texts to scores from 0 to 1."""
    hashing = HashingVectorizer(n_features=2**12, ngram_range=(1, 2), token_pattern=r"\S+", lowercase=False)
    good, bad = trusted(1000, seed=0), [page.text for page in storyworld.crawl(1000, seed=0)]
    regression = LogisticRegression(C=100, max_iter=1000)
    regression.fit(hashing.transform(good + bad), [1] * len(good) + [0] * len(bad))
    return lambda texts: regression.predict_proba(hashing.transform(texts))[:, 1]


def pareto_keep(scores: np.ndarray, seed: int = 0) -> np.ndarray:
    """GPT-3's rule (Brown et al. 2020, appendix A): keep a page when a draw from a Pareto distribution exceeds 1 - score."""
    return np.random.default_rng(seed).pareto(9, size=len(scores)) > 1 - scores


def run(texts: list[str], seed: int, test: list, tokens: int) -> dict:
    """Train a small GPT on `tokens` tokens of these texts; its bits per character on the held-out stories."""
    _, tokenizer = textgen.load("pocket-gpt")
    rows = [ids[:250] for ids in tokenizer.encode_batch(texts[: tokens // 20])]  # enough pages, none too long
    texts, mean = [tokenizer.decode(ids) for ids in rows], np.mean([len(ids) + 1 for ids in rows])
    data = corpus.stories(texts, [story.text for story in storyworld.stories(50, split="valid")], tokenizer)
    torch.manual_seed(seed)
    model = textgen.GPT(textgen.GPTConfig(vocab_size=len(tokenizer), n_layer=2, n_head=4, n_embd=64))
    steps = max(1, round(tokens / (BATCH_SIZE * mean)))
    options = {"batch_size": BATCH_SIZE, "seed": seed, "eval_every": steps, "eval_rows": BATCH_SIZE}
    options |= {"lr": 0.004, "muon_lr": 0}  # AdamW alone
    history = textgen.fit(model, data, steps=steps, **options)
    bits = textgen.bits_per_char(model, tokenizer, test)
    print(f"seed {seed}: {history.tokens:,} tokens, {bits:.4f} bits, {history.seconds:.0f} s", flush=True)
    return {"bits": bits, "tokens": history.tokens}


def main(arguments: list[str] | None = None) -> None:
    """Make the crawl, filter it, train on each text and write the record."""
    a = common.parser("selection", __doc__, seeds=3, pages=PAGES, tokens=TOKENS, test=200).parse_args(
        arguments
    )
    torch.set_num_threads(1)
    stories = [story.text for story in storyworld.stories(a.pages // 4, seed=7)]
    pages = np.array(
        stories + [p.text for p in storyworld.crawl(a.pages - len(stories), seed=7)], dtype=object
    )
    good = np.arange(len(pages)) < len(stories)
    kept = pareto_keep(quality_filter()(pages))
    texts = {"all pages": pages, "kept by the filter": pages[kept], "the good pages alone": pages[good]}
    test = storyworld.stories(a.test, split="test")
    record = {"command": a.command, "entropy": round(storyworld.entropy(test), 4)}
    record |= {"share_good": [round(float(good.mean()), 3), round(float(good[kept].mean()), 3)], "texts": {}}
    for name, group in texts.items():
        order = np.random.default_rng(0).permutation(len(group))
        runs = [run(list(group[order]), seed, test, a.tokens) for seed in range(a.seeds)]
        record["texts"][name] = {
            "pages": len(group),
            "tokens": runs[0]["tokens"],
            "bits_per_char": [round(r["bits"], 4) for r in runs],
        }
        common.save(a.record, record)


if __name__ == "__main__":
    main()
