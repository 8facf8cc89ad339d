import * as path from "node:path";

/** Options whose value is a file that the process writes. */
const fileOptions = /^(?:-f|--logfile|--pidfile|--statedb|-s|--schedule|--db|--access-logfile|--error-logfile)$/;
const celeryOnly = new Set(["-f", "-s"]);

/** Folders of the image that everybody may write to, or that are made when the image starts. */
const always = /^\/(?:tmp|run|dev|proc|var\/tmp|dev\/shm)(?:\/|$)/;

/**
 * Folders that belong to the image's user, without a leading slash: what is configured, and where the start command itself
 * says that it writes. The working directory is none: what is in it stays as it was built.
 */
export function writableFolders(configured: readonly string[], command: readonly string[], workdir: string): string[] {
  const folders = configured.map((folder) => path.posix.resolve(workdir, folder));
  for (const file of filesOf(command)) {
    const folder = path.posix.dirname(path.posix.resolve(workdir, file));
    if (folder !== "/" && folder !== path.posix.resolve(workdir) && !always.test(folder)) folders.push(folder);
  }
  return [...new Set(folders.map((folder) => folder.slice(1)))];
}

function filesOf(command: readonly string[]): string[] {
  const celery = path.posix.basename(command[0] ?? "") === "celery";
  const files: string[] = [];
  for (const [index, word] of command.entries()) {
    const [name = "", inline] = word.split("=", 2);
    if (!fileOptions.test(name) || (celeryOnly.has(name) && !celery)) continue;
    const value = inline ?? (name === word ? command[index + 1] : undefined);
    if (value !== undefined && value !== "" && !value.startsWith("-") && !value.includes("$")) files.push(value);
  }
  return files;
}
