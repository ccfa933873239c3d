"""Ctrl-C in any instant, also in those in which the answering of it ends."""

from __future__ import annotations

import subprocess
import sys

#: For each line that is executed while the block is left, of ours and of the libraries': a process that
#: gets SIGINT there. Prints how many there were; one that hangs ends by itself, and tells where.
PROGRAM = """
import faulthandler, os, signal, sys
from bao_backup.entry.interrupts import answering_interrupts

def leave_with_interrupt_at(wanted):
    seen = 0
    def trace(_frame, event, _argument):
        nonlocal seen
        if event == "line":
            seen += 1
            if seen == wanted:
                signal.raise_signal(signal.SIGINT)
        return trace
    faulthandler.dump_traceback_later(10, exit=True)
    try:
        with answering_interrupts():
            sys.settrace(trace)
    except KeyboardInterrupt:
        pass
    sys.settrace(None)
    return 3 if seen < wanted else 0

number, code = 0, 0
while code == 0:
    number += 1
    child = os.fork()
    if child == 0:
        os._exit(leave_with_interrupt_at(number))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(number, code)
"""


def test_ctrl_c_in_any_instant_of_the_end() -> None:
    """It hangs nowhere."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    number, code = map(int, done.stdout.split())
    assert code == 3, f"at the line {number}: {done.stderr}"  # 3: there was no such line any more
    assert number > 10
