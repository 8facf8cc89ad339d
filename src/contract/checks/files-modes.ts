import { plural } from "../../units.ts";
import type { StaticCheck } from "../check.ts";
import { ownerName, ownersOf } from "../facts/owners.ts";
import { fail, pass } from "../finding.ts";
import { firstOf } from "../lists.ts";
import { allowedFiles } from "./allowed-files.ts";

/** Folders that everybody may write to on every system, with the sticky bit. */
const sharedFolders = new Set([
  "tmp",
  "var/tmp",
  "run/lock",
  "var/lock",
  "dev/shm",
  "dev/mqueue",
  "var/crash",
  "run/screen",
]);

export const filesWorldWritable: StaticCheck = {
  id: "files.world-writable",
  title: "nobody may write but to /tmp",
  holds: "No file and no folder is writable to everybody, but /tmp, /var/tmp and their like, with the sticky bit.",
  why: "Whoever gets in as any user changes code that others run.",
  sources: ["CIS Distribution Independent Linux 6.1.10"],
  run: ({ facts, contract }) => {
    const isAllowed = allowedFiles(contract);
    const found = [...facts.files.values()].filter(
      ({ path, type, mode, size }) =>
        (type === "file" || type === "directory") &&
        (mode & 0o002) !== 0 &&
        // Nothing is read from a lock.
        !(size === 0 && path.endsWith(".lock")) &&
        !(type === "directory" && (mode & 0o1000) !== 0 && sharedFolders.has(path)) &&
        // Without its sticky bit it is files.tmp that tells.
        path !== "tmp" &&
        !isAllowed(path),
    );
    const [first] = found;
    if (!first) return pass("only /tmp");
    return fail(`/${first.path} is writable to everybody${found.length > 1 ? `, and ${found.length - 1} more` : ""}`, {
      evidence: firstOf(found.map(({ path, mode, layer }) => `/${path} has ${mode.toString(8)}, layer ${layer}`)),
      hint: "chmod o-w, and give what the app writes to its user",
    });
  },
};

export const filesTmp: StaticCheck = {
  id: "files.tmp",
  title: "/tmp is there with mode 1777",
  holds: "/tmp is a folder with the mode 1777.",
  why: "Python's tempfile, uploads and gunicorn need it; under --read-only --tmpfs /tmp Docker takes the mode of the image's folder.",
  sources: ["Filesystem Hierarchy Standard 3.18", "measured: --tmpfs /tmp over a /tmp with 0755 gives EACCES"],
  run: ({ facts }) => {
    const found = facts.find("tmp");
    if (!found) return fail("/tmp is not there", { hint: "RUN mkdir -m 1777 /tmp" });
    const mode = (found.mode & 0o7777).toString(8);
    if (found.type === "directory" && mode === "1777") return pass("1777", { limit: "1777" });
    const measured = found.type === "directory" ? `/tmp has ${mode}` : "/tmp is no folder";
    return fail(measured, { limit: "1777", hint: "RUN chmod 1777 /tmp" });
  },
};

export const filesSetuid: StaticCheck = {
  id: "files.setuid",
  title: "no program takes another user's rights",
  holds:
    "No file has a setuid or setgid bit or file capabilities. Of images without a contract, those of the distribution's own packages may.",
  why: "They are how a process that isn't root becomes root; a server needs none.",
  sources: ["CIS Docker Benchmark 4.8", "capabilities(7)"],
  run: ({ facts, contract }) => {
    const owners = facts.derived(ownersOf);
    const isAllowed = allowedFiles(contract);
    const all = [...facts.files.values()].filter(
      ({ path, type, mode, capabilities }) =>
        type === "file" && ((mode & 0o6000) !== 0 || capabilities) && !isAllowed(path),
    );
    const found = contract.setuid === "none" ? all : all.filter(({ path }) => owners.get(path)?.kind !== "package");
    const evidence = firstOf(
      found.map(({ path, mode }) => `/${path} has ${mode.toString(8)}, of ${ownerName(owners.get(path))}`),
      20,
    );
    const [first] = found;
    if (!first) return pass(all.length === 0 ? "none" : `${all.length}, all of the distribution's packages`);
    return fail(`${plural(found.length, "program")} with another user's rights: /${first.path}`, {
      evidence,
      hint: "find / -xdev -perm /6000 -type f -exec chmod a-s {} + in the last RUN as root",
    });
  },
};

export const filesDevices: StaticCheck = {
  id: "files.devices",
  title: "no device files outside of /dev",
  holds: "Character and block devices are in /dev alone, over which engines mount their own.",
  why: "A device file gives whoever may open it the host's disk or memory, and can't be unpacked without root.",
  sources: ["image-spec, layer.md#file-types", "mknod(2)"],
  run: ({ facts }) => {
    const found = [...facts.files.values()].filter(
      ({ device, path }) => (device === "character" || device === "block") && !path.startsWith("dev/"),
    );
    const [first] = found;
    if (!first) return pass("none");
    return fail(`/${first.path} is a ${first.device} device`, {
      evidence: firstOf(found.map(({ path, device, layer }) => `/${path}: ${device}, layer ${layer}`)),
      hint: "leave it out: engines give containers the devices that they may have",
    });
  },
};
