#!/usr/bin/env python3
"""Makes reference.json: what pytabkit, tabm and rtdl_num_embeddings compute, for the tests of the same parts here.

usage: pip install pytabkit tabm && python make.py > reference.json     (made with pytabkit 1.7.3, tabm 0.0.3)
"""
import json, sys

import numpy as np
import torch
from pytabkit.models.nn_models import activations, nn
from pytabkit.models.nn_models.models import smooth_clip_func
from pytabkit.models.training.scheduling import get_schedule
from rtdl_num_embeddings import PiecewiseLinearEmbeddings, compute_bins
from tabm import TabM

torch.manual_seed(0)
round_ = lambda t: [float(f"{x:.8g}") for x in torch.as_tensor(t, dtype=torch.float64).detach().flatten().tolist()]
out = {}

# Periodic embeddings (PBLD), an input scale, NTK layers and parametric activations, as RealMLP chains them; then four steps of
# its Adam with decoupled decay, each parameter with its factors.
rows, columns, frequencies, width, hidden = 7, 2, 5, 4, 6
x, y = torch.randn(rows, columns), torch.randn(rows, 1)
p = {
    "weight": 0.5 * torch.randn(columns, 1, frequencies), "phase": np.pi * (-1 + 2 * torch.rand(columns, 1, frequencies)),
    "output": torch.randn(columns, frequencies, width - 1), "bias": torch.randn(columns, 1, width - 1),
    "scale": torch.rand(1, columns * width) + 0.5,
    "w1": torch.randn(columns * width, hidden), "b1": torch.randn(1, hidden), "a1": torch.rand(1, hidden),
    "w2": torch.randn(hidden, 1), "b2": torch.randn(1, 1),
}
p = {k: torch.nn.Parameter(v.float()) for k, v in p.items()}
mish = activations.mish


def real_mlp(x):
    embed = nn.PLREmbeddingsLayerCosBias.__new__(nn.PLREmbeddingsLayerCosBias)
    embed.__dict__.update(weight_1=p["weight"], bias_1=p["phase"], weight_2=p["output"], bias_2=p["bias"],
                          plr_act_name="linear", plr_use_densenet=True)
    bend = activations.ParametricActivationLayer.__new__(activations.ParametricActivationLayer)
    bend.__dict__.update(f=mish, weight=p["a1"])
    x = nn.PLREmbeddingsLayerCosBias.forward_cont(embed, x) * p["scale"]
    x = x.matmul(p["w1"]) * np.sqrt(1 / (columns * width)) + p["b1"]
    x = activations.ParametricActivationLayer.forward_cont(bend, x)
    return x.matmul(p["w2"]) * np.sqrt(1 / hidden) + p["b2"]


lr_f = {"scale": 6.0, "b1": 0.1, "b2": 0.1, "a1": 0.1, "weight": 0.1, "phase": 0.1, "output": 0.1, "bias": 0.1}
wd_f = {"b1": 0.0, "b2": 0.0}
start = {k: round_(v) for k, v in p.items()}
out["real_mlp"] = {"x": round_(x), "y": round_(y), "start": start, "outputs": round_(real_mlp(x))}
adam = torch.optim.Adam([{"params": [v], "lr": 0.02 * lr_f.get(k, 1.0)} for k, v in p.items()], betas=(0.9, 0.95), eps=1e-8)
for _ in range(4):
    loss = ((real_mlp(x) - y) ** 2).mean()
    adam.zero_grad()
    loss.backward()
    with torch.no_grad():
        for k, v in p.items():  # as pytabkit.models.optim.optimizers.OptimizerBase.step
            wd, lr = 0.3 * wd_f.get(k, 1.0), 0.02 * lr_f.get(k, 1.0)
            v.mul_(1.0 - wd * lr * wd_f.get(k, 1.0) * lr_f.get(k, 1.0))
    adam.step()
out["real_mlp"].update(end={k: round_(v) for k, v in p.items()}, outputs_after=round_(real_mlp(x)))

# Schedules at 11 points of the run.
for name in ("coslog4", "flat_cos"):
    out[name] = [float(get_schedule(name).call_time_(t)) for t in np.linspace(0, 1, 11)]
out["smooth_clip"] = {"x": [-9.0, -1.0, 0.0, 0.5, 4.0], "y": round_(smooth_clip_func(torch.tensor([-9.0, -1.0, 0.0, 0.5, 4.0])))}

# Biases "he+5": their mean and deviation over many draws, of given sums of a unit.
z = torch.randn(50, 1).repeat(1, 4000)
fitter = nn.BiasFitter.__new__(nn.BiasFitter)
shift = nn.BiasFitter.heplus_bias(fitter, z, 5)
out["he5"] = {"z": round_(z[:, 0]), "mean": float(shift.mean()), "deviation": float(shift.std())}

# TabM with piecewise-linear embeddings and one category, and five steps of AdamW by the mean of its members' losses.
n, k = 12, 3
x_num, x_cat, y = torch.randn(n, 2), torch.randint(0, 3, (n, 1)), torch.randint(0, 3, (n,))
bins = compute_bins(x_num, n_bins=4)
model = TabM.make(n_num_features=2, cat_cardinalities=[3], d_out=3, k=k, n_blocks=2, d_block=8, dropout=0.0,
             num_embeddings=PiecewiseLinearEmbeddings(bins, d_embedding=4, activation=False, version="B"))
with torch.no_grad():  # all of them at work
    for name, v in model.named_parameters():
        v.add_(0.1 * torch.randn_like(v))
parameters = lambda: {name: {"shape": list(v.shape), "values": round_(v)} for name, v in model.named_parameters()}
outputs = lambda: round_(model(x_num, x_cat).softmax(-1).mean(1))
out["tabm"] = {"x_num": round_(x_num), "x_cat": x_cat.flatten().tolist(), "y": y.tolist(), "bins": [round_(b) for b in bins],
               "start": parameters(), "probabilities": outputs()}
adam = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0)
losses = []
for _ in range(5):
    loss = torch.nn.functional.cross_entropy(model(x_num, x_cat).flatten(0, 1), y.repeat_interleave(k))
    losses.append(float(loss))
    adam.zero_grad()
    loss.backward()
    adam.step()
out["tabm"].update(losses=losses, end=parameters(), probabilities_after=outputs())
json.dump(out, sys.stdout)
