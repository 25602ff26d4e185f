"""The servers that compose files describe: on loopback, and without a password in the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

FILES = sorted((Path(__file__).parents[1] / "deploy").rglob("compose.yml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_a_compose_file(path):
    content = yaml.safe_load(path.read_text())
    services = content["services"]
    for service in services.values():
        assert service["image"]
        assert set(service.get("depends_on", ())) <= services.keys()
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")
        for volume in service.get("volumes", ()):
            assert volume.split(":")[0] in content["volumes"]
        for name, value in service.get("environment", {}).items():
            assert isinstance(value, str)
            assert "password" not in name.lower() or value.startswith("${"), name


def test_there_is_one():
    assert FILES
