A = cells.append

A(text("""
# Learning from comparisons

You teach a language model what somebody likes, from nothing but her choices between two stories, and hold every method against the best result there is, which on this page can be computed exactly.
"""))
A(text("""
A language model writes what is likely. The chapters before this one made pocket-gpt so good at that that there is hardly anything left to gain: it stands within a percent of the true [entropy](G#entropy) of its stories. But nobody reads a story because it is likely. You want it to be kind, or funny, or short, and you may not even be able to say what you want. You only notice, with two stories in front of you, that you like one of them better.

That is enough to learn from. The method is called reinforcement learning from human feedback, RLHF for short, and it is the step from GPT-3 to ChatGPT.

## What you will be able to do

- turn choices between two texts into a reward model, and say how good such a model can be at best
- write down what RLHF maximises, and its exact optimum
- train a model by RLOO, PPO, DPO and GRPO, and measure in [nats](G#nat) how far from the optimum each of them ends
- read a picture of reward against divergence
- watch a reward model being exploited, and know what helps and what does not

About 110 minutes with the exercises; running all cells takes about three minutes.
"""))
A(setup)
A(code("""
import copy
import re
import time
from html import escape

import numpy as np
import torch
from torch.nn import functional as F

import textgen
from textgen import check, corpus, plots, rlhf, storyworld

torch.set_num_threads(1)  # models this small are fastest on one thread
reference, tokenizer = textgen.load("pocket-gpt")
end = tokenizer.bos  # one token says that a text begins, and that it ends
"""))

A(text("""
## What is likely and what is wanted (8 minutes)

[Fine-tuning](B#05-using-gpt.ipynb), the tool of the last page, needs examples of what you want. Somebody has to write them, and writing is slow. Choosing is fast. In 2022 OpenAI used both to turn GPT-3 into InstructGPT ([Ouyang et al. 2022](https://arxiv.org/abs/2203.02155)), and some months later, with dialogues, into ChatGPT. The road has three stations.
"""))
A(code("""
# @title Draw: the road from a language model to one that pleases
figure, ax = plots.plt.subplots(figsize=(5.6, 4.4))
boxes = {  # name: what it is made from, left; what comes out, right
    "1. demonstrations": ("people write\\nanswers", "a model that answers:\\nthe reference"),
    "2. comparisons": ("people choose\\nbetween two answers", "a model of the choice:\\nthe reward model"),
    "3. reinforcement": ("the model writes,\\nthe reward model judges", "a model that pleases:\\nthe policy"),
}
arrow = {"arrowstyle": "-|>", "color": plots.INK, "lw": 1.4}
for row, (name, (left, right)) in enumerate(boxes.items()):
    y = 2 - row
    ax.text(0, y + 0.36, name, fontsize=11, weight="bold", va="bottom")
    for x, words, pale in ((0, left, "white"), (2.6, right, plots.PALE)):
        box = {"boxstyle": "round,pad=0.5", "fc": pale, "ec": plots.INK}
        ax.text(x + 0.95, y, words, ha="center", va="center", fontsize=10.5, bbox=box)
    ax.annotate("", (2.55, y), (1.98, y), arrowprops=arrow)
    if row:
        ax.annotate("", (3.55, y + 0.3), (3.55, y + 0.72), arrowprops=arrow)
ax.set(xlim=(-0.1, 4.7), ylim=(-0.4, 2.7))
ax.axis("off")
words = "Three stations, one below the other. "
words += "; ".join(f"{n}: {a} gives {b}" for n, (a, b) in boxes.items())
plots.show(figure, words.replace("\\n", " ") + ". Each station uses what came out above it.")
""", folded=True))
A(text("""
Mind which data trains what, since the two are often confused. **Demonstrations train the language model itself; comparisons train the reward model.** A reward model never sees a demonstration as such.

| station | InstructGPT | this page |
| --- | --- | --- |
| demonstrations | about 13,000 prompts with answers that people wrote | the stories that pocket-gpt was trained on |
| comparisons | about 33,000 prompts, for each 4 to 9 answers put in order | 8,000 pairs of stories, 1,000 of them here and now |
| reinforcement | PPO on about 31,000 prompts | 40 steps of 64 stories |
| who judges in the end | people: they preferred 1.3 billion parameters with RLHF to 175 billion without | the listener, whom you will meet in a moment |

The first station is behind us: on this page the **reference** is pocket-gpt as it is. (Instructions and answers come on the next page.) It finishes any opening sentence that you give it, and how the story ends is up to the dice.
"""))
A(code("""
opening = "Once there was a shy fox named Ada."
openings = [opening] * 3
for story in textgen.generate(reference, tokenizer, openings, 200, seed=4):
    print(story, end="\\n\\n")
"""))

