"""The restricted reader: torch's files give their tensors; files that try to do anything are refused, and nothing runs."""

import collections
import io
import os
import pickle
import zipfile

import pytest
import torch

from backend.errors import MenagerieError
from backend.weights.pickles import read_pickle

STATE = {
    "a.weight": torch.arange(12.0).reshape(3, 4),
    "b": torch.tensor([1, 2, 3]),
    "c.half": torch.ones(2, 2, dtype=torch.float16),
    "empty": torch.empty(0),
}


class Runs:
    """Pickles to a call of os.system."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def archive(data: bytes, **files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        z.writestr("archive/data.pkl", data)
        for name, content in files.items():
            z.writestr(f"archive/data/{name}", content)
    return buffer.getvalue()


def refused(path) -> str:
    with pytest.raises(MenagerieError) as caught:
        read_pickle(path)
    assert caught.value.code == "weights_damaged"
    return caught.value.sentence


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_come_out_as_torch_saved_them(tmp_path, zipped):
    state = collections.OrderedDict(STATE)
    state["view"] = state["a.weight"].t()[1:]
    state["parameter"] = torch.nn.Parameter(torch.ones(3))
    torch.save({"model": state, "step": 7, "name": "x"}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    content = read_pickle(tmp_path / "a.pth")
    assert content["step"] == 7 and content["name"] == "x"
    assert list(content["model"]) == list(state)
    for name, value in state.items():
        assert torch.equal(content["model"][name], value.data)
        assert content["model"][name].dtype == value.dtype


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_calls_are_refused_and_not_made(tmp_path, protocol):
    mark = tmp_path / "ran"
    data = pickle.dumps({"a": Runs(f"touch {mark}")}, protocol)
    (tmp_path / "zip.pth").write_bytes(archive(data))
    (tmp_path / "raw.pth").write_bytes(data)
    assert "not allowed" in refused(tmp_path / "zip.pth")
    refused(tmp_path / "raw.pth")
    assert not mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        "os\nsystem", "builtins\neval", "builtins\ngetattr", "torch\nload", "torch.storage\n_load_from_bytes",
        "collections\nOrderedDict.update", "torch._utils\n_rebuild_tensor", "numpy\nload", "backend.weights.pickles\nread_pickle",
    ],
)  # fmt: skip
def test_every_other_global_is_refused(tmp_path, name):
    (tmp_path / "a.pth").write_bytes(archive(f"c{name}\n.".encode()))
    assert "not allowed" in refused(tmp_path / "a.pth")


def test_allowed_stand_ins_cannot_be_changed(tmp_path):
    # BUILD sets attributes on what lies on the stack; the stand-in has none to set.
    data = b"ctorch._utils\n_rebuild_tensor_v2\n(dU\x08__call__U\x01xsb."
    (tmp_path / "a.pth").write_bytes(archive(data))
    refused(tmp_path / "a.pth")
    test_tensors_come_out_as_torch_saved_them(tmp_path, True)


def test_the_training_log_of_the_published_checkpoint_is_ignored(tmp_path):
    data = b"\x80\x02}(X\x01\x00\x00\x00acvideo3d.utils.meters\nMetricsTrace\n)\x81}X\x01\x00\x00\x00bK\x01sbX\x01\x00\x00\x00cK\x05u."
    (tmp_path / "a.pth").write_bytes(archive(data))
    content = read_pickle(tmp_path / "a.pth")
    assert content["c"] == 5 and "a" in content


def test_tensors_that_reach_past_their_storage_are_refused(tmp_path):
    torch.save(STATE["a.weight"], tmp_path / "good.pth")
    with zipfile.ZipFile(tmp_path / "good.pth") as z:
        data = z.read("good/data.pkl")
    # The tensor's size is (3, 4): a stored 3 becomes 99.
    changed = data.replace(b"K\x03K\x04\x86", b"K\x63K\x04\x86")
    assert changed != data
    (tmp_path / "a.pth").write_bytes(archive(changed, **{"0": STATE["a.weight"].numpy().tobytes()}))
    assert "past its storage" in refused(tmp_path / "a.pth")


def test_a_storage_of_another_length_is_refused(tmp_path):
    torch.save(STATE["a.weight"], tmp_path / "good.pth")
    with zipfile.ZipFile(tmp_path / "good.pth") as z:
        data = z.read("good/data.pkl")
    (tmp_path / "a.pth").write_bytes(archive(data, **{"0": b"\0" * 8}))
    assert "cut short" in refused(tmp_path / "a.pth")


def test_cut_and_foreign_files_are_refused(tmp_path):
    for zipped in (True, False):
        torch.save(STATE, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
        whole = (tmp_path / "a.pth").read_bytes()
        for share in (0.1, 0.5, 0.95):
            (tmp_path / "cut.pth").write_bytes(whole[: int(len(whole) * share)])
            refused(tmp_path / "cut.pth")
    for content in (b"", b"\0" * 100, b"PK\x03\x04" + b"\0" * 60, b"(" * 100_000, b"\x80\x02" + b"]" * 50_000):
        (tmp_path / "a.pth").write_bytes(content)
        refused(tmp_path / "a.pth")
