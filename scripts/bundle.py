"""What scripts/package builds: one tree of files, in three wrappings.

    binary   the tree with Debian's own interpreter, as one executable that unpacks itself once
    deb      the tree without an interpreter: the host's Python 3.11 runs it
    image    the tree of the binary and the C library, for `docker load`: a server without an agent

It is the real interpreter and not a freezer (PyInstaller, Nuitka): modules that are imported late need no
list, `sys.executable -m …` starts a child as it does in a checkout, and nothing is unpacked at every start.
"""

from __future__ import annotations

import compileall
import gzip
import hashlib
import io
import os
import py_compile
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import images

ROOT = Path(__file__).resolve().parent.parent
PACKAGING = ROOT / "packaging"
VERSION = (re.findall(r'^VERSION = "(.+)"', (ROOT / "mini8s/config.py").read_text(), re.MULTILINE) or [""])[0]
PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"
STDLIB = Path("/usr/lib") / PYTHON
HOME = "usr/lib/mini8s"
WHEELS = ROOT / ".cache" / "package" / "wheels"

# What a server never imports: tests, windows, compilers, and tools for programmers.
STDLIB_WITHOUT = (
    *("test", "idlelib", "tkinter", "turtledemo", "turtle.py", "lib2to3", "ensurepip", "distutils", "venv"),
    *(
        "pydoc_data",
        "msilib",
        "__pycache__",
        "sitecustomize.py",
        "config-*",
        "dist-packages",
        "site-packages",
    ),
    *("EXTERNALLY-MANAGED", "_tkinter*", "_dbm*", "_gdbm*", "_curses*", "readline*", "_sqlite3*", "nis.*"),
    *("sqlite3", "dbm", "curses", "_test*", "_xxtest*", "ossaudiodev*", "audioop*", "_crypt.*", "__phello__"),
)
PACKAGES_WITHOUT = (
    "tests",
    "testing",
    "__pycache__",
    "*.pyx",
    "*.pxd",
    "*.c",
    "*.h",
    "*.pyi",
    "*.cpp",
    "bin",
    "sqlite_extra_binaries",
)
# Of the C library: every host has its own, and two of them in a process can't be.
GLIBC = re.compile(r"/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|util))\.so")

# Where Debian's shells look for what packages bring.
COMPLETIONS = {
    "bash": "bash-completion/completions/mini8s",
    "zsh": "zsh/vendor-completions/_mini8s",
    "fish": "fish/vendor_completions.d/mini8s.fish",
}
ENTRY = "from mini8s.cli.main import main\n\nmain()\n"
# What the caller's environment says to other Pythons is not for this one, nor for its children.
CLEAN = "unset PYTHONPATH PYTHONHOME; export PYTHONSAFEPATH=1 PYTHONNOUSERSITE=1"


def main() -> int:
    out, what = Path(sys.argv[1]).absolute(), sys.argv[2:]
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mini8s-package-") as work:
        packages = Path(work) / "packages"
        install_packages(packages)
        if "deb" in what:
            made(deb(packages, Path(work) / "deb", out))
        if {"binary", "image"} & set(what):
            tree = Path(work) / "tree"
            whole_tree(packages, tree)
            if "binary" in what:
                made(binary(tree, out))
            if "image" in what:
                made(image(tree, out))
    return 0


def made(path: Path) -> None:
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)", flush=True)


def run(*command: str | Path) -> str:
    return subprocess.run([*map(str, command)], check=True, text=True, stdout=subprocess.PIPE).stdout


def architecture() -> str:
    return run("dpkg", "--print-architecture").strip()


def install_packages(target: Path) -> None:
    """mini8s and what it needs, as pip lays them out. Nothing is fetched when all that setup.cfg asks for was
    fetched before."""
    source = target.with_name("source")
    shutil.copytree(ROOT / "mini8s", source / "mini8s", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, source)
    fetched = ("--no-index", "--find-links", WHEELS)
    install = ("install", "--no-compile", "--no-warn-script-location", "--target", target, *fetched, source)
    WHEELS.mkdir(parents=True, exist_ok=True)
    if pip(*install):
        shutil.rmtree(target, ignore_errors=True)
        failed = pip("wheel", "--wheel-dir", WHEELS, source) or pip(*install)
        if failed:
            sys.exit(f"pip failed:\n{failed}")
    for path in sorted(found(target, PACKAGES_WITHOUT)):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for library in target.rglob("*.so*"):
        subprocess.run(["strip", "--strip-unneeded", library], check=False, stderr=subprocess.DEVNULL)


