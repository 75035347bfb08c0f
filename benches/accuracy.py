#!/usr/bin/env python3
"""Held-out scores of Perceptra's presets and other tools on the same rows: the table and the plot of docs/accuracy.md.

usage: accuracy.py [--tables DIR] [--methods NAME,...] [--only TABLE,...] [--seeds N] [--fits N] [--rows N] [--json FILE]
                   [--plot FILE] [--perceptra PATH]

Needs: cargo build --release; pip install pandas scikit-learn xgboost pytabkit matplotlib (only the packages of the methods that are asked for).

For every seed a table (a sample of it, if it has more than --rows rows) is split into 64 % for training, 16 % for validation and
20 % for testing, stratified for classification. Every method gets the same rows and fits them --fits times, each time with another
seed. Scores are added to the JSON file one by one, and those already in it are not computed again. Regression is scored by the root
mean squared error, classification by the error rate; the log loss is kept too. Times are wall-clock seconds of the fit alone (for
Perceptra, of the whole program).
"""
import argparse, itertools, json, pathlib, statistics, subprocess, tempfile, time, warnings

TABLES = {  # target, columns to leave out
    "auto": ("mpg", ["name"]),
    "breast_cancer": ("target", []),
    "concrete": ("compressive_strength", []),
    "default": ("default", []),
    "diabetes": ("target", []),
    "diamonds": ("price", []),
    "digits": ("target", []),
    "iris": ("Species", []),
    "penguins": ("species", []),
    "spam7": ("yesno", []),
}
NUMBERS = {"auto", "concrete", "diabetes", "diamonds"}


class Task:
    """Training, validation and test rows of a table as data frames; `fit` chooses the seed of a fit on them."""

    def __init__(self, folder, name, rows, seed, fit=0):
        import pandas
        from sklearn.model_selection import train_test_split

        self.name, self.seed, (self.target, leave) = name, seed + 1000 * fit, TABLES[name]
        self.is_numeric = name in NUMBERS
        table = pandas.read_csv(folder / f"{name}.csv", na_values=["?"]).drop(columns=leave)
        if len(table) > rows:
            table = table.sample(rows, random_state=seed)
        strata = lambda t: None if self.is_numeric else t[self.target]
        rest, self.test = train_test_split(table, test_size=0.2, random_state=seed, stratify=strata(table))
        self.train, self.validation = train_test_split(rest, test_size=0.2, random_state=seed, stratify=strata(rest))

    def x(self, part):
        x = part.drop(columns=self.target)
        return x.assign(**{c: x[c].astype("category") for c in x if x[c].dtype.kind not in "iuf"})

    def classes(self):
        return sorted(self.train[self.target].unique())

    def y(self, part):
        y = part[self.target]
        return y.to_numpy(float) if self.is_numeric else y.map({c: i for i, c in enumerate(self.classes())}).to_numpy(int)

    def score(self, predicted):
        """Scores predicted values, or probabilities [rows, classes]."""
        import numpy as np
        y = self.y(self.test)
        if self.is_numeric:
            return {"score": float(np.sqrt(np.mean((np.asarray(predicted).ravel() - y) ** 2)))}
        p = np.clip(np.asarray(predicted, float), 1e-15, 1.0)
        return {"score": float(np.mean(p.argmax(1) != y)),
                "log_loss": float(-np.mean(np.log(p[np.arange(len(y)), y] / p.sum(1))))}


def sklearn_mlp(task):
    from sklearn.compose import TransformedTargetRegressor, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    import pandas

    rest = pandas.concat([task.train, task.validation])
    x = task.x(rest)
    numbers = x.select_dtypes("number").columns
    encode = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
         [c for c in x if c not in numbers]))
    # It splits its own validation rows off the rows it is given.
    network = (MLPRegressor if task.is_numeric else MLPClassifier)(
        early_stopping=True, validation_fraction=0.2, max_iter=500, random_state=task.seed)
    if task.is_numeric:
        network = TransformedTargetRegressor(network, transformer=StandardScaler())
    model, start = make_pipeline(encode, network), time.perf_counter()
    model.fit(x, task.y(rest))
    seconds = time.perf_counter() - start
    return (model.predict if task.is_numeric else model.predict_proba)(task.x(task.test)), seconds