A(text("""
## Be the human (10 minutes)

Twenty pairs of stories, written by pocket-gpt, two to an opening. **Which one do you like better?** There is no right answer. Five of the pairs come back later, the other way round.
"""))
A(code("""
pairs = storyworld.comparisons("test")
labels = textgen.label([(pair.prompt, pair.a, pair.b) for pair in pairs[:20]])
labels
"""))
A(text("""
At the end you saw two numbers. How far you agree with yourself says how *noisy* your choices are: nobody is perfectly consistent. How far you agree with *the listener* says whether you share her taste, and there is no reason why you should. InstructGPT's labelers agreed with one another on 73% of the comparisons (77% for a second group). So "what people want" is an average over people who want different things, and whose labels you buy decides what your model becomes.

## The listener (6 minutes)

From here on the listener stands for the human. She belongs to [Storyworld](B#storyworld.ipynb), and as everything in it she is known exactly: she has a taste, a sum of parts, and each part is worth some nats. **Look into her head.**
"""))
A(code("""
listener = storyworld.Listener()


def hear(story=0, end="as written"):
    pair = pairs[story]
    told = pair.prompt + (pair.a if end == "as written" else pair.b)
    rows = listener.parts(told).items()
    cells = "".join(f"<tr><td>{k}</td><td>{v:+.2f}</td></tr>" for k, v in rows)
    total = f"<tr><td><b>in all</b></td><td><b>{sum(dict(rows).values()):+.2f}</b></td></tr>"
    return f"<p>{escape(told)}</p><table>{cells}{total}</table>"


textgen.explore(hear, story=[0, 1, 2, 3, 4, 5], end=["as written", "the other end"])
"""))
A(text("""
She likes joy and dislikes sorrow, she likes meals and gifts, water, and a race won by a nose; she loses patience with long stories, and she does not care for text that is no story at all. When she compares two stories, she does not simply name the one with the higher score. She is noisy, as you are: the closer two scores, the more often she errs. Her rule is that of [Bradley and Terry (1952)](B#bibliography.md), who asked how well one can rank players from single games:

$$P(a \\text{ preferred to } b) = \\sigma(r_a - r_b) = \\frac{1}{1 + e^{-(r_a - r_b)}}$$

That is the [sigmoid](G#sigmoid) of chapter 01, with the difference of two scores inside. A story that is one nat better wins 73 times in 100.
"""))
A(code("""
def her_ceiling(pairs):
    margins = np.array([pair.scores[0] - pair.scores[1] for pair in pairs])
    return float(np.mean(1 / (1 + np.exp(-abs(margins)))))


scores = np.array([pair.scores for pair in pairs]).ravel()
print(f"her scores: {scores.mean():.2f} on average, deviation {scores.std():.2f}")
ceiling = her_ceiling(pairs)
print(f"she agrees with her own taste on {ceiling:.1%} of fresh pairs")
"""))
A(text("""
That last number is the **ceiling**. Even somebody who knows her taste perfectly cannot foresee her labels more often, since the rest is noise. Whatever model we train on her labels, this is its finish line.
"""))

