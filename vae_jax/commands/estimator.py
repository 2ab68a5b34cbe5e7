"""A VAE as an estimator of scikit-learn."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from vae_jax.config.fields import Data, Experiment, Model, Optimizer, Train
from vae_jax.config.rules import plain
from vae_jax.data import Dataset, Split, binarised
from vae_jax.data.reals import as_reals
from vae_jax.data.units import Units, units_of
from vae_jax.data.values import are_shares
from vae_jax.evaluate.likelihood import log_marginal
from vae_jax.models.vae import typical
from vae_jax.optimizers.rules import make_optimizer
from vae_jax.systems.registry import build_system, validate
from vae_jax.train import program

# Rows that a program takes at a time. Fewer are filled up, so that a number does not depend on the others beside it.
_ROWS = 256


class VAETransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A variational autoencoder of the rows of X: codes, reconstructions, samples and densities.

    `likelihood`: "normal" or "student_t" of real numbers, which are standardised for the networks, "bernoulli" of bits
    or of values between 0 and 1, "continuous_bernoulli" of the latter. `score_samples` is log p(x) in nats, of x in its
    own units. `num_samples`: draws of z for it.

    Fitted attributes: `params_`, a tree of arrays; `loss_`, the mean loss of the last epoch, nats. The estimator
    pickles by its settings and its arrays.

    Source: Auto-Encoding Variational Bayes, arXiv 1312.6114.
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        likelihood: str = "normal",
        hidden: tuple[int, ...] = (64, 64),
        epochs: int = 200,
        batch_size: int = 64,
        learning_rate: float = 2e-3,
        num_samples: int = 100,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.likelihood = likelihood
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.num_samples = num_samples
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> "VAETransformer":
        """Train on the rows of `X` `[n, d]`, at least two. ValueError where they do not suit the likelihood."""
        del y
        x: Any = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        dataset = self._dataset(x, self.likelihood)
        config = self._config(len(x), dataset)
        system = build_system(config, dataset)
        per_epoch = len(x) // config.train.batch_size
        steps = config.train.epochs * per_epoch
        rule, data = make_optimizer(config.optimizer, steps), dataset.train.batch()
        options = {"batch_size": config.train.batch_size, "num_steps": steps}
        train = jax.jit(lambda data, key: program.fit(system, rule, dataset.prepare, data, key, **options))
        state = train(data, jax.random.key(seed))
        self.loss_ = float(program.mean_metrics(state, per_epoch)["loss"])
        if not np.isfinite(self.loss_):
            raise ValueError(f"the loss became {self.loss_}: use a lower learning_rate than {self.learning_rate}.")
        self.params_ = jax.tree.map(np.asarray, state.params)
        self.config_, self.seed_ = config, seed
        self.outline_ = _Outline(dataset.levels, dataset.binarisation, dataset.units, x.shape[1])
        self.n_iter_ = config.train.epochs
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Means of q(z | x), `[n, n_components]`.

        With the likelihood "bernoulli" x is bits: of values between 0 and 1 each row draws them, the same at each call.
        """
        return self._by_row("encode", X)

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """Means of p(x | z), `[n, d]`, of codes `[n, n_components]`."""
        check_is_fitted(self)
        codes, size = np.asarray(Z, np.float32), self._n_features_out
        if codes.ndim != 2 or codes.shape[1] != size:
            raise ValueError(f"Z must have shape (n, {size}), got {codes.shape}.")
        if not len(codes):
            raise ValueError("Z holds no codes.")
        return _in_rows(self._functions.decode, self.params_, codes)

    def score_samples(self, X: Any) -> np.ndarray:
        """log p(x) of each row, nats `[n]`, importance-weighted by `num_samples` draws of z; bits as in `transform`."""
        scores = self._by_row("log_prob", X)
        # So far from all that was learned that float32 does not tell how far.
        return np.where(np.isnan(scores), -np.inf, scores)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of log p(x) over the rows, nats: larger is better."""
        del y
        return float(np.mean(self.score_samples(X), dtype=np.float64))

    def sample(self, n_samples: int = 1) -> np.ndarray:
        """Rows `[n_samples, d]` drawn from the model, the same at each call."""
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}.")
        return _in_rows(self._functions.sample, self.params_, np.arange(n_samples, dtype=np.uint32))

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        # As it was fitted, whatever is set now.
        return self.config_.model.latent_size

    def _by_row(self, name: str, X: Any) -> np.ndarray:
        check_is_fitted(self)
        x: Any = validate_data(self, X, dtype=np.float64, reset=False)
        if self.config_.model.likelihood == "bernoulli":
            # As in training, a model of bits is given bits of values between 0 and 1.
            dataset = self._dataset(x, "bernoulli")
            x = np.asarray(dataset.prepare_alone(jax.random.key(self.seed_), dataset.train.batch())["x"])
        return _in_rows(getattr(self._functions, name), self.params_, x.astype(np.float32))

    @property
    def _functions(self) -> "_Functions":
        outline = self.outline_
        units = None if outline.units is None else tuple(part.tobytes() for part in outline.units)
        shown = (outline.levels, outline.binarisation, units, outline.size)
        return _functions(self.config_, self.seed_, self.num_samples, *shown)

    def _dataset(self, x: np.ndarray, likelihood: str) -> Dataset:
        bits = bool(np.isin(x, (0, 1)).all())
        if likelihood in ("bernoulli", "continuous_bernoulli") and not are_shares(x):
            raise ValueError(f"likelihood {likelihood!r} is for values between 0 and 1; X holds {x.min()}..{x.max()}.")
        x = as_reals("X", x)
        reals = likelihood in ("normal", "student_t")
        split = Split(x, None)
        raw = Dataset(
            *("X", split, split.take(slice(0)), split.take(slice(0))),
            levels=1 if bits and not reals else None,
            binarisation="none",
            seed=0,
            units=units_of(x) if reals else None,
        )
        return binarised(raw, "dynamic" if likelihood == "bernoulli" and not bits else "none")

    def _config(self, size: int, dataset: Dataset) -> Experiment:
        # Whatever else it is, `validate` refuses it.
        likelihood: Any = self.likelihood
        if np.ndim(self.hidden) != 1:
            raise ValueError(f"hidden must be a tuple with the size of each layer, got {self.hidden!r}.")
        sizes = {"hidden": tuple(map(plain, self.hidden)), "latent_size": plain(self.n_components)}
        return validate(
            Experiment(
                "an estimator",
                Data("X", binarisation=dataset.binarisation),
                Model(**sizes, activation="silu", likelihood=likelihood),
                optimizer=Optimizer(learning_rate=self.learning_rate, schedule="cosine", clip_norm=10.0),
                train=Train(epochs=plain(self.epochs), batch_size=min(plain(self.batch_size), size)),
            )
        )


class _Outline(NamedTuple):
    """What a model must know of the data that it was trained on."""

    levels: int | None
    binarisation: Any
    units: Units | None
    size: int


class _Functions(NamedTuple):
    """Compiled functions of `(params, batch)`."""

    encode: Callable[..., Any]
    decode: Callable[..., Any]
    sample: Callable[..., Any]
    log_prob: Callable[..., Any]


@functools.lru_cache(maxsize=32)
def _functions(
    config: Experiment, seed: int, num_samples: int, levels: int | None, binarisation: Any, units: Any, size: int
) -> _Functions:
    known = None if units is None else Units(*(np.frombuffer(part, np.float32) for part in units))
    none = Split(np.zeros((1, size), np.float32), None)
    dataset = Dataset("X", none, none, none, levels=levels, binarisation=binarisation, seed=0, units=known)
    vae: Any = build_system(config, dataset).vae
    key = jax.random.key(seed)

    def sample(params: Any, number: Any) -> Any:
        z_key, x_key = jax.random.split(jax.random.fold_in(key, number))
        return vae.decode(params, vae.prior(params).sample(z_key)).sample(x_key)

    def log_prob(params: Any, x: Any) -> Any:
        return log_marginal(vae, params, key, x, num_samples=num_samples).value

    def batched(function: Callable[..., Any]) -> Callable[..., Any]:
        return jax.jit(jax.vmap(function, in_axes=(None, 0)))

    return _Functions(
        batched(lambda params, x: vae.encode(params, x).mean),
        batched(lambda params, z: typical(vae.decode(params, z), key)),
        batched(sample),
        batched(log_prob),
    )


def _in_rows(function: Callable[..., Any], params: Any, rows: np.ndarray) -> np.ndarray:
    """A function of a batch on all rows, in batches of one size."""
    parts = []
    for first in range(0, len(rows), _ROWS):
        part = rows[first : first + _ROWS]
        filled = np.concatenate([part, np.broadcast_to(part[:1], (_ROWS - len(part), *part.shape[1:]))])
        parts.append(np.asarray(function(params, jnp.asarray(filled)))[: len(part)])
    return np.concatenate(parts)
