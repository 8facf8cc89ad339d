import { z } from "zod";

const command = z.array(z.string()).min(1);

/** One image. Keys are written in kebab-case, as in pyproject.toml. */
export const ImageSettings = z.strictObject({
  role: z.enum(["api", "worker", "beat", "flower", "other"]).optional(),
  /** `module:attribute`, or `module:factory()`. */
  app: z.string().optional(),
  command: command.optional(),
  extras: z.array(z.string()).optional(),
  groups: z.array(z.string()).optional(),
  /** requirements files instead of those found. */
  requirements: z.array(z.string()).optional(),
  /** URL that answers when the image is healthy, or false for none. */
  health: z.union([z.string(), z.literal(false)]).optional(),
  "health-client": z.enum(["wget", "curl", "python"]).optional(),
  port: z.int().min(1).max(65535).optional(),
  env: z.record(z.string(), z.string()).optional(),
  labels: z.record(z.string(), z.string()).optional(),
  /** Debian packages beside those found to be needed. */
  packages: z.array(z.string()).optional(),
  workdir: z.string().optional(),
  "stop-signal": z.string().optional(),
  /** Size that the unpacked image must not exceed: `300MB`. */
  budget: z.string().optional(),
  /** Modules that may be missing although the code imports them. */
  "allow-missing": z.array(z.string()).optional(),
  gpu: z
    .strictObject({
      cuda: z.string().optional(),
      targets: z.array(z.string()).optional(),
      profile: z.enum(["full", "training", "inference"]).optional(),
    })
    .optional(),
});
export type ImageSettings = z.infer<typeof ImageSettings>;

/** `[tool.sheaf]` in pyproject.toml, or sheaf.toml. */
export const SheafConfig = z.strictObject({
  python: z.string().optional(),
  "app-env": z.string().optional(),
  /** `debian`, or an OCI layout, archive or reference. */
  base: z.string().optional(),
  /** Debian suite of the composed base, the machine's own unless set. */
  suite: z.string().optional(),
  shell: z.boolean().optional(),
  strip: z.boolean().optional(),
  bytecode: z.boolean().optional(),
  /** Name and uid:gid of the user: `appuser`, 10001. */
  user: z.string().optional(),
  uid: z.int().min(1).optional(),
  /** Paths, in .gitignore's syntax, that ship although an ignore file names them, and that do not. */
  include: z.array(z.string()).optional(),
  exclude: z.array(z.string()).optional(),
  /** Folders that the app may write to: owned by the user. */
  writable: z.array(z.string()).optional(),
  platforms: z.array(z.string()).optional(),
  /** Distributions whose files win where several write one path. */
  "keep-files-of": z.array(z.string()).optional(),
  /** Debian packages whose maintainer scripts do nothing that the image needs. */
  "ignore-scripts": z.array(z.string()).optional(),
  "layer-budget": z.int().min(8).max(125).optional(),
  images: z.record(z.string(), ImageSettings).optional(),
  ...ImageSettings.pick({ env: true, labels: true, packages: true, "allow-missing": true }).shape,
});
export type SheafConfig = z.infer<typeof SheafConfig>;
