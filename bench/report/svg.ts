// Bar charts as plain SVG, readable on a light and on a dark page.
export interface Bar {
  name: string
  value: number
  /** From the least to the most that was measured. */
  range?: [number, number]
  /** What stands at its end. */
  label: string
}

export interface Chart {
  title: string
  /** What the length of a bar means. */
  measure: string
  groups: { name: string; bars: Bar[] }[]
  /** A value to compare with, drawn as a line. */
  mark?: { value: number; label: string }
}

const [width, left, right] = [760, 150, 190]
const [barHeight, groupGap, top, bottom] = [16, 14, 76, 20]
/** Told apart by those who see few colours too; the same variant has the same one in each group. */
const colours = ['#0072b2', '#999999', '#e69f00', '#009e73', '#cc79a7', '#d55e00', '#56b4e9']

const style = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .quiet { fill: #59636e }
  .line { stroke: #1f2328 }
  .mark { stroke: #59636e; stroke-dasharray: 4 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9198a1 } .line { stroke: #e6edf3 } .mark { stroke: #9198a1 }
  }`

const escape = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

/** Draws groups of horizontal bars below each other. */
export function barChart({ title, measure, groups, mark }: Chart): string {
  const names = [...new Set(groups.flatMap(({ bars }) => bars.map(({ name }) => name)))]
  const longest = Math.max(mark?.value ?? 0, ...groups.flatMap(({ bars }) => bars.map(({ value }) => value)))
  const scale = (value: number) => (Math.min(value / longest, 1.08) * (width - left - right)).toFixed(1)
  const colour = (name: string) => colours[names.indexOf(name) % colours.length]!
  const parts: string[] = []
  let y = top
  for (const group of groups) {
    const middle = y + (group.bars.length * barHeight) / 2 + 4
    parts.push(`<text x="${left - 10}" y="${middle}" text-anchor="end">${escape(group.name)}</text>`)
    for (const bar of group.bars) {
      const [end, centre] = [left + Number(scale(bar.value)), y + barHeight / 2]
      parts.push(
        `<rect x="${left}" y="${y + 1}" width="${scale(bar.value)}" height="${barHeight - 2}" fill="${colour(bar.name)}"/>`,
      )
      const to = bar.range ? left + Number(scale(bar.range[1])) : end
      if (bar.range)
        parts.push(
          `<line class="line" x1="${left + Number(scale(bar.range[0]))}" x2="${to}" y1="${centre}" y2="${centre}"/>`,
        )
      parts.push(`<text x="${Math.max(end, to) + 6}" y="${centre + 4}">${escape(bar.label)}</text>`)
      y += barHeight
    }
    y += groupGap
  }
  const height = y + bottom
  const at = mark && left + Number(scale(mark.value))
  const line = mark
    ? `<line class="mark" x1="${at}" x2="${at}" y1="${top - 6}" y2="${y}"/>
<text class="quiet" x="${at}" y="${y + 10}" text-anchor="middle">${escape(mark.label)}</text>`
    : ''
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">
<style>${style}
</style>
<text class="title" x="10" y="22">${escape(title)}</text>
<text class="quiet" x="10" y="40">${escape(measure)}</text>
${names.map((name, at2) => legend(name, at2, colour(name))).join('\n')}
${parts.join('\n')}
${line}
</svg>
`
}

const legend = (name: string, place: number, colour: string) =>
  `<rect x="${10 + place * 122}" y="50" width="10" height="10" fill="${colour}"/><text x="${25 + place * 122}" y="59">${escape(name)}</text>`
