"""PURE: the sandbox's image, assembled here so that a pod needs no registry and the build no compiler.

The program waits for signals, collects the children it inherits when a pod shares one process tree, and ends
on SIGTERM and SIGINT. It is written once as steps; each CPU says how it encodes a step. A CPU that is not in
the table is refused with a sentence.
"""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mini8s.agent.runtime.base import CreateFailed

REPOSITORY = "mini8s/pause"
VERSION = "1"  # a part of the image's tag: raise it with every change of the program
_BASE = 0x10000
_SIGNALS = "signals"  # the label of the set of all signals, behind the code


@dataclass(frozen=True, slots=True)
class Label:
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A system call; an argument is a number, or the label of what it points to."""

    name: str
    arguments: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Jump:
    """To a label: always, or when the last call's result compares so (== != >) with the number."""

    target: str
    when: str = ""
    number: int = 0


Step = Label | Call | Jump
Address = Callable[[str], int]

_PROGRAM: tuple[Step, ...] = (
    Call("rt_sigprocmask", (0, _SIGNALS, 0, 8)),
    Label("wait"),
    Call("rt_sigtimedwait", (_SIGNALS, 0, 0, 8)),
    Jump("other", "!=", 17),  # SIGCHLD
    Label("reap"),
    Call("wait4", (-1, 0, 1, 0)),  # any child, WNOHANG
    Jump("reap", ">", 0),
    Jump("wait"),
    Label("other"),
    Jump("exit", "==", 15),  # SIGTERM
    Jump("exit", "==", 2),  # SIGINT
    Jump("wait"),
    Label("exit"),
    Call("exit_group", (0,)),
)


def name(machine: str) -> str:
    return f"{REPOSITORY}:{VERSION}-{machine}"


def archive(machine: str) -> bytes:
    """The image's file system for the CPU that `uname -m` names, as a tar file."""
    out = io.BytesIO()
    program = elf(machine)
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo("pause")
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    return out.getvalue()


def elf(machine: str) -> bytes:
    """The program for a CPU. Raises CreateFailed for one we can't assemble for."""
    cpu = _CPUS.get(machine)
    if cpu is None:
        raise CreateFailed(f"no sandbox program for CPU {machine!r}, only for {', '.join(_CPUS)}")
    start = _BASE + (52 + 32 if cpu.bits == 32 else 64 + 56)
    code = _assemble(cpu, start)
    return _headers(cpu, start, start - _BASE + len(code)) + code


@dataclass(frozen=True, slots=True)
class _Cpu:
    number: int  # ELF's e_machine
    bits: int
    flags: int
    calls: Mapping[str, int]
    call: Callable[[int, Sequence[int | str], int, Address], bytes]
    jump: Callable[[Jump, int, Address], bytes]


def _assemble(cpu: _Cpu, start: int) -> bytes:
    """Twice: the first round, with every label at the start, tells where the labels are."""
    labels: dict[str, int] = {}
    code = b""
    for _ in range(2):
        known = dict(labels)
        code = b""
        for step in _PROGRAM:
            if isinstance(step, Label):
                labels[step.name] = start + len(code)
            else:
                code += _encode(cpu, step, start + len(code), lambda name: known.get(name, start))  # noqa: B023
        labels[_SIGNALS] = start + len(code)
    return code + b"\xff" * 8


def _encode(cpu: _Cpu, step: Call | Jump, at: int, address: Address) -> bytes:
    if isinstance(step, Call):
        return cpu.call(cpu.calls[step.name], step.arguments, at, address)
    return cpu.jump(step, at, address)


def _headers(cpu: _Cpu, start: int, size: int) -> bytes:
    """A static executable with one loaded segment: both headers and the code."""
    magic = b"\x7fELF" + bytes((cpu.bits // 32, 1, 1))
    if cpu.bits == 32:
        header = struct.pack(
            "<16sHHIIIIIHHHHHH", magic, 2, cpu.number, 1, start, 52, 0, cpu.flags, 52, 32, 1, 0, 0, 0
        )
        return header + struct.pack("<IIIIIIII", 1, 0, _BASE, _BASE, size, size, 5, 0x10000)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", magic, 2, cpu.number, 1, start, 64, 0, cpu.flags, 64, 56, 1, 0, 0, 0
    )
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x10000)


