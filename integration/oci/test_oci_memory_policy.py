"""config-linux.md#memory-policy, as the kernel tells it inside (numa_maps, get_mempolicy)."""

import pytest

pytestmark = pytest.mark.checklist(111)

STATIC, RELATIVE, BALANCING = 1 << 15, 1 << 14, 1 << 13


def policies(text):
    """The policy of each mapping that the kernel tells."""
    return {line.split()[1] for line in text.splitlines() if line}


@pytest.mark.parametrize("mode, nodes, flags, number, text", [
    ("MPOL_DEFAULT", None, [], 0, "default"),
    ("MPOL_PREFERRED", "0", [], 1, "prefer:0"),
    ("MPOL_PREFERRED", "", [], 4, "local"),
    ("MPOL_BIND", "0", [], 2, "bind:0"),
    ("MPOL_INTERLEAVE", "0", [], 3, "interleave:0"),
    ("MPOL_LOCAL", None, [], 4, "local"),
    ("MPOL_PREFERRED_MANY", "0", [], 5, "prefer (many):0"),
    ("MPOL_WEIGHTED_INTERLEAVE", "0", [], 6, "weighted interleave:0"),
    ("MPOL_BIND", "0", ["MPOL_F_STATIC_NODES"], 2 | STATIC, "bind=static:0"),
    ("MPOL_BIND", "0-63,900", ["MPOL_F_STATIC_NODES"], 2 | STATIC, "bind=static:0"),
    ("MPOL_BIND", "0", ["MPOL_F_RELATIVE_NODES"], 2 | RELATIVE, "bind=relative:0"),
    ("MPOL_BIND", "0", ["MPOL_F_NUMA_BALANCING"], 2 | BALANCING, "bind=balancing:0"),
    ("MPOL_BIND", "0", ["MPOL_F_STATIC_NODES", "MPOL_F_NUMA_BALANCING"], 2 | STATIC | BALANCING,
     "bind=static|balancing:0"),
])
def test_mode_nodes_and_flags(bundle, mode, nodes, flags, number, text):
    policy = {"mode": mode} | ({"nodes": nodes} if nodes is not None else {})
    bundle.linux["memoryPolicy"] = policy | ({"flags": flags} if flags else {})
    seen = bundle.run("mempolicy", "read=/proc/self/numa_maps")
    assert seen["mempolicy"] == number
    first = seen["read=/proc/self/numa_maps"].splitlines()[0].split(" ", 1)[1]
    assert first.startswith(f"{text} ")


def test_a_further_process_has_it_too(bundle):
    bundle.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0"}
    assert bundle.start().exec("mempolicy")["mempolicy"] == 2


def test_without_one_the_callers_stays(bundle):
    assert bundle.run("mempolicy")["mempolicy"] == 0


@pytest.mark.coracle
@pytest.mark.parametrize("policy, place", [
    ({"mode": "MPOL_NONE"}, "/linux/memoryPolicy/mode"),
    ({"mode": ""}, "/linux/memoryPolicy/mode"),
    ({}, "/linux/memoryPolicy/mode"),
    ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"]}, "/linux/memoryPolicy/flags/0"),
    ({"mode": "MPOL_BIND", "nodes": "x"}, "/linux/memoryPolicy/nodes"),
    ({"mode": "MPOL_BIND", "nodes": "1-0"}, "/linux/memoryPolicy/nodes"),
    ({"mode": "MPOL_BIND", "nodes": "5000"}, "/linux/memoryPolicy/nodes"),
    ({"mode": "MPOL_BIND"}, "/linux/memoryPolicy/nodes"),
    ({"mode": "MPOL_DEFAULT", "nodes": "0"}, "/linux/memoryPolicy/nodes"),
    ({"mode": "MPOL_LOCAL", "nodes": "0"}, "/linux/memoryPolicy/nodes"),
    ({"mode": "MPOL_BIND", "nodes": "63"}, "/linux/memoryPolicy: set_mempolicy(2)"),
    ({"mode": "MPOL_INTERLEAVE", "nodes": "0",
      "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]},
     "/linux/memoryPolicy: set_mempolicy(2)"),
])
def test_bad_policy_with_its_place(bundle, policy, place):
    bundle.linux["memoryPolicy"] = policy
    assert place in bundle.refused()


@pytest.mark.parametrize("policy", [
    {"mode": "MPOL_NONE"}, {"mode": "MPOL_BIND", "nodes": "x"},
    {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"]}])
def test_bad_policy(bundle, policy):
    bundle.linux["memoryPolicy"] = policy
    bundle.refused()
