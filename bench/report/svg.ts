// Bar charts and line charts as plain SVG, readable on a light and on a dark page.
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

/** Lines over one scale, which begins at 0. */
export interface LineChart {
  title: string
  /** What the height of a line means, and what its unit is. */
  measure: string
  /** What the scale below counts. */
  along: string
  lines: { name: string; points: [along: number, value: number][] }[]
  /** Where something begins, drawn as an upright line. */
  mark?: { at: number; label: string }
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
  .grid { stroke: #59636e; stroke-opacity: 0.25 }
  .drawn { fill: none; stroke-width: 1.5; stroke-linejoin: round }
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
  return page(title, measure, height, [
    ...names.map((name, place) => legend(name, place, colour(name))),
    ...parts,
    line,
  ])
}

const page = (title: string, measure: string, height: number, parts: string[]) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">
<style>${style}
</style>
<text class="title" x="10" y="22">${escape(title)}</text>
<text class="quiet" x="10" y="40">${escape(measure)}</text>
${parts.join('\n')}
</svg>
`

const legend = (name: string, place: number, colour: string) =>
  `<rect x="${10 + place * 122}" y="50" width="10" height="10" fill="${colour}"/><text x="${25 + place * 122}" y="59">${escape(name)}</text>`

const [plotLeft, plotRight, plotTop, plotBottom, plotHeight] = [50, 740, 80, 300, 340]

/** Draws lines over each other. */
export function lineChart({ title, measure, along, lines, mark }: LineChart): string {
  const points = lines.flatMap((each) => each.points)
  const [xStep, xEnd] = ticks(Math.max(...points.map(([x]) => x)))
  const [yStep, yEnd] = ticks(Math.max(...points.map(([, y]) => y)))
  const toX = (x: number) => (plotLeft + (x / xEnd) * (plotRight - plotLeft)).toFixed(1)
  const toY = (y: number) => (plotBottom - (y / yEnd) * (plotBottom - plotTop)).toFixed(1)
  const levels = steps(yStep, yEnd).flatMap((y) => [
    `<line class="grid" x1="${plotLeft}" x2="${plotRight}" y1="${toY(y)}" y2="${toY(y)}"/>`,
    `<text class="quiet" x="${plotLeft - 8}" y="${Number(toY(y)) + 4}" text-anchor="end">${y}</text>`,
  ])
  const scale = steps(xStep, xEnd).map(
    (x) => `<text class="quiet" x="${toX(x)}" y="${plotBottom + 16}" text-anchor="middle">${x}</text>`,
  )
  const drawn = lines.map(({ points: own }, place) => {
    const path = own.map(([x, y]) => `${toX(x)},${toY(y)}`).join(' ')
    return `<polyline class="drawn" stroke="${colours[place % colours.length]!}" points="${path}"/>`
  })
  const marked = mark
    ? [
        `<line class="mark" x1="${toX(mark.at)}" x2="${toX(mark.at)}" y1="${plotTop}" y2="${plotBottom}"/>`,
        `<text class="quiet" x="${Number(toX(mark.at)) + 4}" y="${plotTop - 4}">${escape(mark.label)}</text>`,
      ]
    : []
  const below = `<text class="quiet" x="${plotRight}" y="${plotBottom + 32}" text-anchor="end">${escape(along)}</text>`
  const legends = lines.map(({ name }, place) => legend(name, place, colours[place % colours.length]!))
  return page(title, measure, plotHeight, [...legends, ...levels, ...scale, ...marked, ...drawn, below])
}

/** A round step, of which four to ten go up to a value; and the end of the last one. */
function ticks(most: number): [step: number, end: number] {
  const size = 10 ** Math.floor(Math.log10(most / 4 || 1))
  const step = [1, 2, 5, 10].map((times) => times * size).findLast((each) => each * 4 <= most) ?? size
  return [step, Math.max(Math.ceil(most / step), 1) * step]
}

/** From 0 to the end; without the noise of binary fractions. */
const steps = (step: number, end: number) =>
  Array.from({ length: Math.round(end / step) + 1 }, (_, at) => Number((at * step).toPrecision(6)))
