"""Certificates alone: what to build upon, which views are missing, what a peer is sent, what cannot both be true."""

from __future__ import annotations

import pytest

from flockchain.consensus.certificates import CertificateBook, SafetyBroken
from flockchain.primitives.numbers import ZERO_HASH, Epoch, Hash, View
from flockchain.primitives.vote import Certificate, VoteKind

NOTARIZE, NULLIFY, FINALIZE = VoteKind
ANCHOR = Hash(b"\x01" * 32)
A, B = Hash(b"a" * 32), Hash(b"b" * 32)


def build(kind: VoteKind, view: int, block_hash: Hash = A) -> Certificate:
    return Certificate(kind, Epoch(1), View(view), ZERO_HASH if kind is NULLIFY else block_hash, b"\x07", bytes(96))


@pytest.fixture
def book() -> CertificateBook:
    return CertificateBook(ANCHOR)


def test_an_epoch_begins_upon_its_anchor(book: CertificateBook) -> None:
    assert book.base == (0, ANCHOR)
    assert book.get_notarized(View(0)) == ANCHOR
    assert (book.highest_view, book.finalization) == (0, None)
    assert book.get_openers(View(1)) == ()


def test_the_base_is_the_highest_block_and_the_top_the_highest_certificate(book: CertificateBook) -> None:
    for certificate in (build(NOTARIZE, 3), build(NULLIFY, 7), build(NOTARIZE, 2, B)):
        assert book.add(certificate)
    assert book.base == (3, A)
    assert book.highest_view == 7


def test_a_finalization_counts_as_a_notarization(book: CertificateBook) -> None:
    book.add(build(FINALIZE, 4))
    assert book.get_notarized(View(4)) == A
    assert book.base == (4, A)
    assert book.highest_final_view == 4


def test_a_gap_is_the_lowest_view_between_that_is_not_nullified(book: CertificateBook) -> None:
    for view in (2, 4):
        book.add(build(NULLIFY, view))
    assert book.find_gap(View(1), View(5)) == 3
    book.add(build(NULLIFY, 3))
    assert book.find_gap(View(1), View(5)) is None
    assert book.find_gap(View(0), View(5)) == 1
    assert book.find_gap(View(4), View(5)) is None


def test_the_lowest_finalization_is_gathered_first(book: CertificateBook) -> None:
    book.add(build(FINALIZE, 9))
    book.add(build(FINALIZE, 5, B))
    assert book.finalization == build(FINALIZE, 5, B)
    book.apply_floor(build(FINALIZE, 5, B))
    assert book.finalization == build(FINALIZE, 9)


def test_finality_forgets_what_is_below_and_refuses_it_later(book: CertificateBook) -> None:
    for certificate in (build(NULLIFY, 1), build(NOTARIZE, 2), build(NULLIFY, 3)):
        book.add(certificate)
    book.apply_floor(build(FINALIZE, 2))
    assert not book.add(build(NULLIFY, 1))
    assert book.collect_from(View(1)) == (build(FINALIZE, 2), build(NULLIFY, 3))
    assert book.get_openers(View(3)) == (build(FINALIZE, 2),)
    assert book.has(NULLIFY, View(2))
    assert not book.has(NOTARIZE, View(3))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (build(NOTARIZE, 3), build(NOTARIZE, 3, B)),
        (build(NOTARIZE, 3), build(FINALIZE, 3, B)),
        (build(FINALIZE, 3), build(NOTARIZE, 3, B)),
        (build(FINALIZE, 3), build(NULLIFY, 3)),
        (build(NULLIFY, 3), build(FINALIZE, 3)),
    ],
)
def test_certificates_that_exclude_each_other_stop_the_node(
    book: CertificateBook, first: Certificate, second: Certificate
) -> None:
    book.add(first)
    with pytest.raises(SafetyBroken):
        book.add(second)


def test_a_view_may_be_both_notarized_and_nullified(book: CertificateBook) -> None:
    assert book.add(build(NOTARIZE, 3))
    assert book.add(build(NULLIFY, 3))
    assert book.collect_from(View(3)) == (build(NULLIFY, 3), build(NOTARIZE, 3))
