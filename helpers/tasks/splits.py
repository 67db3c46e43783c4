"""Fixed shuffles and splits: the same on every machine and with every numpy.

They rest on the raw 64-bit output of PCG64, whose stream numpy guarantees, unlike that of
`Generator.permutation`.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

SPLIT_SEED = 2026  # of every split that we drew ourselves


def shuffled(n: int, seed: int) -> np.ndarray:
    """Return a fixed permutation of 0 ... n-1, int64 (n,)."""
    return np.argsort(np.random.PCG64(seed).random_raw(n), kind="stable")


def stratified_order(strata: np.ndarray, seed: int) -> np.ndarray:
    """Shuffle so that every beginning of the result is stratified.

    strata: any labels (N,). Returns int64 (N,). The first n have each stratum in proportion, to
    within one example, except that one example of every stratum comes first: so every class is
    there as soon as n reaches the number of classes. A smaller n gives a subset of a larger one.
    """
    _, codes, counts = np.unique(strata, return_inverse=True, return_counts=True)
    order = shuffled(len(codes), seed)
    by_stratum = order[np.argsort(codes[order], kind="stable")]
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    rank = np.empty(len(codes), dtype=np.int64)
    rank[by_stratum] = np.arange(len(codes)) - starts
    when = (rank + 0.5) / counts[codes]
    when[rank == 0] = -1.0
    return order[np.argsort(when[order], kind="stable")]


def grouped_parts(
    strata: np.ndarray, groups: np.ndarray, sizes: Sequence[int], seed: int
) -> list[np.ndarray]:
    """Cut off parts of about the given sizes and the rest, keeping every group in one part.

    strata and groups: (N,). Returns len(sizes) + 1 arrays of int64 rows, each in stratified order.
    A part is larger than asked for by less than its last group.
    """
    _, first, codes = np.unique(groups, return_index=True, return_inverse=True)
    members = defaultdict(list)
    for row in stratified_order(strata, seed):
        members[codes[row]].append(row)
    parts: list[list[int]] = [[]]
    for group in stratified_order(np.asarray(strata)[first], seed):
        if len(parts) <= len(sizes) and len(parts[-1]) >= sizes[len(parts) - 1]:
            parts.append([])
        parts[-1].extend(members[group])
    return [np.array(part, dtype=np.int64) for part in parts]


def held_out(strata: np.ndarray, groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Choose about a share of N rows, int64 (M,); what is left keeps an example of every stratum.

    strata and groups: (N,); a group is chosen whole or not at all. Groups larger than the share
    stay behind, unless there are none but such: then the smallest goes.
    """
    size = max(1, round(share * len(strata)))
    _, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    free = np.flatnonzero(counts[codes] <= size)
    if not len(free):
        return np.flatnonzero(codes == counts.argmin()) if len(counts) > 1 else free
    part = free[grouped_parts(strata[free], codes[free], [size], seed)[0]]
    chosen = np.zeros(len(strata), dtype=bool)
    chosen[part] = True
    for stratum in np.unique(strata):
        own = strata == stratum
        if chosen[own].all():  # a stratum with one example, or one group: it stays behind
            chosen[codes == codes[np.flatnonzero(own)[0]]] = False
    return np.flatnonzero(chosen)


def near_duplicate_groups(
    texts: Sequence[str],
    jaccard: float = 0.5,
    words: Callable[[str], list[str]] | None = None,
) -> np.ndarray:
    """Number the groups of texts that say nearly the same, int64 (N,).

    Two texts belong together when they are equal once links, case and everything but letters are
    gone, or when their sets of four-word phrases overlap by more than `jaccard`; groups are closed
    under that. Phrases in more than 50 texts are taken for formulas and not looked at.
    words: cuts a text into what is compared; None: English words, which splits on record rest on.
    """
    said = [(words or _plain)(text) for text in texts]
    group = np.arange(len(texts))

    def root(row: int) -> int:
        while group[row] != row:
            group[row] = group[group[row]]
            row = group[row]
        return row

    same: dict[tuple[str, ...], int] = {}
    for row, plain in enumerate(said):
        if plain:
            group[root(row)] = root(same.setdefault(tuple(plain), row))
    for a, b in _overlapping(said, jaccard):
        group[root(b)] = root(a)
    return np.array([root(row) for row in range(len(texts))], dtype=np.int64)


def connected(n: int, pairs: np.ndarray) -> np.ndarray:
    """Number the sets that pairs (M, 2) of n examples connect, int64 (n,)."""
    graph = coo_matrix((np.ones(len(pairs), dtype=np.int8), pairs.T), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def joined(numberings: Sequence[np.ndarray]) -> np.ndarray:
    """The finest numbering (N,) that keeps together what any of these (N,) keeps together."""
    n = len(numberings[0])
    ends, width = [], n
    for numbers in numberings:
        codes = np.unique(numbers, return_inverse=True)[1]
        ends.append(np.stack([np.arange(n), codes + width], axis=1))
        width += int(codes.max(initial=-1)) + 1
    return connected(width, np.concatenate(ends))[:n]


def _overlapping(words: Sequence[Sequence[str]], jaccard: float) -> list[tuple[int, int]]:
    phrases = [{tuple(w[i : i + 4]) for i in range(len(w) - 3)} for w in words]
    holders = defaultdict(list)
    for row, own in enumerate(phrases):
        for phrase in own:
            holders[phrase].append(row)
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for rows in holders.values():
        if 1 < len(rows) <= 50:
            for i, b in enumerate(rows):
                for a in rows[:i]:
                    shared[a, b] += 1
    return sorted(
        (a, b)
        for (a, b), both in shared.items()
        if both > jaccard * (len(phrases[a]) + len(phrases[b]) - both)
    )


def _plain(text: str) -> list[str]:
    return re.sub(r"[^a-z]+", " ", re.sub(r"https?://\S+", "", text.lower())).split()
