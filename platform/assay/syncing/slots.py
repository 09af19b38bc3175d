"""Bulkheads: how much a process does at once, and how much of that one plugin and one tenant may hold.

A vendor that hangs holds half of the slots at most, a tenant whose vendors hang a quarter: others' work goes on.
"""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from threading import Condition, Thread
from time import monotonic

from assay.syncing.leases import Errand

SLOTS = 16
#: Work that is under way at the end of a process is waited for this long; what takes longer is due again later.
PATIENCE = timedelta(seconds=20)


class Alone:
    """Without threads: one piece of work at a time, by whoever asks."""

    def __init__(self) -> None:
        self._is_free = True

    def full(self, tenant_id: int) -> list[str]:
        return []

    def take(self, tenant_id: int, plugin: str) -> bool:
        taken, self._is_free = self._is_free, False
        return taken

    def give_back(self, tenant_id: int, plugin: str) -> None:
        self._is_free = True


class Pool:
    """The threads of a worker that ask vendors."""

    def __init__(
        self,
        run: Callable[[Errand], None],
        *,
        slots: int = SLOTS,
        has_room: Callable[[int], None] = lambda tenant_id: None,
    ) -> None:
        """``has_room`` tells a tenant that found no slot that there may be one now."""
        self._run = run
        self._has_room = has_room
        #: Tenants that found no slot, the one that has waited longest first.
        self._hungry: dict[int, None] = {}
        self._slots = slots
        self._taken = 0
        self._of_plugins: Counter[str] = Counter()
        self._of_tenants: Counter[int] = Counter()
        self._changed = Condition()
        self._is_stopped = False

    @property
    def is_stopped(self) -> bool:
        """Whether the process ends: whoever has a slot still takes up nothing new."""
        return self._is_stopped

    def full(self, tenant_id: int) -> list[str]:
        with self._changed:
            found = [plugin for plugin, taken in self._of_plugins.items() if taken >= max(1, self._slots // 2)]
            if found:
                self._hungry[tenant_id] = None
            return found

    def take(self, tenant_id: int, plugin: str) -> bool:
        with self._changed:
            if (
                self._is_stopped
                or self._taken >= self._slots
                or self._of_plugins[plugin] >= max(1, self._slots // 2)
                or self._of_tenants[tenant_id] >= max(1, self._slots // 4)
            ):
                self._hungry[tenant_id] = None
                return False
            self._taken += 1
            self._of_plugins[plugin] += 1
            self._of_tenants[tenant_id] += 1
            return True

    def give_back(self, tenant_id: int, plugin: str) -> None:
        with self._changed:
            self._taken -= 1
            self._of_plugins[plugin] -= 1
            self._of_tenants[tenant_id] -= 1
            if not self._of_tenants[tenant_id]:
                del self._of_tenants[tenant_id]
            told = self._next_hungry(tenant_id)
            self._changed.notify_all()
        for each in told:
            self._has_room(each)

    def start(self, errand: Errand) -> None:
        """Does it in a thread; its slot is taken already. A thread that hangs keeps no process alive."""
        name = f"{errand.plugin}-{errand.tenant_id}-{errand.kind}"
        Thread(target=self._work, args=(errand,), name=name, daemon=True).start()

    def stop(self, patience: timedelta = PATIENCE) -> bool:
        """Takes on nothing more and waits for what is under way; tells whether all of it ended in time."""
        until = monotonic() + patience.total_seconds()
        with self._changed:
            self._is_stopped = True
            return self._changed.wait_for(lambda: not self._taken, max(0.0, until - monotonic()))

    def _next_hungry(self, tenant_id: int) -> list[int]:
        """The tenant that had the slot, which may have had all it may, and whoever has waited longest."""
        if self._is_stopped or not self._hungry:
            return []
        told = {tenant_id, next(iter(self._hungry))} & self._hungry.keys()
        for each in told:
            del self._hungry[each]
        return list(told)

    def _work(self, errand: Errand) -> None:
        try:
            self._run(errand)
        finally:
            self.give_back(errand.tenant_id, errand.plugin)
