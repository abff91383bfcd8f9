"""Headless Chromium: pictures of a page, and where it laid out each text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PHONE = 390
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--hide-scrollbars", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
_MEASURE = """<script>addEventListener("load", () => {
  const bad = [], wide = document.documentElement.scrollWidth;
  let texts = 0;
  for (const svg of document.querySelectorAll("svg")) {
    const box = svg.getBoundingClientRect();
    const seen = [];
    for (const text of svg.querySelectorAll("text")) {
      const t = text.getBoundingClientRect(); texts += 1;
      if (t.left < box.left - 1 || t.right > box.right + 1 || t.top < box.top - 1 ||
          t.bottom > box.bottom + 1) bad.push("clipped: " + text.textContent);
      for (const [o, name] of seen)
        if (t.left < o.right - 1 && o.left < t.right - 1 && t.top < o.bottom - 3 &&
            o.top < t.bottom - 3) bad.push("overlap: " + text.textContent + " / " + name);
      seen.push([t, text.textContent]);
    }
  }
  const images = [...document.images];
  const broken = images.filter(image => !image.complete || !image.naturalWidth).length;
  const sizes = images.map(image => Math.round(image.getBoundingClientRect().width));
  const cells = [...document.querySelectorAll("tbody tr")].map(row =>
    [...row.children].filter(c => c.getBoundingClientRect().right <= innerWidth).length);
  parent.postMessage(JSON.stringify(
    {bad, wide, texts, inner: innerWidth, images: images.length, broken, sizes, cells}), "*");
})</script>"""

needs_chromium = pytest.mark.skipif(_CHROMIUM is None, reason="no `chromium` on this machine")


def chromium(folder: Path, *arguments: str) -> str:
    """Runs Chromium with a fresh profile in `folder`; returns what it writes."""
    profile = folder / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    command = [str(_CHROMIUM), *_FLAGS, f"--user-data-dir={profile}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def measure(page: Path) -> dict[str, Any]:
    """What a script that only tests add finds in the page at a phone's width.

    `bad`: texts of charts that are cut off or overlap, of `texts`; `wide` of `inner` pixels;
    `broken` of `images`, whose widths are `sizes`; `cells`: of each table row, those in view.
    """
    text = page.read_text(encoding="utf-8")
    policy = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>', text)
    assert policy is not None
    probe = page.parent / "probe.html"
    probe.write_text(text.replace(policy.group(), _MEASURE), encoding="utf-8")
    # Without a screenshot Chromium's window is never narrower than 500 px; a frame is.
    outer = page.parent / "outer.html"
    listen = 'addEventListener("message", event => { document.title = event.data; })'
    frame = f'<iframe src="probe.html" style="width:{PHONE}px;height:900px;border:0"></iframe>'
    outer.write_text(f"<script>{listen}</script>{frame}", encoding="utf-8")
    dom = chromium(page.parent, "--virtual-time-budget=5000", "--dump-dom", outer.as_uri())
    found = re.search(r"<title>(\{.*?\})</title>", dom)
    assert found is not None
    measured: dict[str, Any] = json.loads(
        found.group(1).replace("&amp;", "&").replace("&quot;", '"')
    )
    return measured
