"""English sentences with their Spanish translation, in which articles, adjectives and verbs agree."""

from __future__ import annotations

import random
from functools import lru_cache

# English, Spanish and gender of each noun; no noun begins with a stressed a, which would take "el" though feminine.
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
    """The rows of a table above, each a list of its columns; "~" stands for a space."""
    return [[word.replace("~", " ") for word in row.split()] for row in table.split("|")]


def plural(word: str) -> str:
    """The Spanish plural: -s after a vowel, and in IRREGULAR what ends in a consonant or changes its accent."""
    return IRREGULAR.get(word) or word + ("s" if word[-1] in "aeiou" else "es")


def agree(adjective: str, gender: str, many: bool) -> str:
    """A Spanish adjective in the gender and number of its noun; only adjectives in -o change with gender."""
    word = adjective[:-1] + "a" if gender == "f" and adjective.endswith("o") else adjective
    return plural(word) if many else word


def noun_phrase(rng: random.Random, nouns: str, adjectives: str, many: bool) -> tuple[str, str]:
    """A noun with a determiner and perhaps an adjective, which comes before it in English and after it in Spanish."""
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
    """A subject, a verb that agrees with it, perhaps a thing as object (a person would need "a") and a place."""
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
    english, spanish = zip(*(clause(rng) for _ in range(1 if rng.random() < 0.7 else 2)))
    return f"{' and '.join(english)}.", f"{' y '.join(spanish)}."