A(text("""
## A model of the listener (15 minutes)

The **reward model** gives a text one number. It is a copy of pocket-gpt, which knows already what a story is, with a new head: where the old head turned the last hidden vector into a score for each [token](G#token), the new one turns it into a single score, and reads it at the end token, when the whole story is known.

Nobody ever tells it a score. It sees pairs, and is asked for the choice:
"""))
A(code("""
def bradley_terry(chosen, rejected):  # scores (B,) of the two texts of each pair
    return -F.logsigmoid(chosen - rejected).mean()


some = torch.tensor([2.0, 0.5]), torch.tensor([1.0, 1.5])
mine, (theirs, _) = bradley_terry(*some), rlhf.bradley_terry_loss(*some)
check.claim("textgen.rlhf has the same loss", torch.equal(mine, theirs))
""", CHK))
A(text("""
That is [logistic regression](B#01-logistic-regression.ipynb) once more, on the difference of two scores. Only differences count: add 100 to every score, and nothing changes. `fit` trains it like any other model.
"""))
A(code("""
data = corpus.pairs([pair[:4] for pair in storyworld.comparisons("train")],
                    [pair[:4] for pair in pairs], tokenizer)
reward_model = rlhf.RewardModel(reference)
history = textgen.fit(reward_model, data, steps=31, batch_size=32, lr=1e-3,
                      eval_every=31, eval_rows=32)  # each pair about once
reward_model.requires_grad_(False)
print(f"1,000 pairs in {history.seconds:.0f} s")
"""))
A(code("""
def reward(prompts, texts):
    \"\"\"The reward model's scores of texts that continue the prompts.\"\"\"
    found = []
    for at in range(0, len(texts), 50):
        contexts = [tokenizer.prefix() + tokenizer.encode(p) for p in prompts[at : at + 50]]
        rows = [tokenizer.encode(t) + [end] for t in texts[at : at + 50]]
        ids, mask = corpus.padded(contexts, rows, end)
        found.append(reward_model.score(ids, mask))
    return torch.cat(found)


asked = pairs[:400]
prompts = [pair.prompt for pair in asked]
first, second = (reward(prompts, [pair[i] for pair in asked]) for i in (1, 2))
better = torch.tensor([pair.better for pair in asked])
right = (second > first).int() == better
print(f"right about {textgen.metrics.share(right)} of her labels")
print(f"the ceiling for these pairs: {her_ceiling(asked):.3f}")
"""))
A(code("""
# @title Check: the reward model and its ceiling
accuracy = float(right.float().mean())
check.figure("accuracy on her labels, 1,000 pairs", accuracy, ACC_LIVE, within=0.05)
check.figure("the ceiling", her_ceiling(asked), CEIL_LIVE, within=0.002)
""", CHK, folded=True))
A(text("""
More pairs help. Below are reward models of three sizes of data, three seeds each, tested on 5,000 fresh pairs (`python experiments/rlhf_reward.py`).
"""))
A(code("""
record = textgen.results("rlhf_reward")
print(f"ceiling {record['ceiling']:.3f}, on {record['test']:,} test pairs")
for size, runs in record["sizes"].items():
    found = [run["accuracy"] for run in runs.values()]
    order = np.mean([run["order"] for run in runs.values()])
    spread = f"{np.mean(found):.3f} (seeds {min(found):.3f} to {max(found):.3f})"
    print(f"{int(size):>5,} pairs: right on {spread} of her labels,")
    print(f"             {order:.3f} of the pairs in the order of her true taste")
""", CHK))
A(code("""
# @title Draw: calibration
figure, ax = plots.plt.subplots(figsize=(5.6, 3.8))
ax.plot([0, 1], [0, 1], color=plots.INK, lw=1, ls=":", label="perfect")
said = []
for (size, runs), style in zip(record["sizes"].items(), ("v--", "s-.", "o-")):
    said_p, was, count = np.array(runs["0"]["calibration"]).T
    ax.plot(said_p, was, style, ms=4, label=f"{int(size):,} pairs")
    said.append(f"{int(size):,} pairs: " + ", ".join(f"{a:.2f} {b:.2f}" for a, b in zip(said_p, was)))
ax.set(xlabel="probability that the reward model gives to the first story")
ax.set_ylabel("share of labels that named it")
ax.legend()
words = "Share of labels against the probability that the model gave, in ten bins. "
plots.show(figure, words + "; ".join(said) + ". The diagonal would be perfect.")
""", folded=True))
A(text("""
With 8,000 pairs the reward model is within three points of the ceiling: of what can be foreseen, it foresees nearly all. And its scores mean what they say. The dots lie near the diagonal, so when it gives a story 85%, she names that story about that often. The model of 500 pairs is timid: where it says 25%, she chose that story only one time in ten or seven. With 2,000 pairs or more it is a little too sure of itself, at both ends.

### What has it learned? (a part of the same 15 minutes)

Accuracy says how often it is right on stories like those that it has seen. It does not say what it goes by. So ask it about stories that nobody wrote: take one, put a friendly sentence into it, and then the same sentence twice, or eight times. **Slide.** The listener counts a meal once, and a sentence out of place spoils the story for her.
"""))
A(code("""
plain = next(pair for pair in pairs if "shared" not in pair.a and " Q: " in pair.a)
FRIENDLY = {"a meal": " They shared a plum cake.", "joy": " Both were happy.", "rain": " It rained."}


def with_sentence(sentence, times):
    story, mark, questions = plain.a.partition(" Q: ")
    return story + FRIENDLY[sentence] * times + mark + questions


TIMES = [0, 1, 2, 4, 8]
probed = {}
for sentence in FRIENDLY:
    told = [with_sentence(sentence, times) for times in TIMES]
    hers = [listener.score(plain.prompt + text) for text in told]
    probed[sentence] = reward([plain.prompt] * len(told), told).tolist(), hers
"""))
A(code("""
# @title Draw: a sentence too many
def probe(sentence="a meal", times=1):
    model, hers = (np.array(row) - row[0] for row in probed[sentence])
    at = TIMES.index(times)
    figure, ax = plots.plt.subplots(figsize=(5.6, 3.4))
    ax.plot(TIMES, model, "o-", color=plots.BLUE, label="reward model")
    ax.plot(TIMES, hers, "s--", color=plots.ORANGE, label="the listener")
    ax.axvline(times, color=plots.INK, lw=1, ls=":")
    ax.set(xlabel=f'times "{FRIENDLY[sentence].strip()}"', ylabel="score gained, nats")
    ax.set_title(f"reward model {model[at]:+.2f}, listener {hers[at]:+.2f}")
    ax.legend()
    rows = "; ".join(f"{t} times: {m:+.2f}, {h:+.2f}" for t, m, h in zip(TIMES, model, hers))
    words = f"What {sentence} adds to the reward model's score and to the listener's. "
    return plots.alt(figure, words + rows + ".")


textgen.explore(probe, sentence=list(FRIENDLY), times=TIMES)
""", folded=True))
A(text("""
PROBE_TEXT

## What is to be maximised (12 minutes)

So there is a number that says how good a text is. Why not let the model write whatever gets the highest number? You can guess by now: the reward model is right about stories like those it was trained on. Push hard for its score alone, and the model leaves these stories behind, and writes whatever fools the judge.

Hence the second term. RLHF maximises

$$E[r(y)] - \\beta \\, KL(\\text{policy}, \\text{reference})$$

The first part is the reward of what the **policy** writes; that is the usual word for a model that acts. The second is a leash. The **divergence** KL (after Kullback and Leibler) measures in nats how far the policy has moved from the reference: write a text y, and take how much more probable it is for the policy than for the reference, $\\log \\pi(y) - \\log \\pi_{ref}(y)$; the average over the policy's texts is KL. It is 0 for the reference itself and never negative. $\\beta$ says what a nat of divergence costs.

### The best there is

This maximum is known in closed form. Give each text the reference's probability, multiplied by $e^{r/\\beta}$:

$$\\pi^*(y) = \\pi_{ref}(y) \\, e^{r(y)/\\beta} \\, / \\, Z$$

Z makes the sum 1. Good texts become likelier, but only texts that the reference might write at all. And any other policy falls short of the maximum by exactly $\\beta \\, KL(\\text{policy}, \\pi^*)$. Why? Write the formula of the optimum as $\\log \\pi_{ref} + r / \\beta = \\log \\pi^* + \\log Z$ and put it into what is maximised: what comes out is $\\beta \\log Z - \\beta \\, KL(\\text{policy}, \\pi^*)$, and only the last term depends on the policy. In ordinary use nobody can compute Z, since there are too many texts. Storyworld has corners where they can be counted: once the two of a race have run off, the grammar knows exactly 960 ways to end the story.
"""))
A(code("""
races = (s.text for s in storyworld.stories(99, split="test") if "They ran from" in s.text)
story = next(races)
prompt = story[: story.index(".", story.index("They ran from")) + 1]
endings = list(storyworld.endings(prompt))
context = tokenizer.prefix() + tokenizer.encode(prompt)
rows = [ids + [end] for ids in tokenizer.encode_batch(endings)]
ids, mask = corpus.padded([context] * len(rows), rows, end)
print(prompt)
print(f"{len(endings)} endings, such as:{endings[7]}")
"""))
A(code("""
@torch.no_grad()
def log_probs(policy):
    \"\"\"Of each ending, and in the last place of all other texts together (961,).\"\"\"
    parts = zip(ids.split(240), mask.split(240))
    found = [rlhf.token_log_probs(policy, *part).sum(1) for part in parts]
    found = torch.cat(found).double()
    return torch.cat([found, (1 - found.exp().sum()).clamp_min(1e-12).log()[None]])


log_ref = log_probs(reference)
rewards = [listener.score(prompt + ending) for ending in [*endings, ""]]
rewards = torch.tensor(rewards, dtype=torch.float64)
rewards -= log_ref.exp() @ rewards  # only differences count: the reference's mean is 0
inside = 1 - log_ref[-1].exp()
print(f"pocket-gpt gives {inside:.1%} of its probability to the 960 endings")
"""))
A(text("""
Here the listener's own score is the reward: no reward model, no guesswork. What else pocket-gpt might write, a hundredth in all, is one more answer, worth what the story is worth without an end. **Move beta and see what the optimum would write.**
"""))
A(code("""
BETAS = (4.0, 2.0, 1.0, 0.5, 0.25, 0.1)


def best(beta):  # log-probabilities of the optimum, in two lines
    weights = log_ref + rewards / beta
    return weights - weights.logsumexp(0)


def kl(p, q):
    return float((p.exp() * (p - q)).sum())


def objective(log_p, beta):
    return float(log_p.exp() @ rewards) - beta * kl(log_p, log_ref)
"""))
A(code("""
# @title Draw: the optimum for each beta
def draw(beta=0.5):
    optimum = best(beta)
    levels = sorted({round(float(r), 2) for r in rewards})
    place = torch.tensor([levels.index(round(float(r), 2)) for r in rewards])
    masses = [torch.zeros(len(levels), dtype=torch.float64).index_add(0, place, p.exp())
              for p in (log_ref, optimum)]
    figure, ax = plots.plt.subplots(figsize=(5.6, 3.6))
    ax.vlines(np.array(levels) - 0.03, 0, masses[0], color=plots.INK, lw=3, label="reference")
    ax.vlines(np.array(levels) + 0.03, 0, masses[1], color=plots.ORANGE, lw=3,
              ls=(0, (2, 0.6)), label="optimum")
    gain, far = float(optimum.exp() @ rewards), kl(optimum, log_ref)
    ax.set(xlabel="reward, nats", ylabel="probability", ylim=(0, 0.75))
    ax.set_title(f"beta {beta:g}: reward {gain:+.2f} at {far:.2f} nats")
    ax.legend(loc="upper left")
    words = f"Probability of each reward under the reference and the optimum at beta {beta:g}."
    means = f" Mean reward {gain:.2f} against 0, divergence {far:.2f} nats."
    return plots.alt(figure, words + means)


textgen.explore(draw, beta=list(BETAS))
""", folded=True))
A(code("""
optimum, _ = rlhf.optimum(log_ref, rewards, 0.5)
check.claim("textgen.rlhf.optimum is that", torch.allclose(optimum, best(0.5)))
far = kl(log_ref, optimum)
print(f"from the reference to the optimum at beta 0.5: {far:.2f} nats")
short = objective(optimum, 0.5) - objective(log_ref, 0.5)
equal = abs(short - 0.5 * far) < 1e-6
check.claim("the reference's objective is short by beta times that", equal)
""", CHK))
A(text("""
There is the finish line. The rest of this section is a race towards it, at beta 0.5, by four methods that start from pocket-gpt and may read equally many texts.

## RLOO: better than the others (12 minutes)

How does one train a model on texts that it wrote itself, when nothing but a number says how good they were? By the oldest trick of reinforcement learning ([Williams 1992](B#bibliography.md)): write some texts; make each one likelier or less likely, in proportion to how much better or worse it was than expected. What was to be expected? Write 32 texts for one prompt, and the mean of the other 31 tells you. That is all of **RLOO**, REINFORCE leave-one-out ([Ahmadian et al. 2024](https://arxiv.org/abs/2402.14740)).

The divergence goes into the reward: each text gets $r - \\beta (\\log \\pi - \\log \\pi_{ref})$, whose mean is exactly what we maximise.
"""))
A(code("""
index = {tuple(row): number for number, row in enumerate(rows)}


def write(policy, seed, n=32):
    \"\"\"Texts by the policy, and the reward of each.\"\"\"
    ids, mask, _ = rlhf.rollout(policy, [context] * n, end, max_new_tokens=80, seed=seed)
    written = [tuple(row[chosen].tolist()) for row, chosen in zip(ids[:, 1:], mask)]
    places = [index.get(row, len(endings)) for row in written]  # the last: anything else
    return ids, mask, rewards[places].float()


def log_probs_of(policy, ids, mask):  # of each token that was chosen: (B, T - 1)
    return rlhf.token_log_probs(policy, ids, mask)
"""))
A(code("""
def update(model, optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def rloo(policy, steps, beta=0.5, lr=RLOO_LR, seed=0):
    optimizer = torch.optim.AdamW(policy.parameters(), lr, weight_decay=0.0)
    for step in range(steps):
        ids, mask, reward = write(policy, seed * steps + step)
        with torch.no_grad():
            known = log_probs_of(reference, ids, mask).sum(1)  # (B,) of whole texts
        new = log_probs_of(policy, ids, mask).sum(1)
        reward = reward - beta * (new.detach() - known)
        others = (reward.sum() - reward) / (len(reward) - 1)
        update(policy, optimizer, -((reward - others) * new).mean())
    return policy
"""))
A(code("""
STEPS = 40
start = time.perf_counter()
trained = {"RLOO": rloo(copy.deepcopy(reference), STEPS)}
print(f"{STEPS} steps in {time.perf_counter() - start:.0f} s")


def standing(name):
    log_p = log_probs(trained[name])
    gap, gain = kl(log_p, best(0.5)), float(log_p.exp() @ rewards)
    words = f"{gap:.2f} nats from the optimum (before: {far:.2f}), reward {gain:+.2f}"
    print(f"{name}: {words}, {kl(log_p, log_ref):.2f} nats from the reference")
    return gap


gaps = {"RLOO": standing("RLOO")}
"""))

