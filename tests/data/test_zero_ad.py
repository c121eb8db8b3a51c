"""The reader of 0 A.D.: frames, windings, and the refusal of reserved animals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.data import quadrupeds
from backend.data.pack import pack
from backend.data.prepare import plan_shapes, validation_sets
from backend.data.zero_ad import Archive, ReservedAnimal, UnreadableArchive, is_reserved, reserved
from tests.data.archives import write_archive

EXACT = 1e-6
RESERVED_MESHES = (
    "tiger", "fox", "zebra", "goat", "goat_male", "wildebeest_adult", "wildebeest_juvenile", "mastiff", "mastiff_no_spikes",
    "fauna_hippopotamus", "donkey", "horse",
)  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(write_archive(tmp_path / "public.zip"))


def test_a_mesh_comes_out_right_handed_with_outward_faces(archive: Archive) -> None:
    mesh = archive.mesh("skeletal/hare.dae")
    np.testing.assert_allclose(mesh.vertices, [[0, 0, 0], [0, 1, 0], [0, 0, -1]], atol=EXACT)
    a, b, c = mesh.vertices[mesh.faces[0]]
    assert np.cross(b - a, c - a) @ mesh.normals[0] > 0
    np.testing.assert_allclose(mesh.uvs[0], [0.25, 0.25], atol=EXACT)
    np.testing.assert_allclose(mesh.weights, [[1, 0, 0, 0]] * 3, atol=EXACT)
    assert (mesh.bones == 0).all()


def test_a_clip_turns_the_mirrored_way(archive: Archive) -> None:
    clip = archive.clip("quadraped/hare_walk.dae")
    assert clip.seconds == pytest.approx(0.04)
    np.testing.assert_allclose(clip.frames[0, 0, :3, 3], [0, 2, -3], atol=EXACT)
    # A quarter turn about +Y in the file takes its +Z to its +X; here -Z must go to +X.
    np.testing.assert_allclose(clip.frames[1, 0, :3, :3] @ [0, 0, -1], [1, 0, 0], atol=EXACT)


def test_the_bind_pose_skins_to_the_rest_mesh(archive: Archive) -> None:
    mesh, clip = archive.mesh("skeletal/hare.dae"), archive.clip("quadraped/hare_walk.dae")
    move = clip.frames[0, 0] @ np.linalg.inv(mesh.bind[0])
    np.testing.assert_allclose(move, np.eye(4), atol=EXACT)


def test_an_actor_names_what_its_variants_hold_without_reserved_skins(archive: Archive) -> None:
    actor = archive.actor("fauna/hare")
    assert actor.meshes == ("skeletal/hare.dae",)
    assert actor.clips == (("walk", "quadraped/hare_walk.dae"),)
    assert actor.skins == ("skeletal/hare.png",)
    assert archive.actors() == ["fauna/hare"]


def test_a_skin_is_rgba(archive: Archive) -> None:
    skin = archive.skin("skeletal/hare.png")
    assert skin.shape == (4, 4, 4) and skin.dtype == np.uint8
    assert abs(int(skin[0, 0, 0]) - 200) < 10


def test_reserved_animals_are_refused_even_when_they_are_there(archive: Archive) -> None:
    with pytest.raises(ReservedAnimal):
        archive.mesh("skeletal/fox.dae")
    with pytest.raises(ReservedAnimal):
        archive.actor("fauna/fox_red")
    with pytest.raises(ReservedAnimal):
        archive.skin("skeletal/animal_zebra_2.png")
    with pytest.raises(ReservedAnimal):
        quadrupeds.load(archive, "tiger")


@pytest.mark.parametrize("name", RESERVED_MESHES)
def test_every_reserved_mesh_is_listed(name: str) -> None:
    assert is_reserved(f"skeletal/{name}.dae")


def test_nothing_reserved_is_in_the_catalogue_or_the_plan() -> None:
    assert len(reserved()["species"]) == 8
    assert not [n for n in quadrupeds.names() if is_reserved(n)]
    assert not [p.name for p in plan_shapes(100, validation_sets()) if is_reserved(p.name)]


def test_held_out_animals_never_enter_training() -> None:
    away = {name for names in validation_sets().values() for name in names}
    plans = plan_shapes(120, validation_sets())
    assert away <= set(quadrupeds.names())
    assert not away & {p.name for p in plans if p.split == "train"}
    assert sum(p.split == "train" for p in plans) == 120


def test_what_is_no_archive_or_no_mesh_is_said(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(UnreadableArchive):
        Archive(tmp_path / "absent.zip")
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(UnreadableArchive):
        Archive(tmp_path / "text.zip")
    with pytest.raises(UnreadableArchive):
        archive.mesh("skeletal/cut.dae")
    with pytest.raises(UnreadableArchive):
        archive.mesh("skeletal/absent.dae")


def test_a_pack_holds_what_is_read_of_the_catalogue_and_nothing_reserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hare = {"skins": ["skeletal/*"], "clips": ["hare_*"]}
    monkeypatch.setattr(quadrupeds, "catalogue", lambda: {"meshes": {"hare": hare}})
    source = write_archive(tmp_path / "public.zip")
    packs = [tmp_path / name for name in ("a.zip", "b.zip")]
    assert [pack(source, target) for target in packs] == [3, 3]
    assert packs[0].read_bytes() == packs[1].read_bytes()
    small = Archive(packs[0])
    whole = Archive(source)
    np.testing.assert_array_equal(small.mesh("skeletal/hare.dae").vertices, whole.mesh("skeletal/hare.dae").vertices)
    np.testing.assert_array_equal(small.clip("quadraped/hare_walk.dae").frames, whole.clip("quadraped/hare_walk.dae").frames)
    assert quadrupeds.clips_and_skins(small, "hare") == quadrupeds.clips_and_skins(whole, "hare")
    assert not [name for name in small.names if is_reserved(name)]
