"""A search of 60 trials with 5 folds on data/concrete.csv: perceptra search compared with scikit-learn's RandomizedSearchCV.

    python3 -m venv .venv && .venv/bin/pip install scikit-learn
    cargo build --release
    .venv/bin/python benches/search.py target/release/perceptra

Both have the same search space, limit of epochs, patience and share of validation rows, two processes or threads, and otherwise their
defaults. Each chooses by its own cross-validation, refits on all training rows, and is scored on the same held-out rows. A second
search with `--ensemble auto` averages several of its trials. Results are medians of the times and means of the errors over the rounds,
in which the programs take turns.
"""

import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

TABLE, TARGET = "data/concrete.csv", "compressive_strength"
WIDTHS, RATES, BATCHES = [(32,), (64,), (64, 64), (128, 64)], (1e-4, 1e-1), [16, 32, 64]
TRIALS, FOLDS, EPOCHS, PATIENCE, VALIDATION, ROUNDS = 60, 5, 200, 30, 0.15, 3

SKLEARN = """
import sys, json, warnings, os
os.environ["PYTHONWARNINGS"] = "ignore"
warnings.filterwarnings("ignore")
import numpy as np
from scipy.stats import loguniform
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import KFold, RandomizedSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
train, test, target, seed = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
settings = json.loads(sys.argv[5])
def load(path):
    head = open(path).readline().strip().split(",")
    rows = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.float32)
    y = head.index(target)
    return np.delete(rows, y, 1), rows[:, y]
(x, y), (tx, ty) = load(train), load(test)
net = MLPRegressor(early_stopping=True, max_iter=settings["epochs"], n_iter_no_change=settings["patience"],
                   validation_fraction=settings["validation"], tol=0, random_state=seed)
model = make_pipeline(StandardScaler(), TransformedTargetRegressor(net, transformer=StandardScaler()))
name = "transformedtargetregressor__regressor__"
search = RandomizedSearchCV(model, {
    name + "learning_rate_init": loguniform(*settings["rates"]),
    name + "hidden_layer_sizes": [tuple(w) for w in settings["widths"]],
    name + "batch_size": settings["batches"],
}, n_iter=settings["trials"], cv=KFold(settings["folds"], shuffle=True, random_state=seed), n_jobs=2,
    scoring="neg_root_mean_squared_error", random_state=seed)
search.fit(x, y)
print(float(np.sqrt(np.mean((search.predict(tx) - ty) ** 2))))
"""


def split(folder, seed):
    """Holds out every fifth row, in an order drawn by the seed."""
    import random

    with open(TABLE) as file:
        head, *rows = list(csv.reader(file))
    random.Random(seed).shuffle(rows)
    paths = []
    for name, part in (("train", rows[len(rows) // 5 :]), ("test", rows[: len(rows) // 5])):
        path = os.path.join(folder, f"{name}-{seed}.csv")
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows([head, *part])
        paths.append(path)
    return paths


def perceptra(program, train, test, seed, folder, more=()):
    widths = ",".join("x".join(map(str, w)) for w in WIDTHS)
    command = [program, "search", train, "--test-file", test, "--target", TARGET, "--folds", str(FOLDS), "--random", str(TRIALS)]
    command += ["--space", f"lr=log:{RATES[0]}..{RATES[1]}", "--space", f"hidden=choice:{widths}"]
    command += ["--space", "batch=choice:" + ",".join(map(str, BATCHES)), "--epochs", str(EPOCHS), "--patience", str(PATIENCE)]
    command += ["--validation", str(VALIDATION), "--seed", str(seed), "--device", "cpu", "--workers", "2"]
    command += ["-o", os.path.join(folder, f"search-{seed}-{len(more)}"), "--json", *more]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["test"]["rmse"]


def sklearn(train, test, seed):
    settings = dict(epochs=EPOCHS, patience=PATIENCE, validation=VALIDATION, rates=RATES, widths=WIDTHS, batches=BATCHES)
    settings.update(trials=TRIALS, folds=FOLDS)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", SKLEARN, train, test, TARGET, str(seed), json.dumps(settings)]
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(out.stdout)


def main():
    figures = {"perceptra": [], "with an ensemble": [], "scikit-learn": []}
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(ROUNDS):
            train, test = split(folder, seed)
            for name, work in (
                ("perceptra", lambda: perceptra(program, train, test, seed, folder)),
                ("with an ensemble", lambda: perceptra(program, train, test, seed, folder, ("--ensemble", "auto"))),
                ("scikit-learn", lambda: sklearn(train, test, seed)),
            ):
                start = time.perf_counter()
                error = work()
                figures[name].append((time.perf_counter() - start, error))
                print(f"round {seed + 1}: {name:<16} {figures[name][-1][0]:7.1f} s  RMSE {error:.3f}", flush=True)
    seconds = {name: statistics.median(s for s, _ in rounds) for name, rounds in figures.items()}
    errors = {name: statistics.mean(e for _, e in rounds) for name, rounds in figures.items()}
    for name in figures:
        print(f"{name:<16} {seconds[name]:7.1f} s  RMSE {errors[name]:.3f}")
    for name in ("perceptra", "with an ensemble"):
        print(f"scikit-learn takes {seconds['scikit-learn'] / seconds[name]:.1f} times as long as {name}")


if __name__ == "__main__":
    main()
