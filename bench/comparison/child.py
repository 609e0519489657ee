"""Servers and the load generator do not outlive us, however we end."""

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1

# Loaded before any fork: between fork and exec nothing may be looked up.
_LIBC = ctypes.CDLL(None, use_errno=True)


def ends_with(parent: int):
    """For `preexec_fn`: the kernel tells the child to end when its parent does, which SIGKILL leaves no time to do itself.

    SIGTERM: a server with children of its own ends them too.
    """

    def before_exec():
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        # It may have ended before the kernel was asked.
        if os.getppid() != parent:
            os._exit(1)

    return before_exec


def interrupted_by_signals():
    """SIGTERM and SIGHUP end us as Ctrl-C does: servers are ended on the way out. What `nohup` ignores stays ignored."""
    for one in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, signal.default_int_handler)
