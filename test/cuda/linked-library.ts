import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

/** A library with fat binaries as a compiler and a linker make it, for what builders of our own may get wrong alike; needs gcc. */
export function linkLibrary(
  folder: string,
  { fatBinaries, flags = [] }: { fatBinaries: Buffer[]; flags?: string[] },
): Buffer {
  for (const [index, bytes] of fatBinaries.entries()) fs.writeFileSync(path.join(folder, `fat${index}.bin`), bytes);
  const numbers = fatBinaries.map((_, index) => index);
  const source = `
__asm__(".section .nv_fatbin,\\"a\\",@progbits\\n.balign 8\\n"
${numbers.map((index) => `"fat${index}: .incbin \\"${path.join(folder, `fat${index}.bin`)}\\"\\n.balign 8\\n"`).join("\n")}
".previous\\n");
${numbers.map((index) => `extern const char fat${index}[] __attribute__((visibility("hidden")));`).join("\n")}
struct wrapper { unsigned magic, version; const void *data; void *unused; };
__attribute__((section(".nvFatBinSegment"), used)) static struct wrapper wrappers[] = {
${numbers.map((index) => `{0x466243b1, 1, fat${index}, 0},`).join("\n")}
};
const void *fat_binary(int index) { return wrappers[index].data; }
const char table[5000] = "constants after the device code";
int answer(void) { return 42 + table[4999]; }
`;
  fs.writeFileSync(path.join(folder, "library.c"), source);
  const output = path.join(folder, "library.so");
  const words = [
    "-shared",
    "-fPIC",
    "-O1",
    "-Wl,-soname,libfat.so.1",
    ...flags,
    "-o",
    output,
    path.join(folder, "library.c"),
  ];
  execFileSync("gcc", words, { stdio: "pipe" });
  return fs.readFileSync(output);
}
