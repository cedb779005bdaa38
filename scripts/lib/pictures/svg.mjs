// What the pictures share: a frame that fits light and dark pages, and text.

const STYLE = `
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 15px; } .strong { font-weight: 600; } .small { font-size: 12px; }
  .code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 12px; }
  .quiet { fill: #59636e; } .good { fill: #1a7f37; } .bad { fill: #b35900; }
  .ground { fill: #ffffff; stroke: #d1d9e0; } .box { fill: #f6f8fa; stroke: #818b98; } .ours { fill: #ddf4ff; stroke: #0969da; }
  .ok { fill: #dafbe1; stroke: #1a7f37; } .limit { fill: #fff1e5; stroke: #bc4c00; } .rest { fill: #fff1e5; stroke: #bc4c00; stroke-dasharray: 4 3; }
  .line { stroke: #59636e; stroke-width: 1.5; fill: none; } .lane { stroke: #d1d9e0; } .tip { fill: #59636e; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .quiet { fill: #9198a1; } .good { fill: #3fb950; } .bad { fill: #f0883e; }
    .ground { fill: #0d1117; stroke: #3d444d; } .box { fill: #151b23; stroke: #656c76; } .ours { fill: #0c2d4d; stroke: #4493f8; }
    .ok { fill: #0f2e1a; stroke: #3fb950; } .limit { fill: #3a2410; stroke: #f0883e; } .rest { fill: #3a2410; stroke: #f0883e; }
    .line { stroke: #9198a1; } .lane { stroke: #3d444d; } .tip { fill: #9198a1; }
  }`

/** A whole picture; `title` is what a screen reader says. */
export function picture({ width, height, title, lines, style = STYLE }) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${style}\n</style>`,
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse">' +
      '<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>',
    `<rect class="ground" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>`,
    ...lines,
    '</svg>',
    '',
  ].join('\n')
}

/** A text; `kind` are classes, `at` is `start`, `middle` or `end`. */
export function text(x, y, content, { kind, at } = {}) {
  const names = [kind && `class="${kind}"`, at && `text-anchor="${at}"`].filter(Boolean)
  return `<text x="${x}" y="${y}"${names.map((name) => ` ${name}`).join('')}>${escaped(content)}</text>`
}

/** A box. */
export const box = (kind, x, y, width, height) =>
  `<rect class="${kind}" x="${x}" y="${y}" width="${width}" height="${height}" rx="6"/>`

/** A line with a tip at its end, and with `both` at its start too. */
export const arrow = (path, { both = false } = {}) =>
  `<path class="line" d="${path}" marker-end="url(#tip)"${both ? ' marker-start="url(#tip)"' : ''}/>`

export const escaped = (content) => content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** The texts of a picture, in the order in which they stand in it. */
export const textsOf = (svg) =>
  [...svg.matchAll(/<text\b[^>]*>([^<]*)<\/text>/g)].map(([, content]) =>
    content.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'),
  )
