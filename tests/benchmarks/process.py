"""What the system tells of a process: memory, and the time that the processors gave to it."""

from __future__ import annotations

import os
from pathlib import Path


def memory(process_id: int, name: str) -> int:
    """In bytes; ``name`` as in /proc/PID/status: VmRSS now, VmHWM at most."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024


def forget_peak(process_id: int) -> None:
    Path(f"/proc/{process_id}/clear_refs").write_text("5")


def processor_seconds(process_id: int) -> float:
    user, system = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
