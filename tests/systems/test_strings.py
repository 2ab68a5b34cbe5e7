import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from tests.runs import changed, console, measured, trained
from vae_jax.cli import main
from vae_jax.config import Experiment, quick
from vae_jax.config.files import load_config
from vae_jax.core.errors import ConfigError
from vae_jax.data import load_strings, stand_in_strings
from vae_jax.data.strings import derivations
from vae_jax.distributions import DiagNormal
from vae_jax.distributions.divergences import kl
from vae_jax.languages.grammar import load_grammar
from vae_jax.measure.strings import STRINGS, texts
from vae_jax.measure.subject import Subject, subject_of
from vae_jax.pictures.run import write_pictures
from vae_jax.report.arrays import write_samples
from vae_jax.search.strings import target_of
from vae_jax.systems.registry import build_system, validate
from vae_jax.systems.strings import PUBLISHED_NOISE, narrowed, published_loss
from vae_jax.train.run import prepare_run


def small(**fields: Any) -> Experiment:
    """Equations for a few steps on random ones, with networks of a few units."""
    config = quick(load_config("equations"))
    config = changed(config, "model", hidden=(8, 8), latent_size=3)
    config = changed(config, "train", epochs=1, batch_size=64)
    return changed(config, "strings", recurrent_size=8, **fields)


