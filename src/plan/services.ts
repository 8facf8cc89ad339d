import type { IngestServices } from "../ingest/ingest.ts";
import type { IngestTasks } from "../ingest/tasks.ts";
import type { LayerTasks } from "../layers/tasks.ts";

/** What planning works with. */
export interface PlanServices extends IngestServices {
  tasks: IngestTasks & LayerTasks;
  offline: boolean;
  /** Look at indexes and unlocked inputs anew. */
  refresh: boolean;
}
