/**
 * The page's script: it zooms the map by click and keys, and opens what is printed or linked to. Without it, the page shows all
 * the same but the inside of packages.
 */
export const pageScript = `
"use strict";
const map = document.querySelector(".map");
if (map) {
  const crumbs = document.querySelector(".crumbs");
  const told = document.querySelector(".told");
  const kidsOf = (node) => [...(node.querySelector(":scope > .kids")?.children ?? [])];
  const parentOf = (node) => (node === map ? undefined : node.parentElement.closest(".node, .map"));
  let zoomed = map;

  const pathTo = (node) => (node === undefined ? [] : [...pathTo(parentOf(node)), node]);
  const tell = (node) => { told.textContent = node.getAttribute("aria-label") ?? node.dataset.text; };
  const choose = (node) => {
    for (const each of map.querySelectorAll('[tabindex="0"]')) each.tabIndex = -1;
    if (node) node.tabIndex = 0;
  };
  const zoomTo = (node, focused) => {
    for (const each of map.querySelectorAll(".passed, .zoomed")) each.classList.remove("passed", "zoomed");
    map.classList.remove("passed", "zoomed");
    const path = pathTo(node);
    for (const each of path) {
      each.classList.add(each === node ? "zoomed" : "passed");
      if (each !== map) each.setAttribute("aria-expanded", "true");
    }
    for (const each of kidsOf(node)) if (each.hasAttribute("aria-expanded")) each.setAttribute("aria-expanded", "false");
    zoomed = node;
    crumbs.replaceChildren(...path.map((each) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = each.dataset.name;
      if (each === node) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => zoomTo(each));
      return button;
    }));
    const next = focused ?? kidsOf(node)[0];
    choose(next);
    return next;
  };
  const childAt = (target) => {
    for (let node = target.closest(".node"); node; node = parentOf(node)) if (parentOf(node) === zoomed) return node;
    return undefined;
  };
  const enter = (node) => {
    if (kidsOf(node).length === 0) return tell(node);
    const next = zoomTo(node);
    tell(node);
    next.focus({ focusVisible: true, preventScroll: true });
  };
  const leave = () => {
    const parent = parentOf(zoomed);
    if (!parent) return;
    const from = zoomed;
    zoomTo(parent, from);
    from.focus({ focusVisible: true, preventScroll: true });
  };
  const step = (node, by) => {
    const all = kidsOf(zoomed);
    const next = all[Math.max(0, Math.min(all.length - 1, all.indexOf(node) + by))];
    choose(next);
    next.focus({ focusVisible: true, preventScroll: true });
  };
  map.addEventListener("click", (event) => {
    const node = childAt(event.target);
    if (node) enter(node);
  });
  map.addEventListener("pointerover", (event) => {
    const node = childAt(event.target);
    if (!node) return;
    const inner = event.target.closest(".node");
    tell(parentOf(inner) === node ? inner : node);
  });
  map.addEventListener("focusin", (event) => tell(event.target));
  map.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const node = event.target.closest(".node");
    if (!node) return;
    const keys = {
      Enter: () => enter(node), " ": () => enter(node), Escape: leave, Backspace: leave,
      ArrowRight: () => step(node, 1), ArrowDown: () => step(node, 1), ArrowLeft: () => step(node, -1), ArrowUp: () => step(node, -1),
      Home: () => step(node, -1e9), End: () => step(node, 1e9),
    };
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
  zoomTo(map);
}

const openLinked = () => {
  const linked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let node = linked; node; node = node.parentElement) if (node.localName === "details") node.open = true;
  linked?.scrollIntoView();
};
addEventListener("hashchange", openLinked);
if (location.hash) openLinked();
addEventListener("beforeprint", () => {
  for (const group of document.querySelectorAll("details.group")) group.open = true;
});
`;
