"""The generated world: which actions there are, how they are told, and who does what when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

# Verbs and nouns that a viewpoint has to itself, unless the overlap calls for them; the others
# are common to both.
OWN_VERBS = {"fpv": {"cut", "squeeze"}, "tpv": {"shake", "wipe", "push"}}
OWN_NOUNS = {"fpv": {"kettle", "lemon", "bread"}, "tpv": {"drawer", "cup", "plate"}}

# A verb and the phrases that tell it.
PHRASES = {
    "take": ("take {}", "pick up {}", "grab {}", "lift {} up"),
    "put": ("put down {}", "put {} on the table", "place {} on the counter", "set {} down"),
    "open": ("open {}", "pull open {}", "open up {}"),
    "close": ("close {}", "shut {}", "push {} shut"),
    "pour": ("pour from {}", "tip out {}", "empty {} into the sink", "pour out {}"),
    "stir": ("stir {}", "mix the food in {}", "stir what is in {} with a spoon"),
    "cut": ("cut {}", "slice {}", "chop up {}", "cut {} with a knife"),
    "squeeze": ("squeeze {}", "press {} hard", "squeeze {} with both hands"),
    "shake": ("shake {}", "shake {} well", "give {} a shake"),
    "wipe": ("wipe {}", "clean {} with a cloth", "wipe down {}"),
    "push": ("push {} away", "slide {} along the counter", "move {} aside"),
    "repair": ("repair {}", "fix {} with a screwdriver", "mend {}"),
    "paint": ("paint {}", "brush paint onto {}", "colour {} with a brush"),
    "flip": ("flip {} over", "turn {} upside down", "turn {} over"),
    "toss": ("toss {} in the air", "throw {} up and catch it", "play with {}"),
}

# A noun and the words for it.
WORDS = {
    "fridge": ("fridge", "refrigerator", "fridge door", "refrigerator door"),
    "bottle": ("bottle", "water bottle", "plastic bottle"),
    "pan": ("pan", "frying pan", "skillet"),
    "bowl": ("bowl", "mixing bowl", "salad bowl"),
    "tomato": ("tomato", "ripe tomato", "red tomato"),
    "box": ("box", "cardboard box", "cereal box"),
    "jar": ("jar", "jam jar", "glass jar"),
    "kettle": ("kettle", "electric kettle", "tea kettle"),
    "lemon": ("lemon", "fresh lemon", "yellow lemon"),
    "bread": ("bread", "loaf of bread", "loaf"),
    "drawer": ("drawer", "kitchen drawer", "cutlery drawer"),
    "cup": ("cup", "mug", "coffee cup"),
    "plate": ("plate", "dinner plate", "dish"),
    "book": ("book", "novel", "paperback book"),
    "ball": ("ball", "tennis ball", "rubber ball"),
    "shoe": ("shoe", "sneaker", "leather shoe"),
    "clock": ("clock", "alarm clock", "wall clock"),
    "lamp": ("lamp", "desk lamp", "reading lamp"),
    "guitar": ("guitar", "acoustic guitar", "toy guitar"),
}

_MOVABLE = "bottle pan bowl tomato box jar kettle lemon bread cup plate"

# What can sensibly be done to what in the kitchen.
SUITS = {
    "take": _MOVABLE,
    "put": _MOVABLE,
    "open": "fridge bottle box jar kettle drawer",
    "close": "fridge bottle box jar kettle drawer",
    "pour": "bottle pan bowl jar kettle cup",
    "stir": "pan bowl jar cup",
    "cut": "tomato lemon bread",
    "squeeze": "tomato lemon bottle",
    "shake": "bottle box jar pan cup",
    "wipe": "fridge pan bowl plate drawer cup",
    "push": "box jar plate cup drawer pan",
}

# And in the hobby room, where third-person cameras come only for shared actions.
HOBBY_SUITS = {
    "repair": "shoe clock lamp guitar",
    "paint": "ball clock lamp guitar",
    "flip": "book clock shoe lamp",
    "toss": "ball shoe book guitar",
}

N_ACTIONS = 24
CLIPS_PER_VIDEO = 7
_VIDEOS_PER_PARTICIPANT = 3
_CLIP_S = (1.5, 2.5)
_GAP_S = (0.3, 0.6)


@dataclass(frozen=True)
class Action:
    """A verb done to a noun."""

    verb: str
    noun: str


@dataclass(frozen=True)
class Segment:
    """One action of a video, from `start_s` to `stop_s` seconds."""

    action: Action
    start_s: float
    stop_s: float
    narration: str


@dataclass(frozen=True)
class Video:
    """One untrimmed video: actions one after another with gaps between them."""

    video_id: str
    participant: str
    split: str
    segments: tuple[Segment, ...]
    duration_s: float


def actions(seed: int, overlap: float, hobby: float = 0.0) -> dict[str, list[Action]]:
    """The actions of both viewpoints.

    First-person actions depend on the seed and `hobby` alone. Of them the share `overlap` is
    filmed in third person too, those of common verb and noun first and those of the hobby room
    last; the other third-person actions are none of the first-person ones, yet most have a verb or
    a noun in common with some of those in the kitchen.

    Args:
        overlap: share of first-person actions that are third-person actions too, from 0 to 1.
        hobby: share of first-person actions of the hobby room, from 0 to 0.5; nothing that is
            done in the kitchen resembles them.

    Returns:
        viewpoint -> its actions.
    """
    rng = Random(f"actions {seed}")
    at_home = _sensible(HOBBY_SUITS)
    n_hobby = round(hobby * N_ACTIONS)
    fpv = _pick(_pool("fpv"), N_ACTIONS - n_hobby, [], rng)
    common = {a for a in fpv if a.verb not in OWN_VERBS["fpv"] and a.noun not in OWN_NOUNS["fpv"]}
    filmed_twice = sorted(rng.sample(fpv, len(fpv)), key=lambda a: a not in common)
    if n_hobby:
        found = _pick(at_home, n_hobby, [], Random(f"hobby {seed}"))
        fpv, filmed_twice = fpv + found, filmed_twice + found
    shared = filmed_twice[: round(overlap * len(fpv))]
    others = [action for action in _pool("tpv") if action not in fpv]
    return {"fpv": fpv, "tpv": shared + _pick(others, len(fpv) - len(shared), shared, rng)}


def _pool(viewpoint: str) -> list[Action]:
    """Every sensible action of the kitchen without what belongs to the other viewpoint."""
    other = {"fpv": "tpv", "tpv": "fpv"}[viewpoint]
    return [
        action
        for action in _sensible(SUITS)
        if action.verb not in OWN_VERBS[other] and action.noun not in OWN_NOUNS[other]
    ]


def _sensible(suits: Mapping[str, str]) -> list[Action]:
    return [Action(verb, noun) for verb, nouns in suits.items() for noun in nouns.split()]


def _pick(pool: list[Action], n: int, taken: list[Action], rng: Random) -> list[Action]:
    """Draws `n` of the pool so that, with those taken, verbs and then nouns are used evenly."""
    verbs, nouns = Counter(a.verb for a in taken), Counter(a.noun for a in taken)
    left = rng.sample(pool, len(pool))
    picked: list[Action] = []
    for _ in range(n):
        action = min(left, key=lambda a: (verbs[a.verb], nouns[a.noun]))
        left.remove(action)
        picked.append(action)
        verbs[action.verb] += 1
        nouns[action.noun] += 1
    return picked


def narrate(action: Action, rng: Random) -> str:
    """One of the ways to tell an action; without an article now and then, as narrators do."""
    article = rng.choice(("the ", "the ", ""))
    return rng.choice(PHRASES[action.verb]).format(article + rng.choice(WORDS[action.noun]))


def videos(
    viewpoint: str, seed: int, overlap: float, clips: Mapping[str, int], hobby: float = 0.0
) -> list[Video]:
    """Everything that is filmed from one viewpoint.

    Every action comes up equally often in a split, give or take one clip; no participant is in
    two splits or in both viewpoints.

    Args:
        overlap: see `actions`.
        clips: split -> number of clips.
        hobby: see `actions`.
    """
    known = actions(seed, overlap, hobby)[viewpoint]
    filmed: list[Video] = []
    first = 0
    for split, n in clips.items():
        rng = Random(f"videos {seed} {viewpoint} {split}")
        rounds = -(-n // len(known))
        done = [action for _ in range(rounds) for action in rng.sample(known, len(known))][:n]
        parts = [done[i : i + CLIPS_PER_VIDEO] for i in range(0, n, CLIPS_PER_VIDEO)]
        for i, part in enumerate(parts):
            person, take = divmod(i, _VIDEOS_PER_PARTICIPANT)
            participant = f"{viewpoint[0].upper()}{first + person + 1:02d}"
            segments, duration_s = _segments(part, rng)
            name = f"{participant}_{take + 1}"
            filmed.append(Video(name, participant, split, segments, duration_s))
        first += -(-len(parts) // _VIDEOS_PER_PARTICIPANT)
    return filmed


def _segments(part: list[Action], rng: Random) -> tuple[tuple[Segment, ...], float]:
    """The actions laid out in time, to the hundredth of a second, and the video's length."""
    segments = []
    clock = rng.uniform(*_GAP_S)
    for action in part:
        start_s, stop_s = clock, clock + rng.uniform(*_CLIP_S)
        told = narrate(action, rng)
        segments.append(Segment(action, round(start_s, 2), round(stop_s, 2), told))
        clock = stop_s + rng.uniform(*_GAP_S)
    return tuple(segments), clock
