"""A run to report."""

import pytest
from report_runs import leave_two


@pytest.fixture
def run(tmp_path):
    return leave_two(tmp_path)