def xgboost(task):
    import pandas, xgboost
    rest = pandas.concat([task.train, task.validation])
    parts = pandas.concat([rest, task.test])  # the same categories in all of them
    x = task.x(parts)
    model = (xgboost.XGBRegressor if task.is_numeric else xgboost.XGBClassifier)(enable_categorical=True, random_state=task.seed)
    start = time.perf_counter()
    model.fit(x.iloc[:len(rest)], task.y(rest))
    seconds = time.perf_counter() - start
    return (model.predict if task.is_numeric else model.predict_proba)(x.iloc[len(rest):]), seconds


def pytabkit(name, **settings):
    def method(task):
        import numpy as np, pandas
        from pytabkit.models.sklearn import sklearn_interfaces as of
        kind = getattr(of, f"{name}_{'Regressor' if task.is_numeric else 'Classifier'}")
        x = pandas.concat([task.train, task.validation, task.test])
        x = task.x(x)
        n, v = len(task.train), len(task.validation)
        # It does not accept missing values.
        for c in x.select_dtypes("number"):
            x[c] = x[c].fillna(x[c].iloc[:n].median())
        model = kind(random_state=task.seed, device="cpu", **settings)
        y = np.concatenate([task.y(task.train), task.y(task.validation)])
        start = time.perf_counter()
        model.fit(x.iloc[:n + v], y, val_idxs=np.arange(n, n + v))
        seconds = time.perf_counter() - start
        return (model.predict if task.is_numeric else model.predict_proba)(x.iloc[n + v:]), seconds
    return method


def perceptra(*options):
    def method(task, program):
        import pandas
        with tempfile.TemporaryDirectory() as folder:
            for part in ("train", "validation", "test"):
                getattr(task, part).to_csv(f"{folder}/{part}.csv", index=False)
            task_option = ["--task", "regression"] if task.is_numeric else []
            start = time.perf_counter()
            subprocess.run(
                [program, "train", f"{folder}/train.csv", "--validation-file", f"{folder}/validation.csv", "--target", task.target,
                 "--test", "0", "--seed", str(task.seed), "--device", "cpu", "-q", "-o", f"{folder}/m.perceptra", *task_option, *options],
                check=True, stdout=subprocess.DEVNULL)
            seconds = time.perf_counter() - start
            probabilities = [] if task.is_numeric else ["--proba"]
            subprocess.run([program, "predict", f"{folder}/m.perceptra", f"{folder}/test.csv", "-o", f"{folder}/p.csv", "-q",
                            *probabilities], check=True)
            predicted = pandas.read_csv(f"{folder}/p.csv")
        if task.is_numeric:
            return predicted.iloc[:, -1], seconds
        return predicted[[f"proba_{k}" for k in task.classes()]], seconds
    return method


PYTABKIT = {
    "RealMLP-TD-S": ("RealMLP_TD_S", {}),
    "RealMLP-TD": ("RealMLP_TD", {}),
    "TabM": ("TabM_D", {}),
    "TabM-PLE": ("TabM_D", {"num_emb_type": "pwl"}),
}
METHODS = {
    "scikit-learn MLP": sklearn_mlp,
    "XGBoost": xgboost,
    **{f"pytabkit {name}": pytabkit(kind, **settings) for name, (kind, settings) in PYTABKIT.items()},
    **{f"perceptra {p}": perceptra("--preset", p) for p in ("fast", "default", "realmlp", "realmlp-s", "tabm", "tabm-ple")},
}


def method_of(name):
    """The method of that name, or one with settings: `perceptra PRESET[ FLAG...]`, `pytabkit NAME[ SETTING=NUMBER...]`."""
    if name in METHODS or not name.startswith(("perceptra ", "pytabkit ")):
        return METHODS[name]
    tool, what, *settings = name.split()
    if tool == "perceptra":
        return perceptra("--preset", what, *settings)
    kind, own = PYTABKIT[what]
    return pytabkit(kind, **own, **{key: int(number) for key, number in (setting.split("=") for setting in settings)})


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tables", type=pathlib.Path, default=pathlib.Path("data"))
    p.add_argument("--methods", default=",".join(METHODS))
    p.add_argument("--only", default=",".join(TABLES))
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--fits", type=int, default=1)
    p.add_argument("--rows", type=int, default=5000)
    p.add_argument("--json", type=pathlib.Path, default=pathlib.Path("accuracy.json"))
    p.add_argument("--plot", type=pathlib.Path)
    p.add_argument("--perceptra", default="target/release/perceptra")
    a = p.parse_args()
    warnings.filterwarnings("ignore")

    done = json.loads(a.json.read_text()) if a.json.exists() else []
    tables = [t for t in a.only.split(",") if (a.tables / f"{t}.csv").exists()]
    methods = a.methods.split(",")
    for fit, seed, table, method in itertools.product(range(a.fits), range(a.seeds), tables, methods):
        key = {"method": method, "table": table, "seed": seed, "fit": fit, "rows": a.rows}
        if any(all({"fit": 0, **d}[k] == v for k, v in key.items()) for d in done):
            continue
        task = Task(a.tables, table, a.rows, seed, fit)
        run = method_of(method)
        predicted, seconds = run(task, a.perceptra) if method.startswith("perceptra") else run(task)
        done.append({**key, **task.score(predicted), "seconds": seconds})
        print(*done[-1].values(), flush=True)
        # Another process may have written in the meantime.
        now = json.loads(a.json.read_text()) if a.json.exists() else []
        a.json.write_text(json.dumps(now + [done[-1]], indent=0))
    asked = lambda d: (d["rows"] == a.rows and d["table"] in tables and d["method"] in methods and d["seed"] < a.seeds
                       and d.get("fit", 0) < a.fits)
    report(list(filter(asked, done)), tables, methods, a.plot)


