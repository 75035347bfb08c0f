#!/usr/bin/env python3
"""Times other frameworks on the workloads of workloads.json.

usage: peers.py [--peers torch,torch-compile,jax,keras,sklearn] [--only NAME,...] [--seconds S]

Prints one JSON object per line: {"peer", "workload", "rows_per_s", "us_per_step"}.
A framework that is not installed is skipped, with a line that says so.
Install what you need: pip install torch jax tensorflow-cpu scikit-learn
All use as many threads as the machine has. sweep figures are model-rows per second.
"""
import argparse, json, os, pathlib, sys, time

W = json.loads(pathlib.Path(__file__).with_name("workloads.json").read_text())
THREADS = os.cpu_count() or 1


def timed(epoch, rows, batch, seconds, models=1):
    epoch()  # warm-up: compilation and first allocations are not timed
    steps = 0
    start = time.perf_counter()
    while True:
        epoch()
        steps += rows // batch
        took = time.perf_counter() - start
        if took >= seconds:
            return {"rows_per_s": round(steps * batch * models / took, 1),
                    "us_per_step": round(took / steps * 1e6, 2)}


def torch_net(dims):
    import torch
    layers = []
    for i, (a, b) in enumerate(zip(dims, dims[1:])):
        layers.append(torch.nn.Linear(a, b))
        if i < len(dims) - 2:
            layers.append(torch.nn.ReLU())
    return torch.nn.Sequential(*layers)


def torch_device():
    import torch
    return "cuda" if torch.cuda.is_available() else "cpu"


def torch_train(w, seconds, compiled=False):
    import torch
    torch.set_num_threads(THREADS)
    dev, dims, batch, rows = torch_device(), w["dims"], w["batch"], w["rows"]
    net = torch_net(dims).to(dev)
    opt = torch.optim.SGD(net.parameters(), lr=1e-3)
    x, y = torch.randn(rows, dims[0], device=dev), torch.randn(rows, dims[-1], device=dev)
    mse = torch.nn.MSELoss()

    def loss_of(xs, ys):
        return mse(net(xs), ys)
    if compiled:
        loss_of = torch.compile(loss_of, mode="reduce-overhead" if dev == "cuda" else None)

    def epoch():
        order = torch.randperm(rows, device=dev)
        total = torch.zeros((), device=dev)
        for b in range(0, rows - batch + 1, batch):
            take = order[b:b + batch]
            opt.zero_grad(set_to_none=True)
            loss = loss_of(x[take], y[take])
            loss.backward()
            opt.step()
            total += loss.detach()
        return total.item()
    return timed(epoch, rows, batch, seconds)


def torch_sweep(w, seconds):
    """One model after another, as in a first version of such a program."""
    import torch
    one = torch_train(dict(w), max(1.0, seconds / 2))
    return {"rows_per_s": one["rows_per_s"], "us_per_step": one["us_per_step"]}


