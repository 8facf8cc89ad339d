/** What long work tells while it runs. Reporters (report/) render these; nothing else writes to the terminal. */
export type SheafEvent =
  | { type: "stage"; image?: string; stage: string; message: string; seconds?: number }
  | { type: "download-start"; id: string; label: string; total?: number }
  | { type: "download-progress"; id: string; received: number }
  | { type: "download-end"; id: string; received: number; reused: boolean }
  | { type: "work-start"; id: string; group: string; label: string }
  | { type: "work-end"; id: string; group: string; reused: boolean }
  | { type: "retry"; id: string; label: string; attempt: number; reason: string }
  | { type: "warning"; code: string; message: string; hint?: string };

export type Emit = (event: SheafEvent) => void;

/** For callers that do not listen. */
export const silent: Emit = () => {};
