/** Thrown for what a script does that Sheaf does not model. */
export class UnknownStatement extends Error {
  readonly line: number;

  constructor(line: number, reason: string) {
    super(reason);
    this.line = line;
  }
}
