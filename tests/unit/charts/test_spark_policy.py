"""Which clusters get the policy that completes SparkApplications."""

from __future__ import annotations

import pytest
import yaml
from tests.own_charts import ROOT, render, run_helm

CHART = ROOT / "charts" / "spark-platform"
KINDS = ["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"]
GROUP = "admissionregistration.k8s.io"


def policies(kubernetes: str, *api_versions: str) -> list[tuple[str, str]]:
    served = [word for version in api_versions for word in ("--api-versions", version)]
    done = run_helm("template", "spark-platform", str(CHART), "--kube-version", kubernetes, *served)
    assert done.returncode == 0, done.stderr
    objects = [item for item in yaml.safe_load_all(done.stdout) if item]
    return [(item["apiVersion"], item["kind"]) for item in objects if item["kind"] in KINDS]


@pytest.mark.parametrize("kubernetes", ["1.27.0", "1.33.4", "1.35.9"])
def test_a_cluster_without_the_api_gets_none(kubernetes: str) -> None:
    assert policies(kubernetes) == []
    # A group that an older cluster serves for webhooks says nothing of this kind.
    assert policies(kubernetes, f"{GROUP}/v1") == []


@pytest.mark.parametrize("kubernetes", ["1.36.0", "1.36.3", "1.37.1"])
def test_a_newer_one_has_it(kubernetes: str) -> None:
    assert policies(kubernetes) == [(f"{GROUP}/v1", kind) for kind in KINDS]


def test_the_beta_is_used_where_it_is_served() -> None:
    beta = f"{GROUP}/v1beta1"
    assert policies("1.34.2", f"{beta}/MutatingAdmissionPolicy") == [(beta, kind) for kind in KINDS]
    both = policies("1.35.1", f"{beta}/MutatingAdmissionPolicy", f"{GROUP}/v1/MutatingAdmissionPolicy")
    assert both == [(f"{GROUP}/v1", kind) for kind in KINDS]


def test_templates_in_the_policy_are_those_of_native_submissions() -> None:
    """A value that CEL would read otherwise than YAML: quotes, backslashes, numbers beyond 32 bits, nothing."""
    odd = {"quote": 'it\'s "so" \\n', "html": "<a&b>", "unit": "\u2713"}
    values = {
        "podTemplates": {"odd": {"annotations": odd, "tolerations": [{"key": "k", "tolerationSeconds": 5000000000}]}}
    }
    policy = next(item for item in render(CHART, values) if item["kind"] == KINDS[0])
    (templates,) = [v["expression"] for v in policy["spec"]["variables"] if v["name"] == "templates"]
    assert '"/etc/spark/templates/odd.yaml": dyn(' in templates
    assert 'dyn("it\'s \\"so\\" \\\\n")' in templates
    assert "dyn(5000000000)" in templates
