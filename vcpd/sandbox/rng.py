"""Reproducible random streams and hashes, keyed by seed and purpose."""

from zlib import crc32

import numpy as np

from vcpd.domain.bars import FloatArray, IntArray


def random_stream(seed: int, purpose: str, *path: int) -> np.random.Generator:
    """Returns the generator of (seed, purpose, path): always the same, independent of all others."""
    key = (crc32(purpose.encode()), *path)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=key)))


def unit_hash(keys: IntArray, salt: int) -> FloatArray:
    """Returns a number in [0, 1) for each key, always the same: the finalizer of splitmix64."""
    mixed = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt & (2**64 - 1))
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53


def hash_salt(seed: int, purpose: str, day: int) -> int:
    """Returns a salt for `unit_hash` that differs from that of any other purpose or day."""
    words = np.random.SeedSequence(entropy=seed, spawn_key=(crc32(purpose.encode()), day)).generate_state(2)
    return int(words[0]) << 32 | int(words[1])
