"""The import rule: arrows point down only, and few may know Dagster, drivers or the terminal.

The rule itself is in setup.cfg, for import-linter. Here: that it holds, and that it is complete.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from analytics_replica_tests.architecture.repository import ROOT


def test_imports_point_down_only() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint_imports, "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def test_every_folder_with_code_is_a_package_so_that_the_import_rule_sees_it() -> None:
    folders = {path.parent for path in (ROOT / "analytics_replica").rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []
