import pytest

from tests.laws import LAWS, Law


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_law_holds_and_a_mutation_breaks_it(law: Law) -> None:
    law.check(law.right)
    with pytest.raises(AssertionError):
        law.check(law.wrong)
