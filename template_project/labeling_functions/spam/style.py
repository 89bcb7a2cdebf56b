"""Rules that are easier to say in Python than in SQL. Parameters name the columns that a function reads."""

import re

from teachkit import labeling_function

_WORD = re.compile(r"[^\W\d_]+")
_MINE = frozenset("my our mi mis meu minha mein meine meinem unser ma mon nuestro nuestra".split())
_WORK = frozenset(
    """band beat beats blog channel chanel course cover covers ep journey lesson lessons livestream music page podcast
    profile remix server shop single site song songs stream stuff track video videos vlog website
    canal curso tema versión versiones perfil kanal lied chaîne reprise""".split()
)
_LAUGH = re.compile(r"(?i)\b(lo+l|lma+o+|ha(ha)+|omg|rofl)\b|<3|[❤♥💛💕🌼😂😍😭😳]")
_SPACED = re.compile(r"(?:\b\w\s+){5,}")


def _words(text):
    """The words of a text, in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


@labeling_function(label="spam", tags=["self"])
def own_work(text: str) -> bool:
    """Something of one's own, at most four words after 'my': "my brand new acoustic cover"."""
    words = _words(text)
    return any(word in _MINE and _WORK & set(words[i + 1 : i + 5]) for i, word in enumerate(words))


@labeling_function(label="spam", tags=["tone"])
def spaced_letters(text: str) -> bool:
    """Letters set apart to get past filters: "s u b s c r i b e"."""
    return bool(_SPACED.search(text))


@labeling_function(label="ham", tags=["tone"])
def laughs_or_hearts(text: str) -> bool:
    """Little more than laughter and hearts."""
    found = len(_LAUGH.findall(text))
    return found > 0 and len(_words(text)) <= 8 * found and "example" not in text


@labeling_function(label="ham", tags=["topic"])
def names_the_song(text: str, video: str) -> bool:
    """Speaks of the song by its title: two columns are read here."""
    title = {word for word in _words(video) if len(word) > 4}
    return bool(title & set(_words(text)))


@labeling_function(batch=True, tags=["tone"])
def plain_words(text):
    """Ham where no word of advertising stands. With batch=True a function sees whole columns (Arrow arrays) at once."""
    import pyarrow.compute as pc

    commercial = (
        r"(?i)http|www\.|\.com|\.example|@|subs?\b|s[uo]b?s?cri|abonn|inscrev|abone|chann?el|canal\b|kanal|cha[iî]ne|profil|perfil"
        r"|\b(free|gratis|earn|code|win|sell|prices?|download|vote|click|page|blog|server|lessons?|course|curso|stream|mentor|search)\b"
    )
    plain = pc.invert(pc.match_substring_regex(text, commercial))
    return pc.if_else(plain, "ham", None)
