#!/usr/bin/env python3
"""Times Perceptra and other frameworks on the same workloads, in turn: medians, ratios, peak memory and a plot.

usage: compare.py [--peers torch,torch-compile,jax,keras,sklearn] [--only NAME,...] [--rounds N] [--seconds S]
                  [--json FILE] [--plot FILE.svg]

Needs what peers.py needs, matplotlib for the plot, and `cargo build --release --benches`.
Every round runs every framework once on every workload, each in its own process. Results are medians over the rounds, and ratios are
taken between medians.
"""
import argparse, json, os, pathlib, statistics, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent
WORK = json.loads((HERE / "workloads.json").read_text())


def perceptra():
    """The newest benchmark program that cargo built."""
    found = [p for p in (HERE.parent / "target/release/deps").glob("workloads-*") if not p.suffix and os.access(p, os.X_OK)]
    return str(max(found, key=lambda p: p.stat().st_mtime)) if found else sys.exit("cargo build --release --benches first")


def run(command):
    """(rows per second or None, peak resident MiB) of one process."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    for line in out.decode().splitlines():
        row = json.loads(line)
        if "rows_per_s" in row:
            return row["rows_per_s"], usage.ru_maxrss / 1024
    return None, usage.ru_maxrss / 1024


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--peers", default="torch,torch-compile,jax,keras,sklearn")
    p.add_argument("--only", default="")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", default="2")
    p.add_argument("--json", default="")
    p.add_argument("--plot", default="")
    a = p.parse_args()
    names = [n for n in (*WORK["train"], *WORK["sweep"]) if not a.only or n in a.only.split(",")]
    binary, peers = perceptra(), a.peers.split(",")
    commands = {
        "fused": lambda n: [binary, "--engines", "fused", "--only", n, "--seconds", a.seconds],
        "autodiff": lambda n: [binary, "--engines", "autodiff", "--only", n, "--seconds", a.seconds],
    }
    for peer in peers:
        commands[peer] = lambda n, peer=peer: [
            sys.executable, str(HERE / "peers.py"), "--peers", peer, "--only", n, "--seconds", a.seconds]
    speeds, memory = {}, {}
    for r in range(a.rounds):
        for name in names:
            for who, command in commands.items():
                if name in WORK["sweep"] and who not in ("fused", "autodiff", "torch", "jax"):
                    continue
                if name in WORK["sweep"] and who == "autodiff":
                    continue
                speed, peak = run(command(name))
                if speed:
                    speeds.setdefault(name, {}).setdefault(who, []).append(speed)
                    memory.setdefault(name, {}).setdefault(who, []).append(peak)
        print(f"round {r + 1} of {a.rounds}: {time.strftime('%H:%M:%S')}", file=sys.stderr)
    who = [w for w in commands if any(w in s for s in speeds.values())]
    print("| workload | " + " | ".join(who) + " | fused / best peer | peak MiB, fused / PyTorch |")
    print("|---" * (len(who) + 3) + "|")
    result = {}
    for name in names:
        median = {w: statistics.median(v) for w, v in speeds[name].items()}
        rivals = {w: v for w, v in median.items() if w in peers}
        best = max(rivals, key=rivals.get) if rivals else None
        ratio = median["fused"] / rivals[best] if best else float("nan")
        peak = {w: statistics.median(v) for w, v in memory[name].items()}
        cells = [f"{median[w] / 1e3:,.0f} k" if w in median else "" for w in who]
        print(f"| {name} | " + " | ".join(cells) + f" | {ratio:.2f} ({best}) | {peak['fused']:.0f} / {peak.get('torch', float('nan')):.0f} |")
        result[name] = {"rows_per_s": median, "all": speeds[name], "peak_mib": peak, "best_peer": best, "ratio": ratio}
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(result, indent=1) + "\n")
    if a.plot:
        plot(result, names, who, a.plot)


def plot(result, names, who, path):
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    labels = {"fused": "Perceptra, fused", "autodiff": "Perceptra, autodiff", "torch": "PyTorch", "torch-compile": "torch.compile",
              "jax": "JAX", "keras": "Keras", "sklearn": "scikit-learn"}
    colors = ["#c2410c", "#fdba74", "#1d4ed8", "#60a5fa", "#15803d", "#a16207", "#6b7280"]
    figure, axes = plt.subplots(figsize=(9, 4.2))
    width = 0.8 / len(who)
    for i, w in enumerate(who):
        xs = [x + (i - len(who) / 2 + 0.5) * width for x, n in enumerate(names) if w in result[n]["rows_per_s"]]
        ys = [result[n]["rows_per_s"][w] for n in names if w in result[n]["rows_per_s"]]
        axes.bar(xs, ys, width, label=labels.get(w, w), color=colors[i % len(colors)])
    axes.set_yscale("log")
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("rows per second (log scale)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(ncol=4, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.18))
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
