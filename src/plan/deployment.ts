import type { ImageSketch, PlanNote } from "./image-plan.ts";

/** What a project runs as: its images, the servers that they need, and how they hear of each other. Plain JSON. */
export interface Deployment {
  project: string;
  /** Images of the project's own code. */
  apps: DeployedApp[];
  /** Images of Debian packages that nothing else here stands for. */
  sidecars: ImageSketch[];
  services: BackingService[];
  migration?: Migration;
  variables: Wiring[];
  notes: PlanNote[];
}

export interface DeployedApp {
  image: ImageSketch;
  /** Wants a GPU. */
  gpu: boolean;
  /** Queues that a worker takes tasks from. */
  queues: string[];
}

/** PostgreSQL, Redis or memcached. */
export interface BackingService {
  kind: ServiceKind;
  /** Name on the network: that of the project's own image, else the kind. */
  name: string;
  /** The project's own image of it; a public one serves where there is none. */
  image?: ImageSketch;
  /** The distribution that talks to it, `asyncpg`; none where only the configuration has it. */
  reason?: string;
  /** User and database of PostgreSQL. */
  database?: Database;
}

/** Brings the database's tables up to date before the new code starts. */
export interface Migration {
  /** Of the service that does it: `migrate`. */
  name: string;
  /** The image that has what it takes. */
  image: string;
  command: string[];
  workdir?: string;
  /** File that says so: `alembic.ini`. */
  source: string;
}

export interface DeploymentOptions {
  /** Services that are somewhere else: their addresses have to be set. */
  external?: readonly ServiceKind[];
}

export type ServiceKind = "postgres" | "redis" | "memcached";

/** User and database of PostgreSQL. */
export interface Database {
  user: string;
  name: string;
}

/** A part of a value: text, or a secret by its name. */
export type ValuePart = string | { secret: string };

/** A variable of the app's containers, and where its value comes from. */
export interface Wiring {
  name: string;
  value:
    /** Follows from the deployment: addresses of services. */
    | { kind: "wired"; parts: ValuePart[] }
    /** What the code or the image takes, which a deployment may set. */
    | { kind: "default"; text: string }
    /** By reference, never here. */
    | { kind: "secret"; required: boolean }
    /** Has to be set, and is no secret. */
    | { kind: "required" }
    /** Given to the app only when it is set. */
    | { kind: "optional" };
  /** `app/settings.py:19` */
  source: string;
  /** The service that it leads to. */
  service?: ServiceKind;
}
