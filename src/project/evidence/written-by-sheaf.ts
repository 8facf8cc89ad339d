/** The line that Sheaf puts on top of what it writes into a repository: the command, and a digest of all other lines. */
export const sheafHeader = /^# Written by Sheaf: (sheaf [a-z][a-z -]*), sha256:([0-9a-f]{16})\b/;

/** How far down a file that line may stand: below a Dockerfile's parser directives, nothing else. */
export const sheafHeaderLines = 4;

/** Whether a file says what Sheaf made of the repository, and so nothing about the repository. */
export function isWrittenBySheaf(text: string): boolean {
  return text.split("\n", sheafHeaderLines).some((line) => sheafHeader.test(line));
}
