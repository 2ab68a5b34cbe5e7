"""The grammar "smiles" is OpenSMILES, as RDKit reads it; what is known to differ is a table."""

import random
import re

import numpy as np
import pytest

from vae_jax.languages.grammar import load_grammar

Chem = pytest.importorskip("rdkit.Chem")
SMILES, ZINC = load_grammar("smiles"), load_grammar("smiles_zinc")


@pytest.fixture(autouse=True)
def _quiet():
    from rdkit import rdBase

    with rdBase.BlockLogs():
        yield


def rdkit_reads(smiles: str) -> bool:
    """Whether RDKit can read it, be it a possible molecule or not."""
    return Chem.MolFromSmiles(smiles, sanitize=False) is not None


def words(text: str) -> list[str]:
    return text.split()


VALID = words(r"""
    C CC C-C C=C C#N C$C C:C c1ccccc1 c:1:c:c:c:c:c:1 C(=O)O C(C)(C)C C(C(C(C))) C(#N)C N#N O=C=O *C C*C
    F Cl Br I B P S b1ccccc1 p1ccccc1 n1ccccc1 o1cccc1 s1cccc1 Cn Sc Co cn no
    C0CCCCC0 C1CC1C1CC1 C12(CCCCC1)CCCCC2 C%25CCCCC%25 C%12CC1CC%121 C=1CCCCC=1 C=1CCCCC1 C1CCCCC=1 C=%11CCCCC%11
    C\%11CC%11 C/1CC1 C-1CC1 C:%11CC%11 C$1CC$1 C1.C1 C(C)1CC1 C(C)=1CC=1
    C/C=C/C C/C=C\C F/C(Cl)=C/F C/C(/F)=C/F [Na+].[Cl-] CC(=O)[O-].[K+] C(C.C)C
    [H] [H+] [H][H] [2H]C [0S] [13CH4] [238U] [999C] [14c]1ccccc1 [15NH3] [35Cl] [13*H2+2:7] [2H+] [HH]
    [CH4] [CH0] [CH1] [CH] [CH9] [ClH] [ClH1] [OH-] [OH1-] [OH-1] [OH3+] [nH]1cccc1 [nH+] [C] [*] [*H] [*+]
    [Cu+2] [Cu++] [Ca++] [O--] [Fe+3] [NH4+1] [C-15] [C+15] [C+0] [U+6] [Rh-](Cl)(Cl)(Cl)(Cl)$[Rh-](Cl)(Cl)(Cl)Cl
    [CH4:2] [CH3:0] [C:12345] [CH3:1]C [*:1] [NH4+:5] [C:1]-[C:2]
    F[C@@H](Cl)Br F[C@](Cl)(Br)I [C@TH1] [C@TH2] [C@AL1] [C@AL2] [C@SP1] [C@SP3] [C@TB1] [C@TB20] [C@TB13] [C@OH1]
    [C@OH20] [C@OH29] [C@OH30] [Co@OH12+3] [C@@H1+2:3] OC(Cl)=[C@]=C(C)F
    [se]1cccc1 [as]1cccc1 [te]1cccc1 [si]1cccc1 [b] [sH+] [asH] [seH] [Sc] [Sn] [Cn] [Co] [Cs] [Os] [Hs] [Nh] [Og]
""")

# Wrong in their syntax, whatever the molecule.
WRONG = words(r"""
    =C C= C== C==C C=#C C-= .C C. C..C (C)C C() C()C C(C C) C)C C(C)) CC( ((C)) C((C))C C(=) C(=C C(.) (
    C% C%1 C%1C C%C C(%12) % 1 1C =1 C.1CC1 C(1CC1)
    [] [ ] [C C] [C]] [[C]] [CC] [13] [C13] [Xx] [Q] [A] [a] [D] [T] [R] [cl] [cL] [na] [sn] [nb] [os] [CH-H] [C+H] [HC]
    [C+-] [C-+] [C+--] [C+++] [Fe+++] [O---] [C+1+] [C++2] [C++1] [CH3:] [C:1+] [C::1] [CH3:a] [C:-1] [+] [H3C]
    [C@@@H] [CH@] [C@1] [C@TH3] [C@TH0] [C@AL3] [C@SP4] [C@TB0] [C@TB21] [C@OH0] [C@OH31] [C@@TH1] [C@H@] [@C] [C@XX1]
    Q X D T A a R L l e Cx Si Na cl Al se [13]C C:: C'C C"C C&1 C;C C,C C!C C{C} C?C C<C C|C| C^C C_C é
""")

