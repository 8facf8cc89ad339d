import type { IngestServices } from "../ingest/ingest.ts";

/** What planning works with. */
export interface PlanServices extends IngestServices {
  offline: boolean;
  /** Look at indexes and unlocked inputs anew. */
  refresh: boolean;
}
