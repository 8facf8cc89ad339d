import { describeDaemonless } from "./daemonless-suite.ts";
import { namespacesWork } from "./namespaces-available.ts";

// Every test file has a process of its own; this one gives root up for good where it has it.
const nobody = 65_534;
const isRoot = process.getuid?.() === 0;
const unavailable = !namespacesWork(isRoot ? { uid: nobody, gid: nobody } : undefined);
if (isRoot) {
  process.setgroups?.([]);
  process.setgid?.(nobody);
  process.setuid?.(nobody);
}

describeDaemonless(
  "an image without an engine, run by an ordinary user (skipped where unshare --user fails)",
  unavailable,
);
