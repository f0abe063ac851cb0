"""Intel's AMX, with which XNNPACK computes int8 several times faster than with VNNI.

A process gets its registers from Linux on request. To compare with int8 as it runs on all other
processors, a process can have that request refused: XNNPACK then takes its VNNI kernels.
"""

import ctypes
import multiprocessing
import struct

from benchmarks.report import processor_flags

# Linux on x86_64.
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, _PR_SET_NO_NEW_PRIVS = 22, 2, 38
_ARCH_PRCTL, _REQUEST_PERMISSION = 158, 0x1023
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_REFUSE, _ALLOW = 0x00050001, 0x7FFF0000  # EPERM
_OFFSET_OF_NUMBER, _OFFSET_OF_ARGUMENT = 0, 16


def kinds_of_int8():
    """Return a dict from what computes int8 here to whether AMX must be refused for that."""
    if "amx_int8" in processor_flags():
        return {"AMX": False, "VNNI": True}
    return {"VNNI" if "avx512_vnni" in processor_flags() else "XNNPACK": False}


def run_apart(function, *arguments, without_amx=False):
    """Return `function(*arguments)`, run in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, refuse_amx if without_amx else None) as pool:
        return pool.apply(function, arguments)


def refuse_amx():
    """Make Linux refuse AMX to this process, for good.

    Raises:
        OSError: if Linux does not take the filter.
    """
    # Of the system call arch_prctl, the one request; everything else is allowed.
    program = b"".join(
        struct.pack("HBBI", code, if_true, if_false, value)
        for code, if_true, if_false, value in (
            (_LOAD, 0, 0, _OFFSET_OF_NUMBER),
            (_JUMP_IF_EQUAL, 0, 3, _ARCH_PRCTL),
            (_LOAD, 0, 0, _OFFSET_OF_ARGUMENT),
            (_JUMP_IF_EQUAL, 0, 1, _REQUEST_PERMISSION),
            (_RETURN, 0, 0, _REFUSE),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    memory = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_, 0, 0),
    ):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "Linux took no filter of system calls")
