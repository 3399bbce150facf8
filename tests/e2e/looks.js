// What a page looks like to its reader, as far as it can be measured.

/** Everything that is wrong with how `page` looks; empty when nothing is. */
export function flaws(page) {
  return page.evaluate(() => {
    const found = [];
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) {
      found.push(`scrolls sideways: ${root.scrollWidth} px on ${root.clientWidth} px`);
    }

    for (const field of document.querySelectorAll("input, select, textarea")) {
      if (field.type !== "hidden" && !field.labels?.length && !field.ariaLabel) {
        found.push(`<${field.localName} name="${field.name}"> has no label`);
      }
    }

    const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
    const paint = canvas.getContext("2d", { willReadFrequently: true });
    // The browser itself reads every way of writing a colour, and lays one over the other.
    const blend = (colours) => {
      paint.clearRect(0, 0, 1, 1);
      for (const colour of colours) {
        paint.fillStyle = colour;
        paint.fillRect(0, 0, 1, 1);
      }
      return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    // WCAG 2.2, "relative luminance".
    const luminance = (colour) => {
      const [red, green, blue] = colour.map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
    const behind = (element) => {
      const colours = [];
      for (let at = element; at; at = at.parentElement) {
        colours.unshift(getComputedStyle(at).backgroundColor);
      }
      return [isDark ? "#121212" : "#fff", ...colours];
    };
    const hasOwnText = (element) => element.matches("input")
      || [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    for (const element of document.body.querySelectorAll("*")) {
      if (!hasOwnText(element) || !element.checkVisibility({ visibilityProperty: true })) continue;
      const style = getComputedStyle(element);
      const ground = behind(element);
      const [light, dark] = [luminance(blend([...ground, style.color])), luminance(blend(ground))]
        .sort((one, other) => other - one);
      const contrast = (light + 0.05) / (dark + 0.05);
      if (contrast < 4.5) {
        const text = (element.textContent.trim() || element.name || "").slice(0, 40);
        found.push(`<${element.localName}> "${text}" has a contrast of ${contrast.toFixed(2)}`);
      }
    }

    if (!document.title.trim()) found.push("has no title");
    if (!root.lang) found.push("has no language");
    if (document.querySelectorAll("h1").length !== 1) found.push("has not exactly one <h1>");
    return found;
  });
}
