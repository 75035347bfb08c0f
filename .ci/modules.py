#!/usr/bin/env python3
"""Checks that the modules of each crate do not depend on each other in a circle. Tests do not count.

A module is a file. It depends on the file that defines what it names: `crate::Item` is followed through the `pub use` of
lib.rs, and a re-export by itself is no dependency. usage: modules.py [FOLDER OF A CRATE...]; by default all of crates/.
"""

import pathlib
import re
import sys

# Comments, strings and characters, none of which name a module.
TEXT = re.compile(r'//[^\n]*|/\*.*?\*/|\br(#*)".*?"\1|"(?:\\.|[^"\\])*"|\'(?:\\.[^\']*|[^\\\'])\'', re.S)
TEST = re.compile(r"#\[cfg\((?:all\()?test\b[^]]*\]")
USE = re.compile(r"(\bpub(?:\([^)]*\))?\s+)?\buse\s+([^;]+);")
PATH = re.compile(r"\b[a-z_]\w*(?:::\w+)+")
DEFINES = r"\b(?:struct|enum|trait|fn|type|const|static|union|macro_rules!)\s+"


def without_tests(source):
    """Source without comments, strings, and the items under `#[cfg(test)]`."""
    source = TEXT.sub(lambda m: "" if m[0].startswith("/") else '""', source)
    while test := TEST.search(source):
        end = re.compile(r"[;{]").search(source, test.end()).end()
        depth = source[end - 1] == "{"
        while depth:
            depth += {"{": 1, "}": -1}.get(source[end], 0)
            end += 1
        source = source[: test.start()] + source[end:]
    return source


def leaves(tree):
    """Pairs (path, name in scope) of a use tree such as `a::{b, c::D as E}`."""
    while inner := re.search(r"([\w:]*){([^{}]*)}", tree):
        paths = [inner[1] + path.strip() for path in inner[2].split(",") if path.strip()]
        tree = tree[: inner.start()] + ",".join(paths) + tree[inner.end() :]
    for leaf in tree.split(","):
        path, _, alias = leaf.strip().removesuffix("::self").partition(" as ")
        path = path.strip().removesuffix("::self").split("::")
        yield path, alias.strip() or path[-1]


class Crate:
    def __init__(self, files):
        """Reads the modules that lib.rs declares, from {path under src: text}."""
        self.code, self.names, self.stars, self.macros = {}, {}, {}, {}
        self.read((), "lib.rs", "", files)

    def read(self, module, file, folder, files):
        code = self.code[module] = without_tests(files[file])
        found = [(m[1], leaf) for m in USE.finditer(code) for leaf in leaves(m[2])]
        self.names[module] = {name: path for _, (path, name) in found if name != "*"}
        self.stars[module] = [path for public, (path, name) in found if public and name == "*"]
        self.macros |= {name: module for name in re.findall(r"macro_export\]\s*macro_rules!\s*(\w+)", code)}
        for name in re.findall(r"\bmod\s+(\w+)\s*;", code):
            path = next(p for p in (f"{folder}{name}.rs", f"{folder}{name}/mod.rs") if p in files)
            self.read((*module, name), path, f"{folder}{name}/", files)

    def owner(self, module, path, seen=()):
        """The module that defines what a path means in a module; None for other crates."""
        here = {"crate": (), "self": module, "super": module[:-1]}.get(path[0], (*module, path[0]))
        if here not in self.code or (here, *path) in seen:
            return None
        seen = (*seen, (here, *path))
        for i, name in enumerate(path[1:], 2):
            if name == "super":
                here = here[:-1]
            elif (*here, name) in self.code:
                here = (*here, name)
            elif name in self.names[here]:
                return self.owner(here, [*self.names[here][name], *path[i:]], seen)
            elif re.search(DEFINES + rf"{name}\b", self.code[here]):
                return here
            else:
                stars = [self.owner(here, [*star[:-1], name], seen) for star in self.stars[here]]
                return next((star for star in stars if star is not None), self.macros.get(name, here))
        return here

    def dependencies(self, module):
        """{module: a name that this one takes from it}"""
        used = [path for m in USE.finditer(self.code[module]) if not m[1] for path, _ in leaves(m[2])]
        used += [m[0].split("::") for m in PATH.finditer(USE.sub("", self.code[module]))]
        owners = {self.owner(module, path): "::".join(path) for path in used}
        return {owner: name for owner, name in owners.items() if owner not in (None, module)}

    def circles(self):
        """Sets of modules that reach each other, each as lines `a -> b (name)`."""
        edges = {module: self.dependencies(module) for module in self.code}
        reach = {module: set(edges[module]) for module in edges}
        for middle in edges:
            for module in edges:
                if middle in reach[module]:
                    reach[module] |= reach[middle]
        groups = {frozenset(m for m in edges if m in reach[n] and n in reach[m]) for n in edges if n in reach[n]}
        show = lambda a, b: f"{'::'.join(a) or 'lib'} -> {'::'.join(b) or 'lib'} ({edges[a][b]})"
        return [[show(a, b) for a in sorted(group) for b in sorted(group & set(edges[a]))] for group in sorted(groups, key=sorted)]


def self_test():
    library = "mod a; mod b; #[cfg(test)] mod tests; pub use a::*; pub use b::{self, B as Bee};"
    a, b = "use crate::Bee; pub struct A;", "fn f(_: &crate::A) {} pub struct B;"
    circle = Crate({"lib.rs": library, "a.rs": a, "b.rs": b}).circles()
    assert circle == [["a -> b (crate::Bee)", "b -> a (crate::A)"]], circle
    a = "// crate::Bee\npub struct A; #[cfg(test)] mod tests { use crate::Bee; }"
    assert Crate({"lib.rs": library, "a.rs": a, "b.rs": b}).circles() == []


self_test()
folders = sys.argv[1:] or sorted(pathlib.Path("crates").iterdir())
bad = False
for folder in map(pathlib.Path, folders):
    files = {str(p.relative_to(folder / "src")): p.read_text() for p in (folder / "src").rglob("*.rs")}
    for circle in Crate(files).circles():
        bad = True
        print(f"{folder.name}: modules depend on each other in a circle:", *circle, sep="\n    ", file=sys.stderr)
sys.exit(bad)
