import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { isElf } from "../../src/elf/read.ts";

/** Whether a program is installed and answers. */
export function has(program: string): boolean {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Up to `count` shared objects of this machine below 1 MiB, without links, sorted by path. */
export function sharedObjects(count: number): string[] {
  const folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"].filter((folder) =>
    existsSync(folder),
  );
  const files = folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => /\.so(?:\.\d+)*$/.test(name))
      .map((name) => realpathSync(join(folder, name))),
  );
  const small = [...new Set(files)].toSorted().filter((file) => statSync(file).size < 2 ** 20);
  return small
    .slice(0, count * 2)
    .filter((file) => isElf(readFileSync(file)))
    .slice(0, count);
}
