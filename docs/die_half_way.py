"""Change Ava as a worker would, and be killed when half of the line is written: the worst moment there is."""

import os
import signal
from pathlib import Path

from engines.disk import Disk
from start import journal_in
from store import Store

AVA = "inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG"


class Deadly(Disk):
    """A disk that takes half of what it is given, and ends the process."""

    def write(self, descriptor: int, data: memoryview) -> int:
        super().write(descriptor, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
        return 0


store = Store(journal_in(Path(os.environ["STANDIN_DATA"]), Deadly()))
store.patch_influencer(store.organizations.all()[0]["id"], AVA, {"vibe": "nobody will hear of this"})
