"""Words by which names are told from other words, in English and in Spanish. Pure."""

from typing import Final


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


TITLES: Final = _set(
    "mr mrs ms miss mx dr prof professor sir madam coach señor señora señorita sr sra srta don doña"
)

PUPILS: Final = _set(
    "pupil pupils student students child children kid kids boy boys girl girls learner learners "
    "classmate classmates alumno alumna alumnos alumnas estudiante estudiantes niño niña niños "
    "niñas chico chica"
)
"""After these a name is a pupil's."""

PEOPLE: Final = _set(
    "mother mum mom dad father parent parents carer guardian grandmother grandfather grandma "
    "grandpa gran uncle aunt brother sister twin cousin friend friends teacher colleague "
    "assistant ta tutor mentor head headteacher principal deputy governor nurse counsellor "
    "counselor psychologist caretaker secretary madre padre mamá papá abuela abuelo hermano "
    "hermana tío tía primo prima amigo amiga profesor profesora maestro maestra tutora director "
    "directora"
)
"""After these a name is another person's."""

NAMED: Final = _set("called named name llamado llamada llama nombre")

PARTICLES: Final = _set(
    "de del la las los da das do dos di van der den von zu bin ibn bint al el abu ter le du"
)
"""Stand between the parts of a name."""

AFTER_NAMES: Final = _set(
    "is was has had isn't wasn't hasn't will won't would wouldn't can can't cannot could couldn't "
    "does doesn't did didn't keeps kept refuses refused gets got goes went says said told tells "
    "asks asked hits hit bit kicked pushed threw throws took takes never always often just still "
    "also cries cried shouts shouted sits sat runs ran left leaves came comes wants wanted needs "
    "needed thinks thought feels felt made makes swore swears spat lies lied stole steals lives "
    "started starts stopped stops hates loves likes speaks spoke joined arrives arrived walks "
    "walked punched bullies bullied screamed screams whispers whispered copied copies hides hid "
    "seems became tried tries works struggles talks talked está es ha no tiene dice llora grita "
    "pega"
)
"""What a sentence goes on with that begins with a name."""

_DAYS: Final = _set(
    "monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays "
    "thursdays fridays saturdays sundays january february march april may june july august "
    "september october november december easter christmas ramadan eid diwali hanukkah halloween "
    "thanksgiving spring summer autumn winter"
)

_LANGUAGES: Final = _set(
    "english spanish french german italian portuguese polish romanian ukrainian russian arabic "
    "turkish urdu punjabi bengali hindi mandarin chinese japanese korean welsh irish scottish "
    "british american european african asian latin greek muslim christian jewish hindu sikh "
    "england wales scotland ireland britain london europe america africa asia spain france "
    "germany ukraine poland syria"
)

_SCHOOL: Final = _set(
    "maths math mathematics science biology chemistry physics history geography art arts music "
    "drama pe ict computing re pshe phonics literacy numeracy literature languages year grade key "
    "stage ks reception nursery kindergarten term half unit chapter lesson period block set room "
    "class school college primary secondary standard sec a-level a-levels o-level leds wi-fi "
    "money advice reading writing academy university department head office team teams zoom "
    "google classroom chromebook ipad chatgpt youtube tiktok instagram snapchat whatsapp "
    "facebook word excel powerpoint internet wifi send senco adhd autism asd tourette dyslexia "
    "eal esl ofsted sats gcse iep ehcp pupil student teacher parents covid bible quran "
    "shakespeare macbeth romeo juliet hamlet"
)

_BEGINNINGS: Final = _set(
    "i i'm i've i'd i'll a an the this that these those my our your his her their its it it's he "
    "he's she she's they they're they've they'd we we're we've we'd you you've you're who who's "
    "whose what what's when where why how which there there's here one two three four five six "
    "seven eight nine ten some any many most few several both each every everyone everybody "
    "someone somebody anyone anybody nobody noone none nothing something everything anything all "
    "no not yes ok okay please thanks thank hello hi dear help is are am was were be been being "
    "do does did don't doesn't didn't have has had can could can't will would won't should shall "
    "may might must let let's if then else so but and or nor yet for from in on at by to of off "
    "with without within into onto over under after before during while since until because "
    "although though as like about above across again against along among around between beyond "
    "despite down up out near past per than through throughout toward towards upon via whenever "
    "wherever whether today tomorrow yesterday tonight now later soon recently lately sometimes "
    "usually often always never once twice first second third last next finally however "
    "therefore also another other others same such only just even still already maybe perhaps "
    "lots half pupils students children kids boys girls parents teachers staff colleagues "
    "homework lessons class classes group groups work behaviour behavior break lunch playtime "
    "assembly registration mum dad mom grandma grandpa give ask tell say show make take put use "
    "try get go come stop start wait keep find think look see hear write read speak talk explain "
    "check call sir miss madam god more less much me him them us myself himself herself "
    "themselves out home back round away"
)

_SPANISH: Final = _set(
    "yo tú él ella nosotros ellos ellas mi mis tu tus su sus un una unos unas el la los las lo "
    "que qué quién cómo cuándo dónde por para con sin en de del al a y o pero si sí no hay es "
    "está son están fue era ha han he muy más menos hoy ayer mañana lunes martes miércoles "
    "jueves viernes sábado domingo enero febrero marzo abril mayo junio julio agosto septiembre "
    "octubre noviembre diciembre navidad español inglés francés matemáticas ciencias lengua "
    "historia música alumno alumna alumnos alumnas clase profesor profesora puedo debo tengo "
    "cuando porque aunque durante después antes todos todas algunos nadie nada"
)

NOT_NAMES: Final = (
    _DAYS | _LANGUAGES | _SCHOOL | _BEGINNINGS | _SPANISH | TITLES | PUPILS | PEOPLE | NAMED
)
"""Words that begin with a capital and name nobody, or so often that more would be lost."""
