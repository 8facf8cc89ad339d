import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Enough for a build on two busy cores: what hangs is found all the same.
    testTimeout: 180_000,
    hookTimeout: 300_000,
    // Two cores are usual in CI; more forks only fight for them.
    maxWorkers: 2,
  },
});
