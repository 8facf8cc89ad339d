import * as fs from "node:fs";

/** What Docker shows of /proc for reading only, and what it hides. Both hold settings and secrets of the whole machine. */
const readOnlyInProc = ["bus", "fs", "irq", "sys", "sysrq-trigger"];
const hiddenInProc = ["kcore", "keys", "latency_stats", "timer_list", "sched_debug"];

const devices = ["null", "zero", "full", "random", "urandom", "tty"];

const harmless = "nosuid,nodev,noexec";

/**
 * The mounts that every image gets below `root`, as the text of an fstab (fstab(5)): /proc, the devices that any program may use, /tmp, /run,
 * and the name resolution of this machine.
 */
export function standardMounts(root: string, uid: number): string {
  const proc = (name: string) => `${root}/proc/${name}`;
  const there = (name: string) => fs.existsSync(`/proc/${name}`);
  const readOnly = `bind,ro,${harmless}`;
  const lines: string[][] = [
    ["proc", `${root}/proc`, "proc", harmless],
    ...readOnlyInProc.filter(there).map((name) => [proc(name), proc(name), "none", readOnly]),
    ...hiddenInProc.filter(there).map((name) => ["/dev/null", proc(name), "none", "bind"]),
    ...devices.map((name) => [`/dev/${name}`, `${root}/dev/${name}`, "none", "bind"]),
    ["devpts", `${root}/dev/pts`, "devpts", "newinstance,ptmxmode=0666,mode=620,nosuid,noexec"],
    ["sheaf", `${root}/dev/shm`, "tmpfs", `mode=1777,${harmless}`],
    ["sheaf", `${root}/tmp`, "tmpfs", "mode=1777,nosuid,nodev"],
    // Root's in every image, so closed to everybody else.
    ["sheaf", `${root}/run`, "tmpfs", `mode=${uid === 0 ? "755" : "555"},nosuid,nodev`],
    ...["/sys/devices/system/cpu", "/etc/resolv.conf", "/etc/hosts"]
      .filter((name) => fs.existsSync(name))
      .map((name) => [name, `${root}${name}`, "none", readOnly]),
  ];
  return lines.map((fields) => `${fields.map(escapeField).join(" ")} 0 0\n`).join("");
}

/** White space and the escape itself, in octal. */
function escapeField(text: string): string {
  return text.replaceAll(/[\s\\#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
