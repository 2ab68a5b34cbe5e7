from pathlib import Path

import pytest

from tests.runs import trained


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a trained run that commands may write into: nothing may depend on what others left there."""
    return trained(tmp_path_factory.mktemp("commands") / "run")[0].directory
