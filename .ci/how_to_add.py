#!/usr/bin/env python3
"""Checks that the files and tests named in CONTRIBUTING's table "How to add something" exist."""

import pathlib
import re
import subprocess
import sys

listed = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True).stdout.split("\n")
code = "".join(pathlib.Path(path).read_text() for path in listed if path.endswith(".rs"))
rows = [line.split("|") for line in pathlib.Path("CONTRIBUTING.md").read_text().splitlines() if line.startswith("| ")]
tests = [name for row in rows for name in re.findall(r"`([a-z]+_\w+)`", row[-2])]
files = [name for row in rows for name in re.findall(r"`([\w/-]+\.\w+)`", row[2])]
assert len(tests) > 15 and len(files) > 30, "the table was not found"
missing = [name for name in tests if not re.search(rf"\bfn {name}\b", code)]
missing += [name for name in files if not any(f"/{path}".endswith(f"/{name}") for path in listed)]
for name in missing:
    print(f"CONTRIBUTING.md: there is no {name}", file=sys.stderr)
sys.exit(bool(missing))
