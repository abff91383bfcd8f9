"""The fenced blocks of the deployment guides, in the order of the guides."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[2] / "examples" / "deploy"
GUIDES = [DEPLOY / f"{name}.md" for name in ("README", "python", "raspberry_pi", "android", "ios")]
NOT_RUN = "Not run by the tests:"
_BLOCK = re.compile(r"([^\n]*)\n\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```\w+$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: its guide, its language, what it says, and the line above it."""

    guide: str
    language: str
    text: str
    above: str

    @property
    def marked(self) -> bool:
        return self.above == NOT_RUN

    @property
    def file(self) -> str | None:
        """The file that the first line, a comment, names."""
        named = re.match(r"(?://|#) (\S+\.\w+)\n", self.text)
        return named[1] if named else None

    @property
    def commands(self) -> list[list[str]]:
        lines = self.text.replace("\\\n", " ").splitlines()
        return [shlex.split(line, comments=True) for line in lines]


def blocks() -> list[Block]:
    return [
        Block(guide.stem, language, text, above)
        for guide in GUIDES
        for above, language, text in _BLOCK.findall(guide.read_text(encoding="utf-8"))
    ]
