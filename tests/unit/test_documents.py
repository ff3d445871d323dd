"""What the documents tell people to write is what the bridge takes."""

import re
from pathlib import Path

import pytest
import yaml

from meshbridge.settings.loading import load_settings
from meshbridge_file.records import content
from meshbridge_file.yaml import read

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("compose/*.md")])
ENVIRONMENT = {"NACOS_PASSWORD": "secret"}


def _blocks(document: Path) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_yaml_in_the_documents_is_valid(document: Path, tmp_path: Path) -> None:
    """A configuration or a registry file, whole: people copy them."""
    for number, block in enumerate(_blocks(document)):
        if block.startswith("version:"):
            file = tmp_path / f"{number}.yaml"
            file.write_text(block)
            assert load_settings(file, ENVIRONMENT).registries
        elif block.startswith("services:"):
            found = content(read(block.encode()))
            assert found.services
            assert not found.faults
        else:  # istiod's: it only has to be YAML here
            assert yaml.safe_load(block)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_both_readmes_show_the_same_commands_and_configurations() -> None:
    """Only the words around them differ: the comments in them are left out of the comparison."""

    def shown(name: str) -> list[str]:
        blocks = re.findall(
            r"^```\w+\n(.*?)^```$", (ROOT / name).read_text(), re.MULTILINE | re.DOTALL
        )
        return [re.sub(r"\s+# .*", "", block) for block in blocks if "flowchart" not in block]

    assert shown("README.md")
    assert shown("README.md") == shown("README.zh.md")
