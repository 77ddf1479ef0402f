"""What AWS makes of the template first: `python -m infra.aws.transform BUCKET KEY < SAM > JSON`.

SAM's own transformation, which AWS runs at a deployment, without AWS. The functions' code is said
to be in that bucket, under that key. It needs what `infra/locks/aws-tools.txt` names, and is run by
the Python that has it.
"""

import json
import os
import sys
from types import SimpleNamespace

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

# SAM asks for a region's partition. No resource is given the region.
_REGION = "eu-central-1"
# Policies that AWS keeps, by their names; the roles here have none of them.
_NO_POLICIES = SimpleNamespace(load=dict)


def main(bucket: str, key: str) -> None:
    """Read a template and write what it is transformed to."""
    os.environ.setdefault("AWS_DEFAULT_REGION", _REGION)
    template = yaml_parse(sys.stdin.read())
    template["Globals"]["Function"]["CodeUri"] = f"s3://{bucket}/{key}"
    json.dump(transform(template, {}, _NO_POLICIES), sys.stdout, indent=2)


if __name__ == "__main__":
    main(*sys.argv[1:])
