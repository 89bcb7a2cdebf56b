"""The compiled loops of models of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.votes.jit import jit


@jit
def _solve(a: Any, b: Any) -> None:  # pragma: no cover - compiled
    """Solve a x = b in place by elimination with pivots; ``b`` [n, m] becomes x."""
    n = len(a)
    for col in range(n):
        best = col
        for row in range(col + 1, n):
            if abs(a[row, col]) > abs(a[best, col]):
                best = row
        if best != col:
            for k in range(n):
                a[col, k], a[best, k] = a[best, k], a[col, k]
            for k in range(b.shape[1]):
                b[col, k], b[best, k] = b[best, k], b[col, k]
        pivot = a[col, col] if abs(a[col, col]) > 1e-300 else 1e-300
        for row in range(n):
            if row != col and a[row, col] != 0.0:
                factor = a[row, col] / pivot
                for k in range(col, n):
                    a[row, k] -= factor * a[col, k]
                for k in range(b.shape[1]):
                    b[row, k] -= factor * b[col, k]
    for row in range(n):
        pivot = a[row, row] if abs(a[row, row]) > 1e-300 else 1e-300
        for k in range(b.shape[1]):
            b[row, k] /= pivot


@jit
def complete(
    shares: Any, known: Any, prior: Any, start: Any, ridge: Any, sweeps: int, tolerance: float, mu: Any
) -> tuple[int, float]:  # pragma: no cover - compiled
    """Alternating least squares for mu [V, K codes, K true] from ``shares`` [V K, V K] of pairs of outcomes.

    Off its diagonal blocks ``shares`` is mu diag(prior) mu'. ``known`` [V, V] says which pairs of voters share items,
    ``ridge`` [V, K true] draws mu to ``start``. All voters move at once, half of the way, so that their order means
    nothing. Returns the sweeps that it took, and by how much the last one changed a number.
    """
    voters, labels, _ = mu.shape
    gram, target = np.zeros((labels, labels)), np.zeros((labels, labels))
    after = np.empty_like(mu)
    change = 1.0
    for done in range(sweeps):
        change = 0.0
        for v in range(voters):
            for y in range(labels):
                for z in range(labels):
                    gram[y, z] = ridge[v, y] if y == z else 0.0
                for c in range(labels):
                    target[y, c] = ridge[v, y] * start[v, c, y]
            for u in range(voters):
                if u == v or not known[u, v]:
                    continue
                for d in range(labels):
                    row = u * labels + d
                    for y in range(labels):
                        m = prior[y] * mu[u, d, y]
                        for z in range(labels):
                            gram[y, z] += m * prior[z] * mu[u, d, z]
                        for c in range(labels):
                            target[y, c] += m * shares[row, v * labels + c]
            _solve(gram, target)
            for y in range(labels):
                total = 0.0
                for c in range(labels):
                    target[y, c] = min(max(target[y, c], 1e-6), 1.0)
                    total += target[y, c]
                for c in range(labels):
                    found = 0.5 * (mu[v, c, y] + target[y, c] / max(total, 1.0))
                    change = max(change, abs(found - mu[v, c, y]))
                    after[v, c, y] = found
        for v in range(voters):
            for c in range(labels):
                for y in range(labels):
                    mu[v, c, y] = after[v, c, y]
        if change <= tolerance:
            return done + 1, change
    return sweeps, change


@jit
def triplets(
    votes: Any, agreed: Any, shared: Any, balance: float, least: float, out: Any
) -> None:  # pragma: no cover - compiled
    """The accuracy of each voter on +1/-1 votes, to ``out`` [V]: the mean over pairs of others of its two solutions.

    ``agreed`` and ``shared`` [V, V] items; ``votes`` [V]. E_uv is the mean product of votes on shared items.
    """
    voters = len(out)
    for v in range(voters):
        total, weights = 0.0, 0.0
        for u in range(voters):
            if u == v or shared[u, v] < least:
                continue
            a = 2.0 * agreed[u, v] / shared[u, v] - 1.0
            for w in range(u):
                if w == v or shared[w, v] < least or shared[u, w] < least:
                    continue
                b = 2.0 * agreed[w, v] / shared[w, v] - 1.0
                c = 2.0 * agreed[u, w] / shared[u, w] - 1.0
                if abs(c) < 0.02:
                    continue
                weight = min(min(shared[u, v], shared[w, v]), shared[u, w]) * abs(c)
                total += weight * min(np.sqrt(abs(a * b / c)), 1.0)
                weights += weight
        out[v] = total / weights if weights > 0.0 else -1.0
