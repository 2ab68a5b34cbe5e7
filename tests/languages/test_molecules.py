import sys
from typing import Any

import numpy as np
import pytest

from vae_jax.languages import molecules

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def test_validity() -> None:
    assert molecules.is_valid(ASPIRIN)
    # In the grammar, and not molecules: an open ring, five bonds of a carbon, aromatic bonds that cannot be placed.
    for smiles in ("C1CC", "C(C)(C)(C)(C)C", "c1cccc1", ""):
        assert not molecules.is_valid(smiles)


def test_properties_of_known_molecules() -> None:
    aspirin = molecules.properties(ASPIRIN)
    # Crippen's log P, and an accessibility near 1 for what is easy to make.
    assert aspirin.logp == pytest.approx(1.31, abs=0.01)
    assert aspirin.accessibility == pytest.approx(1.58, abs=0.05)
    assert aspirin.ring_excess == 0
    assert molecules.properties("C1CCCCCCC1").ring_excess == 2
    with pytest.raises(ValueError, match="'C1CC' is not a molecule"):
        molecules.properties("C1CC")


def test_penalised_log_p_is_in_units_of_its_molecules() -> None:
    some = ["CCO", "CCCCCC", "c1ccccc1", "C1CCCCCCC1", ASPIRIN]
    score = molecules.PenalisedLogP(some)
    np.testing.assert_allclose(np.mean([score(one) for one in some]), 0.0, atol=1e-9)
    logp = np.array([molecules.properties(one).logp for one in some])
    difference = score("CCCCCC") - score("CCO")
    parts = (np.array(molecules.properties("CCCCCC")) - np.array(molecules.properties("CCO"))) / score.scale
    assert difference == pytest.approx(parts[0] - parts[1] - parts[2])
    assert score.scale[0] == pytest.approx(logp.std())


def test_a_picture_has_ink() -> None:
    drawn = molecules.picture(ASPIRIN, width=120, height=90)
    assert drawn.shape == (90, 120, 3)
    assert 0.5 < np.mean(drawn == 255) < 1.0


def test_without_rdkit(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: Any = None
    monkeypatch.setitem(sys.modules, "rdkit", missing)
    molecules._rdkit.cache_clear()
    with pytest.raises(ImportError, match=r"molecules need RDKit: pip install 'vae-jax\[molecules\]'"):
        molecules.is_valid("C")
    molecules._rdkit.cache_clear()
