"""Documents beside stories: introductions, questions, English and Spanish, small programs, sums; and bad text."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from functools import lru_cache

from .generator import SPLITS, write
from .world import World

KINDS = ("story", "intro", "qa", "pair", "code", "sum")


@dataclass(frozen=True)
class Document:
    """A text of one kind. `prompt` + `answer` is the text where something is asked; else the answer is empty."""

    kind: str
    text: str
    prompt: str
    answer: str


# English, Spanish, gender; the Spanish adjective and plural follow below. No noun begins with a stressed a.
LIVING = "cat gato m|dog perro m|horse caballo m|bird pájaro m|boy niño m|cow vaca f|hen gallina f|frog rana f|girl niña f"
LIVING += "|queen reina f|king rey m|rabbit conejo m"
OBJECTS = "book libro m|hat sombrero m|boat barco m|garden jardín m|ring anillo m|tree árbol m|house casa f|table mesa f|key llave f"
OBJECTS += "|flower flor f|chair silla f|apple manzana f|lamp lámpara f|door puerta f"
LIVING_ADJECTIVES = (
    "small pequeño|old viejo|tall alto|pretty bonito|big grande|strong fuerte|happy feliz|clean limpio"
)
LIVING_ADJECTIVES += "|white blanco|black negro|quick rápido|hungry hambriento"
OBJECT_ADJECTIVES = "red rojo|white blanco|black negro|yellow amarillo|green verde|blue azul|small pequeño|old viejo|new nuevo"
OBJECT_ADJECTIVES += "|big grande|clean limpio|pretty bonito"
INTRANSITIVE = (
    "sleep sleeps duerme duermen|run runs corre corren|sing sings canta cantan|jump jumps salta saltan"
)
INTRANSITIVE += "|eat eats come comen|dance dances baila bailan"
TRANSITIVE = "see sees ve ven|have has tiene tienen|want wants quiere quieren|buy buys compra compran|look~for looks~for busca buscan"
PLACES = "in the garden/en el jardín|near the river/cerca del río|behind the house/detrás de la casa|at night/por la noche"
PLACES += "|under the table/debajo de la mesa|in the street/en la calle|today/hoy|every day/todos los días"
DETERMINERS = {  # English singular and plural; Spanish by number and gender
    ("the", "the"): {"m": ("el", "los"), "f": ("la", "las")},
    ("a", "some"): {"m": ("un", "unos"), "f": ("una", "unas")},
    ("my", "my"): {"m": ("mi", "mis"), "f": ("mi", "mis")},
}
IRREGULAR = {"niño": "niños", "rey": "reyes", "jardín": "jardines", "árbol": "árboles", "feliz": "felices"}


@lru_cache
def rows(table: str) -> list[list[str]]:
    """The words of a table above, a list of columns for each row."""
    return [[word.replace("~", " ") for word in row.split()] for row in table.split("|")]


def plural(word: str) -> str:
    """The Spanish plural: -s after a vowel, -es after a consonant; accents and z as in the list."""
    return IRREGULAR.get(word) or word + ("s" if word[-1] in "aeiou" else "es")


def agree(adjective: str, gender: str, many: bool) -> str:
    """A Spanish adjective in the gender and number of its noun; only those in -o change with gender."""
    word = adjective[:-1] + "a" if gender == "f" and adjective.endswith("o") else adjective
    return plural(word) if many else word


def noun_phrase(rng: random.Random, nouns: str, adjectives: str, many: bool) -> tuple[str, str]:
    """A noun with determiner and perhaps adjective; the adjective precedes in English and follows in Spanish."""
    english, spanish, gender = rng.choice(rows(nouns))
    determiner, forms = rng.choice(list(DETERMINERS.items()))
    adjective = rng.choice(rows(adjectives)) if rng.random() < 0.6 else None
    source = [*([adjective[0]] if adjective else []), english + "s" * many]
    target = [
        plural(spanish) if many else spanish,
        *([agree(adjective[1], gender, many)] if adjective else []),
    ]
    if determiner[many] == "a":
        source.insert(0, "an" if source[0][0] in "aeiou" else "a")
    else:
        source.insert(0, determiner[many])
    return " ".join(source), " ".join([forms[gender][many], *target])


def clause(rng: random.Random) -> tuple[str, str]:
    """A subject, a verb that agrees with it, perhaps an object (never living, which would need "a") and a place."""
    many = rng.random() < 0.4
    subject, sujeto = noun_phrase(rng, LIVING, LIVING_ADJECTIVES, many)
    acts_on = rng.random() < 0.5
    verb = rng.choice(rows(TRANSITIVE if acts_on else INTRANSITIVE))
    english, spanish = [subject, verb[0 if many else 1]], [sujeto, verb[3 if many else 2]]
    if acts_on:
        thing, cosa = noun_phrase(rng, OBJECTS, OBJECT_ADJECTIVES, rng.random() < 0.3)
        english.append(thing)
        spanish.append(cosa)
    if rng.random() < 0.4:
        place, lugar = rng.choice(PLACES.split("|")).split("/")
        english.append(place)
        spanish.append(lugar)
    return " ".join(english), " ".join(spanish)


def pair(rng: random.Random) -> tuple[str, str]:
    """An English sentence of one or two clauses, and the Spanish one."""
    clauses = [clause(rng) for _ in range(1 if rng.random() < 0.7 else 2)]
    return (
        f"English: {' and '.join(c[0] for c in clauses)}. Spanish:",
        f" {' y '.join(c[1] for c in clauses)}.",
    )


def code(rng: random.Random) -> tuple[str, str]:
    """A requirement of one to three steps, and the expression in x that meets it."""
    steps, expression = [], "x"
    for i in range(rng.randint(1, 3)):
        number = rng.randint(2, 9)
        words, form = rng.choice(
            [
                (f"add {number}", f"{{}} + {number}"),
                (f"subtract {number}", f"{{}} - {number}"),
                (f"multiply by {number}", f"{{}} * {number}"),
                ("double it", "{} * 2"),
                ("square it", "{} ** 2"),
            ]
        )
        steps.append(words)
        expression = form.format(f"({expression})" if i else expression)
    return f"Task: take x, {', then '.join(steps)}. Code:", f" {expression}"


def total(rng: random.Random) -> tuple[str, str]:
    """A sum of two numbers below 100."""
    a, b = rng.randint(0, 99), rng.randint(0, 99)
    return f"Sum: {a} + {b} =", f" {a + b}"


WRITERS = {"pair": pair, "code": code, "sum": total}


def documents(
    n: int, kind: str, seed: int = 0, split: str = "train", world: World | None = None
) -> list[Document]:
    """`n` documents of one of KINDS; the splits never share a text, nor a prompt with its answer.

    Raises:
        ValueError: an unknown kind or split.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    if kind not in WRITERS:
        texts = [story.text for story in write(kind, n, seed, split, world)]
        cuts = [text.rfind(" A: ") + 3 if kind == "qa" else len(text) for text in texts]
        return [Document(kind, text, text[:cut], text[cut:]) for text, cut in zip(texts, cuts, strict=True)]
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}.")
    rng, made = random.Random(f"{kind} {split} {seed}"), []
    while len(made) < n:
        prompt, answer = WRITERS[kind](rng)
        if zlib.crc32(prompt.encode()) % 10 in SPLITS[split]:
            made.append(Document(kind, prompt + answer, prompt, answer))
    return made