_X86_REGISTERS = (b"\x48\xc7\xc7", b"\x48\xc7\xc6", b"\x48\xc7\xc2", b"\x49\xc7\xc2")  # mov rdi rsi rdx r10
_X86_LEA = (b"\x48\x8d\x3d", b"\x48\x8d\x35", b"\x48\x8d\x15")  # lea rdi rsi rdx, [rip+…]
_X86_JUMPS = {"": b"\xe9", "==": b"\x0f\x84", "!=": b"\x0f\x85", ">": b"\x0f\x8f"}


def _x86_call(number: int, arguments: Sequence[int | str], at: int, address: Address) -> bytes:
    code = b"\xb8" + struct.pack("<i", number)
    for place, argument in enumerate(arguments):
        if isinstance(argument, str):
            code += _X86_LEA[place] + struct.pack("<i", address(argument) - (at + len(code) + 7))
        else:
            code += _X86_REGISTERS[place] + struct.pack("<i", argument)
    return code + b"\x0f\x05"


def _x86_jump(jump: Jump, at: int, address: Address) -> bytes:
    code = b"\x3d" + struct.pack("<i", jump.number) if jump.when else b""
    code += _X86_JUMPS[jump.when]
    return code + struct.pack("<i", address(jump.target) - (at + len(code) + 4))


_A64_CONDITIONS = {"==": 0, "!=": 1, ">": 12}


def _a64_call(number: int, arguments: Sequence[int | str], at: int, address: Address) -> bytes:
    words = [0xD2800008 | number << 5]  # movz x8, number
    for place, argument in enumerate(arguments):
        if isinstance(argument, str):
            offset = address(argument) - (at + 4 * len(words))
            words.append(0x10000000 | (offset & 3) << 29 | (offset >> 2 & 0x7FFFF) << 5 | place)  # adr
        elif argument < 0:
            words.append(0x92800000 | (~argument & 0xFFFF) << 5 | place)  # movn
        else:
            words.append(0xD2800000 | argument << 5 | place)  # movz
    return _words([*words, 0xD4000001])  # svc 0


def _a64_jump(jump: Jump, at: int, address: Address) -> bytes:
    if not jump.when:
        return _words([0x14000000 | (address(jump.target) - at >> 2 & 0x3FFFFFF)])
    offset = address(jump.target) - (at + 4)
    compare = 0xF100001F | jump.number << 10
    return _words([compare, 0x54000000 | (offset >> 2 & 0x7FFFF) << 5 | _A64_CONDITIONS[jump.when]])


_ARM_CONDITIONS = {"": 14, "==": 0, "!=": 1, ">": 12}


def _arm_call(number: int, arguments: Sequence[int | str], at: int, address: Address) -> bytes:
    words = [0xE3A07000 | number]  # mov r7, number
    for place, argument in enumerate(arguments):
        if isinstance(argument, str):
            offset = address(argument) - (at + 4 * len(words) + 8)
            words.append(0xE28F0000 | place << 12 | offset & 0xFF)  # add rN, pc, offset
        elif argument < 0:
            words.append(0xE3E00000 | place << 12 | ~argument & 0xFF)  # mvn
        else:
            words.append(0xE3A00000 | place << 12 | argument)  # mov
    return _words([*words, 0xEF000000])  # svc 0


def _arm_jump(jump: Jump, at: int, address: Address) -> bytes:
    compare = [0xE3500000 | jump.number] if jump.when else []  # cmp r0, number
    offset = address(jump.target) - (at + 4 * len(compare) + 8)
    return _words([*compare, _ARM_CONDITIONS[jump.when] << 28 | 0x0A000000 | offset >> 2 & 0xFFFFFF])


def _words(words: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


_GENERIC_CALLS = {"rt_sigprocmask": 135, "rt_sigtimedwait": 137, "wait4": 260, "exit_group": 94}
_X86_CALLS = {"rt_sigprocmask": 14, "rt_sigtimedwait": 128, "wait4": 61, "exit_group": 231}
_ARM_CALLS = {"rt_sigprocmask": 175, "rt_sigtimedwait": 177, "wait4": 114, "exit_group": 248}
_ARM_EABI5 = 0x05000000
_ARM = _Cpu(40, 32, _ARM_EABI5, _ARM_CALLS, _arm_call, _arm_jump)

_CPUS: dict[str, _Cpu] = {
    "x86_64": _Cpu(62, 64, 0, _X86_CALLS, _x86_call, _x86_jump),
    "aarch64": _Cpu(183, 64, 0, _GENERIC_CALLS, _a64_call, _a64_jump),
    "armv7l": _ARM,
    "armv6l": _ARM,
}
