"""Several server processes behind one socket: uvicorn's supervisor, with our signals.

A worker that dies is replaced within a second; connections it had not yet accepted wait for the
others. SIGTERM drains all workers, SIGHUP makes each look at CURRENT: none is restarted for that.
What a worker does is `lifecycle.py`'s.
"""

import logging
import time
from socket import socket
from threading import Thread

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from relevance.errors import Unavailable
from service.run_folder import RunFolder

REPORT_PATIENCE = 10.0  # seconds a SIGHUP's report waits for every worker

log = logging.getLogger(__name__)


class Workers(Multiprocess):
    """The parent process of the workers."""

    def __init__(self, config: Config, sockets: list[socket], *, run: RunFolder) -> None:
        super().__init__(config, sockets)
        self._run = run

    def run(self) -> None:
        """Run the workers until SIGTERM or SIGINT; raises `Unavailable` where one cannot start."""
        super().run()
        if any(process.exitcode == STARTUP_FAILURE for process in self.processes):
            raise Unavailable("a worker could not start; its log says why")

    def keep_subprocess_alive(self) -> None:
        """Replace dead workers; what they said of themselves goes, what they counted stays."""
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        for process_id in before - {process.pid for process in self.processes}:
            if process_id is not None:
                self._run.forget(process_id)

    def handle_hup(self) -> None:
        """Have every worker look at CURRENT anew, and report what became of each."""
        Thread(target=report_reload, args=(self._run, self._run.nudge()), daemon=True).start()


def report_reload(run: RunFolder, number: int, *, patience: float = REPORT_PATIENCE) -> None:
    """Log each worker's state once all have followed a nudge, or patience is over."""
    deadline = time.monotonic() + patience
    while any(state.nudge < number for state in run.states()) and time.monotonic() < deadline:
        time.sleep(0.1)
    for state in run.states():
        followed = "looked" if state.nudge >= number else "has not answered"
        log.info(
            "worker %d %s: generation %s, refused: %s",
            *(state.process_id, followed, state.generation, state.refused),
        )
