#!/usr/bin/env python3
"""Reads every table of a folder with pandas and with `perceptra inspect`, and lists where they differ.

    tests/readers.py FOLDER [PROGRAM]

Needs pandas, pyarrow and openpyxl. pandas is given what it cannot find itself: the separator that Perceptra found. Columns
are compared by their number of rows, names, missing values, and the least, largest and mean number; other columns by their
most frequent value.
"""

import json
import math
import pathlib
import subprocess
import sys

import pandas


def read(path):
    """The table as pandas reads it by default, with the separator of the header."""
    name = path.name.removesuffix(".gz").removesuffix(".bz2").removesuffix(".xz").removesuffix(".zst")
    if name.endswith(".parquet"):
        return pandas.read_parquet(path)
    if name.endswith((".arrow", ".feather", ".ipc")):
        return pandas.read_feather(path)
    if name.endswith(".jsonl"):
        return pandas.read_json(path, lines=True)
    if name.endswith(".xlsx"):
        return pandas.read_excel(path)
    if path.suffix in (".csv", ".tsv", ".tab", ".txt", ".data"):
        with open(path, newline="", encoding="utf-8", errors="replace") as file:
            header = file.readline()
        separator = max(",;\t|", key=header.count)
        if header.count(separator) == 0 and len(header.split()) > 1:
            separator = r"\s+"
        return pandas.read_csv(path, sep=separator)
    return pandas.read_csv(path)


def close(a, b):
    return a == b or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12))


def differences(table, ours):
    """Lines on where a column of pandas and one of Perceptra differ."""
    if len(table) != ours["rows"]:
        yield f"{len(table)} rows in pandas, {ours['rows']} here"
    names = [str(name).strip() for name in table.columns]
    if names != [column["name"] for column in ours["columns"]]:
        yield f"columns {names} in pandas, {[column['name'] for column in ours['columns']]} here"
        return
    for column, (_, values) in zip(ours["columns"], table.items()):
        name = column["name"]
        if "problem" in column:
            yield f"{name}: refused here ({column['problem']}), {values.dtype} in pandas"
            continue
        if column["missing"] != int(values.isna().sum()):
            yield f"{name}: {int(values.isna().sum())} missing in pandas, {column['missing']} here {column['notes']}"
            continue
        is_number = pandas.api.types.is_numeric_dtype(values) and not pandas.api.types.is_bool_dtype(values)
        if is_number and column["kind"] == "numeric":
            for what, theirs in [("least", values.min()), ("most", values.max()), ("mean", values.mean())]:
                theirs = None if pandas.isna(theirs) else float(theirs)
                if not close(theirs, column[what]):
                    yield f"{name}: {what} {theirs} in pandas, {column[what]} here"
        elif is_number or column["kind"] == "numeric":
            yield f"{name}: {values.dtype} in pandas, {column['kind']} here {column['notes']}"
        elif column["kind"] == "categorical" and column["categories"]:
            top = values.dropna().astype(str).str.strip().value_counts()
            if len(top) and int(top.iloc[0]) != column["categories"][0][1]:
                yield f"{name}: most frequent {top.index[0]!r} in {top.iloc[0]} rows in pandas, {column['categories'][0]} here"


def main():
    folder, program = pathlib.Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "target/release/perceptra"
    endings = (".csv", ".tsv", ".txt", ".data", ".parquet", ".arrow", ".jsonl", ".xlsx", ".gz", ".bz2", ".xz", ".zst")
    same = 0
    for path in sorted(path for path in folder.rglob("*") if path.name.endswith(endings)):
        shown = path.relative_to(folder)
        done = subprocess.run([program, "inspect", str(path), "--json"], capture_output=True, text=True)
        try:
            table, error = read(path), None
        except Exception as e:  # whatever pandas raises is what is compared
            table, error = None, str(e).splitlines()[0]
        if done.returncode != 0 or table is None:
            here = "read" if done.returncode == 0 else next((line for line in done.stderr.splitlines() if line.startswith("error")), "")
            print(f"{shown}: pandas: {error or 'read'}; here: {here}")
            continue
        found = list(differences(table, json.loads(done.stdout)))
        same += not found
        for line in found:
            print(f"{shown}: {line}")
    print(f"{same} tables are the same")


main()
