"""What istiod's debug interface shows is read document by document, whatever the documents hold."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge.errors import BadData
from meshbridge_mcp.configz import Config, configs, one_by_one

CAPTURED = Path(__file__).parent / "testing" / "captured" / "istiod-configz.json"

_TEXT = st.sampled_from(["", "a", '"', "\\", '},{"kind":"', "订单", "{", "]"])
_VALUES = st.recursive(
    st.one_of(_TEXT, st.integers(), st.none(), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["kind", "a"]), inner)
    ),
    max_leaves=8,
)
_DOCUMENTS = st.fixed_dictionaries(
    {"kind": _TEXT, "apiVersion": _TEXT, "metadata": st.just({"name": "a"}), "spec": _VALUES}
)


def written(documents: object) -> bytes:
    """Return what Go writes."""
    return json.dumps(documents, separators=(",", ":"), ensure_ascii=False).encode()


def said(found: Config) -> tuple[object, ...]:
    return found.kind, found.api_version, found.metadata, msgspec.json.decode(found.spec)


@given(st.lists(_DOCUMENTS, max_size=5))
def test_one_by_one_they_are_the_same_as_all_at_once(documents: list[object]) -> None:
    """Also where a document holds what looks like the end of one."""
    answer = written(documents)
    steps = list(one_by_one(bytearray(answer)))
    assert [said(each) for each in steps if each] == [said(each) for each in configs(answer)]
    assert len(configs(answer)) == len(documents)


def test_each_is_a_step_of_its_own() -> None:
    """Ten thousand at once would hold everything else up."""
    answer = written([{"kind": "ServiceEntry", "metadata": {"name": str(n)}} for n in range(100)])
    steps = one_by_one(answer)
    first = next(steps)
    assert first is not None
    assert first.metadata.name == "0"
    names = [each.metadata.name for each in steps if each]
    assert names == [str(number) for number in range(1, 100)]


def test_a_document_full_of_what_looks_like_others_is_read_at_last() -> None:
    """To look for its end in vain takes an end itself."""
    odd = {"kind": "EnvoyFilter", "spec": {"a": [{"kind": "b"} for _ in range(1000)]}}
    steps = list(one_by_one(written([odd, {"kind": "ServiceEntry"}])))
    assert [each.kind for each in steps if each] == ["EnvoyFilter", "ServiceEntry"]
    assert steps.count(None) == 100


def test_an_answer_in_another_form_is_read_as_well() -> None:
    """A real one, indented."""
    answer = CAPTURED.read_bytes()
    assert [said(each) for each in one_by_one(answer) if each] == list(map(said, configs(answer)))
    assert len(configs(answer)) >= 1


@pytest.mark.parametrize("nothing", [b"[]", b"null"])
def test_a_store_without_anything_is_no_error(nothing: bytes) -> None:
    assert list(one_by_one(nothing)) == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"not JSON",
        b"{}",
        b'x{"kind":"a"},{"kind":"b"}]',
        b'[{"kind":"a"},{"kind":"b"}',
        b'[{"kind":"a"},{"kind":"b"}]]',
        b'[{"kind":"a"},{"kind":1}]',
        b'[{"kind":"a"},{"kind":"b"},{"kind":"c","spec":' + b"[" * 100_000,
    ],
)
def test_what_is_no_such_answer_is_bad_data(answer: bytes) -> None:
    with pytest.raises(BadData, match="it is no "):
        list(one_by_one(answer))
