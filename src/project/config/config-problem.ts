/** Something in the configuration that is wrong, and where. */
export interface ConfigProblem {
  /** Keys from `[tool.sheaf]` down: `images`, `api`, `budget`. */
  path: string[];
  message: string;
}
