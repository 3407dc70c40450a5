"""Writes what is made from the definitions of the instruments: `python -m
staffroom.monitoring.deployment` in the root of the repository."""

import sys
from pathlib import Path
from typing import Final

from staffroom.monitoring.reference import reference

PAGE: Final = Path("docs/monitoring.md")
BEGIN: Final = "<!-- instruments: python -m staffroom.monitoring.deployment -->\n"
END: Final = "<!-- /instruments -->"


def files(root: Path) -> dict[Path, str]:
    """What each generated file should hold, by its place below the root."""
    page = (root / PAGE).read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return {PAGE: f"{before}{BEGIN}\n{reference()}\n{END}{after}"}


def write(root: Path) -> None:
    """The generated files hold what they should."""
    for place, text in files(root).items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text, "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
