import os
from pathlib import Path

import pytest

from vae_jax.core.errors import RequestError
from vae_jax.core.files import check_ending, replacing, write_whole


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "some.txt"

    def broken_off() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        broken_off()
    assert list(path.parent.iterdir()) == []
    with replacing(path) as partial:
        assert str(os.getpid()) in partial.name
        # Nor is it that of another thread.
        with replacing(path) as another:
            assert another != partial
            another.write_text("of another")
        partial.write_text("whole")
    assert path.read_text() == "whole"
    write_whole(path, "another")
    assert path.read_text() == "another"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("endings", "words"),
    [((".json",), ".json, got"), ((".csv", ".parquet"), ".csv or .parquet, got"), ((".a", ".b", ".c"), ".a, .b or .c")],
)
def test_a_path_says_by_its_ending_what_is_written(endings: tuple[str, ...], words: str) -> None:
    for ending in endings:
        assert check_ending(Path(f"t{ending}"), *endings) == Path(f"t{ending}")
    with pytest.raises(RequestError, match=f"--out must end in {words}"):
        check_ending(Path("t.txt"), *endings)