A(text("""
The package's `rlhf.rloo_advantages` and `rlhf.policy_loss` do the same token by token, and `experiments/rlhf_exact.py` runs them for longer. Before you see how far that gets, meet the three other methods.

## PPO, and two that do without (12 minutes)

RLOO gives every token of a text the same share of praise. But not every token earned it: in a race the sentence about the winner decides more than the full stop. **PPO** ([Schulman et al. 2017](https://arxiv.org/abs/1707.06347)), the method of InstructGPT, is finer, and it uses each text several times. It adds three parts.

- A **critic**, a second model that reads the text so far and foretells the reward to come. What is better than foretold is that token's *advantage*.
- **GAE** ([Schulman et al. 2015](https://arxiv.org/abs/1506.02438)) decides how far to trust the critic: with $\\lambda = 1$ an advantage is all the reward that did come, less what was foretold; with $\\lambda = 0$ it looks one token ahead and believes the critic for the rest.
- A **clip**. After the first update the texts are no longer the policy's own. The ratio $\\rho$ of new to old probability corrects for that, as long as it is near 1; a token whose ratio has moved by more than a fifth in the direction in which it is pushed gets no further push.
"""))
A(code("""
def ppo(policy, steps, beta=0.5, lr=PPO_LR, seed=0, lam=0.95):
    critic = rlhf.RewardModel(reference)  # here it reads before each token
    optimizer = torch.optim.AdamW(policy.parameters(), lr, weight_decay=0.0)
    critics = torch.optim.AdamW(critic.parameters(), 1e-3, weight_decay=0.0)
    for step in range(steps):
        ids, mask, reward = write(policy, seed * steps + step)
        with torch.no_grad():
            old = log_probs_of(policy, ids, mask)
            known = log_probs_of(reference, ids, mask)
            values = critic.values(ids, mask)
        each = rlhf.token_rewards(reward, old, known, mask, beta)
        advantages, returns = rlhf.gae(each, values, mask, lam=lam)
        advantages = rlhf.whiten(advantages, mask)
        for _ in range(2):  # the same texts twice
            new = log_probs_of(policy, ids, mask)
            loss, _ = rlhf.policy_loss(new, old, advantages, mask)
            update(policy, optimizer, loss)
            now = critic.values(ids, mask)
            loss, _ = rlhf.value_loss(now, values, returns, mask, clip=0.5)
            update(critic, critics, loss)
    return policy
"""))
A(code("""
start = time.perf_counter()
trained["PPO"] = ppo(copy.deepcopy(reference), STEPS // 2)
print(f"{STEPS // 2} steps in {time.perf_counter() - start:.0f} s")
gaps["PPO"] = standing("PPO")
"""))
A(code("""
# @title Check: nearer to the optimum
check.figure("from the reference to the optimum, nats", far, FAR, within=0.01)
check.figure("RLOO, nats from the optimum", gaps["RLOO"], GAP_RLOO, within=0.25)
check.figure("PPO, nats from the optimum", gaps["PPO"], GAP_PPO, within=0.25)
check.claim("both came nearer", max(gaps.values()) < far)
""", CHK, folded=True))
A(text("""
**DPO** ([Rafailov et al. 2023](https://arxiv.org/abs/2305.18290)) needs no reward model, and its policy writes nothing while it learns. Turn the formula of the optimum around: a policy that is optimal for some reward tells you that reward, $r(y) = \\beta (\\log \\pi(y) - \\log \\pi_{ref}(y))$, up to a constant that all answers to one prompt share. So put this in the place of the score in Bradley and Terry's loss, and train the policy on pairs as if it were the reward model. When that fits her choices, the policy is the optimum.

**GRPO** ([Shao et al. 2024](https://arxiv.org/abs/2402.03300)) is RLOO with two changes. It divides the advantages by the deviation of the rewards in the group, and it pulls towards the reference by a term in the loss, not in the reward. It is how many of today's reasoning models are trained.

Here is how far each method gets with 120 batches of 32 texts, the same number for all: mean and range of three seeds, each learning rate the best of three by one trial (`python experiments/rlhf_exact.py`). **Choose a beta.**
"""))
A(code("""
# @title Draw: four methods and their distance from the optimum
exact = textgen.results("rlhf_exact")


def race_to(beta=0.5):
    figure, ax = plots.plt.subplots(figsize=(5.6, 3.4))
    known, said = exact["betas"][f"{beta:g}" if beta % 1 else f"{beta:.1f}"], []
    for place, name in enumerate(exact["methods"]):
        runs = exact["methods"][name][f"{beta:g}" if beta % 1 else f"{beta:.1f}"].values()
        gaps = [run["kl_to_optimum"] for run in runs]
        middle, low, high = np.mean(gaps), min(gaps), max(gaps)
        bars = {"xerr": [[middle - low], [high - middle]], "capsize": 4}
        ax.errorbar(middle, place, fmt="os^D"[place], color=plots.BLUE, **bars)
        said.append(f"{name} {middle:.2f} ({low:.2f} to {high:.2f})")
        ax.text(high, place - 0.16, f" {middle:.2f}", va="bottom", fontsize=11)
    start = known["reference"]["kl_to_optimum"]
    ax.axvline(start, color=plots.ORANGE, ls="--")
    ax.text(start, 3.6, "reference ", ha="right", fontsize=11)
    ax.set_yticks(range(4), exact["methods"])
    ax.set(xlim=(0, 1.15 * start), ylim=(3.8, -0.6), xlabel="nats from the optimum")
    words = f"Nats from the optimum at beta {beta:g}: {'; '.join(said)}. "
    return plots.alt(figure, words + f"The reference itself is {start:.2f} away.")


textgen.explore(race_to, beta=[2.0, 1.0, 0.5, 0.25])
""", folded=True))
A(code("""
def mean_of(name, beta, key):
    return np.mean([run[key] for run in exact["methods"][name][beta].values()])


print(f"{'':18} {'to optimum':>10} {'reward':>7} {'to reference':>13}   (nats)")
for beta in ("2.0", "1.0", "0.5", "0.25"):
    known = exact["betas"][beta]["optimum"]
    print(f"beta {beta:4}  optimum  {0:10.2f} {known['reward']:7.2f} {known['kl']:13.2f}")
    for name in exact["methods"]:
        row = [mean_of(name, beta, key) for key in ("kl_to_optimum", "reward", "kl")]
        print(f"{'':10} {name:7} {row[0]:10.2f} {row[1]:7.2f} {row[2]:13.2f}")
""", CHK))
A(code("""
# @title Check: the targets
for name in ("RLOO", "PPO"):
    gap = mean_of(name, "0.5", "kl_to_optimum")
    check.claim(f"{name} ends within 0.35 nats of the optimum at beta 0.5", gap <= 0.35)
""", CHK, folded=True))
A(text("""
EXACT_TEXT
"""))

