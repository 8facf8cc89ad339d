import type { Platform } from "../platform.ts";

/** The Python that an image wants. */
export interface InterpreterRequest {
  /** PEP 440 specifier, as in requires-python. */
  requires?: string;
  /** `3.12` or `3.12.4` */
  wanted?: string;
  /** Who says so, of `wanted` or else `requires`, in the user's words: `.python-version`, `pyproject.toml`. */
  source: string;
  platform: Platform;
  offline: boolean;
}
