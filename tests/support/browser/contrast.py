"""What axe does not measure: how borders and icons stand out (WCAG 1.4.11), and how large targets are."""

from playwright.sync_api import Page

_FAINT = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([red, green, blue]) => {
    const part = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
  };
  const ratio = (one, other) => {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgba(getComputedStyle(each).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const name = (element) => `${element.tagName.toLowerCase()} ${element.id || element.textContent.trim().slice(0, 30)}`;
  const seen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const off = (element) => element.closest(':disabled, [aria-disabled="true"]') !== null;
  const found = [];
  const edges = 'input, select, textarea, button, a.button, .plan, .pill, .empty';
  for (const element of document.querySelectorAll(edges)) {
    if (!seen(element) || off(element) || ['checkbox', 'radio', 'file'].includes(element.type)) continue;
    const style = getComputedStyle(element);
    const outside = ground(element.parentElement);
    const [border, fill] = [rgba(style.borderTopColor), rgba(style.backgroundColor)];
    const bordered = parseFloat(style.borderTopWidth) > 0 && border[3] === 255 ? ratio(border, outside) : 0;
    const best = Math.max(bordered, fill[3] === 255 ? ratio(fill, outside) : 0);
    if (best < 3) found.push(`${name(element)}: edge ${best.toFixed(2)}`);
  }
  for (const svg of document.querySelectorAll('button svg, a svg')) {
    if (!seen(svg) || off(svg)) continue;
    const best = ratio(rgba(getComputedStyle(svg).color), ground(svg));
    if (best < 3) found.push(`${name(svg.parentElement)}: icon ${best.toFixed(2)}`);
  }
  return found;
}"""

_SMALL = """() => {
  const found = [];
  const seen = (element) => element.checkVisibility({ visibilityProperty: true });
  const controls = 'button, select, input, textarea, nav a, a.button, .brand, td > a, th > a';
  for (const element of document.querySelectorAll(controls)) {
    if (!seen(element)) continue;
    const target = ['checkbox', 'radio'].includes(element.type) ? (element.closest('label') ?? element) : element;
    const { width, height } = target.getBoundingClientRect();
    const name = element.id || element.textContent;
    if (Math.min(width, height) < 43.5) found.push(`${element.tagName} ${name}: ${width} x ${height}`);
  }
  return found;
}"""


def faint(page: Page) -> list[str]:
    """The controls of a page whose edge or icon has less than 3:1 against what is around it."""
    found: list[str] = page.evaluate(_FAINT)
    return found


def small(page: Page) -> list[str]:
    """The controls of a page that a thumb cannot hit: less than 44 px high or wide."""
    found: list[str] = page.evaluate(_SMALL)
    return found
