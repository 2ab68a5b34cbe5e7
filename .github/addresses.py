"""Write where the repository lies into what a release carries.

    python .github/addresses.py https://HOST/OWNER/vae_jax v0.2.0

A package index shows README.md away from the repository: there a relative link leads nowhere, and a relative picture is
not seen. So both become absolute, at the tag of the release, and the project's own addresses go into pyproject.toml.
The workflow of a release knows the address; the repository does not, and stays as it is.
"""

import re
import sys
from pathlib import Path

# "[text](target)" and "![text](target)", whose target is a path: no scheme, and no place on the page itself.
_LINK = re.compile(r"(!?\[[^\]]*\])\((?![a-z]+:|#)([^)\s]+)\)")


def absolute(readme: str, address: str, tag: str) -> str:
    """The page with its relative links led to the files of the tag, and its pictures to their raw bytes."""
    return _LINK.sub(
        lambda link: f"{link[1]}({address}/{'raw' if link[1].startswith('!') else 'blob'}/{tag}/{link[2]})", readme
    )


def urls(address: str, tag: str) -> str:
    """The table of pyproject.toml that an index shows beside the page."""
    return (
        "\n[project.urls]\n"
        f'Repository = "{address}"\n'
        f'Documentation = "{address}/tree/{tag}/docs"\n'
        f'Changelog = "{address}/blob/{tag}/CHANGELOG.md"\n'
        f'Issues = "{address}/issues"\n'
    )


def main(address: str, tag: str) -> None:
    """Change README.md and pyproject.toml of the folder that this is run in."""
    readme, project = Path("README.md"), Path("pyproject.toml")
    described = project.read_text(encoding="utf-8")
    if "[project.urls]" in described:
        raise SystemExit("pyproject.toml has [project.urls] already: run this once, in a fresh checkout.")
    readme.write_text(absolute(readme.read_text(encoding="utf-8"), address, tag), encoding="utf-8")
    project.write_text(described + urls(address, tag), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(f"expected an address and a tag, got {len(sys.argv) - 1} words.\n\n{__doc__}")
    main(sys.argv[1].rstrip("/"), sys.argv[2])
