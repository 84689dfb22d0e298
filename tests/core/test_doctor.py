"""What `ocrd doctor` looks for, each on a folder that has it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from ocrdeploy.doctor import children, importing, machine, packages, projects, requirements, runtimes, shadows, surroundings
from ocrdeploy.doctor.findings import Finding, Severity, attempt, attempt_findings
from ocrdeploy.doctor.packages import Packages

Site = Callable[..., Packages]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Make metadata of distributions, "name version": what each requires; returns what is installed there."""

    def make(*, plugins: Iterable[str] = (), extras: Iterable[str] = (), **needs: list[str]) -> Packages:
        for each, requires in needs.items():
            name, _, version = each.replace("__", " ").partition(" ")
            folder = tmp_path / f"{name}-{version.replace('_', '.')}.dist-info"
            folder.mkdir()
            lines = [f"Name: {name.replace('_', '-')}", f"Version: {version.replace('_', '.')}"]
            lines += [f"Provides-Extra: {extra}" for extra in extras] + [f"Requires-Dist: {line}" for line in requires]
            (folder / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n", encoding="utf-8")
            if name in plugins:
                (folder / "entry_points.txt").write_text(f"[ocrdeploy]\n{name} = {name}\n", encoding="utf-8")
        return packages.installed([str(tmp_path)])

    return make


def said(findings: Iterable[Finding]) -> dict[str, Severity]:
    return {each.problem: each.severity for each in findings}


def test_two_onnx_runtimes_are_broken_and_two_opencvs_are_a_warning(site: Site) -> None:
    found = list(
        packages.rivals(site(onnxruntime__1_24=[], onnxruntime_gpu__1_24=[], opencv_python__5=[], opencv_python_headless__5=[]))
    )
    assert said(found) == {
        "onnxruntime and onnxruntime-gpu are installed together, and overwrite each other's files": Severity.BROKEN,
        "opencv-python and opencv-python-headless are installed together, and overwrite each other's files": Severity.WARNING,
    }
    assert found[0].fix.startswith("pip uninstall -y onnxruntime onnxruntime-gpu, then pip install ")


def test_one_of_each_is_well(site: Site) -> None:
    assert not list(packages.rivals(site(onnxruntime_gpu__1_24=[], opencv_python_headless__5=[])))


def test_what_an_interrupted_upgrade_left_is_found(site: Site, tmp_path: Path) -> None:
    (tmp_path / "~umpy-1.26.dist-info").mkdir()
    here = site(numpy__1_26=[], numpy__2_1=[])
    found = list(packages.leftovers(here))
    assert [each.severity for each in found] == [Severity.BROKEN, Severity.WARNING]
    assert "numpy is there twice" in found[0].problem
    assert found[1].problem == f"pip was interrupted and left {tmp_path / '~umpy-1.26.dist-info'}"


def test_what_a_plugin_needs_is_broken_where_it_does_not_fit_and_a_strangers_needs_are_a_warning(site: Site) -> None:
    here = site(
        plugins=["nova"],
        nova__1=["numpy>=2", "protobuf<6", "windows-only; sys_platform == 'win32'", "helper"],
        numpy__1_26=[],
        protobuf__7_1=[],
        helper__1=["missing>=3"],
        unrelated__4=["numpy<1.20"],
    )
    assert said(requirements.mismatches(here)) == {
        "nova 1 needs numpy>=2, and numpy 1.26 is installed": Severity.BROKEN,
        "nova 1 needs protobuf<6, and protobuf 7.1 is installed": Severity.BROKEN,
        "helper 1 needs missing>=3, which is not installed": Severity.BROKEN,
        "unrelated 4 needs numpy<1.20, and numpy 1.26 is installed": Severity.WARNING,
    }


def test_a_runtime_of_an_extra_may_be_missing_and_has_to_fit_where_it_is_there(site: Site) -> None:
    needs = ["runtime>=2; extra == 'cpu'", "other>=2; extra == 'gpu'"]
    here = site(plugins=["nova"], extras=["cpu", "gpu"], nova__1=needs, runtime__1_5=[])
    assert said(requirements.mismatches(here)) == {"nova[cpu] needs runtime>=2, and runtime 1.5 is installed": Severity.WARNING}


def test_metadata_that_are_garbled_stop_nothing(site: Site, tmp_path: Path) -> None:
    for name, text in (("empty-1", ""), ("nameless-2", "Version: 2\n")):
        (tmp_path / f"{name}.dist-info").mkdir()
        (tmp_path / f"{name}.dist-info" / "METADATA").write_text(text, encoding="utf-8")
    here = site(good__1=["!!! no requirement", "numpy>=1"], numpy__2=[])
    assert set(here.found) == {"good", "numpy"}
    assert list(requirements.mismatches(here)) == []


def test_a_folder_that_passes_for_a_runtime_is_found(site: Site, tmp_path: Path) -> None:
    elsewhere = tmp_path / "work"
    (elsewhere / "tensorrt").mkdir(parents=True)
    (found,) = shadows.shadows(site(), [str(elsewhere)])
    assert found.severity is Severity.WARNING
    assert f"the folder {elsewhere / 'tensorrt'} can be imported as 'tensorrt', which is not installed" in found.problem


def test_a_file_that_hides_an_installed_runtime_is_found(site: Site, tmp_path: Path) -> None:
    elsewhere = tmp_path / "work"
    elsewhere.mkdir()
    (elsewhere / "onnxruntime.py").write_text("")
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text("")
    here = site(onnxruntime__1_24=[])
    (found,) = shadows.shadows(here, [str(elsewhere), str(tmp_path)])
    assert (found.severity, found.problem) == (
        Severity.BROKEN,
        f"{elsewhere / 'onnxruntime.py'} hides the installed onnxruntime 1.24",
    )
    assert list(shadows.shadows(here, [str(tmp_path), str(elsewhere)])) == []


def test_a_runtime_of_which_only_an_empty_folder_is_left_is_found(site: Site, tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (found,) = shadows.shadows(site(torch__2_10=[]), [str(tmp_path)])
    assert found.severity is Severity.BROKEN
    assert "torch is installed, and its files are gone" in found.problem
    assert found.fix == "pip install --force-reinstall --no-deps torch==2.10"


def test_a_file_named_as_a_module_of_the_standard_library_is_found_before_it_only(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("")
    (tmp_path / "logging").mkdir()  # without an __init__.py it hides nothing
    (found,) = shadows.standard_library([str(tmp_path), *sys.path])
    assert (found.severity, found.about) == (Severity.BROKEN, "random")
    assert list(shadows.standard_library([*sys.path, str(tmp_path)])) == []


def modules(folder: Path, **sources: str) -> list[str]:
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    return [str(folder), *sys.path]


def test_imports_run_side_by_side_each_with_its_own_end(tmp_path: Path) -> None:
    path = modules(
        tmp_path,
        fine="import os; __version__ = '1.5'; print('hello'); os.write(1, b'from below')",
        crashes="import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        leaves="import sys; print('no licence', file=sys.stderr); sys.stderr.flush(); import os; os._exit(3)",
        refuses="raise ImportError('libnova.so.1: cannot open shared object file')",
        driverless="raise ImportError('libcuda.so.1: cannot open shared object file')",
        quits="raise SystemExit(1)",
        hangs="import time; time.sleep(60)",
    )
    names = ["fine", "crashes", "leaves", "refuses", "driverless", "quits", "hangs"]
    rows = {row.module: row for row in runtimes.import_all(dict.fromkeys(names, "nova"), Packages({}), 3, path)}
    assert (rows["fine"].version, rows["fine"].problem) == ("1.5", "")
    assert rows["fine"].file == str(tmp_path / "fine.py")
    assert {name: rows[name].problem for name in names[1:]} == {
        "crashes": "it ends the process with SIGSEGV",
        "leaves": "it ends the process with exit code 3 (no licence)",
        "refuses": "ImportError: libnova.so.1: cannot open shared object file",
        "driverless": "ImportError: libcuda.so.1: cannot open shared object file",
        "quits": "SystemExit: 1",
        "hangs": "it takes more than 3 seconds",
    }
    severities = {found.about: found.severity for found in runtimes.findings(rows.values())}
    assert severities.pop("driverless") is Severity.WARNING
    assert set(severities.values()) == {Severity.BROKEN}


def test_one_process_imports_several_and_says_at_which_it_ended(tmp_path: Path) -> None:
    path = modules(tmp_path, first="", second="import os; os._exit(9)", third="")
    end = children.run(Path(importing.__file__), ["first", "second", "third"], 30, path)
    assert end.unfinished == "second"
    assert [answer["name"] for answer in end.answers if "name" in answer] == ["first"]


def test_libraries_behind_one_that_crashes_are_imported_all_the_same(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = modules(tmp_path, first="", second="import os; os._exit(9)", third="")
    here = site(first__1=[], second__2=[], third__3=[])
    monkeypatch.setattr(runtimes, "LIBRARIES", {name: (name,) for name in ("first", "second", "third")})
    rows = runtimes.import_libraries(here, 30, path)
    assert {row.module: row.problem for row in rows} == {
        "first": "",
        "second": "it ends the process with exit code 9",
        "third": "",
    }


def test_runtimes_are_those_that_are_known_and_those_that_plugins_require(site: Site, tmp_path: Path) -> None:
    here = site(
        plugins=["nova"],
        extras=["gpu", "test"],
        nova__1=["nova-runtime>=2; extra == 'gpu'", "numpy", "tester; extra == 'test'"],
        nova_runtime__2=[],
        torch__2=[],
        numpy__2=[],
        tester__1=[],
    )
    (tmp_path / "tester-1.dist-info" / "RECORD").write_text("tester/__init__.py,,\n")
    (tmp_path / "nova_runtime-2.dist-info" / "RECORD").write_text("nova_runtime/__init__.py,,\nothers/x.py,,\n")
    assert runtimes.installed_modules(here) == {"torch": "torch", "nova_runtime": "nova-runtime"}


def test_the_smallest_memory_limit_of_the_cgroups_counts(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/outer/inner\n")
    inner = tmp_path / "sys/fs/cgroup/outer/inner"
    inner.mkdir(parents=True)
    assert machine.memory_limit_gib(tmp_path) is None
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text(f"{3 * 2**29}\n")
    assert machine.memory_limit_gib(tmp_path) == 1.5


def test_the_memory_limit_of_version_1_is_read_and_its_no_limit_is_none(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("4:memory:/\n3:cpu,cpuacct:/elsewhere\n")
    folder = tmp_path / "sys/fs/cgroup/memory"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert machine.memory_limit_gib(tmp_path) is None
    (folder / "memory.limit_in_bytes").write_text(f"{2**31}\n")
    assert machine.memory_limit_gib(tmp_path) == 2


def test_libraries_for_a_newer_cuda_than_the_drivers_are_a_warning() -> None:
    known = {"driver_cuda": "12.8", "cuda_distributions": {"nvidia-cublas-cu12": "1", "nvidia-cudnn-cu13": "9", "cuda-core": "1"}}
    (found,) = machine.too_new_for_the_driver(known)
    assert found.problem == "nvidia-cudnn-cu13 is made for CUDA 13, and the driver supports CUDA 12.8"
    assert list(machine.too_new_for_the_driver({**known, "driver_cuda": ""})) == []


def test_variables_that_nobody_reads_are_found_and_those_of_plugins_are_known() -> None:
    given = {
        "OCRDEPLOY_CASHE": "/tmp",
        "OCRDEPLOY_ZZZZ": "1",
        "OCRDEPLOY_TEST_DATA": "/data",
        "OCRDEPLOY_CACHE": "/tmp",
        "OCRDEPLOY_DISABLED_PLUGINS": "fake, onxruntime",
        "OCRDEPLOY_PROBE_TIMEOUT": "soon",
        "OCRDEPLOY_FONTS": "/no/such.ttf",
        "PATH": "/bin",
    }
    found = {each.about: each for each in surroundings.variables(given)}
    assert list(found) == [
        "OCRDEPLOY_CASHE",
        "OCRDEPLOY_ZZZZ",
        "fake",
        "onxruntime",
        "OCRDEPLOY_PROBE_TIMEOUT",
        "OCRDEPLOY_FONTS",
    ]
    assert found["OCRDEPLOY_CASHE"].fix == "write OCRDEPLOY_CACHE, or unset it"
    assert found["OCRDEPLOY_ZZZZ"].fix == "unset it"
    assert "did you mean 'onnxruntime'?" in found["onxruntime"].problem
    assert [each.about for each in found.values() if each.severity is Severity.BROKEN] == ["OCRDEPLOY_PROBE_TIMEOUT"]


def test_a_cache_that_cannot_be_written_is_broken(tmp_path: Path) -> None:
    assert list(surroundings.cache(tmp_path / "not" / "yet" / "there")) == []
    (tmp_path / "file").write_text("")
    (found,) = surroundings.cache(tmp_path / "file" / "cache")
    assert found.severity is Severity.BROKEN
    assert "OCRDEPLOY_CACHE" in found.fix


def test_a_check_that_fails_is_a_finding_and_no_exception() -> None:
    def fails() -> Iterable[Finding]:
        raise RuntimeError("first line\nsecond line")

    (found,) = attempt_findings("the moon", fails)
    assert found.problem == "the moon could not be examined: RuntimeError: first line"
    nothing: Iterable[Finding] = ()
    assert attempt("the moon", fails, nothing)[0] is nothing


def test_a_folder_is_shown_with_the_metadata_that_it_would_have(tmp_path: Path) -> None:
    lines = [
        '[project]\nname = "far-off"\nversion = "3.1"\ndependencies = ["numpy>=2"]',
        '[project.optional-dependencies]\ngpu = ["cards>=1", "linux-cards; sys_platform == \'linux\'"]',
        '[project.entry-points.ocrdeploy]\nodd = "odd_plugin"\n',
    ]
    (tmp_path / "pyproject.toml").write_text("\n".join(lines), encoding="utf-8")
    with projects.shown(projects.find(str(tmp_path))) as path:
        here = packages.installed(path)
        shown = here.first("far_off")
        assert shown is not None
        assert (shown.version, list(here.bringing_plugins)) == ("3.1", ["far-off"])
        assert [(point.name, point.value) for point in shown.entry_points] == [("odd", "odd_plugin")]
        assert shown.requires == [
            "numpy>=2",
            "cards>=1; extra == 'gpu'",
            "linux-cards; (sys_platform == 'linux') and extra == 'gpu'",
        ]
        assert path[1] == str(tmp_path)
    assert not Path(path[0]).exists()
