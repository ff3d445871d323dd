"""``make peers``: fetches and builds all that the peer tests run, once, and says what is missing.

Maven waits for the network and the Go compiler for the processors, so both work at the same time.
"""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial

from rig.addresses import NET_ADMIN, SYS_ADMIN, require_rights
from rig.bed import build, in_ci, istio, names, versions
from rig.envoy import NoEnvoy, find_envoy
from rig.making import BuildFailed, Missing, Progress, cache, missing_packages, need, run, say

ISTIO = "istio"
NETWORK = ("ip", "nft", "setpriv")
"""The programs that tests in networks of their own use."""
WITHIN = 10.0
"""Seconds that Envoy has to say its version; it takes a tenth of one."""
SHOWN = 200
"""Signs that are shown of what is no version."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one of them went; ``trouble`` is empty where it is there."""

    name: str
    seconds: float
    trouble: str = ""
    skippable: bool = False


def main(words: list[str]) -> int:
    """Build the named ones, or all; return 1 if one failed, or is missing where CI needs it."""
    known = (*names(), ISTIO)
    parser = argparse.ArgumentParser(prog="make peers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument(
        "--install",
        action="store_true",
        help="first install programs that are missing: Debian's packages, as root",
    )
    arguments = parser.parse_args(words)
    chosen: list[str] = arguments.names
    if unknown := sorted(set(chosen) - set(known)):
        parser.error(f"there is no {', '.join(unknown)}; choose of {', '.join(known)}")
    begun = time.monotonic()
    if arguments.install:
        try:
            install_missing_programs()
        except (BuildFailed, OSError) as failed:
            say(f"packages: FAILED: {failed}")
            return 1
    results = [*fetch(chosen or known), *(() if chosen else tools())]
    troubles = [each for each in results if each.trouble]
    for each in troubles:
        skipped = each.skippable and not in_ci()
        say(f"{each.name}: {'skipped' if skipped else 'FAILED'}: {each.trouble}")
    there = len(results) - len(troubles)
    say(f"peers: {there} of {len(results)} there after {time.monotonic() - begun:.1f} s, {cache()}")
    return int(any(in_ci() or not each.skippable for each in troubles))


def fetch(chosen: Iterable[str]) -> list[Result]:
    """Build them, the Java programs one after the other: Maven's repository is no shared place."""
    java = [name for name in chosen if name != ISTIO]
    with ThreadPoolExecutor() as threads:
        work = [threads.submit(lambda: [_attempt(name, partial(build, name)) for name in java])]
        if ISTIO in chosen:
            work.append(threads.submit(lambda: [_attempt(ISTIO, istio)]))
        return [result for done in as_completed(work) for result in done.result()]


def tools() -> list[Result]:
    """Say which programs that nothing here builds are there, and whether ours may use them."""
    what = "network namespaces"
    found = [_attempt(program, partial(need, program, what)) for program in NETWORK]
    rights = _attempt("rights", partial(require_rights, what, NET_ADMIN, SYS_ADMIN))
    return [*found, rights, _attempt("envoy", _look_at_envoy)]


def install_missing_programs() -> None:
    """Install Debian's packages of the programs that are not there, or too old.

    Raises BuildFailed, or OSError where there is no apt-get.
    """
    if missing := missing_packages():
        say(f"packages: {' '.join(missing)}")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update"], Progress("packages"), environment=quiet)
        install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
        run(install, Progress("packages"), environment=quiet)


def _look_at_envoy() -> None:
    """Say which Envoy the tests will run, by its own word. Raises NoEnvoy or BuildFailed."""
    found = find_envoy()
    asked = [str(found), "--version"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=WITHIN, check=False)
    told = re.search(r"version: \w+/([^/]+)/", done.stdout)
    if told is None:
        said = (done.stdout + done.stderr).strip()[:SHOWN]
        raise BuildFailed(f"{found} is no Envoy: asked for its version it says `{said}`")
    pinned = versions("envoy")["envoy"]
    other = "" if told[1] == pinned else f", not the {pinned} that the tests are written for"
    say(f"envoy: {told[1]}{other}, {found}")


def _attempt(name: str, make: Callable[[], object]) -> Result:
    begun = time.monotonic()
    try:
        make()
    except (Missing, NoEnvoy) as missing:
        return Result(name, time.monotonic() - begun, str(missing), skippable=True)
    except (BuildFailed, OSError, subprocess.SubprocessError) as failed:
        return Result(name, time.monotonic() - begun, str(failed))
    result = Result(name, time.monotonic() - begun)
    if result.seconds > 1:
        say(f"{name}: made in {result.seconds:.0f} s")
    return result


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("interrupted: nothing half made is left, and the next `make peers` goes on from here")
        sys.exit(130)
