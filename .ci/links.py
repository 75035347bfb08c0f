#!/usr/bin/env python3
"""Checks the relative links of all Markdown files: the file exists, and so does the heading after a `#`."""

import pathlib
import re
import subprocess
import sys

CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.M | re.S)
LINK = re.compile(r"\]\(<?([^)\s>]+)|^\[[^]]+\]: *(\S+)|\b(?:src|srcset|href)=\"([^\"]+)\"", re.M)


def anchors(text):
    """The anchors of the headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#{1,6} +(.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M):
        heading = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        base = anchor = re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")
        count = 0
        while anchor in found:
            count += 1
            anchor = f"{base}-{count}"
        found.add(anchor)
    return found


def broken(file, text, read):
    """Links of a file that lead nowhere; `read` gives the text of a path, or None if there is none."""
    for match in LINK.finditer(CODE.sub("", text)):
        link = next(group for group in match.groups() if group)
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = text if not path else read(file.parent / path)
        if target is None:
            yield f"{file}: {link}: no such file"
        elif anchor and anchor not in anchors(target):
            yield f"{file}: {link}: no such heading"


def read(path):
    if path.is_file() and path.suffix == ".md":
        return path.read_text()
    return "" if path.exists() else None


files = {"b.md": "# A `b`: c\n## De dónde\n## A b c\n```\n# d\n```\n"}
text = "[x](b.md#a-b-c) [x](b.md#de-dónde) [x](b.md#a-b-c-1) [x](#own) [![x](b.md)](b.md#d) `[x](e)` [x](f.md)\n# Own\n"
found = list(broken(pathlib.Path("a.md"), text, lambda path: files.get(str(path))))
assert found == ["a.md: b.md#d: no such heading", "a.md: f.md: no such file"], found

listed = subprocess.run(["git", "ls-files", "*.md"], check=True, capture_output=True, text=True).stdout.split("\n")
problems = [problem for file in filter(None, listed) for problem in broken(pathlib.Path(file), pathlib.Path(file).read_text(), read)]
print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
sys.exit(bool(problems))
