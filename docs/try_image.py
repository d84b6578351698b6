"""Build the image on a Debian made by mmdebstrap, run it by crun without privileges, and try it; print what held.

    python docs/try_image.py [options of `buildah build`]

Needs no registry and no Docker, but root, mmdebstrap, buildah and crun, and an index of Python packages. The option
`--volume` brings a configuration of pip into the build. The container has a network of its own.
"""

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "a-token-of-this-trial"
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
KEY = "lp_test_DEM0DEM0DEM0DEM0_local-stand-in-demo-key-not-a-secret-000000"
AVA = "http://layers:8000/v1/influencers/inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG"
PATIENCE_SECONDS = 60


def run(*command: str, **options: object) -> str:
    """Return what a command prints; exit with its own words when it fails."""
    ended = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=False, **options)
    return ended.stdout.strip() if ended.returncode == 0 else sys.exit(f"{shlex.join(command)}: {ended.returncode}")


def build(work: Path, options: list[str]) -> dict[str, object]:
    """Build the image and copy its files to `work/rootfs`; return its configuration."""
    buildah = ("buildah", "--storage-driver=vfs", f"--root={work}/storage", f"--runroot={work}/run")
    run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", f"{work}/base.tar")
    base = run(*buildah, "from", "scratch")
    run(*buildah, "add", base, f"{work}/base.tar", "/")
    run(*buildah, "commit", "--quiet", base, "localhost/base")
    built = ("--isolation=chroot", "--build-arg=BASE=localhost/base", "--format=docker", "--quiet", *options)
    image = run(*buildah, "build", *built, str(ROOT)).splitlines()[-1]
    mounted = run(*buildah, "mount", run(*buildah, "from", image))
    run("cp", "--archive", mounted, f"{work}/rootfs")
    run(*buildah, "umount", "--all")
    return json.loads(run(*buildah, "inspect", "--type=image", image))["Docker"]["config"]


def write_bundle(work: Path, image: dict[str, object]) -> None:
    """Write what crun runs: the image's user, command and variables, without a capability, on a read-only root."""
    run("crun", "spec", cwd=work)
    bundle = json.loads((work / "config.json").read_text("utf-8"))
    user, group = map(int, str(image["User"]).split(":"))
    bundle["process"] |= {
        "terminal": False,
        "user": {"uid": user, "gid": group},
        "args": image["Entrypoint"] + image["Cmd"],
        "env": [*image["Env"], f"STANDIN_CONTROL={TOKEN}"],
        "capabilities": {name: [] for name in bundle["process"]["capabilities"]},
        "noNewPrivileges": True,
    }
    bundle["root"] = {"path": "rootfs", "readonly": True}
    data = {"destination": "/data", "type": "bind", "source": str(work / "data"), "options": ["rbind", "rw"]}
    bundle["mounts"] = [each for each in bundle["mounts"] if each["destination"] != "/sys/fs/cgroup"] + [data]
    # The network is the one that this script is moved to.
    unshared = [{"type": each} for each in ("pid", "ipc", "uts", "mount")]
    bundle["linux"] = bundle["linux"] | {"namespaces": unshared, "resources": {}}
    (work / "config.json").write_text(json.dumps(bundle), "utf-8")
    (work / "data").mkdir(mode=0o1777)
    (work / "data").chmod(0o1777)


def curl(*arguments: str) -> str:
    return subprocess.run(["curl", "-s", *arguments], stdout=subprocess.PIPE, encoding="utf-8", check=False).stdout


def check(claim: str, holds: bool) -> None:
    """Write a line; exit if it does not hold."""
    sys.stdout.write(f"{'ok' if holds else 'NOT'}: {claim}\n")
    sys.stdout.flush()
    if not holds:
        sys.exit(1)


def try_it(work: Path, image: dict[str, object]) -> None:
    """Start the container twice on one folder; ask it in between, and stop it."""
    crun = ("crun", f"--root={work}/state", "--cgroup-manager=disabled")
    asks = [*crun, "exec", "layers", *image["Healthcheck"]["Test"][1:]]
    control = ("-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "http://layers:8000/_standin/organizations")
    for turn in ("first", "second"):
        container = subprocess.Popen([*crun, "run", f"--bundle={work}", "layers"], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while subprocess.run(asks, capture_output=True, check=False).returncode and time.monotonic() < deadline:
            time.sleep(0.2)
        check(f"the {turn} start is healthy", subprocess.run(asks, capture_output=True, check=False).returncode == 0)
        if turn == "first":
            check("the control plane is closed without the token", curl(*control) == "401")
            opened = curl("-H", f"Authorization: Bearer {TOKEN}", *control)
            check("it opens with the token, under the name of a service", opened == "201")
            changed = curl("-X", "PATCH", AVA, "-H", f"X-Api-Key: {KEY}", "-d", '{"vibe": "boxed"}')
            check("a change is taken", '"boxed"' in changed)
            refused = subprocess.run([*crun, "exec", "layers", "touch", "/tmp/x"], stderr=subprocess.PIPE, check=False)
            check("the root is read-only", b"Read-only" in refused.stderr)
        else:
            check("the change is still there", '"boxed"' in curl(AVA, "-H", f"X-Api-Key: {KEY}"))
        run(*crun, "kill", "layers", "TERM")
        check("it ends by SIGTERM with 0", container.wait(PATIENCE_SECONDS) == 0)
    check("it is not healthy when it has ended", subprocess.run(asks, capture_output=True, check=False).returncode != 0)


def main() -> None:
    """Build in this network; then move to one of its own, where `layers` is this machine, and try the image there."""
    if sys.argv[1:2] == ["--built"]:
        work = Path(sys.argv[2])
        (work / "hosts").write_text("127.0.0.1 localhost layers\n", "utf-8")
        run("mount", "--bind", f"{work}/hosts", "/etc/hosts")
        run("ip", "link", "set", "lo", "up")
        subprocess.run(["umount", "-R", "/sys/fs/cgroup"], check=False)  # crun knows none but the second kind
        run("mount", "-t", "cgroup2", "none", "/sys/fs/cgroup")
        try_it(work, json.loads((work / "image.json").read_text("utf-8")))
        return
    work = Path(tempfile.mkdtemp())
    try:
        image = build(work, sys.argv[1:])
        write_bundle(work, image)
        (work / "image.json").write_text(json.dumps(image), "utf-8")
        inside = ["unshare", "--mount", "--net", sys.executable, __file__, "--built", str(work)]
        sys.exit(subprocess.run(inside, check=False).returncode)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