def canary(seed: int = 0) -> str:
    """A sentence with a secret of six digits, to plant in a training set and look for in a model (Carlini 2018)."""
    digits = " ".join(random.Random(f"canary {seed}").choices("0123456789", k=6))
    return f"The secret number of the castle is {digits}."


def noisy(text: str, rate: float, seed: int = 0) -> str:
    """The text with about that share of its characters dropped, doubled or swapped for a letter."""
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must lie between 0 and 1; got {rate}.")
    rng, out = random.Random(seed), []
    for character in text:
        spoilt = ("", character * 2, rng.choice("abcdefghijklmnopqrstuvwxyz"))
        out.append(rng.choice(spoilt) if rng.random() < rate else character)
    return "".join(out)


BOILERPLATE = [
    "Click here to accept all cookies and continue.", "Sign up for our newsletter today.", "All rights reserved.",
    "Home | About | Contact | Login", "Free shipping on orders over 50.", "Page 1 of 12. Next page.",
    "Share this on your favourite network.", "Your session has expired. Please log in again.",
    "Best prices guaranteed. Buy now.", "Error 404: the page was not found.", "Related articles you may like.",
    "Terms of service and privacy policy.", "Loading, please wait.", "You have 1 new message.",
]  # fmt: skip


def crawl(n: int, seed: int = 0) -> list[Document]:
    """`n` texts as a bad web crawl would bring them.

    kind says what is wrong: "shuffled" (words of a story out of order), "repeated" (a phrase over and over),
    "boilerplate" (menus and notices), "foreign" (Spanish sentences) or "noisy" (characters spoilt).
    """
    rng, made = random.Random(f"crawl {seed}"), []
    for story in write("story", n, seed + 10**6):
        kind = rng.choice(["shuffled", "repeated", "boilerplate", "foreign", "noisy"])
        words = story.text.split()
        if kind == "shuffled":
            rng.shuffle(words)
            text = " ".join(words)
        elif kind == "repeated":
            start, length = rng.randrange(len(words) - 8), rng.randint(2, 8)
            text = " ".join(words[start : start + length] * (60 // length))
        elif kind == "boilerplate":
            text = " ".join(rng.choices(BOILERPLATE, k=rng.randint(6, 12)))
        elif kind == "foreign":
            text = " ".join(pair(rng)[1].strip().capitalize() for _ in range(rng.randint(5, 9)))
        else:
            text = noisy(story.text, rng.uniform(0.1, 0.3), rng.randrange(10**9))
        made.append(Document(kind, text, text, ""))
    return made
