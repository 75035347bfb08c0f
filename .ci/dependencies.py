#!/usr/bin/env python3
"""Checks the license and the source of every dependency against deny.toml. Needs no network.

Security advisories come from a database that must be fetched: where cargo-deny is installed and can fetch it, cargo-deny
checks them, and the rest once more.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib

with open("deny.toml", "rb") as file:
    rules = tomllib.load(file)
ALLOWED = set(rules["licenses"]["allow"])
CLARIFIED = {entry["crate"]: entry["expression"] for entry in rules["licenses"].get("clarify", [])}
REGISTRIES = {"registry+" + url for url in rules["sources"]["allow-registry"]}


def allowed(expression):
    """Whether the allowed licenses satisfy an SPDX expression."""
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def alternative():
        value = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            value = both() or value
        return value

    def both():
        value = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            value = one() and value
        return value

    def one():
        token = tokens.pop(0)
        if token == "(":
            value = alternative()
            tokens.pop(0)
            return value
        if tokens[:1] == ["WITH"]:
            token = f"{token} WITH {tokens[1]}"
            del tokens[:2]
        return token in ALLOWED

    return alternative()


assert allowed("(MIT OR GPL-3.0) AND Unicode-3.0") and allowed("GPL-2.0/MIT")
assert not allowed("MIT AND GPL-3.0") and not allowed("GPL-3.0") and allowed("Apache-2.0 WITH LLVM-exception")

metadata = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--all-features", "--locked"], check=True, capture_output=True
    ).stdout
)
problems = []
for package in metadata["packages"]:
    name = f"{package['name']} {package['version']}"
    if package["source"] is not None and package["source"] not in REGISTRIES:
        problems.append(f"{name}: comes from {package['source']}")
    license = package["license"] or CLARIFIED.get(package["name"])
    if license is None or not allowed(license):
        problems.append(f"{name}: license {license or 'not stated'}")
for problem in problems:
    print(problem, file=sys.stderr)
print(f"{len(metadata['packages'])} packages, {len(problems)} problems")
if problems:
    sys.exit(1)

if shutil.which("cargo-deny") is None:
    print("advisories: not checked, cargo-deny is not installed")
else:
    fetched = subprocess.run(["cargo", "deny", "fetch", "db"], capture_output=True)
    if fetched.returncode != 0:
        print("advisories: not checked, the database cannot be fetched")
    else:
        sys.exit(subprocess.run(["cargo", "deny", "check"]).returncode)
