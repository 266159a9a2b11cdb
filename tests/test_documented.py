"""Every documented example is covered by a test, or says why not; and the table notices what is missing."""

from pathlib import Path

import pytest

from tests import documented, mutants
from tests.shared import shared_file


def test_every_example_is_covered_or_says_why_not() -> None:
    shared_file("fixtures")
    rows, faults = documented.table()
    assert faults == []
    assert all(bool(row.by) is not bool(row.reason) for row in rows)
    assert sum(bool(row.by) for row in rows if row.public) > 150
    assert sum(bool(row.by) for row in rows if not row.public) > 130


def test_a_new_example_and_a_wrong_declaration_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = [
        f"Endpoints/{name}.txt" for name in ("ExchangeData/Known", "ExchangeData/New", "Account/Mine", "Account/New")
    ]
    loans = [f"Endpoints/Loans/{name}.txt" for name in ("Borrow", "Repay")]
    for name in (*ours, *loans):
        (tmp_path / "some" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "some" / name).touch()
    declared = documented.Documented(
        "some",
        {ours[0]: "TestIt.test_it", "Endpoints/ExchangeData/Gone.txt": "test_it", ours[2]: "test_away"},
        {"Endpoints/Loans/*": "no loans", "Endpoints/Earn/*": "nothing is earned", "Endpoints/Account/M*": "not ours"},
    )
    monkeypatch.setattr(documented, "FIXTURES", tmp_path)
    known = {"test_it", "TestIt.test_it"}
    monkeypatch.setattr(documented, "declarations", lambda: iter([("tests.test_some", known, declared)]))
    rows, faults = documented.table()
    assert faults == [
        "tests.test_some declares test_away, which is not there.",
        "some/Endpoints/Earn/* is declared, but is not there.",
        "some/Endpoints/ExchangeData/Gone.txt is declared, but is not there.",
        "some/Endpoints/Account/Mine.txt is covered and left out at once.",
        "some/Endpoints/Account/New.txt is covered by no test, and nothing says why.",
        "some/Endpoints/ExchangeData/New.txt is covered by no test, and nothing says why.",
    ]
    assert {row.path: row.reason for row in rows if "Loans" in row.path} == {
        f"some/{name}": "no loans" for name in loans
    }
    assert documented.main([]) == 1
    told = capsys.readouterr().out
    assert "some/Endpoints/ExchangeData/New.txt    IN NEITHER" in told
    assert "some/Endpoints/Account/New.txt         IN NEITHER" in told
    assert "some      of accounts    2 examples:   1 covered,   1 left out with a reason,   1 in neither" in told


def test_tests_are_known_by_their_names_and_those_of_their_classes() -> None:
    known = {module: names for module, names, _ in documented.declarations()}
    assert {"test_spot", "TestPlacing.test_spot", "TestFinding.test_spot"} <= known["tests.feeds.test_binance_orders"]
    assert not {"TestPlacing.test_one", "TestPlacing"} & known["tests.feeds.test_binance_orders"]


TEXT = """> { "op": "login", "args": [{ "price": "9" }] }
< { "event": "login", "code": "0" }
=
{
  "data": [
    { "fillPx": "51858", "count": 0, "name": "7a", "nested": { "fillPx": [1.50, "-2"] } },
    { "fillPx": "", "on": true, "other": { "fillPx": 3 } }
  ]
}
"""


def test_figures_are_found_where_a_struct_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in what is sent to the exchange, nor below names that nobody reads."""
    names = frozenset({"data", "fillPx", "nested", "name", "on"})
    monkeypatch.setattr(mutants, "structs", lambda folder: ((frozenset(), names),))
    found = mutants.figures("some", TEXT)
    assert [name for name, _ in found] == ["fillPx", "fillPx", "fillPx"]
    figures = [mutants.Figure("x", name, at, ("t",)) for name, at in found]
    assert [figure.change(TEXT)[figure.at - 4 : figure.at + 1] for figure in figures] == ["51859", "[1.51", ', "-3']


def test_of_what_is_changed_at_once_no_test_has_two() -> None:
    chosen = [mutants.Figure(path, "n", 0, tests) for path, tests in (("a", ("1", "2")), ("b", ("2",)), ("c", ("3",)))]
    chosen.append(mutants.Figure("a", "m", 1, ("1", "2")))
    assert [[figure.path for figure in members] for members in mutants.rounds(chosen)] == [["a", "c"], ["b"], ["a"]]
    assert [figure.path for figure in mutants.drawn(chosen, 3, 1)].count("a") == 1


@pytest.mark.slow
def test_changed_figures_are_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    shared_file("fixtures")
    assert documented.main(["--mutate", "12", "--seed", "5"]) == 0, capsys.readouterr().out
    noticed = int(capsys.readouterr().out.rpartition(": ")[2].split()[0])
    assert noticed >= 3
