/** A moment of a container's start, for the timeline from `run` to healthy. */
export interface StartMoment {
  /** What had happened by then: `the process listens`, `first answer`, `healthy`. */
  label: string;
  /** Seconds since the container was started. */
  seconds: number;
  /** Seconds that the contract gives it. */
  limit?: number;
}
