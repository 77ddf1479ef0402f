"""SAM's transformation of the template: `python -m infra.aws.transform BUCKET KEY < SAM > JSON`.

AWS runs the same transformation at a deployment. The result refers to the functions' code by that
bucket and key. The Python that runs it needs the packages of `infra/locks/aws-tools.txt`.
"""

import json
import os
import sys
from types import SimpleNamespace

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

# SAM needs a region for its partition. The result does not contain the region.
_REGION = "eu-central-1"
# AWS's managed policies by name. The roles here use none.
_NO_POLICIES = SimpleNamespace(load=dict)


def main(bucket: str, key: str) -> None:
    """Read a template from stdin and write its transformation to stdout."""
    os.environ.setdefault("AWS_DEFAULT_REGION", _REGION)
    template = yaml_parse(sys.stdin.read())
    template["Globals"]["Function"]["CodeUri"] = f"s3://{bucket}/{key}"
    json.dump(transform(template, {}, _NO_POLICIES), sys.stdout, indent=2)


if __name__ == "__main__":
    main(*sys.argv[1:])
