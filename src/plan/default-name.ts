/**
 * The name of a project's image, unless somebody gives one: `shop-api`. Every run of characters that may not stand between
 * letters and digits in a repository's name (the distribution specification) is a dash.
 */
export function defaultName(project: string, image: string): string {
  return `${project}-${image}`
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, (run) => (/^(?:\.|__?|-+)$/.test(run) ? run : "-"))
    .replaceAll(/^[._-]+|[._-]+$/g, "");
}
