"""`vae-jax explore`: a run as pictures, and as one page to look at and to hand on."""

from rich.console import Console

from vae_jax.commands.parse import RunPath, parse


def explore_command(arguments: list[str], console: Console) -> int:
    """Draw a run and write its page."""

    def explore(run: RunPath) -> int:
        """Draw every picture that suits the model, and write RUN/report.html, a page that needs nothing else.

        Codes of more than two dimensions are shown by t-SNE too, and by UMAP where umap-learn is installed.

        Args:
            run: Directory of the run.
        """
        from vae_jax import __version__
        from vae_jax.commands.parse import opened
        from vae_jax.measure.evaluation import measurements_of, own_evaluation
        from vae_jax.pictures.likeliest import LIKELIEST
        from vae_jax.pictures.run import write_pictures
        from vae_jax.pictures.views import VIEWS
        from vae_jax.report.page import write_page
        from vae_jax.train.files import check_writable

        subject = opened(run)
        check_writable(run)
        pictures = write_pictures(subject, (*VIEWS, LIKELIEST))
        path = write_page(
            subject, own_evaluation(subject), measurements_of(subject.run.config), pictures, version=__version__
        )
        console.print(
            f"pictures: {pictures[0].parent}\npage: {path} ({path.stat().st_size / 1e6:.1f} MB)", soft_wrap=True
        )
        return 0

    return parse("explore", explore, arguments)
