"""The checks, in the order of the table's columns."""

from tests.conformance.checks import calm, faults, rough, aging, dirty, crowd  # noqa: F401, I001
