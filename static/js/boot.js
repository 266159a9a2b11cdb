// Runs before the first paint, as a classic script: the theme must not flash.
(() => {
  let stored = {};
  try {
    stored = JSON.parse(localStorage.getItem("spreadboard") ?? "{}");
  } catch {
    // no storage: the default theme
  }
  const system = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  const theme = stored.theme === "system" ? system : stored.theme;
  const root = document.documentElement;
  root.dataset.theme = theme === "light" ? "light" : "dark";
  root.dataset.colours = ["red-green", "blue-orange"].includes(stored.colours) ? stored.colours : "green-red";
})();
