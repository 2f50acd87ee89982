"""What this host or this build does not have: `features` says so, and a config that asks for it is
refused, never carried out in part."""

import json
import pathlib

import pytest

RESCTRL = pathlib.Path("/sys/fs/resctrl/tasks")


@pytest.fixture
def linux_features(runtime):
    return json.loads(runtime("features").stdout)["linux"]


@pytest.mark.parametrize("rdt", [
    pytest.param({"closID": "guaranteed"}, marks=pytest.mark.checklist(107)),
    pytest.param({"closID": "x", "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=10"},
                 marks=pytest.mark.checklist(108)),
    pytest.param({"closID": "x", "schemata": ["L3:0=f"]}, marks=pytest.mark.checklist(109)),
    pytest.param({"enableMonitoring": True}, marks=pytest.mark.checklist(110))])
def test_intel_rdt_without_resctrl(bundle, rdt):
    if RESCTRL.exists():
        pytest.skip("this host has resctrl")
    bundle.linux["intelRdt"] = rdt
    bundle.refused()


@pytest.mark.checklist(80)
def test_network_device_that_is_not_there(bundle):
    bundle.linux["netDevices"] = {"nosuch0": {"name": "eth0"}}
    bundle.refused()


@pytest.mark.checklist(147)
def test_memory_policy_as_features_says(bundle, linux_features):
    bundle.linux["memoryPolicy"] = {"mode": "MPOL_LOCAL"}
    if "MPOL_LOCAL" in linux_features.get("memoryPolicy", {}).get("modes", []):
        bundle.run("exit=0")
    else:
        bundle.refused()


@pytest.mark.parametrize("feature", [
    pytest.param("intelRdt", marks=pytest.mark.checklist(146)),
    pytest.param("netDevices", marks=pytest.mark.checklist(149))])
def test_features_say_whether(linux_features, feature):
    assert isinstance(linux_features[feature]["enabled"], bool)