A(text("""
## Whole stories (12 minutes)

Back to the real task. The prompt is an opening sentence, the policy writes the rest, and the judge is no longer the listener: it is the large reward model, trained on 8,000 of her noisy choices. What the listener herself thinks is measured beside it, on fresh prompts. In this field her opinion is called **gold**, and the reward model's the **proxy**. These runs take hours in all, so they are recorded (`python experiments/rlhf_stories.py`): 40 steps of 64 stories, three seeds each, DPO with as many steps on pairs as there are batches in one reading of all 8,000.

There is a finish line here too. Take a thousand stories by the reference for one opening, and weigh them by $e^{r/\\beta}$: that is the optimum for this prompt, as well as a thousand samples can show it. With the listener's own score as r, and one Z for each prompt, every $\\beta$ gives a point: the most gold that any policy can have at this divergence. The points make a curve, **the frontier**. **Best-of-n** has a curve as well: write n stories and keep the one that the proxy likes best. It needs no training, and is hard to beat.
"""))
A(code("""
stories = textgen.results("rlhf_stories")
frontier = stories["frontier"]


def points(name):  # the last point of each seed
    return [(run["kl"], run["gold"], run["proxy"]) for run in stories["runs"][name].values()]


def reached(far):
    \"\"\"Gold on the frontier at this divergence.\"\"\"
    known = [row for row in frontier["curves"]["gold"] if row["effective"] >= 100]
    return float(np.interp(far, [row["kl"] for row in known], [row["gold"] for row in known]))
"""))
A(code("""
# @title Draw: gold against divergence
figure, ax = plots.plt.subplots(figsize=(5.6, 4.4))
line = [row for row in frontier["curves"]["gold"] if row["effective"] >= 100]
ax.plot([r["kl"] for r in line], [r["gold"] for r in line], "-", color=plots.INK, lw=1.6)
ax.text(line[-1]["kl"], line[-1]["gold"] + 0.08, "frontier", ha="right", fontsize=11)
some = frontier["best_of_n"]["large"]
ax.plot([r["kl"] for r in some], [r["gold"] for r in some], ":", color=plots.INK, marker=".")
ax.text(some[-1]["kl"], some[-1]["gold"] - 0.2, f"best of {some[-1]['n']}", fontsize=11)
shapes, said = {"PPO": ("o", plots.BLUE), "RLOO": ("s", plots.ORANGE), "DPO": ("^", "0.35")}, []
for name in STORY_RUNS:
    mark, colour = shapes[name.split(",")[0]]
    for number, (far, gold, _) in enumerate(points(name)):
        ax.plot(far, gold, mark, color=colour, ms=6)
        if not number:
            ax.annotate(name, (far, gold), (4, -12), textcoords="offset points", fontsize=9)
    far, gold, _ = np.mean(points(name), axis=0)
    said.append(f"{name}: {gold:.2f} at {far:.2f}")
ax.set(xlabel="divergence from the reference, nats", ylabel="gold gained, nats")
words = "Gold against divergence. The frontier rises from 0 to "
words += f"{line[-1]['gold']:.2f} at {line[-1]['kl']:.2f} nats. Means of three seeds: "
plots.show(figure, words + "; ".join(said) + ". Best-of-n lies between.")
""", folded=True))
A(code("""
print(f"{'':24} {'KL':>5} {'proxy':>6} {'gold':>5} {'share':>6}  wins over the reference")
for name in STORY_RUNS:
    far, gold, proxy = np.mean(points(name), axis=0)
    runs = stories["runs"][name].values()
    wins, low = np.mean([run["win"] for run in runs]), min(r["intervals"]["win"][0] for r in runs)
    share = gold / reached(far)
    print(f"{name:24} {far:5.2f} {proxy:6.2f} {gold:5.2f} {share:6.0%}  {wins:.1%} (lowest bound {low:.1%})")
""", CHK))
A(text("""
STORIES_TEXT
"""))
A(code("""
# @title Read: before and after
def read(run=FIRST_RUN, seed=0, when="after"):
    told = stories["runs"][run][str(seed)]["told"]
    steps = sorted(told, key=int)
    return f"<p>{escape(told[steps[0] if when == 'before' else steps[-1]])}</p>"


textgen.explore(read, run=STORY_RUNS, seed=[0, 1, 2], when=["after", "before"])
""", folded=True))
A(text("""
### What was lost

Nobody asked for variety, so nobody paid for it. The table compares the reference with the policies: how many stories are still right by the grammar, how many bits the choice of one of eight plots has (3 at most), how many of the three-word sequences in 512 stories differ, the length in words, and what the policy has forgotten of the corpus, in [bits per character](G#bits-per-character).
"""))
A(code("""
KEYS = ("grammatical", "plot_bits", "distinct_3", "words")
print(f"{'':24} {'grammar':>8} {'plots':>6} {'3 words':>8} {'length':>7} {'bits':>6}")
base = [stories["reference"][key] for key in KEYS]
own = textgen.results("ladder")["entropy"]
print("{:24} {:8.1%} {:6.2f} {:8.3f} {:7.1f}".format("reference", *base))
for name in STORY_RUNS:
    runs = stories["runs"][name].values()
    row = [np.mean([run["lost"][key] for run in runs]) for key in KEYS]
    bits = np.mean([run["bits_per_char"] for run in runs])
    print("{:24} {:8.1%} {:6.2f} {:8.3f} {:7.1f} {:6.3f}".format(name, *row, bits))
""", CHK))
A(text("""
LOST_TEXT

## Too much of a good thing (12 minutes)

Now take the leash off: beta is 0, and the policy may go wherever the proxy likes it. **Slide through the training, and read what it writes.**
"""))
A(code("""
# @title Read: a policy without a leash
loose = stories["runs"]["PPO, no penalty"]["0"]
SHOWN = [int(step) for step in sorted(loose["told"], key=int)]


def watch(step=SHOWN[0]):
    at = next(row for row in loose["curve"] if row["step"] == step)
    figures = f"proxy {at['proxy']:+.2f}, gold {at['gold']:+.2f}, {at['kl']:.1f} nats away"
    return f"<p>Step {step}: {figures}</p><p>{escape(loose['told'][str(step)])}</p>"


textgen.explore(watch, step=SHOWN)
""", folded=True))
A(code("""
# @title Draw: proxy and gold against divergence
def over(run="PPO, no penalty"):
    figure, ax = plots.plt.subplots(figsize=(5.6, 4))
    said = []
    for seed, one in stories["runs"][run].items():
        far, proxy, gold = np.array([[r["kl"], r["proxy"], r["gold"]] for r in one["curve"]]).T
        order = np.argsort(far)
        first = seed == "0"
        style = {"lw": 1.3, "ms": 3}
        ax.plot(far[order] ** 0.5, proxy[order], "s--", color=plots.ORANGE, **style,
                label="proxy" if first else None)
        ax.plot(far[order] ** 0.5, gold[order], "o-", color=plots.BLUE, **style,
                label="gold" if first else None)
        top = int(gold.argmax())
        said.append(f"seed {seed}: gold peaks at {gold[top]:.2f}, {far[top]:.1f} nats, "
                    f"and ends at {gold[-1]:.2f}, {far[-1]:.0f} nats, proxy {proxy[-1]:.2f}")
    ax.axhline(0, color=plots.INK, lw=1, ls=":")
    ax.set(xlabel="square root of the divergence in nats", ylabel="reward gained, nats")
    ax.legend()
    return plots.alt(figure, f"Proxy and gold for {run}. {'; '.join(said)}.")


LOOSE = [name for name in stories["runs"] if "no penalty" in name or "few" in name]
textgen.explore(over, run=LOOSE)
""", folded=True))
A(text("""
OVER_TEXT
"""))
A(code("""
def gao(d, gold):
    \"\"\"Best a and b for gold = d (a - b ln d), by least squares.\"\"\"
    (a, b), *_ = np.linalg.lstsq(np.stack([d, -d * np.log(d)], 1), gold, rcond=None)
    return a, b


def best_of(d, gold):
    \"\"\"Best a and b for gold = d (a - b d).\"\"\"
    (a, b), *_ = np.linalg.lstsq(np.stack([d, -d * d], 1), gold, rcond=None)
    return a, b


for run in LOOSE:
    rows = [row for one in stories["runs"][run].values() for row in one["curve"]]
    kept = np.array([(row["kl"] ** 0.5, row["gold"]) for row in rows if 0.5 < row["kl"] < GAO_MAX])
    a, b = gao(*kept.T)
    left = np.std(kept[:, 1] - kept[:, 0] * (a - b * np.log(kept[:, 0])))
    print(f"{run}: a = {a:.2f}, b = {b:.2f}, peak at {np.exp(2 * (a / b - 1)):.1f} nats; off by {left:.2f}")
for judge in ("large", "small"):
    rows = [row for row in frontier["best_of_n"][judge] if row["n"] > 1]
    a, b = best_of(*np.array([(row["kl"] ** 0.5, row["gold"]) for row in rows]).T)
    print(f"best of n, {judge} reward model: a = {a:.2f}, b = {b:.2f}")
""", CHK))
A(text("""
GAO_TEXT
"""))

