"""Who is whose neighbour on a mesh, as sparse float64 matrices: adjacency, the neighbours' mean and the graph Laplacian.

Every edge counts alike: on nearly equilateral triangles the graph Laplacian has the cotangent one's shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags

from backend.types import Mesh


def edge_faces(mesh: Mesh) -> csr_matrix:
    """(v, v) symmetric: at how many triangles each edge lies, 2 inside a surface and 1 on its rim."""
    return _edge_faces(mesh.faces, len(mesh.vertices))


def _edge_faces(faces: NDArray[np.integer], count: int) -> csr_matrix:
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    one_way = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    return one_way + one_way.T


def adjacency(mesh: Mesh) -> csr_matrix:
    """(v, v) symmetric 0/1 matrix of the mesh's edges."""
    return face_adjacency(mesh.faces, len(mesh.vertices))


def face_adjacency(faces: NDArray[np.integer], count: int) -> csr_matrix:
    """The same of triangles (f, 3) over `count` vertices."""
    return (_edge_faces(faces, count) > 0).astype(np.float64).tocsr()


def neighbour_mean(links: csr_matrix) -> csr_matrix:
    """(v, v) weights of edges -> (v, v) whose rows take the neighbours' weighted mean; 0 where there are none."""
    return (diags(1 / np.asarray(links.sum(1)).ravel().clip(1)) @ links).tocsr()


def laplacian(links: csr_matrix) -> csr_matrix:
    """(v, v) weights of edges -> their sum a vertex on the diagonal, less the weights."""
    return (diags(np.asarray(links.sum(1)).ravel()) - links).tocsr()
