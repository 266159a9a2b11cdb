"""What one connection is subscribed to: the bookkeeping alone, and against a model of an exchange."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from feeds.domain import Channel, Subscription
from feeds.ledger import Batch, Ledger, Phase

A, B, C, D = (Subscription(channel=Channel.BOOK, symbol=f"{name}/USDT") for name in "ABCD")


def ledger(*wanted: Subscription) -> Ledger:
    made = Ledger(answer_s=10, end_s=5)
    made.add(wanted)
    return made


def ask(books: Ledger, now_s: float = 0) -> list[Subscription]:
    """Send the next batch; returns what it asks for."""
    batch = books.next()
    assert batch is not None
    assert not batch.end
    books.sent(batch, now_s)
    return batch.subscriptions


def test_life_of_a_subscription() -> None:
    books = ledger(A)
    assert books.next() == Batch(False, [A])
    assert books.phase(A) is Phase.ASKED
    assert books.next() is None
    assert books.accepted([A]) == [A]
    assert books.accepted([A]) == []
    books.remove([A])
    assert books.wanted == set()
    assert books.next() == Batch(True, [A])
    books.ended([A])
    assert books.phase(A) is None


def test_what_was_never_asked_for_is_just_forgotten() -> None:
    books = ledger(A)
    books.remove([A, B])
    assert books.next() is None
    assert not books.expecting


def test_wanted_again_before_and_after_its_end_was_asked_for() -> None:
    books = ledger(A)
    ask(books)
    books.accepted([A])
    books.remove([A])
    books.add([A])
    assert not books.current(A)
    assert books.next() == Batch(True, [A]), "who wants it now needs what it begins with"
    books.add([A])
    assert books.next() is None, "its end has to be answered first"
    books.ended([A])
    assert not books.current(A)
    assert books.next() == Batch(False, [A])
    assert books.current(A)
    books.accepted([A])
    books.remove([A])
    assert not books.current(A)
    assert books.next() == Batch(True, [A])
    books.add([A])
    assert books.next() is None, "its end has to be answered first"
    books.ended([A])
    assert books.next() == Batch(False, [A])


def test_the_answer_to_an_older_question_ends_nothing() -> None:
    books = ledger(A)
    ask(books)
    books.resubscribe(A)
    assert books.next() == Batch(True, [A])
    assert books.accepted([A]) == [], "the answer to the first question"
    assert books.phase(A) is Phase.ENDING


def test_a_refused_end_has_ended() -> None:
    books = ledger(A)
    ask(books)
    books.accepted([A])
    books.resubscribe(A)
    books.next()
    assert books.refused([A]) == []
    assert books.next() == Batch(False, [A])


def test_refused_alone_refused_together() -> None:
    books = ledger(A, B, C, D)
    assert ask(books) == [A, B, C, D]
    assert books.refused([A]) == [A]
    assert books.refused([B, C, D]) == []
    assert ask(books) == [B]
    assert books.next() is None, "one group after the other"
    books.add([A])
    assert books.accepted([B]) == [B]
    assert ask(books) == [C, D]
    assert books.refused([]) == []  # without a name
    assert ask(books) == [C]
    assert books.refused([]) == [C]
    assert ask(books) == [D]
    books.accepted([D])
    assert ask(books) == [A], "what was added meanwhile"
    assert books.wanted == {A, B, D}


def test_removed_while_it_waits_in_a_group() -> None:
    books = ledger(A, B, C)
    ask(books)
    books.refused([])
    books.remove([B])
    assert ask(books) == [A]
    books.accepted([A])
    assert ask(books) == [C]


def test_a_refusal_of_strangers_changes_nothing() -> None:
    books = ledger(A)
    ask(books)
    assert books.refused([B]) == []
    assert books.phase(A) is Phase.ASKED


def test_no_answer() -> None:
    books = ledger(A)
    ask(books, now_s=100)
    assert books.overdue(111, heard_s=99) == [], "nothing came at all: not the subscription's fault"
    assert books.next() is None
    assert books.overdue(109, heard_s=105) == []
    assert books.overdue(110, heard_s=105) == []
    assert ask(books, now_s=110) == [A]
    assert books.overdue(120, heard_s=115) == [A]
    assert books.wanted == set()


def test_the_time_to_answer_begins_when_the_question_is_out() -> None:
    books = ledger(A)
    batch = books.next()
    assert batch is not None
    assert books.overdue(1000, heard_s=999) == []
    books.sent(batch, 1000)
    assert books.overdue(1009, heard_s=1005) == []


def test_what_got_no_answer_and_is_not_wanted_is_not_reported() -> None:
    books = ledger(A)
    ask(books)
    books.overdue(10, heard_s=5)
    ask(books, now_s=10)
    books.remove([A])
    assert books.overdue(20, heard_s=15) == []


def test_a_new_connection_asks_for_all_that_is_wanted() -> None:
    books = ledger(A, B, C)
    ask(books)
    books.accepted([A, B])
    books.remove([B])
    books.restart()
    assert books.next() == Batch(False, [A, C])


class Exchange(RuleBasedStateMachine):
    """Whatever is added, removed and renewed, in any order with the answers: in the end both sides agree."""

    subscriptions = st.sampled_from([A, B, C, D])

    def __init__(self) -> None:
        super().__init__()
        self.ledger = ledger()
        self.wanted: set[Subscription] = set()
        self.questions: list[Batch] = []  # on their way
        self.active: set[Subscription] = set()  # by the exchange

    @rule(subscription=subscriptions)
    def add(self, subscription: Subscription) -> None:
        self.ledger.add([subscription])
        self.wanted.add(subscription)

    @rule(subscription=subscriptions)
    def remove(self, subscription: Subscription) -> None:
        self.ledger.remove([subscription])
        self.wanted.discard(subscription)

    @rule(subscription=subscriptions)
    def resubscribe(self, subscription: Subscription) -> None:
        self.ledger.resubscribe(subscription)

    @rule()
    def send(self) -> None:
        if batch := self.ledger.next():
            self.ledger.sent(batch, 0)
            self.questions.append(batch)

    @rule()
    def answer(self) -> None:
        if not self.questions:
            return
        batch = self.questions.pop(0)
        for subscription in batch.subscriptions:
            assert (subscription in self.active) == batch.end, "asked twice, or ended what was not there"
        if batch.end:
            self.active -= set(batch.subscriptions)
            self.ledger.ended(batch.subscriptions)
        else:
            self.active |= set(batch.subscriptions)
            self.ledger.accepted(batch.subscriptions)

    @rule()
    def cut(self) -> None:
        self.questions.clear()
        self.active.clear()
        self.ledger.restart()

    @invariant()
    def wants_the_same(self) -> None:
        assert self.ledger.wanted == self.wanted

    def teardown(self) -> None:
        for _ in range(len(self.questions) + 10):  # those on their way, and what follows from their answers
            self.send()
            self.answer()
        assert self.active == self.wanted


TestExchange = Exchange.TestCase


def test_asked_for_in_another_way() -> None:
    books = ledger(A, B)
    assert ask(books) == [A, B]
    books.remove([B])
    books.again([A, B, C])
    assert books.next() == Batch(False, [A])
    assert books.phase(B) is None, "nobody wants it any more"
    books.accepted([A])
    books.again([A])
    assert books.next() is None, "it was accepted"