def report(done, tables, methods, plot):
    def of(method, table, what):
        """The mean over the fits of each split."""
        splits = {}
        for d in done:
            if d["method"] == method and d["table"] == table and what in d:
                splits.setdefault(d["seed"], []).append(d[what])
        return [statistics.mean(fits) for fits in splits.values()]

    methods = [m for m in methods if all(of(m, t, "score") for t in tables)]
    mean = {(m, t): statistics.mean(of(m, t, "score")) for m in methods for t in tables}
    print("| table |", " | ".join(methods), "|\n|---|" + "---:|" * len(methods))
    for t in tables:
        error = lambda splits: f" ± {statistics.stdev(splits) / len(splits) ** 0.5:.2g}" if len(splits) > 1 else ""
        cell = lambda m: f"{mean[m, t]:.4g}{error(of(m, t, 'score'))}"
        print(f"| {t} |", " | ".join(cell(m) for m in methods), "|")
    # Ranks of the mean scores on each table; ties share their ranks.
    rank = {m: 0.0 for m in methods}
    for t in tables:
        for m in methods:
            less, same = (sum(mean[o, t] < mean[m, t] for o in methods), sum(mean[o, t] == mean[m, t] for o in methods))
            rank[m] += (less + (same + 1) / 2) / len(tables)
    print("| *average rank* |", " | ".join(f"{rank[m]:.2f}" for m in methods), "|")
    single = {m: statistics.mean(ranks_of_fits(done, t, methods)[m] for t in tables) for m in methods}
    print("| *average rank of a fit* |", " | ".join(f"{single[m]:.2f}" for m in methods), "|")
    seconds = lambda m: sum(statistics.median(d["seconds"] for d in done if (d["method"], d["table"]) == (m, t)) for t in tables)
    print("| *seconds, median fits of all tables* |", " | ".join(f"{seconds(m):.3g}" for m in methods), "|")
    losses = {m: [d["log_loss"] for d in done if d["method"] == m and "log_loss" in d] for m in methods}
    print("| *log loss* |", " | ".join(f"{statistics.mean(l):.3f}" if (l := losses[m]) else "" for m in methods), "|")
    if plot:
        plot_ranks(rank, len(tables), plot)


def ranks_of_fits(done, table, methods):
    """The average rank of a fit of each method among one fit of every other method on the same split; ties share their ranks."""
    fits = {}
    for d in done:
        if d["table"] == table and d["method"] in methods:
            fits.setdefault(d["seed"], {}).setdefault(d["method"], []).append(d["score"])
    splits = [split for split in fits.values() if len(split) == len(methods)]

    def ahead(one, other):
        return statistics.mean((a < b) + (a == b) / 2 for a in one for b in other)

    return {m: statistics.mean(1 + sum(ahead(split[o], split[m]) for o in methods if o != m) for split in splits)
            for m in methods}


def plot_ranks(rank, tables, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    order = sorted(rank, key=rank.get, reverse=True)
    figure, axes = plt.subplots(figsize=(7.5, 0.45 * len(order) + 1))
    axes.barh(order, [rank[m] for m in order], color=["#2a6f97" if m.startswith("perceptra") else "#b8b8b8" for m in order])
    for i, m in enumerate(order):
        axes.text(rank[m] + 0.05, i, f"{rank[m]:.2f}", va="center", fontsize=9)
    axes.set_xlabel(f"average rank over {tables} tables (lower is better)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
