"""A question as a query of tantivy.

Every part of it scores a fixed number, by the field a word stands in and by how exactly it is the word that
was asked for. How often a word occurs, here or in the whole index, counts for nothing: otherwise the order
of what somebody sees would tell him of documents that he doesn't.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tantivy import Occur, Query

from kompass.access.audiences import Channel
from kompass.search.asking import Question, Term
from kompass.search.embedded.schema import SCHEMA, number, stem

NUMBER = 12.0
TITLE = 10.0
TITLE_STEM = 8.0
TITLE_BEGUN = 6.0
NUMBER_BEGUN = 5.0
STRONG = 4.0
TITLE_MISTAKEN = 3.0
PLAIN = 2.0
BEGUN = 1.2
MISTAKEN = 0.7
PHRASE = 5.0
SYNONYM = 0.8
"""Times what the word itself would count."""

SHORTEST_BEGUN_NUMBER = 3
SHORTEST_BEGUN = 2
"""Letters from which on the beginning of a word is looked for outside of titles."""


def allowed(readable: Collection[Channel]) -> Query:
    """What is in one of the channels. No score: it is no merit."""
    if not readable:
        return Query.empty_query()
    return Query.const_score_query(Query.term_set_query(SCHEMA, "channels", sorted(readable)), 0.0)


def filtered(filters: Mapping[str, tuple[str, ...]]) -> list[Query]:
    return [
        Query.const_score_query(Query.term_set_query(SCHEMA, facet, list(wanted)), 0.0)
        for facet, wanted in filters.items()
    ]


def numbered(numbers: Collection[int], field: str = "number") -> Query:
    """Documents by their numbers."""
    return Query.const_score_query(Query.term_set_query(SCHEMA, field, sorted(numbers)), 0.0)


def left_out(docids: Collection[str]) -> Query:
    return numbered({number(docid) for docid in docids})


def primary() -> Query:
    return Query.const_score_query(Query.term_query(SCHEMA, "primary", True), 0.0)


def companion() -> Query:
    return Query.const_score_query(Query.term_query(SCHEMA, "companion", True), 0.0)


def all_of(wanted: Collection[Query], unwanted: Collection[Query] = ()) -> Query:
    return Query.boolean_query(
        [*((Occur.Must, one) for one in wanted), *((Occur.MustNot, one) for one in unwanted)]
    )


def asked(question: Question, required: int | None = None) -> Query:
    """What fits. `required`: so many of the terms are enough."""
    if question.nonsense:
        return Query.empty_query()
    if not question.terms:
        return Query.const_score_query(Query.all_query(), 1.0)
    parts = [_term(term) for term in question.terms]
    if required is None or required >= len(parts):
        fitting = all_of(parts)
    else:
        fitting = Query.boolean_query(
            [(Occur.Should, one) for one in parts], minimum_number_should_match=required
        )
    better = [(Occur.Must, fitting)]
    together = [word for term in question.terms for word in term.words]
    if len(together) > 1:
        phrase = Query.phrase_query(SCHEMA, "title", list(together))
        better.append((Occur.Should, Query.const_score_query(phrase, PHRASE)))
    query = Query.boolean_query(better)
    if question.number:
        return Query.disjunction_max_query([query, _exactly("codes", question.number, NUMBER)])
    return query


def _term(term: Term) -> Query:
    if len(term.words) == 1:
        ways = _word(term.words[0], term.begun, term.mistakes)
        for synonym in term.synonyms:
            ways += [Query.boost_query(one, SYNONYM) for one in _word(synonym, False, 0)]
    else:
        ways = [all_of([_exactly("all", word, PLAIN / len(term.words)) for word in term.words])]
    if term.code:
        ways.append(_exactly("codes", term.code, NUMBER))
        if term.begun and len(term.code) >= SHORTEST_BEGUN_NUMBER:
            ways.append(_like("codes", term.code, NUMBER_BEGUN, 0, begun=True))
    if term.amount is not None:
        ways.append(_exactly("codes", term.amount, NUMBER))
    return Query.disjunction_max_query(ways)


def _word(word: str, begun: bool, mistakes: int) -> list[Query]:
    stemmed = stem(word)
    ways = [
        _exactly("title", word, TITLE),
        _exactly("title_stems", stemmed, TITLE_STEM),
        _exactly("strong_stems", stemmed, STRONG),
        _exactly("plain_stems", stemmed, PLAIN),
    ]
    if begun:
        ways.append(_like("title", word, TITLE_BEGUN, 0, begun=True))
        if len(word) >= SHORTEST_BEGUN:
            ways.append(_like("all", word, BEGUN, 0, begun=True))
    if mistakes:
        ways.append(_like("title", word, TITLE_MISTAKEN, mistakes))
        ways.append(_like("all", word, MISTAKEN, mistakes))
    return ways


def _exactly(field: str, word: str, score: float) -> Query:
    return Query.const_score_query(Query.term_query(SCHEMA, field, word, "basic"), score)


def _like(field: str, word: str, score: float, mistakes: int, *, begun: bool = False) -> Query:
    return Query.const_score_query(Query.fuzzy_term_query(SCHEMA, field, word, mistakes, True, begun), score)
