"""Rules about the form of the noun that is asked for (the columns `head` and `focus` of transforms/questions.sql)."""

import re

from teachkit import labeling_function

_AGENT = re.compile(
    r"(?:[a-z]{3,}(?:er|or|ist|ian|ess|eer|man|men|woman|women|ers|ors|ists|ians|wright|crat)|detective|novelists?)$"
)
_NO_AGENTS = frozenset(
    """address answer beer border boxer business caliber cancer center chapter character chess color colors computer corner
    cover cucumber danger december diameter dinner disorder doberman dress error factor fastener fever finger fist flavor
    flower fur gender hamburger heather horsepower human instructor's katmandu larger laser layer leather letter letters
    lever list liver master matter maneuver meter mirror mist monitor monster motor musher newspaper newspapers number
    numbers november october order oyster paper papers pepper poster powder power press process quarter river rivers rubber
    semester september shoulder shower silver soccer spider success suffer sugar summer sweater temper thunder tiger timber
    tower transistors under underwater vector water weather wilderness winter wonder wonders""".split()
)
# The nouns of places.txt, people.txt, numbers.txt and accounts.txt: what stands there is no thing. They are written out
# because a fingerprint sees this file, and would not see a file that the function opens.
_OTHER_KINDS = frozenset(
    """abbreviation acreage acronym actor actors actress actresses address admiral advantages advocate age agency ages
    airline airport airports amount anchor anniversary application archipelago architect area areas army artist
    astronaut astronauts athlete attorney attorneys attraction attractions author authors avenue average background
    band bank battlefield bay benefit benefits birthdate birthday birthplace bodies border borders borough boxer boy
    boys bridge brother brothers budget building buildings business businesses canal candidate canyon capacity
    capital capitals captain cartoonist castle cathedral cause caused causes cave celebrity cemetery century ceo
    chairman chance chancellor chances chapter character characteristics characters chemist cities citizen citizens
    city civilization claim clown club coach coast college colleges colonies colony comedian comedienne companies
    company composer composition concept congress congressman constellation constellations contents continent
    continents contribution contributions corporation cost costs counties countries country county couple court
    cowboy crooner dad dam dancer date dates daughter daughters day decade definition density department depth
    derivation description desert deserts designer detective dictator difference differences digits dimensions
    director disadvantages distance distinction district doctor duo duration dwarfs dynasty editor effect effects
    emperor empire equivalent estimate expectancy explanation explorer explorers factors family fans fare father fee
    firm firms founder fraction frequency function functions galaxy gangster gdp general girl girlfriend gnp god
    goddess golfer governor grandfather group growth gulf habitat hamlet happened headquarters height heir
    hemisphere hero heroine highway history hometown horsepower host hostess hotel husband identity impact
    importance income influence influences information initials inventor iq island islands job jockey journalist
    judge killer king kingdom lake lakes land landmark landmarks latitude laureate lawyer leader leaders league
    length lengths libraries library lifespan link location locations longitude lyrics magician maker mall man
    manager manufacturer martyrs mayor meaning meanings meant member men mileage minister mom monarch month months
    moon moral mother motto mountain mountains murderer museum musician nation nationality nations nature
    neighborhood network newsman newsmen nickname novelist number numbers occupation occurred ocean oceans odds
    officer organization organizations origin origins owner painter palace park parks party peak peaks peninsula
    people per-capita percent percentage person philosopher philosophy photographer physicist pilot pirate pitcher
    place places planet planets player players playwright plot poet politician pope population port president
    presidents price prices prince princess principle principles probability problem problems procedure process
    producer profession professor properties pros province pseudonym purpose qualifications quantity quarterback
    queen range rapper rate rates ratio reactivity reason reasons recipe record region regions relationship relative
    reporter republic requirement requirements residence resident resort restaurant revenue river rivers road role
    saint salary scholar school schools scientist scientists score scoundrel sculptor sea seaport seas season
    secretary senator setting significance similarity singer singers sister sisters site sites situation size sizes
    skater skyscraper soldier son sons speed spy stadium state states statistics status steps store stores story
    strait street streets studio sum surgeon surname tax team teams temperature territory theme theory time toll
    total tower town towns tribe trio union universities university use uses valley value verdict vice-president
    victim village villain volcano wage wages waterfall website websites weight width wife winner witch woman women
    words worth writer writers year years youngster youngsters zip zoo""".split()
)
_RELATIVE = r"(?:wife|husband|sons?|daughters?|mother|father|brothers?|sisters?|partner|lover|mistress|boss|sidekick|butler)"


@labeling_function(label="HUMAN", tags=["form"])
def agent_noun(head: str) -> bool:
    """The noun asked for ends like those of people who do something: inventor, senator, novelist, explorer."""
    return bool(_AGENT.search(head)) and head not in _NO_AGENTS


@labeling_function(label="HUMAN", tags=["form"])
def name_of_somebody(text: str) -> bool:
    """Asks for somebody's real name, or for a relative."""
    if re.search(r"\b(?:dog|horse|cat|ship|city|how|when|where)\b", text):
        return False
    return bool(
        re.search(r"'s (?:\w+ )?" + _RELATIVE + r"\b(?! of)", text)
        or re.search(r"\b(?:real|maiden|last|first|full|original|middle|stage|pen) name\b", text)
        or re.search(r"\bnames? of .*\b(?:who|character|actor|actress|singer|man|woman|boy|girl|" + _RELATIVE + r")\b", text)
    )


@labeling_function(label="ENTITY", tags=["form"])
def other_noun(text: str, head: str) -> bool:
    """A noun is asked for that is no usual word for a person, a place, a number or an account: most are things."""
    if not head or head in _OTHER_KINDS:
        return False
    if _AGENT.search(head) and head not in _NO_AGENTS:
        return False
    return not re.search(r"\b(?:who|where|when|why|how|cost|mean|stands?|abbreviat\w+|acronym|definition)\b", text)


@labeling_function(batch=True, tags=["form"])
def ends_with_question(text):
    """Questions that end in "what ...?": the last words tell what is asked; looks at a whole column at once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    place = r"(?:city|country|state|river|island|continent|lake|ocean)"
    somebody = r"(?:company|person|team|president|organization|group)"
    endings = {
        "ABBREVIATION": r"(?:acronym|abbreviation|short) for what\s*\?*$",
        "NUMERIC": r"(?:how (?:many|much|long|far)|what (?:year|date|day|time|age|percentage))[^?]{0,20}\?*$",
        "HUMAN": r"(?:to|by|with|for) whom\s*\?*$|(?:which|what) " + somebody + r"\s*\?*$",
        "LOCATION": r"(?:in|on|from|near|of|by) (?:what|which) (?:\w+ )?" + place + r"\s*\?*$",
        "ENTITY": r" (?:called|is|of|for|from|on|with|by|as|a|are) what\s*\?*$",
    }
    label = pa.nulls(len(text), pa.string())
    for name, ending in endings.items():
        label = pc.coalesce(label, pc.if_else(pc.match_substring_regex(text, ending), name, None))
    return label
