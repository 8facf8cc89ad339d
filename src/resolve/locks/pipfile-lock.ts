import { SheafError } from "../../errors.ts";
import type { LockReading } from "../pins.ts";
import type { LockContext } from "./lock-context.ts";

export function readPipfileLock(_content: string, context: LockContext): LockReading {
  throw new SheafError("SHEAF_LOCK", `${context.file} can't be read yet`);
}
