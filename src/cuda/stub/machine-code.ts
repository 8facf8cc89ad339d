import { viewOf } from "../little-endian.ts";

/** A function of a stub, by the addresses of what it uses. */
export interface StubFunction {
  /** The line that the first call writes. */
  message: { address: number; size: number };
  /** A byte that says whether it was written. */
  flag: number;
  /** What is returned: a status, or the address of a text. */
  result: { status: number } | { text: number };
}

/** How a processor does it. Functions have `entrySize` bytes each; the code that they share comes first. */
export interface StubMachine {
  commonSize: number;
  entrySize: number;
  pageSize: number;
  common(): Uint8Array;
  entry(address: number, common: number, stub: StubFunction): Uint8Array;
}

/**
 * x86-64: an entry puts the line into rsi and rdx, the result into r8 and the flag's address into r9. All of these, and
 * rcx and r11 that the system call overwrites, belong to the called function by the ABI, so nothing is saved.
 */
const x86: StubMachine = {
  commonSize: 32,
  entrySize: 32,
  pageSize: 4096,
  common: () =>
    padded(32, 0xcc, [
      ...[0xb8, 1, 0, 0, 0], // mov eax, 1
      ...[0x41, 0x86, 0x01], // xchg [r9], al
      ...[0x84, 0xc0], // test al, al
      ...[0x75, 12], // jnz past the system call
      ...[0xb8, 1, 0, 0, 0], // mov eax, 1: write
      ...[0xbf, 2, 0, 0, 0], // mov edi, 2: stderr
      ...[0x0f, 0x05], // syscall
      ...[0x4c, 0x89, 0xc0], // mov rax, r8
      0xc3, // ret
    ]),
  entry(address, common, { message, flag, result }) {
    const code: number[] = [];
    const relative = (target: number) => bytes32(target - (address + code.length + 4));
    const add = (...bytes: number[]) => code.push(...bytes);
    add(0x48, 0x8d, 0x35); // lea rsi, [rip + message]
    add(...relative(message.address));
    add(0xba, ...bytes32(message.size)); // mov edx, size
    if ("text" in result) {
      add(0x4c, 0x8d, 0x05); // lea r8, [rip + text]
      add(...relative(result.text));
    } else {
      add(0x41, 0xb8, ...bytes32(result.status)); // mov r8d, status
    }
    add(0x4c, 0x8d, 0x0d); // lea r9, [rip + flag]
    add(...relative(flag));
    add(0xe9); // jmp common
    add(...relative(common));
    return padded(32, 0xcc, code);
  },
};

/** aarch64: the line in x1 and x2, the result in x6, the flag's address in x7; the number of the system call is in x8. */
const aarch64: StubMachine = {
  commonSize: 48,
  entrySize: 32,
  pageSize: 65_536,
  common: () =>
    words([
      0x52800029, // mov w9, #1
      0x394000ea, // ldrb w10, [x7]
      0x390000e9, // strb w9, [x7]
      0x3500008a, // cbnz w10, past the system call
      0xd2800808, // mov x8, #64: write
      0xd2800040, // mov x0, #2: stderr
      0xd4000001, // svc #0
      0xaa0603e0, // mov x0, x6
      0xd65f03c0, // ret
      0xd503201f, // nop
      0xd503201f,
      0xd503201f,
    ]),
  entry(address, common, { message, flag, result }) {
    const text = "text" in result ? result.text : undefined;
    const status = "status" in result ? result.status >>> 0 : 0;
    return words([
      ...addressOf(1, { at: address, target: message.address }),
      0x52800002 | ((message.size & 0xffff) << 5), // mov w2, #size
      ...(text === undefined
        ? [0x52800006 | ((status & 0xffff) << 5), 0x72a00006 | ((status >>> 16) << 5)] // mov w6, #status
        : addressOf(6, { at: address + 12, target: text })),
      ...addressOf(7, { at: address + 20, target: flag }),
      0x14000000 | (((common - (address + 28)) / 4) & 0x3ffffff), // b common
    ]);
  },
};

/** adrp and add: the address in a register. */
function addressOf(register: number, { at, target }: { at: number; target: number }): number[] {
  const pages = Math.floor(target / 4096) - Math.floor(at / 4096);
  return [
    0x90000000 | ((pages & 3) << 29) | (((pages >> 2) & 0x7ffff) << 5) | register,
    0x91000000 | ((target % 4096) << 10) | (register << 5) | register,
  ];
}

function words(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = viewOf(bytes);
  values.forEach((value, index) => view.setUint32(index * 4, value >>> 0, true));
  return bytes;
}

function bytes32(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff];
}

function padded(size: number, fill: number, bytes: readonly number[]): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => bytes[index] ?? fill);
}

/** By e_machine. */
export const stubMachines: Record<number, StubMachine | undefined> = { 62: x86, 183: aarch64 };
