/** Exit codes of the command line: 1 a verdict failed, 2 the user can mend it, 70 a bug in Sheaf, 130 interrupted. */
export const exitCodes = { ok: 0, findings: 1, user: 2, bug: 70, interrupted: 130 } as const;

export interface SheafErrorOptions {
  /** What to do next: one step a line. */
  hint?: string | string[];
  /** Facts beside the message, in the order in which they are shown: `["looked in", "app/, src/"]`. */
  details?: [label: string, value: string][];
  cause?: unknown;
  /** Exit code, 2 unless the error is a verdict (1). */
  exitCode?: number;
}

/**
 * An error that a person can mend. `message` says what happened and where, `details` the facts, `hint` the next step.
 * Everything else that is thrown is a bug and shown as one.
 */
export class SheafError extends Error {
  override readonly name = "SheafError";
  readonly code: string;
  readonly hints: string[];
  readonly details: [label: string, value: string][];
  readonly exitCode: number;

  /** @param code a stable SHEAF_… name, listed in docs/errors.md, never reused */
  constructor(code: `SHEAF_${string}`, message: string, options: SheafErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hints = options.hint === undefined ? [] : [options.hint].flat();
    this.details = options.details ?? [];
    this.exitCode = options.exitCode ?? exitCodes.user;
  }
}

/** Several problems reported at once, so that nobody mends them one run at a time. */
export class SheafErrors extends SheafError {
  readonly errors: SheafError[];

  constructor(errors: SheafError[]) {
    super("SHEAF_SEVERAL", errors.map((error) => error.message).join("\n"), {
      exitCode: Math.max(...errors.map((error) => error.exitCode)),
    });
    this.errors = errors;
  }
}

/** Throws nothing for none, the error itself for one, all of them together for more. */
export function throwAll(errors: SheafError[]): void {
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new SheafErrors(errors);
}