def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure with a protocol of a few strings."""
    for name, number in (("EXAMPLES", 10), ("ENCODINGS", 2), ("PRIOR_CODES", 20)):
        monkeypatch.setattr(f"vae_jax.measure.strings.{name}", number)


def lines(path: Path, *strings: str) -> str:
    path.write_text("\n".join(strings) + "\n")
    return str(path)


def test_published_equations_and_molecules(shared_data: Path, tmp_path: Path) -> None:
    for name, count in (("equation2_15.txt.gz", 1000), ("zinc250k.smi.gz", 5600)):
        with gzip.open(shared_data / name, "rt") as file, gzip.open(tmp_path / name, "wt") as some:
            some.writelines(next(file) for _ in range(count))
    equations = load_strings("equations", grammar="equations", data_dir=tmp_path, validation_size=100)
    assert (len(equations.train.x), len(equations.validation.x), len(equations.test.x)) == (700, 100, 200)
    assert equations.shape[0] <= 14
    molecules = load_strings("zinc", grammar="smiles_zinc", data_dir=tmp_path)
    # The first 5,000 lines are the test split, in their order.
    assert (len(molecules.train.x), len(molecules.validation.x), len(molecules.test.x)) == (540, 60, 5000)
    assert molecules.grammar is not None
    assert texts(molecules.grammar, molecules.test.x[:1]) == ["CC(C)(C)c1ccc2occ(CC(=O)Nc3ccccc3F)c2c1"]


def test_equations_are_made_where_there_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_jax.data.strings._MADE", 300)
    first, again = (load_strings("equations", grammar="equations", seed=3) for _ in range(2))
    assert len(first.train.x) + len(first.validation.x) + len(first.test.x) == 300
    np.testing.assert_array_equal(first.train.x, again.train.x)
    assert first.grammar is not None
    assert len(set(texts(first.grammar, first.train.x))) == len(first.train.x)


def test_own_files(tmp_path: Path) -> None:
    path = lines(tmp_path / "mine.smi", "CCO ethanol", "c1ccccc1\tbenzene", *(["C"] * 20))
    data = load_strings(path, grammar="smiles")
    assert data.grammar is not None
    seen = {string for split in (data.train, data.validation, data.test) for string in texts(data.grammar, split.x)}
    assert seen == {"CCO", "c1ccccc1", "C"}
    as_characters = load_strings(path, grammar="characters")
    assert as_characters.shape == (len("c1ccccc1") + 1,)
    (tmp_path / "two.lark").write_text('start: "a" start | "a"')
    with gzip.open(tmp_path / "words.txt.gz", "wt") as file:
        file.write("a\naa\naaa\n" * 10)
    assert load_strings(str(tmp_path / "words.txt.gz"), grammar=str(tmp_path / "two.lark")).shape == (3,)


def test_strings_that_do_not_fit(tmp_path: Path) -> None:
    path = lines(tmp_path / "mine.txt", "x+1", "x+y", "x*x*x*x", "", "1", "2", "3", "x/2", "x*2")
    options: dict[str, Any] = {"grammar": "equations", "validation_size": 1}
    with pytest.raises(
        ValueError, match=r"of 9 strings of .*, 2 are not in the language, the first on line 2, column 3"
    ):
        load_strings(path, **options)
    with pytest.raises(
        ValueError, match=r"1 have more than 6 rules, the first on line 3, which has 8\. With skip=True they are"
    ):
        load_strings(path, most=6, **options)
    with pytest.warns(UserWarning, match="2 are not in the language.* They were left out"):
        kept = load_strings(path, skip=True, **options)
    assert len(kept.train.x) + len(kept.validation.x) + len(kept.test.x) == 7
    with pytest.raises(ValueError, match="holds no string that fits"):
        load_strings(path, most=1, skip=True, **options)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"empty.txt is empty: it must hold a string on each line"):
        load_strings(lines(tmp_path / "empty.txt", ""), grammar="equations")
    with pytest.raises(FileNotFoundError, match="nowhere.txt is not there"):
        load_strings(str(tmp_path / "nowhere.txt"), grammar="equations")
    with pytest.raises(FileNotFoundError, match=r"no data for zinc: .*zinc250k.smi.gz is not there. Put it there, or"):
        load_strings("zinc", grammar="smiles", data_dir=tmp_path)


def test_parsed_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VAE_JAX_CACHE", str(tmp_path))
    grammar, given = load_grammar("equations"), ["x", "x+1", "y", "2"]
    with pytest.warns(UserWarning, match="1 are not in the language"):
        first, rows = derivations("some", grammar, given, skip=True)
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr("vae_jax.data.strings._parsed", None)
    with pytest.warns(UserWarning, match="1 are not in the language"):
        again, same = derivations("some", grammar, given, skip=True)
    np.testing.assert_array_equal(first, again)
    assert rows.tolist() == same.tolist() == [0, 1, 3]


def test_the_published_loss_is_what_its_paper_computes() -> None:
    config, data = small(published_scaling=True), stand_in_strings("equations", grammar="equations")
    config = changed(config, "objective", beta=1.0)
    system = build_system(validate(config), data)
    plain = build_system(validate(small()), data).vae
    assert plain is not None
    params = system.init(jax.random.key(0), {"x": jnp.asarray(data.train.x[:2], jnp.int32)})
    x, key = jnp.asarray(data.train.x[0], jnp.int32), jax.random.key(1)
    loss, metrics = published_loss(plain, params, key, x)  # pyright: ignore
    posterior = plain.encode(params, x)
    z = posterior.loc + PUBLISHED_NOISE * posterior.scale * jax.random.normal(key, (3,))
    standard = DiagNormal(jnp.zeros(3), jnp.ones(3))
    expected = kl(posterior, standard) / 3.0 - plain.decode(params, z).log_prob(x)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["mean_kl"], kl(posterior, standard) / 3.0, rtol=1e-5)
    # What is measured is the posterior that was drawn from.
    assert system.vae is not None
    np.testing.assert_allclose(system.vae.encode(params, x).scale, PUBLISHED_NOISE * posterior.scale, rtol=1e-6)
    np.testing.assert_allclose(narrowed(plain).encode(params, x).loc, posterior.loc)  # pyright: ignore


def test_a_run_from_end_to_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    few(monkeypatch)
    run, state = trained(tmp_path / "run", small())
    found = measured(run, state, STRINGS, decodings=2)
    # A grammar's decoder writes nothing else.
    assert found["prior_valid"] == 1.0
    assert 0.0 <= found["reconstructed"] <= 1.0
    again = measured(run, state, STRINGS, decodings=2)
    assert found == again
    names = [path.name for path in write_pictures(subject_of(run, state))]
    assert {"interpolation.png", "neighbourhood.png"} <= set(names)
    paths = write_samples(subject_of(run, state), count=5, seed=0, out=None)
    written = paths[1].read_text().splitlines()
    assert len(written) == 5
    assert all(load_grammar("equations").accepts(string) for string in written)
    codes = tmp_path / "codes.npz"
    assert main(["encode", str(run.directory), lines(tmp_path / "some.txt", "x+1", "sin(x)"), "--out", str(codes)]) == 0
    assert np.load(codes)["mean"].shape == (2, 3)
    assert main(["encode", str(run.directory), "digits"]) == 1
    # And on the command line, the search.
    assert main(["search", str(run.directory), "--rounds", "2", "--batch", "2", "--start", "10"]) == 0
    results = json.loads((run.directory / "search.json").read_text())
    assert len(results) == 14
    values = [one["log(1 + MSE)"] for one in results]
    known = [value for value in values if value is not None]
    assert known == sorted(known)
    assert [one["round"] for one in results].count(2) == 2
    assert (run.directory / "search.png").is_file()


def test_a_posterior_without_a_mean_and_few_strings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    few(monkeypatch)
    config = changed(small(), "model", posterior="planar", flow_layers=1)
    config = changed(config, "objective", estimator="sampled")
    file = lines(tmp_path / "few.txt", *("x+1", "sin(x)", "x*x", "x", "1+2", "x/3") * 2, *("exp(x)",) * 4)
    config = changed(config, "train", batch_size=4)
    config = changed(config, "data", dataset=file, stand_in=False, validation_size=0)
    run, state = trained(tmp_path / "run", config)
    assert len(run.dataset.test.x) == 3
    assert 0.0 <= measured(run, state, STRINGS, decodings=2)["likely_reconstructed"] <= 1.0
    assert {"interpolation", "neighbourhood"} <= {path.stem for path in write_pictures(subject_of(run, state))}


def test_a_search_for_molecules_wants_the_largest_log_p(tmp_path: Path) -> None:
    data = dataclasses.replace(load_config("zinc").data, stand_in=True)
    run = prepare_run(dataclasses.replace(load_config("zinc"), data=data), tmp_path)
    target = target_of(Subject(run, None, {}, None, None))
    assert target.name == "penalised log P"
    oily, soluble = target.score("CCCCCCCC"), target.score("OCC(O)CO")
    assert oily < soluble
    assert target.shown(oily) == target.value("CCCCCCCC") > target.value("OCC(O)CO")
    assert target.score("c1cccc") == float("inf")


def test_characters_are_measured_by_what_they_should_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    few(monkeypatch)
    run, state = trained(tmp_path / "run", small(grammar="characters"))
    found = measured(run, state, STRINGS, decodings=2)
    share = found["prior_valid"]
    assert share < 1.0
    count = found["prior_codes"] * found["string_decodings"]
    assert found["prior_valid_binomial_error"] == pytest.approx(scipy.stats.binom(count, share).std() / count)
    # Draws of one code agree, so that codes differ by more than independent draws would.
    assert found["prior_valid_error"] >= found["prior_valid_binomial_error"]
    assert not STRINGS.answers(subject_of(*trained(tmp_path / "digits")))


@pytest.mark.parametrize(
    ("section", "fields", "message"),
    [
        ("model", {"likelihood": "bernoulli"}, "use --likelihood categorical, not bernoulli"),
        ("model", {"network": "conv"}, "has networks of its own"),
        ("model", {"prior": "vamp"}, "another prior than vamp"),
        ("model", {"posterior": "categorical"}, "decodes a vector: --posterior categorical is none"),
        ("strings", {"published_scaling": True}, "--published-scaling is a loss of its own"),
        ("strings", {"max_rules": 0}, "--max-rules must be greater than 0, got 0"),
        ("strings", {"recurrent_size": 0}, "--recurrent-size must be greater than 0"),
    ],
)
def test_configs_that_do_not_fit(section: str, fields: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(changed(small(), section, **fields))


def test_strings_and_their_system_go_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="equations holds strings, which are for --system strings, not vae"):
        validate(dataclasses.replace(load_config("vae"), data=load_config("equations").data))
    with pytest.raises(ConfigError, match="--max-rules 5 has no effect with --system vae"):
        validate(changed(load_config("vae"), "strings", max_rules=5))
    run, _ = trained(tmp_path)
    with pytest.raises(ConfigError, match="--system strings is for strings"):
        build_system(small(), run.dataset)
    assert main(["search", str(run.directory)]) == 1
    assert console() is not None
