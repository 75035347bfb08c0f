#!/usr/bin/env python3
"""Startup times, and prediction of a million rows from Parquet compared with scikit-learn's predict on an array in memory.

usage: predict.py [--perceptra PATH] [--rows N] [--rounds N]

Needs: pip install scikit-learn pandas pyarrow; cargo build --release
Both networks have 10 inputs, hidden layers of 128 and 64 units and one output. The time of
scikit-learn is that of `MLPRegressor.predict` alone, on float64 and on float32; the time of Perceptra is that of the whole program:
startup, model, file, encoder, network, and writing the predictions.
"""
import argparse, pathlib, statistics, subprocess, tempfile, time, warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent


def median_ms(rounds, run):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def main():
    import numpy as np, pandas as pd
    from sklearn.neural_network import MLPRegressor
    warnings.filterwarnings("ignore")
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--perceptra", default=str(ROOT / "target/release/perceptra"))
    p.add_argument("--rows", type=int, default=1_000_000)
    p.add_argument("--rounds", type=int, default=7)
    a = p.parse_args()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((a.rows, 10))
    y = x @ rng.standard_normal(10)
    net = MLPRegressor(hidden_layer_sizes=(128, 64), max_iter=1).fit(x[:2000], y[:2000])
    net32 = MLPRegressor(hidden_layer_sizes=(128, 64), max_iter=1).fit(x[:2000].astype("f4"), y[:2000].astype("f4"))
    x32 = x.astype("f4")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        names = [f"x{i}" for i in range(10)]
        table = pd.DataFrame(x, columns=names)
        table.to_parquet(folder / "big.parquet")
        table.head(10).to_csv(folder / "ten.csv", index=False)
        table.head(2000).assign(y=y[:2000]).to_csv(folder / "train.csv", index=False)
        run = lambda *args: subprocess.run([a.perceptra, *args], cwd=folder, check=True, capture_output=True)
        run("train", "train.csv", "--target", "y", "--epochs", "2", "-o", "m.perceptra")
        tasks = {
            "perceptra --help": lambda: run("--help"),
            "perceptra predict, 10 rows": lambda: run("predict", "m.perceptra", "ten.csv", "-o", "ten-out.csv"),
            f"perceptra predict, {a.rows:,} rows, Parquet to Parquet": lambda: run(
                "predict", "m.perceptra", "big.parquet", "-o", "out.parquet"),
            f"scikit-learn predict, {a.rows:,} rows, float64 in memory": lambda: net.predict(x),
            f"scikit-learn predict, {a.rows:,} rows, float32 in memory": lambda: net32.predict(x32),
        }
        for task in tasks.values():
            task()
        for name, task in tasks.items():
            print(f"| {name} | {median_ms(a.rounds, task):.1f} ms |", flush=True)


if __name__ == "__main__":
    main()
