"""Runs a command as a process of its own, and notes what it costs."""

import json
import os
import subprocess
import time
from pathlib import Path

TIMEOUT = 120


def run(command, timeout=TIMEOUT, watch=True):
    """The JSON that a command prints, with `anon`, its peak of anonymous memory in MiB, `cpu` and `wall`; None if it fails.

    Watching takes time, too: a command that is to have all cores is not watched, and has no timeout."""
    start = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    anon = 0
    while process.returncode is None:
        if watch:
            anon = max(anon, anonymous(process.pid))
            if time.monotonic() - start > timeout:
                process.kill()
            time.sleep(0.005)
        pid, status, usage = os.wait4(process.pid, os.WNOHANG if watch else 0)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        return None
    lines = process.stdout.read().decode().splitlines()
    figures = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    whole = {"cpu": usage.ru_utime + usage.ru_stime, "wall": time.monotonic() - start, "anon": anon / 2**20}
    return whole | figures


def anonymous(pid):
    """RssAnon of a process in bytes, 0 when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    lines = [line for line in status.splitlines() if line.startswith("RssAnon")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def median(values):
    values = sorted(values)
    return values[len(values) // 2]
