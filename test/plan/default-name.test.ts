import { expect, it } from "vitest";

import { defaultName } from "../../src/plan/default-name.ts";

/** path-component of the distribution specification's names. */
const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;

it.each([
  ["Shop", "api", "shop-api"],
  ["big.shop_x__y", "a-b", "big.shop_x__y-a-b"],
  ["a+b c", "api", "a-b-c-api"],
  ["a.-b___c..d", "api", "a-b-c-d-api"],
  ["_x", "api_", "x-api"],
])("the image %s %s is called %s", (project, image, name) => {
  expect(defaultName(project, image)).toBe(name);
  expect(name).toMatch(component);
});
