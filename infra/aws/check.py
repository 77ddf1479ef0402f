"""The check of the stack's template by four tools, without AWS (`make aws-check`).

The tools are CloudFormation's linter, SAM's validation, checkov, and Guard with `rules.guard`.
AWS deploys the template after SAM's transformation. Some mistakes show only there, so the tools
check that form too.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "infra/aws/template.yaml"
RULES = ROOT / "infra/aws/rules.guard"

_TOOLS = ROOT / ".venv/aws-tools"
_CHECKOV = ROOT / ".venv/checkov"
_GUARDS = ROOT / "infra/aws/guard/node_modules/@cdklabs/cdk-validator-cfnguard/bin"
_SYSTEMS = {"Darwin": "macos", "Linux": "ubuntu"}
_PROCESSORS = {"arm64": "aarch64"}


class ToolError(Exception):
    """A tool failed. The message is its output."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation of a rule."""

    rule: str
    text: str


def find_missing() -> str | None:
    """Return a message that names the missing tools, or None."""
    programs = (_TOOLS / "bin/sam", _TOOLS / "bin/cfn-lint", _CHECKOV / "bin/checkov", _guard())
    gone = [program.name for program in programs if not program.exists()]
    return f"not installed: {', '.join(gone)}; `make aws-tools` installs them" if gone else None


def transform(template: str, *, bucket: str, key: str) -> str:
    """Return the template as AWS transforms it, in JSON, with the code in that bucket.

    Raises ToolError.
    """
    command = [str(_TOOLS / "bin/python"), "-m", "infra.aws.transform", bucket, key]
    return _run(command, stdin=template)


def lint(path: Path) -> Iterator[Finding]:
    """Find what CloudFormation would refuse or misread. Raises ToolError."""
    command = [str(_TOOLS / "bin/cfn-lint"), "--format", "json", "--template", str(path)]
    for found in json.loads(_run(command, accepted=range(16)) or "[]"):
        line = found["Location"]["Start"]["LineNumber"]
        yield Finding(found["Rule"]["Id"], f"line {line}: {found['Message']}")


def validate(path: Path) -> Iterator[Finding]:
    """Find what SAM would refuse."""
    command = [str(_TOOLS / "bin/sam"), "validate", "--lint", "--template", str(path)]
    try:
        _run(command)
    except ToolError as error:
        yield Finding("sam", str(error))


def run_checkov(path: Path) -> Iterator[Finding]:
    """Find what checkov reports, except skips with a reason. Raises ToolError."""
    command = [str(_CHECKOV / "bin/checkov"), "--framework", "cloudformation", "--file", str(path)]
    command += ["--skip-download", "--output", "json"]
    report = json.loads(_run(command, accepted=range(2)))
    # checkov reports nothing for a file that it cannot read.
    if "results" not in report or report["summary"]["parsing_errors"]:
        raise ToolError(f"checkov could not read {path.name}")
    for found in report["results"]["failed_checks"]:
        yield Finding(found["check_id"], f"{found['resource']}: {found['check_name']}")
    for found in report["results"]["skipped_checks"]:
        reason = found["check_result"]["suppress_comment"]
        if reason == "No comment provided":
            yield Finding(found["check_id"], f"{found['resource']}: skipped without a reason")


def run_guard(path: Path) -> Iterator[Finding]:
    """Find violations of our own rules, and rules that apply to nothing.

    Raises ToolError.
    """
    command = [str(_guard()), "validate", "--rules", str(RULES), "--data", str(path)]
    command += ["--structured", "--output-format", "json", "--show-summary", "none"]
    # Status 19: rules are violated.
    (report,) = json.loads(_run(command, accepted=(0, 19)))
    for broken in report["not_compliant"]:
        rule = broken["Rule"]
        yield Finding(rule["name"], "; ".join(_messages(rule["checks"])))
    for skipped in report["not_applicable"]:
        yield Finding(skipped, "the rule found nothing to look at")


def findings(template: Path) -> Iterator[Finding]:
    """Run all tools on a template. Raises ToolError."""
    yield from lint(template)
    yield from validate(template)
    with TemporaryDirectory() as folder:
        path = Path(folder, "template.json")
        path.write_text(transform(template.read_text(), bucket="bucket", key="key"))
        yield from lint(path)
        yield from run_guard(path)
        yield from run_checkov(path)


def _guard() -> Path:
    processor = platform.machine()
    system = _SYSTEMS.get(platform.system(), platform.system())
    return _GUARDS / system / _PROCESSORS.get(processor, processor) / "cfn-guard"


def _messages(checks: object) -> Iterator[str]:
    """Find the messages in Guard's report, at any depth."""
    match checks:
        case {"error_message": str(message)} if message:
            yield message
        case dict():
            yield from _messages([*checks.values()])
        case list():
            for check in checks:
                yield from _messages(check)
        case _:
            pass


def _run(command: Sequence[str], *, stdin: str = "", accepted: Sequence[int] = (0,)) -> str:
    environ = {
        **os.environ,
        "SAM_CLI_TELEMETRY": "0",
        # SAM's folder for its own state.
        "__SAM_CLI_APP_DIR": str(_TOOLS / "sam"),
    }
    completed = subprocess.run(  # noqa: S603 - the tools, and files of ours
        command, input=stdin, capture_output=True, text=True, check=False, cwd=ROOT, env=environ
    )
    if completed.returncode not in accepted:
        raise ToolError(f"{Path(command[0]).name}: {completed.stdout}{completed.stderr}")
    return completed.stdout


def main(arguments: Sequence[str]) -> str | None:
    """Print the findings. Return the error, if any."""
    if reason := find_missing():
        return reason
    found = list(findings(Path(arguments[0]) if arguments else TEMPLATE))
    for finding in found:
        sys.stdout.write(f"{finding.rule}: {finding.text}\n")
    if found:
        return f"{len(found)} findings"
    sys.stdout.write("no findings\n")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
