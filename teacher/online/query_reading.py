"""Reads a query: what it asks for, what must not be there, what is measured.

Whether an item fits is `matching.py`'s business.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from relevance.aspects import OTHER
from relevance.text import normalise
from teacher.online.ages import age_mentions
from teacher.online.departments import DepartmentModel
from teacher.online.lexicon import Lexicon
from teacher.online.negation import Negations
from teacher.online.phrases import GOODS, Phrases
from teacher.online.quantities import Quantity, QuantityFinder
from teacher.online.readings import Mention, QueryReading, Span
from teacher.online.spelling import Speller
from teacher.online.terms import TermFinder
from teacher.online.words import Word, stems, words


class QueryReader:
    """Reads queries with one lexicon; knows nothing of any item."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._idf = lexicon.idf
        self._stop = frozenset(lexicon.words["stop"])
        self._accessory = frozenset(lexicon.words["accessory"])
        self._terms = TermFinder(lexicon.terms)
        self._quantities = QuantityFinder(lexicon.units, lexicon.counts)
        self._negations = Negations(lexicon.words)
        self._phrases = Phrases(lexicon.heads, lexicon.words)
        self._synonyms = lexicon.synonyms
        self._departments = DepartmentModel(lexicon.departments)
        self._speller = Speller(lexicon.document_frequencies, _known_words(lexicon))

    def read(self, query: str) -> QueryReading:
        """Everything `query` asks for."""
        text = normalise(query)
        said = tuple(self._speller.corrected(word) for word in words(text))
        quantities = self._quantities.find(text)
        scopes = self._negations.scopes(said)
        negated = frozenset(at for scope in scopes for at in range(scope.start, scope.stop))
        taken = negated | {at for at, w in enumerate(said) if _inside(w, quantities)}
        mentions = [*self._terms.find(text, said, skip=taken), *age_mentions(text)]
        product, head = self._phrases.product(text, said, mentions, taken)
        asks = [mention for mention in mentions if mention.aspect not in GOODS]
        asks += [product] if product else []
        asks += _model_numbers(text, said, taken, asks)
        asks += self._residual(text, said, taken, asks)
        content = {
            word.stem: self._idf(word.stem)
            for at, word in enumerate(said)
            if at not in negated and word.stem not in self._stop
        }
        return QueryReading(
            text=text,
            words=said,
            asks=tuple(sorted(asks, key=_place)),
            quantities=quantities,
            absent=tuple(
                Mention(OTHER, " ".join(s.negated), text[slice(*s.span)], s.span) for s in scopes
            ),
            head=head,
            accessory=self._asked_accessory(text, said, taken),
            weights=content,
            departments=self._departments.posterior(content),
            same=self._same(content),
            measured={
                word.stem: quantity
                for word in said
                for quantity in quantities
                if word.stem in content and _inside(word, (quantity,))
            },
        )

    def _asked_accessory(
        self, text: str, said: Sequence[Word], taken: AbstractSet[int]
    ) -> Mention | None:
        """The last word that asks for a part or an addition rather than the thing itself."""
        asked = [w for at, w in enumerate(said) if at not in taken and w.stem in self._accessory]
        if not asked:
            return None
        return Mention(
            "main_or_accessory", "accessory", *_cut(text, (asked[-1].start, asked[-1].end))
        )

    def _same(self, content: Mapping[str, float]) -> dict[str, tuple[str, ...]]:
        """What says each content word as well: synonyms, and itself joined with a neighbour."""
        stems_said = list(content)
        same = {stem: list(self._synonyms.get(stem, ())) for stem in stems_said}
        for first, second in zip(stems_said, stems_said[1:], strict=False):
            for stem in (first, second):
                same[stem].append(first + second)
        return {stem: tuple(others) for stem, others in same.items() if others}

    def _residual(
        self, text: str, said: Sequence[Word], taken: AbstractSet[int], asks: Iterable[Mention]
    ) -> Iterator[Mention]:
        """The content words that no lexicon knows, asked for as they stand.

        Neighbouring characters of an unspaced script are asked for together.
        """
        spans = [ask.span for ask in asks if ask.span]
        run: list[Word] = []
        for at, word in enumerate(said):
            if at in taken or word.stem in self._stop or _within(word, spans):
                continue
            if run and not (word.is_unspaced and run[-1].is_unspaced and word.start == run[-1].end):
                yield _words_mention(text, run)
                run = []
            run.append(word)
        if run:
            yield _words_mention(text, run)


def _model_numbers(
    text: str, said: Sequence[Word], taken: AbstractSet[int], asks: Sequence[Mention]
) -> list[Mention]:
    """Words of letters and digits (wh1000), and numbers after a name (airpods 2)."""
    spans = [ask.span for ask in asks if ask.span and ask.aspect not in ("product", "brand")]
    found = []
    for at, word in enumerate(said):
        if at in taken or _within(word, spans):
            continue
        if word.stem.isdigit() and at and said[at - 1].stem.isalpha() and at - 1 not in taken:
            series = f"{said[at - 1].stem} {word.stem}"
            found.append(Mention("model_number", series, *_cut(text, (word.start, word.end))))
        elif _mixed(word.stem):
            found.append(Mention("model_number", word.stem, *_cut(text, (word.start, word.end))))
    return found


def _known_words(lexicon: Lexicon) -> frozenset[str]:
    """The words of every term, and the small words."""
    forms = [form for terms in lexicon.terms.values() for form in terms]
    forms += [form for small in lexicon.words.values() for form in small]
    return frozenset(part for form in forms for part in stems(form))


def _mixed(stem: str) -> bool:
    return any(c.isdigit() for c in stem) and any(c.isalpha() for c in stem)


def _words_mention(text: str, run: Sequence[Word]) -> Mention:
    value = " ".join(word.stem for word in run)
    return Mention(OTHER, value, *_cut(text, (run[0].start, run[-1].end)))


def _within(word: Word, spans: Iterable[Span]) -> bool:
    return any(start <= word.start < end for start, end in spans)


def _cut(text: str, span: Span) -> tuple[str, Span]:
    return text[slice(*span)], span


def _inside(word: Word, quantities: Iterable[Quantity]) -> bool:
    return any(q.start < word.end and word.start < q.end for q in quantities)


def _place(mention: Mention) -> Span:
    return mention.span or (0, 0)
