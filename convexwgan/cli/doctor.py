"""``doctor``: what can run on this machine, and the reason for what cannot."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
from typing import Any

from convexwgan.cli.exits import Exit
from convexwgan.cli.output import Output
from convexwgan.report.tables import plain_table
from convexwgan.solvers.conic.availability import SOLVERS, solver_status

ARRAY_LIBRARIES = ("numpy", "torch", "cupy", "jax", "dask", "array_api_strict")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_doctor(output: Output) -> Exit:
    """Report; 6 when the default solver is not usable."""
    report = examination()
    usable = any(row["name"] == "CLARABEL" and row["usable"] for row in report["solvers"])
    code = Exit.OK if usable else Exit.UNAVAILABLE
    output.document({**report, "exit_code": int(code)})
    _show(output, report)
    return code


def examination() -> dict[str, Any]:
    """Everything that ``doctor`` reports, as plain data."""
    from convexwgan import __version__

    return {
        "convexwgan": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "solvers": [vars(solver_status(name)).copy() for name in SOLVERS],
        "array_libraries": [{"name": name, "version": _version(name)} for name in ARRAY_LIBRARIES],
        "devices": _devices(),
        "extras": _extras(),
        "threads": _threads(),
    }


def _version(package: str) -> str | None:
    """The installed version of an importable package, without importing it."""
    for name in (package, package.replace("_", "-")):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _devices() -> list[dict[str, str]]:
    """The CPU, and what PyTorch reaches beside it."""
    found = [{"name": "cpu", "detail": f"{os.cpu_count()} cores, {platform.machine()}"}]
    if _version("torch") is None:
        return found
    torch = importlib.import_module("torch")
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        found += [{"name": f"cuda:{i}", "detail": torch.cuda.get_device_name(i)} for i in range(count)]
    if torch.backends.mps.is_available():
        found.append({"name": "mps", "detail": "Apple GPU; no float64, so data must be float32"})
    return found


_REQUIREMENT = re.compile(r"""^([A-Za-z0-9._-]+).*;.*extra\s*==\s*['"]([^'"]+)['"]""")


def _extras() -> list[dict[str, Any]]:
    """Each extra of this package with what of it is missing, from the installed metadata."""
    try:
        requirements = importlib.metadata.requires("convexwgan") or []
    except importlib.metadata.PackageNotFoundError:  # run from a folder that was never installed
        return []
    packages: dict[str, list[str]] = {}
    for match in filter(None, map(_REQUIREMENT.match, requirements)):
        packages.setdefault(match[2], []).append(match[1])
    return [
        {"name": extra, "installed": not missing, "missing": missing}
        for extra, names in sorted(packages.items())
        for missing in [[name for name in names if _version(name) is None]]
    ]


def _threads() -> dict[str, Any]:
    # Comes with scikit-learn; it has no type hints.
    loaded = importlib.import_module("threadpoolctl").threadpool_info()
    pools = [{"library": pool["internal_api"], "threads": pool["num_threads"]} for pool in loaded]
    return {"cpu_count": os.cpu_count(), "pools": pools, **{name: os.environ.get(name) for name in THREAD_VARIABLES}}


def _show(output: Output, report: dict[str, Any]) -> None:
    output.text(f"convexwgan {report['convexwgan']}, Python {report['python']}, {report['platform']}")
    solvers = plain_table("Solvers", ("name", "version", "usable", "reason"))
    for row in report["solvers"]:
        solvers.add_row(row["name"], row["version"] or "–", _mark(row["usable"]), row["reason"])
    libraries = plain_table("Array libraries", ("name", "version"))
    for row in report["array_libraries"]:
        libraries.add_row(row["name"], row["version"] or "– (not installed)")
    devices = plain_table("Devices", ("name", "detail"))
    for row in report["devices"]:
        devices.add_row(row["name"], row["detail"])
    extras = plain_table("Extras", ("name", "installed", "missing"))
    for row in report["extras"]:
        extras.add_row(row["name"], _mark(row["installed"]), ", ".join(row["missing"]))
    output.show(solvers, libraries, devices, extras, _threads_text(report["threads"]))


def _mark(holds: bool) -> str:
    return "[green]yes[/]" if holds else "[yellow]no[/]"


def _threads_text(threads: dict[str, Any]) -> str:
    pools = ", ".join(f"{pool['library']} {pool['threads']}" for pool in threads["pools"]) or "no pools"
    variables = ", ".join(f"{name}={threads[name] or 'unset'}" for name in THREAD_VARIABLES)
    return f"Threads: {threads['cpu_count']} cores; {pools}; {variables}"
