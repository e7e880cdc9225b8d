"""The audit: leaks between what is learnt from and what is scored, and what is odd in the data."""

from speechkit.audit.auditing import audit
from speechkit.audit.findings import SEVERITIES, Audit, Example, Finding, Part, Severity
from speechkit.audit.leaks import LEAK_KINDS
from speechkit.audit.parts import ODD_KINDS

KINDS = LEAK_KINDS | ODD_KINDS
"""All that can be found, by the names that scripts know."""

__all__ = ["KINDS", "SEVERITIES", "Audit", "Example", "Finding", "Part", "Severity", "audit"]
