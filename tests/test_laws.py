import pytest

from tests.laws import LAWS, Law


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_law_holds(law: Law) -> None:
    law.check(law.right)


# Of the many families of distributions this takes minutes, and so runs with `pytest -m slow`.
@pytest.mark.parametrize(
    "law",
    [pytest.param(law, marks=[pytest.mark.slow] if law.of_a_family else [], id=law.name) for law in LAWS],
)
def test_a_mutation_breaks_the_law(law: Law) -> None:
    with pytest.raises(AssertionError):
        law.check(law.wrong)
