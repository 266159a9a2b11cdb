"""Every documented public example is covered by a test, or says why not; and the table notices what is missing."""

from pathlib import Path

import pytest

from tests import documented
from tests.shared import shared_file


def test_every_public_example_is_covered_or_says_why_not() -> None:
    shared_file("fixtures")
    rows, faults = documented.table()
    assert faults == []
    assert sum(bool(row.by) for row in rows) > 100


def test_a_new_example_and_a_wrong_declaration_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("Endpoints/ExchangeData/Known.txt", "Endpoints/ExchangeData/New.txt", "Endpoints/Account/Mine.txt"):
        (tmp_path / "some" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "some" / name).touch()
    known = {"Endpoints/ExchangeData/Known.txt": "test_it", "Endpoints/ExchangeData/Gone.txt": "test_it"}
    declared = documented.Documented("some", {**known, "Endpoints/Account/Mine.txt": "test_away"})
    monkeypatch.setattr(documented, "FIXTURES", tmp_path)
    monkeypatch.setattr(documented, "declarations", lambda: iter([("tests.test_some", {"test_it"}, declared)]))
    _, faults = documented.table()
    assert faults == [
        "tests.test_some declares test_away, which is not there.",
        "some/Endpoints/ExchangeData/Gone.txt is declared, but is not there.",
        "some/Endpoints/ExchangeData/New.txt is covered by no test, and nothing says why.",
    ]
    assert documented.main([]) == 1
    assert "some/Endpoints/ExchangeData/New.txt    IN NEITHER" in capsys.readouterr().out
