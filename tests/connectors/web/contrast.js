// The texts of the page whose contrast is below 4.5 (WCAG 2.2, 1.4.3), measured on what is behind them.
() => {
  const parse = (text) => {
    const parts = text.match(/[\d.]+/g).map(Number);
    return { rgb: parts.slice(0, 3), alpha: parts.length > 3 ? parts[3] : 1 };
  };
  const mix = (top, alpha, under) => top.map((value, at) => value * alpha + under[at] * (1 - alpha));
  const behind = (node) => {
    if (node === null) return [255, 255, 255];
    const { backgroundColor, backgroundImage } = getComputedStyle(node);
    // Of a hatched value the stripes, which are nearer to the text than what is between them.
    const stripe = backgroundImage.startsWith("repeating-linear-gradient") ? backgroundImage.match(/rgb\([^)]*\)/) : null;
    const { rgb, alpha } = parse(stripe ? stripe[0] : backgroundColor);
    return alpha === 1 ? rgb : mix(rgb, alpha, behind(node.parentElement));
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint = [];
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const box = node.getBoundingClientRect();
    const svg = node.closest("svg") !== null;
    if (!walker.currentNode.data.trim() || box.width < 2 || box.height < 2) continue;
    if (!node.checkVisibility() || node.closest("dialog:not([open]), option, noscript")) continue;
    const style = getComputedStyle(node);
    const back = behind(svg ? node.closest("section") : node);
    const colour = parse(svg ? style.fill : style.color);
    const [a, b] = [luminance(mix(colour.rgb, colour.alpha, back)), luminance(back)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    texts += 1;
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${walker.currentNode.data.trim().slice(0, 40)}`);
  }
  return { texts, faint };
}
