"""The checks, in the order of the table's columns."""

from tests.conformance.checks import desk, calm, faults, rough, aging, dirty, paper, crowd  # noqa: F401, I001
