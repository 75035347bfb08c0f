#!/usr/bin/env python3
"""Makes scores.json: what scikit-learn computes, for the tests of the metrics.

usage: pip install scikit-learn && python make.py > scores.json     (made with scikit-learn 1.9.1)
"""
import json, warnings

import numpy as np
from sklearn import metrics as m

warnings.simplefilter("ignore")
random = np.random.default_rng(0)
out = {"numbers": [], "classes": []}

# Regression: two columns, one of them seconds since 1970 that vary by 100.
for weighted in (False, True):
    rows = 60
    near = random.normal(0.5, 0.1, rows)
    far = 1_700_000_000 + np.round(random.normal(0, 100, rows), 1)
    truth = np.column_stack([near, far])
    predicted = truth + np.column_stack([random.normal(0, 0.08, rows), random.normal(3, 7, rows)])
    weights = random.integers(0, 4, rows).astype(float) if weighted else None
    each = [
        {
            "mse": m.mean_squared_error(y, f, sample_weight=weights),
            "rmse": m.root_mean_squared_error(y, f, sample_weight=weights),
            "mae": m.mean_absolute_error(y, f, sample_weight=weights),
            "r2": m.r2_score(y, f, sample_weight=weights),
            "explained_variance": m.explained_variance_score(y, f, sample_weight=weights),
        }
        for y, f in zip(truth.T, predicted.T)
    ]
    out["numbers"].append({
        "truth": truth.flatten().tolist(), "predicted": predicted.flatten().tolist(),
        "weights": None if weights is None else weights.tolist(), "each": each,
    })

# Classes: probabilities in steps of 1/8, so that most rows are tied.
for classes in (2, 2, 2, 2, 3, 4):
    weighted = len(out["classes"]) % 2 == 1
    rows = 30 if classes == 2 else 50
    truth = np.concatenate([np.arange(classes), random.integers(0, classes, rows - classes)])
    counts = random.multinomial(8, np.ones(classes) / classes, rows)
    counts[np.arange(rows), truth] += random.integers(0, 4, rows)
    p = counts / counts.sum(axis=1, keepdims=True) if classes > 2 else counts / 8
    if classes == 2:
        p = np.clip(p, 0, 1)
        p[:, 0] = 1 - p[:, 1]
    weights = random.integers(0, 4, rows).astype(float) if weighted else None
    predicted = p.argmax(axis=1)
    binary = classes == 2
    average = {"average": "binary" if binary else "macro", "zero_division": 0}
    one_hot = np.eye(classes)[truth]
    out["classes"].append({
        "classes": classes, "truth": truth.tolist(), "p": p.flatten().tolist(),
        "weights": None if weights is None else weights.tolist(),
        "accuracy": m.accuracy_score(truth, predicted, sample_weight=weights),
        "balanced_accuracy": m.balanced_accuracy_score(truth, predicted, sample_weight=weights),
        "precision": m.precision_score(truth, predicted, sample_weight=weights, **average),
        "recall": m.recall_score(truth, predicted, sample_weight=weights, **average),
        "f1": m.f1_score(truth, predicted, sample_weight=weights, **average),
        "roc_auc": m.roc_auc_score(truth, p[:, 1], sample_weight=weights) if binary
        else m.roc_auc_score(one_hot, p, average="macro", sample_weight=weights),
        "average_precision": m.average_precision_score(truth, p[:, 1], sample_weight=weights) if binary
        else m.average_precision_score(one_hot, p, average="macro", sample_weight=weights),
    })
print(json.dumps(out))
