"""Molecules as SMILES, by RDKit (`pip install 'vae-jax[molecules]'`): validity, scores and drawings."""

import functools
import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image


@functools.cache
def _rdkit() -> Any:
    """RDKit's chemistry, without its messages on each string that is no molecule."""
    try:
        from rdkit import Chem, RDLogger
    except ImportError as error:
        raise ImportError("molecules need RDKit: pip install 'vae-jax[molecules]'") from error
    RDLogger.DisableLog("rdApp.*")  # pyright: ignore[reportAttributeAccessIssue]
    return Chem


def check_installed() -> None:
    """ImportError, with what to install, where RDKit is missing."""
    _rdkit()


@functools.cache
def _accessibility() -> Any:
    """The module of synthetic accessibility scores, which RDKit ships outside of its packages."""
    _rdkit()
    from rdkit import RDConfig

    path = Path(RDConfig.RDContribDir) / "SA_Score" / "sascorer.py"
    spec = importlib.util.spec_from_file_location("sascorer", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"this RDKit lacks the scores of synthetic accessibility: {path} is not there.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def is_valid(smiles: str) -> bool:
    """Whether RDKit reads the string as a molecule: rings are closed, valences hold, aromatic bonds can be placed."""
    return bool(smiles) and _rdkit().MolFromSmiles(smiles) is not None


class Properties(NamedTuple):
    """`logp`: of octanol and water, by Crippen. `accessibility`: 1 is easy to make, 10 hard. `ring_excess`: atoms that
    the largest ring has beyond six."""

    logp: float
    accessibility: float
    ring_excess: int


def properties(smiles: str) -> Properties:
    """What penalised logP is made of. ValueError where the string is no molecule."""
    molecule = _molecule(smiles)
    from rdkit.Chem import Crippen

    largest = max((len(ring) for ring in molecule.GetRingInfo().AtomRings()), default=0)
    logp = Crippen.MolLogP(molecule)  # pyright: ignore[reportAttributeAccessIssue]
    return Properties(logp, _accessibility().calculateScore(molecule), max(0, largest - 6))


class PenalisedLogP:
    """log P less accessibility and ring excess, each in units of its deviation over some molecules, from their mean.

    Source: Grammar Variational Autoencoder, arXiv 1703.01925, where these molecules are the training data.
    """

    def __init__(self, molecules: Sequence[str]) -> None:
        values = np.array([properties(smiles) for smiles in molecules], np.float64)
        self.mean, scale = values.mean(axis=0), values.std(axis=0)
        self.scale = np.where(scale > 0.0, scale, 1.0)

    def __call__(self, smiles: str) -> float:
        """The score of a molecule. ValueError where the string is none."""
        logp, accessibility, ring_excess = (np.array(properties(smiles)) - self.mean) / self.scale
        return float(logp - accessibility - ring_excess)


def picture(smiles: str, *, width: int = 240, height: int = 180) -> np.ndarray:
    """A drawing of the molecule, uint8 `[height, width, 3]`. ValueError where the string is none."""
    molecule = _molecule(smiles)
    from rdkit.Chem.Draw import rdMolDraw2D

    drawer = rdMolDraw2D.MolDraw2DCairo(width, height)
    drawer.drawOptions().clearBackground = True
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, molecule)
    drawer.FinishDrawing()
    return np.asarray(Image.open(io.BytesIO(drawer.GetDrawingText())).convert("RGB"))


def _molecule(smiles: str) -> Any:
    molecule = _rdkit().MolFromSmiles(smiles) if smiles else None
    if molecule is None:
        raise ValueError(f"{smiles!r} is not a molecule that RDKit can read.")
    return molecule
