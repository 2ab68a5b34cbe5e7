"""Which combinations of posterior, prior, likelihood, bound and estimator can be trained, and why others cannot.

The rules look at types: the space of a code, whether a sample carries a gradient, which density it has, and whether a
pair has a KL in closed form. `docs/legality.md` is the table that follows from them.
"""

from itertools import product

from vae_jax.distributions import Concrete, OneHotCategorical, PointMass, StraightThrough
from vae_jax.distributions.divergences import has_closed_form
from vae_jax.nets.likelihoods import KINDS, LIKELIHOODS
from vae_jax.systems.parts.families import POSTERIORS, PRIORS
from vae_jax.systems.parts.objective import BOUNDS, ESTIMATORS, TERMS

# The estimators, by their names in a config.
NAMES = (*TERMS, *ESTIMATORS)
# The estimators that differentiate a sample.
_REPARAMETERISED = tuple(name for name in NAMES if name != "score")


def objection(posterior: str, prior: str, bound: str, estimator: str) -> str | None:
    """Why this combination cannot be trained, or None where it can. All arguments are names of a config."""
    q, p = POSTERIORS[posterior], PRIORS[prior]
    analytic = "--estimator analytic" if bound == "elbo" else "--bound elbo --estimator analytic"
    if q.kind is PointMass:
        return f"a {posterior} has no density, so no bound: use --system autoencoder, info or adversarial"
    if reason := apart(posterior, prior):
        return reason
    if estimator in ("analytic", "sampled") and bound != "elbo":
        return (
            f"{estimator} is the ELBO in two terms and has no {bound} bound: use --estimator total or dreg, or "
            "--bound elbo"
        )
    if estimator == "analytic" and not has_closed_kl(posterior, prior):
        return (
            f"the KL between the posterior {posterior} and the prior {prior} has no closed form: use --estimator "
            "sampled, which draws it, or total or dreg"
        )
    if q.kind is OneHotCategorical and estimator in _REPARAMETERISED:
        return f"samples of a {posterior} posterior carry no gradient for {estimator}: use --estimator score"
    if q.kind is StraightThrough and estimator != "analytic":
        return (
            "a straight-through sample has the density of a choice and the gradient of its relaxation, which do not go "
            f"together in one log-weight: use {analytic}, which needs no density of the sample"
        )
    if q.kind is Concrete and p.kind is OneHotCategorical and estimator != "analytic":
        return (
            "a relaxed sample has no probability under a prior of discrete choices: use --prior relaxed_choices, or "
            f"{analytic}, whose KL is that of the choices"
        )
    if p.kind is Concrete and q.kind in (OneHotCategorical, StraightThrough):
        return "a prior on relaxed choices has no density at a discrete one: use --prior uniform_choices"
    return None


def has_closed_kl(posterior: str, prior: str) -> bool:
    """Whether the KL between a posterior and a prior has a closed form."""
    return has_closed_form(POSTERIORS[posterior].kind, PRIORS[prior].kind)


def apart(posterior: str, prior: str) -> str | None:
    """Why a posterior and a prior have no codes in common, or None where they have some."""
    q, p = POSTERIORS[posterior], PRIORS[prior]
    if q.space == p.space:
        return None
    same = ", ".join(name for name, part in PRIORS.items() if part.space == q.space)
    return f"the posterior {posterior} lives on {q.space} and the prior {prior} on {p.space}: use --prior {same}"


def is_biased(posterior: str, prior: str, bound: str, estimator: str) -> str | None:
    """Why the gradient of a legal combination is biased, or None where it is that of the bound."""
    if estimator == "stl" and bound != "elbo":
        return "stl leaves out a term that is not zero on average for a bound of several samples"
    if POSTERIORS[posterior].kind is StraightThrough:
        return "the gradient is that of the relaxation"
    if POSTERIORS[posterior].kind is Concrete and PRIORS[prior].kind is OneHotCategorical:
        return (
            "the likelihood is of relaxed samples and the KL of discrete ones: no bound, until measured with discrete"
        )
    return None


def table() -> str:
    """The table in Markdown: for each posterior and prior, which estimators of which bounds go with them."""
    lines = [
        "# What goes with what",
        "",
        "Generated from the types by `python -m vae_jax.systems.parts.legality > docs/legality.md`. Every likelihood",
        "goes with every row, if it is of the data's kind: "
        + "; ".join(
            f"{KINDS[kind]}: {', '.join(f'`{name}`' for name, part in LIKELIHOODS.items() if part.of == kind)}"
            for kind in KINDS
        )
        + ". But `columns` does not go with the prior `vamp`: in the rows that it learns, choices stay as they began.",
        "",
        "✓ all of `elbo`, `iwae`, `renyi`; *elbo* this bound alone; *biased*: see the notes; – refused, with a reason.",
        "",
        "| posterior | prior | " + " | ".join(f"`{name}`" for name in NAMES) + " |",
        "|---|---|" + "---|" * len(NAMES),
    ]
    notes: dict[str, None] = {}

    def cell(posterior: str, prior: str, estimator: str) -> str:
        legal = [bound for bound in BOUNDS if objection(posterior, prior, bound, estimator) is None]
        biased: dict[str, list[str]] = {}
        for bound in legal:
            if reason := is_biased(posterior, prior, bound, estimator):
                biased.setdefault(reason, []).append(bound)
        notes.update({f"`{estimator}` of {', '.join(names)}: {reason}.": None for reason, names in biased.items()})
        mark = "–" if not legal else "✓" if len(legal) == len(BOUNDS) else f"*{', '.join(legal)}*"
        return mark + "".join(f"; *{', '.join(names)} biased*" for names in biased.values())

    # Posteriors with the same cells share a row, and so do priors.
    rows: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for posterior, prior in product(POSTERIORS, PRIORS):
        if POSTERIORS[posterior].space == PRIORS[prior].space and POSTERIORS[posterior].kind is not PointMass:
            cells = tuple(cell(posterior, prior, estimator) for estimator in NAMES)
            rows.setdefault(cells, {}).setdefault(posterior, []).append(prior)
    for cells, priors_of in rows.items():
        for priors in dict.fromkeys(map(tuple, priors_of.values())):
            alike = [posterior for posterior, names in priors_of.items() if tuple(names) == priors]
            lines.append(f"| {', '.join(alike)} | {', '.join(priors)} | " + " | ".join(cells) + " |")
    points = ", ".join(name for name, part in POSTERIORS.items() if part.kind is PointMass)
    lines += ["", f"{points}: functions of x, without a density and so without a bound; for autoencoders."]
    lines += ["", "Notes:", "", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
