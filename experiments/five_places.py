"""One story read by every rung of the ladder: what each says next at the same five places.

    python experiments/five_places.py            all rungs, into book/textgen/results/five_places.json

The rungs are trained as `experiments/ladder.py` trains them, with its first seed.
"""

import common
import ladder
from textgen import corpus, metrics, storyworld
from textgen.tokenizer import Tokenizer


def main() -> None:
    """Train each rung once and record what it says."""
    a = common.parser("five_places", __doc__, steps=ladder.STEPS, stories=20_000).parse_args()
    train = storyworld.stories(a.stories)
    tokenizer = Tokenizer.word([story.text for story in train])
    data = corpus.stories(train, storyworld.stories(200, split="valid"), tokenizer)
    record = common.load(a, "rungs") | {"story": metrics.STORY, "places": list(metrics.PLACES)}
    for name, rung in ladder.RUNGS.items():
        model = ladder.trained(rung, 0, data, a.steps)[0]
        said = [[round(p, 4), word, round(most, 4)] for p, word, most in metrics.at_places(model, tokenizer)]
        print(name, said, flush=True)
        record["rungs"][name] = said
        common.save(a.record, record)


if __name__ == "__main__":
    main()