# What the specification says is valid, and RDKit does not read: leading zeros, and a branch that begins with a dot.
NOT_BY_RDKIT = words("[02H] [002H] [NH4+:005] C1CCCCC%01 C%00CCCCC%00 [C+01] C1CC(.[Na+])CC1[O-] C(.C)C")

# What RDKit reads, and is not OpenSMILES.
RDKITS_OWN = words("C~C C->N N<-C C%(12)CC%(12) C%(123)CC%(123) [#6] [#6H] ['Hs'] [CH10] [C+150] [C@TH] [Uub]")


@pytest.mark.parametrize("smiles", VALID)
def test_what_is_valid_is_read_and_written_again(smiles: str) -> None:
    assert rdkit_reads(smiles)
    assert SMILES.unparse(SMILES.parse(smiles)) == smiles


@pytest.mark.parametrize("smiles", WRONG)
def test_what_is_wrong_is_refused(smiles: str) -> None:
    assert not rdkit_reads(smiles)
    assert not SMILES.accepts(smiles)


@pytest.mark.parametrize(("strings", "accepted"), [(NOT_BY_RDKIT, True), (RDKITS_OWN, False)])
def test_where_rdkit_and_the_specification_differ_the_specification_holds(strings: list[str], accepted: bool) -> None:
    for smiles in strings:
        assert SMILES.accepts(smiles) is accepted, smiles
        assert rdkit_reads(smiles) is not accepted, smiles


def test_every_element_and_nothing_else_is_a_symbol() -> None:
    table = Chem.GetPeriodicTable()
    elements = {table.GetElementSymbol(number) for number in range(1, 119)}
    letters = [chr(code) for code in (*range(65, 91), *range(97, 123))]
    tried = [*letters, *(a + b for a in letters for b in letters)]
    read = {word for word in tried if SMILES.accepts(f"[{word}]")} - {a + "H" for a in (*elements, *"bcnops")}
    assert read == elements | set(words("b c n o p s si as se te"))


def test_an_edited_molecule_is_read_where_rdkit_reads_it() -> None:
    """Ring numbers are left out where RDKit refuses: that they pair is no matter of the grammar."""
    draw = random.Random(0)
    parts = [*(part for part in VALID if rdkit_reads(part)), "CC(=O)Oc1ccccc1C(=O)O", "C[C@H](N)C(=O)[O-]"]
    alphabet = sorted(set("".join(VALID)) - {"~"})
    differ = re.compile(r"H\d\d|[+-]\d{3}|[+-]0\d|@(TH|AL|SP|TB|OH)(?![1-9])|\[0\d|%0|:0\d|\(\.|\[H?@|\[\d*H(@|H)")
    counts = {True: 0, False: 0}
    for _ in range(6000):
        edited = list("".join(draw.choices(parts, k=draw.randint(1, 2)))[:24])
        for _ in range(draw.randint(1, 2)):
            place = draw.randrange(len(edited) + 1)
            edited[place : place + draw.randint(0, 1)] = draw.choice([draw.choice(alphabet), ""])
        smiles = "".join(edited)
        if not smiles or differ.search(smiles):
            continue
        read = rdkit_reads(smiles)
        if not read and re.search(r"[\d%]", re.sub(r"\[.*?\]", "", smiles)):
            continue
        counts[read] += 1
        assert SMILES.accepts(smiles) is read, smiles
    assert min(counts.values()) > 500


def test_no_string_has_two_derivations() -> None:
    # A parser without conflicts: over literals there is one. Drawn ones are found again: so it is over characters.
    assert SMILES._parser.lark.options.parser == "lalr"
    draw = np.random.default_rng(0)
    for trial in range(1500):
        numbers = SMILES.random(draw, 3 + trial % 100)
        assert SMILES.parse(SMILES.unparse(numbers)) == numbers


def test_smiles_zinc_is_a_part_of_smiles() -> None:
    draw = np.random.default_rng(0)
    for most in range(3, 60):
        string = ZINC.unparse(ZINC.random(draw, most))
        assert SMILES.unparse(SMILES.parse(string)) == string
    # It is the grammar that runs of version 0.1.0 were trained with, by its number of rules.
    assert (len(ZINC.rules), len(SMILES.rules)) == (108, 255)


def test_derivations_are_as_long_as_by_the_smaller_grammar() -> None:
    for string in ("CC(=O)Oc1ccccc1C(=O)O", "C[C@@H]1CC[NH+](C)C1", "O=C1N[C@H](c2ccccc2)C(=O)N1"):
        assert len(SMILES.parse(string)) == len(ZINC.parse(string))
