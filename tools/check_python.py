"""Tell in one sentence why this Python cannot make the environment. Runs on old versions too."""

import sys

OLDEST = (3, 11)
MEND = "install it, or name another: make PYTHON=/path/to/python"


def complaint(version, modules):
    """Return what is wrong with a Python of this version that can import these modules, or ''."""
    if tuple(version[:2]) < OLDEST:
        have = ".".join(str(part) for part in version[:3])
        want = ".".join(str(part) for part in OLDEST)
        return "Python " + want + " or newer is needed and this is " + have + ": " + MEND
    for name in ("venv", "ensurepip"):
        if name not in modules:
            debian = " (on Debian and Ubuntu: apt install python3-venv): "
            return "this Python lacks its module " + name + debian + MEND
    return ""


def importable(names):
    """Return those of the names that this Python can import."""
    found = set()
    for name in names:
        try:
            __import__(name)
            found.add(name)
        except ImportError:
            pass
    return found


if __name__ == "__main__":
    wrong = complaint(sys.version_info, importable(["venv", "ensurepip"]))
    sys.exit(wrong or 0)