A(text("""
## Exercises (25 minutes)

Replace each `...` and run the cell: the check tells you what is right, or what is wrong. Solutions are folded below. The mistakes that the checks know are real ones: each of them has stood in a well-known code.
"""))


def exercise(number, title, words, stub, solution):
    A(text(f"**{number}. {title}** {words}"))
    name = re_name.match(stub.strip()).group(1)
    A(code(f"{stub.strip()}\n\n\ncheck.{name}({name})", "exercise", CHK))
    A(code(f"# @title Solution\n{solution.strip()}\n\n\ncheck.{name}({name})", "hide-cell", CHK, folded=True))


import re as re_module

re_name = re_module.compile(r"def (\w+)")
exercise(1, "Which tokens were chosen?", """Rows of ids (B, T) begin with a prompt of `prompt[i]` tokens and are padded on the right with the end token. Return the mask (B, T - 1) that is True in column t where the policy chose `ids[:, t + 1]`. The end is a choice too.""", """
def choices(ids, prompt, end):
    ...
""", """
def choices(ids, prompt, end):
    at = torch.arange(1, ids.size(1))  # column t stands for the token at t + 1
    after = at >= torch.as_tensor(prompt)[:, None]
    ends = (ids[:, 1:] == end) & after
    before = ends.cumsum(1) - ends.int()  # ends that came earlier than this token
    return after & (before == 0)
""")
exercise(2, "Two estimates of the divergence.", """From log-probabilities of the same tokens under the policy and under the reference, return k1 and k3, token by token. Both have the divergence as their mean over the policy's tokens; k1 is the log of the ratio, policy to reference, and k3 is never negative: with x the *inverse* ratio, reference to policy, it is x - 1 - log x.""", """
def kl_terms(policy, reference):
    ...
""", """
def kl_terms(policy, reference):
    k1 = policy - reference
    ratio = torch.exp(-k1)  # reference to policy
    return k1, ratio - 1 + k1
""")
exercise(3, "Advantages.", r"""Of one text, from the rewards and the critic's values of its tokens (T,), by GAE with $\gamma = 1$: $\delta_t = R_t + V_{t+1} - V_t$ and $A_t = \delta_t + \lambda A_{t+1}$; after the last token both V and A are 0. Return the advantages and the returns A + V.""", """
def advantages(rewards, values, lam):
    ...
""", """
def advantages(rewards, values, lam):
    A, after, V = torch.zeros_like(rewards), 0.0, 0.0
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + V - values[t]
        after = delta + lam * after
        A[t], V = after, values[t]
    return A, A + values
""")
exercise(4, "Best of n.", r"""You have N samples of one prompt, their rewards and their gold (N,). Draw n of them without putting any back, and keep the one with the highest reward. What gold do you get on average? Sort by reward: the i-th from below is the best of the n in $\binom{i-1}{n-1}$ of the $\binom{N}{n}$ draws.""", """
def best_of(rewards, gold, n):
    ...
""", """
from math import comb


def best_of(rewards, gold, n):
    N, ranked = len(rewards), gold[rewards.argsort()]
    weights = [comb(i, n - 1) / comb(N, n) for i in range(N)]
    return sum(w * g for w, g in zip(weights, ranked.tolist()))
""")
A(text("""
Three to explore, without a check:

- Train the reward model on your own choices: put your labels in the place of hers in the first twenty pairs, twenty times over. What does it like?
- Take the leash off in the exact world: `rloo(copy.deepcopy(reference), 40, beta=0.0)`. There is no proxy to fool here. What does the policy converge to, and what does it lose?
- Change the listener: `storyworld.Listener(likes=...)` takes a dictionary of your own (`storyworld.LIKES` is hers). Make her love what the grammar hardly ever writes, and look at the optimum at beta 0.5. How far away can a taste be?

## Summary

SUMMARY_TEXT
"""))
A(code("""
# @title Draw: the ladder
ladder = textgen.results("ladder")
rungs = {name: rung["bits_per_char"] for name, rung in ladder["rungs"].items()}
held_out = [story.text for story in storyworld.stories(200, split="test")]
rungs["pocket-gpt"] = textgen.bits_per_char(reference, tokenizer, held_out)
runs = stories["runs"][FIRST_RUN].values()
rungs["after PPO"] = float(np.mean([run["bits_per_char"] for run in runs]))
spread = {name: rung["spread"] for name, rung in ladder["rungs"].items()}
plots.show(plots.ladder(rungs, ladder["entropy"], spread))
""", folded=True))
A(text("""
LADDER_TEXT

## Where next

What pleases one listener is not yet an assistant. On the next page pocket-gpt learns to take instructions, to answer, and to say that it does not know; and after it, **chapter 07** asks what can go wrong with all of this.
"""))
