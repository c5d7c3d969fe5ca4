"""The machine: which core does what, what a process costs it, and how it is described."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

from attrs import frozen

from tests.bench.errors import BenchError

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@frozen
class Cores:
    """One core for the server, another for the load; `shared` if there is only one for both."""

    server: int
    load: int

    @property
    def shared(self) -> bool:
        return self.server == self.load

    @classmethod
    def choose(cls) -> Cores:
        """The load on the first core there is, the server on one that shares no circuits with it."""
        if not hasattr(os, "sched_getaffinity"):
            raise BenchError("the benchmark needs Linux: it pins processes to cores and reads /proc")
        load, *others = sorted(os.sched_getaffinity(0))
        siblings = _siblings(load)
        apart = [core for core in others if core not in siblings]
        return cls(server=(apart or others or [load])[0], load=load)


def _siblings(core: int) -> set[int]:
    """The hardware threads of the same physical core; empty where the kernel does not say."""
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
    except OSError:
        return set()
    bounds = [[int(bound) for bound in part.split("-")] for part in text.strip().split(",")]
    return {sibling for ends in bounds for sibling in range(ends[0], ends[-1] + 1)}


def raise_descriptor_limit() -> int:
    """Let this process and its children open as many files as they may. Returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def processor_seconds(pid: int) -> float:
    """Processor time that process `pid` has used so far, in its own code and in the kernel."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = after_name[11:13]
    return (int(user) + int(system)) / _TICKS_PER_SECOND


def resident_bytes(pid: int) -> int:
    """Memory that process `pid` holds now."""
    return _status_bytes(pid, "VmRSS:")


def peak_resident_bytes(pid: int) -> int:
    """The most memory that process `pid` has held since `forget_peak`."""
    return _status_bytes(pid, "VmHWM:")


def forget_peak(pid: int) -> None:
    """Begin a new measurement of the peak."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status_bytes(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [kilobytes] = [line.split()[1] for line in lines if line.startswith(key)]
    return int(kilobytes) * 1024


def description() -> dict[str, str]:
    """Processor, cores, memory and kernel, for the report."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.2f} (everything else that runs is in the figures)",
    }