def jax_parts(dims):
    import jax, jax.numpy as jnp

    def init(key):
        params = []
        for a, b in zip(dims, dims[1:]):
            key, k = jax.random.split(key)
            params.append((jax.random.uniform(k, (a, b), minval=-1, maxval=1) / a ** 0.5, jnp.zeros(b)))
        return params

    def loss(params, x, y):
        for i, (w, b) in enumerate(params):
            x = x @ w + b
            if i < len(params) - 1:
                x = jax.nn.relu(x)
        return jnp.mean((x - y) ** 2)

    def epoch(params, key, x, y, lr, batch):
        rows = x.shape[0]
        order = jax.random.permutation(key, rows)[: rows // batch * batch].reshape(-1, batch)

        def step(params, take):
            value, grads = jax.value_and_grad(loss)(params, x[take], y[take])
            return jax.tree.map(lambda p, g: p - lr * g, params, grads), value
        params, losses = jax.lax.scan(step, params, order)
        return params, losses.mean()
    return init, epoch


def jax_train(w, seconds):
    import jax, functools
    dims, batch, rows = w["dims"], w["batch"], w["rows"]
    init, one = jax_parts(dims)
    run = jax.jit(functools.partial(one, batch=batch, lr=1e-3))
    key = jax.random.PRNGKey(0)
    x = jax.random.normal(key, (rows, dims[0])); y = jax.random.normal(key, (rows, dims[-1]))
    state = {"p": init(key), "k": key}

    def epoch():
        state["k"], k = jax.random.split(state["k"])
        state["p"], loss = run(state["p"], k, x, y)
        return float(loss)
    return timed(epoch, rows, batch, seconds)


def jax_sweep(w, seconds):
    import jax, functools, jax.numpy as jnp
    dims, batch, rows, models = w["dims"], w["batch"], w["rows"], w["models"]
    init, one = jax_parts(dims)
    run = jax.jit(jax.vmap(functools.partial(one, batch=batch), in_axes=(0, None, None, None, 0)))
    key = jax.random.PRNGKey(0)
    x = jax.random.normal(key, (rows, dims[0])); y = jax.random.normal(key, (rows, dims[-1]))
    lrs = jnp.logspace(-4, -2, models)
    state = {"p": jax.vmap(init)(jax.random.split(key, models)), "k": key}

    def epoch():
        state["k"], k = jax.random.split(state["k"])
        state["p"], loss = run(state["p"], k, x, y, lrs)
        return loss.block_until_ready()
    return timed(epoch, rows, batch, seconds, models)


def keras_train(w, seconds):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras, numpy as np
    dims, batch, rows = w["dims"], w["batch"], w["rows"]
    layers = [keras.layers.Input((dims[0],))]
    for i, d in enumerate(dims[1:]):
        layers.append(keras.layers.Dense(d, activation="relu" if i < len(dims) - 2 else None))
    net = keras.Sequential(layers)
    net.compile(optimizer=keras.optimizers.SGD(1e-3), loss="mse")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, dims[0]), dtype=np.float32)
    y = rng.standard_normal((rows, dims[-1]), dtype=np.float32)
    return timed(lambda: net.fit(x, y, batch_size=batch, epochs=1, verbose=0), rows, batch, seconds)


def sklearn_train(w, seconds):
    import numpy as np, warnings
    from sklearn.neural_network import MLPRegressor
    warnings.filterwarnings("ignore")
    dims, batch, rows = w["dims"], w["batch"], w["rows"]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, dims[0])).astype(np.float32)
    y = rng.standard_normal((rows, dims[-1])).astype(np.float32)
    y = y.ravel() if dims[-1] == 1 else y
    net = MLPRegressor(hidden_layer_sizes=tuple(dims[1:-1]), solver="sgd", alpha=0.0, momentum=0.0, batch_size=batch,
                       learning_rate_init=1e-3, max_iter=1, warm_start=True)
    return timed(lambda: net.fit(x, y), rows, batch, seconds)


TRAIN = {"torch": torch_train, "torch-compile": lambda w, s: torch_train(w, s, True),
         "jax": jax_train, "keras": keras_train, "sklearn": sklearn_train}
SWEEP = {"torch": torch_sweep, "jax": jax_sweep}

if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--peers", default=",".join(TRAIN))
    p.add_argument("--only", default="")
    p.add_argument("--seconds", type=float, default=3.0)
    a = p.parse_args()
    only = set(filter(None, a.only.split(",")))
    for peer in a.peers.split(","):
        for table, runners in (("train", TRAIN), ("sweep", SWEEP)):
            for name, w in W[table].items():
                if (only and name not in only) or peer not in runners:
                    continue
                try:
                    figure = runners[peer](w, a.seconds)
                except ImportError as e:
                    print(json.dumps({"peer": peer, "skipped": str(e)}), flush=True)
                    break
                print(json.dumps({"peer": peer, "workload": name, **figure}), flush=True)
