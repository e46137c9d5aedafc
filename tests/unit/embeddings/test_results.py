"""The vectors of a call, in the forms that programs want."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from array import array

import pytest

from xdm_integrations.core.embeddings.results import Embeddings
from xdm_integrations.core.protocol.results import Usage

TWO = Embeddings((array("f", [0.5, 1.0]), array("d", [0.1, 2.0])), Usage(1, 0, 1), "m", ("r-1",))


def test_vectors_are_lists_of_floats_as_exact_as_they_came():
    assert TWO.vectors == [[0.5, 1.0], [0.1, 2.0]]
    assert list(TWO) == TWO.vectors
    assert (len(TWO), TWO.dimensions, TWO[1], TWO[-1]) == (2, 2, [0.1, 2.0], [0.1, 2.0])
    with pytest.raises(IndexError):
        TWO[2]
    assert {type(number) for vector in TWO.vectors for number in vector} == {float}


def test_array_is_all_of_it_as_float32():
    assert TWO.array == array("f", [0.5, 1.0, 0.1, 2.0])
    assert TWO.array is TWO.array


def test_numpy_shares_the_memory_of_the_array():
    numpy = pytest.importorskip("numpy")
    matrix = TWO.numpy()
    assert (matrix.shape, matrix.dtype) == ((2, 2), numpy.float32)
    assert matrix.tolist() == [[0.5, 1.0], array("f", [0.1, 2.0]).tolist()]
    assert numpy.shares_memory(matrix, numpy.frombuffer(TWO.array, dtype="f4"))


def test_no_texts_have_no_vectors():
    nothing = Embeddings()
    assert (len(nothing), nothing.vectors, nothing.dimensions, list(nothing.array)) == (0, [], 0, [])
    assert (nothing.usage, nothing.model) == (None, "")


def test_they_are_values():
    for made in (copy.deepcopy(TWO), pickle.loads(pickle.dumps(TWO))):  # noqa: S301 - our own
        assert made == TWO
    assert "array(" not in repr(TWO)
    assert "model='m'" in repr(TWO)


def test_nothing_needs_numpy():
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "from array import array\n"
        "from xdm_integrations.core.embeddings.results import Embeddings\n"
        "vectors = Embeddings((array('f', [1.0]),))\n"
        "assert vectors.vectors == [[1.0]] and vectors.array == array('f', [1.0])\n"
        "try:\n    vectors.numpy()\nexcept ModuleNotFoundError:\n    print('told')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own interpreter
    assert done.stdout.strip() == "told"
