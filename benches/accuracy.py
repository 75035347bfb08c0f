#!/usr/bin/env python3
"""Held-out results of Perceptra's defaults beside scikit-learn's MLP with early stopping, on the same rows.

usage: accuracy.py [--tables DIR] [--seeds N] [--only NAME,...] [--perceptra PATH]

Needs: pip install scikit-learn pandas; cargo build --release
Each table is split 80/20 by sklearn's train_test_split(random_state=seed), stratified for classes; both are trained on the
80 and judged by the 20. scikit-learn gets imputed, standardised and one-hot columns and a standardised target.
"""
import argparse, json, pathlib, statistics, subprocess, tempfile, warnings

TABLES = {  # target, columns to leave out, metric
    "diamonds": ("price", [], "rmse"),
    "concrete": ("compressive_strength", [], "rmse"),
    "auto": ("mpg", ["name"], "rmse"),
    "diabetes": ("target", [], "rmse"),
    "digits": ("target", [], "accuracy"),
    "breast_cancer": ("target", [], "accuracy"),
    "penguins": ("species", [], "accuracy"),
    "spam7": ("yesno", [], "accuracy"),
}


def sklearn_score(train, test, target, metric):
    import numpy as np
    from sklearn.compose import TransformedTargetRegressor, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    x, y = train.drop(columns=target), train[target]
    numbers = x.select_dtypes("number").columns
    texts = [c for c in x if c not in numbers]
    encode = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), texts),
    )
    if metric == "rmse":
        network = MLPRegressor(early_stopping=True, max_iter=500, random_state=0)
        network = TransformedTargetRegressor(network, transformer=StandardScaler())
    else:
        network = MLPClassifier(early_stopping=True, max_iter=500, random_state=0)
    said = make_pipeline(encode, network).fit(x, y).predict(test.drop(columns=target))
    if metric == "rmse":
        return float(np.sqrt(np.mean((said - test[target]) ** 2)))
    return float(np.mean(said == test[target]))


def perceptra_score(program, folder, target, metric, seed):
    out = subprocess.run(
        [program, "train", f"{folder}/train.csv", "--test-file", f"{folder}/test.csv", "--target", target, "--seed", str(seed),
         "--device", "cpu", "--json", "-o", f"{folder}/m.perceptra"], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)["test"][metric]


def main():
    import pandas
    from sklearn.model_selection import train_test_split

    root = pathlib.Path(__file__).resolve().parent.parent
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tables", type=pathlib.Path, default=root / "data")
    p.add_argument("--seeds", type=int, default=10)
    p.add_argument("--only", default="")
    p.add_argument("--perceptra", default=str(root / "target/release/perceptra"))
    a = p.parse_args()
    warnings.filterwarnings("ignore")
    for name, (target, dropped, metric) in TABLES.items():
        path = a.tables / f"{name}.csv"
        if not path.exists() or (a.only and name not in a.only.split(",")):
            continue
        table = pandas.read_csv(path, na_values=["?"]).drop(columns=dropped)
        ours, theirs = [], []
        for seed in range(a.seeds):
            strata = table[target] if metric == "accuracy" else None
            train, test = train_test_split(table, test_size=0.2, random_state=seed, stratify=strata)
            with tempfile.TemporaryDirectory() as folder:
                train.to_csv(f"{folder}/train.csv", index=False)
                test.to_csv(f"{folder}/test.csv", index=False)
                ours.append(perceptra_score(a.perceptra, folder, target, metric, seed))
            theirs.append(sklearn_score(train, test, target, metric))
        mean = statistics.mean
        print(json.dumps({"table": name, "metric": metric, "seeds": a.seeds,
                          "perceptra": round(mean(ours), 4), "perceptra_seed_0": round(ours[0], 4),
                          "sklearn": round(mean(theirs), 4), "sklearn_seed_0": round(theirs[0], 4),
                          "wins": sum((o < t) == (metric == "rmse") and o != t for o, t in zip(ours, theirs))}), flush=True)


if __name__ == "__main__":
    main()