def pip(*arguments: str | Path) -> str:
    """What it said of its failure; empty for none. It builds with what is here (scripts/package has it)."""
    command = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", arguments[0])
    done = subprocess.run(
        [*command, "--no-build-isolation", *arguments[1:]],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return (done.stdout or f"it ended with {done.returncode}") if done.returncode else ""


def found(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    """Topmost entries below a folder with such a name."""
    for path in folder.iterdir():
        if any(path.match(pattern) for pattern in patterns):
            yield path
        elif path.is_dir() and not path.is_symlink():
            yield from found(path, patterns)


def whole_tree(packages: Path, tree: Path) -> None:
    """Interpreter, standard library, packages, and the libraries that these need besides the C library."""
    lib = tree / "lib" / PYTHON
    shutil.copytree(STDLIB, lib, ignore=shutil.ignore_patterns(*STDLIB_WITHOUT), symlinks=False)
    shutil.copytree(packages, tree / "lib" / "python3" / "dist-packages")
    (tree / "bin").mkdir()
    shutil.copy2(Path("/usr/bin", PYTHON), tree / "bin" / "python3")
    (tree / "bin" / "mini8s").write_text(ENTRY)
    gather_libraries(tree)
    compile_all(tree, tree)


def gather_libraries(tree: Path) -> None:
    """Beside `lib`, found from wherever the tree lies ($ORIGIN, ld.so(8)); nothing of it is in the
    environment, where the host's own programs would find it too."""
    home = tree / "lib"
    # gevent's wheels and others bring theirs along, in folders that they know
    binaries = [tree / "bin" / "python3", *(home / PYTHON / "lib-dynload").glob("*.so")]
    binaries += [path for path in (home / "python3").rglob("*.so") if ".libs" not in str(path)]
    for binary in binaries:
        needed = [
            Path(line.split()[2])
            for line in run("ldd", binary).splitlines()
            if "=> /" in line and not GLIBC.search(line) and str(tree) not in line
        ]
        for library in needed:
            if not (home / library.name).exists():
                shutil.copy2(library, home / library.name)
                run("patchelf", "--set-rpath", "$ORIGIN", home / library.name)
        if needed:
            up = os.path.relpath(home, binary.parent)
            before = run("patchelf", "--print-rpath", binary).strip()
            run("patchelf", "--set-rpath", ":".join(filter(None, [before, f"$ORIGIN/{up}"])), binary)


def compile_all(folder: Path, root: Path) -> None:
    """Byte code that is never checked against its source: it came with it, and the folder may not be
    written."""
    compileall.compile_dir(
        folder,
        quiet=2,
        stripdir=str(root),
        prependdir="/" if root != folder else None,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        workers=0,
    )


def binary(tree: Path, out: Path) -> Path:
    """A shell script with the tree behind it: any host with sh, tar and gzip can unpack it, at the first
    start only."""
    payload = gzip.compress(packed(tree), 9, mtime=0)
    head = (PACKAGING / "binary-head.sh").read_text()
    fields = {"VERSION": VERSION, "CLEAN": CLEAN, "DIGEST": hashlib.sha256(payload).hexdigest()[:16]}
    for name, value in fields.items():
        head = head.replace(f"@{name}@", value)
    length = len(head.encode()) - len("@OFFSET@") + 8
    path = out / "mini8s"
    path.unlink(missing_ok=True)  # it may run
    path.write_bytes(head.replace("@OFFSET@", f"{length + 1:08d}").encode() + payload)
    path.chmod(0o755)
    return path


def packed(tree: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as target:
        for path in sorted(tree.rglob("*")):
            target.add(path, str(path.relative_to(tree)), recursive=False, filter=_plain)
    return buffer.getvalue()


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same input gives the same archive: root's, and of no date."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


def deb(packages: Path, root: Path, out: Path) -> Path:
    """Debian 12 has no msgspec, and its cryptography, docker, gunicorn, pyroute2, apsw, flask and urllib3 are
    older than what mini8s needs: so the package brings its own and takes only the interpreter from the host,
    with Debian's updates of it."""
    home = root / HOME
    shutil.copytree(packages, home / "lib" / PYTHON / "site-packages")
    (home / "bin").mkdir()
    (home / "bin" / "python3").symlink_to(f"/usr/bin/{PYTHON}")
    (home / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    (home / "bin" / "mini8s").write_text(ENTRY)
    compile_all(home, root)
    place(
        root / "usr/bin/mini8s",
        f'#!/bin/sh\n{CLEAN}\nexec /{HOME}/bin/python3 /{HOME}/bin/mini8s "$@"\n',
        0o755,
    )
    place(root / "usr/sbin/mini8s-uninstall", (PACKAGING / "uninstall.sh").read_text(), 0o755)
    for unit in sorted((ROOT / "systemd").glob("*.service")):
        place(root / "lib/systemd/system" / unit.name, unit.read_text())
    for shell, name in COMPLETIONS.items():
        command = (sys.executable, "-c", ENTRY, "completion", shell)
        text = run("env", f"PYTHONPATH={packages}", "PYTHONDONTWRITEBYTECODE=1", *command)
        place(root / "usr/share" / name, text)
    place(root / "usr/share/doc/mini8s/copyright", (ROOT / "LICENSE").read_text())
    place(root / "usr/share/doc/mini8s/changelog.md", (PACKAGING / "CHANGELOG.md").read_text())
    size = sum(path.lstat().st_size for path in root.rglob("*")) // 1024
    control = (PACKAGING / "deb" / "control").read_text()
    for name, value in {"VERSION": VERSION, "ARCHITECTURE": architecture(), "SIZE": str(size)}.items():
        control = control.replace(f"@{name}@", value)
    minor = sys.version_info[1]
    control = control.replace("@PYTHON@", f"python3 (>= 3.{minor}~), python3 (<< 3.{minor + 1}~)")
    place(root / "DEBIAN/control", control)
    for script in ("postinst", "prerm", "postrm"):
        place(root / "DEBIAN" / script, (PACKAGING / "deb" / script).read_text(), 0o755)
    for path in root.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    path = out / f"mini8s_{VERSION}_{architecture()}.deb"
    run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, path)
    return path


def place(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def image(tree: Path, out: Path) -> Path:
    """A server without an agent: pods' networks are the business of a host, not of a container."""
    home = "opt/mini8s"
    files = [images.File(name, folder=True, mode=0o755) for name in ("etc", "opt", home, "var", "var/lib")]
    files += [
        images.File("tmp", folder=True, mode=0o1777),
        images.File("etc/passwd", b"root:x:0:0:root:/root:/bin/false\n"),
        images.File("etc/group", b"root:x:0:\n"),
    ]
    for path in sorted(tree.rglob("*")):
        name = f"{home}/{path.relative_to(tree)}"
        if path.is_dir():
            files.append(images.File(name, folder=True, mode=0o755))
        elif path == tree / "bin" / "mini8s":  # there is no shell: `docker exec` calls it by its name
            files.append(images.File(name, f"#!/{home}/bin/python3\n{path.read_text()}".encode(), 0o755))
        else:
            files.append(
                images.File(name, path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644)
            )
    files += c_library(tree)
    config = {
        "Entrypoint": [f"/{home}/bin/mini8s"],
        "Cmd": ["server", "--disable-agent"],
        "Env": ["PYTHONSAFEPATH=1", "PYTHONNOUSERSITE=1", f"PATH=/{home}/bin"],
        "ExposedPorts": {"6443/tcp": {}},
        "Volumes": {"/var/lib/mini8s": {}},
    }
    path = out / f"mini8s-image_{VERSION}_{architecture()}.tar"
    path.write_bytes(images.archive(images.Image(f"mini8s:{VERSION}", files, config)))
    return path


def c_library(tree: Path) -> list[images.File]:
    """Where the interpreter looks for it: its loader, and what any binary of the tree asks for."""
    wanted: dict[str, Path] = {}
    for binary in [tree / "bin" / "python3", *tree.rglob("*.so")]:
        for line in run("ldd", binary).splitlines():
            if GLIBC.search(line):
                path = next(word for word in line.split() if word.startswith("/"))
                wanted[path.lstrip("/")] = Path(path)
    folders = sorted({str(parent) for name in wanted for parent in Path(name).parents} - {"."})
    files = [images.File(name, folder=True, mode=0o755) for name in folders]
    return files + [images.File(name, path.read_bytes(), 0o755) for name, path in sorted(wanted.items())]


if __name__ == "__main__":
    sys.exit(main())
