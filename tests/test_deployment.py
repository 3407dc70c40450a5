"""What is generated from the definitions of the instruments is what the definitions say."""

from pathlib import Path

import pytest

from staffroom.monitoring import deployment

REPOSITORY = Path(__file__).parent.parent


@pytest.mark.parametrize("place", deployment.files(REPOSITORY), ids=str)
def test_generated_files_are_as_the_definitions_have_them(place: Path) -> None:
    wanted = deployment.files(REPOSITORY)[place]

    assert (REPOSITORY / place).read_text("utf-8") == wanted, (
        "run `python -m staffroom.monitoring.deployment`"
    )
