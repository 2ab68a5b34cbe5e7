import pytest

from tests.laws import LAWS, Law


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_law_holds(law: Law) -> None:
    law.check(law.right)


# Minutes in all, and only of interest where a law or a member of a table changes: `pytest -m slow`.
@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_a_mutation_breaks_the_law(law: Law) -> None:
    with pytest.raises(AssertionError):
        law.check(law.wrong)
