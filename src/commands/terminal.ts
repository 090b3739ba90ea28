import { styleText } from 'node:util'
import stringWidth from 'fast-string-width'

// Everything that commands write. Results go to standard output; questions, progress and complaints to standard
// error, so that a pipe or a file gets results alone.

/** Control characters, which a terminal would act on: anybody can register under a name with some. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const controls = /[\u0000-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028\u2029\u202A-\u202E\u2066-\u2069]/g

/** The text with every control character told rather than done. */
export const printable = (text: string): string => text.replaceAll(controls, escaped)

const escaped = (letter: string) => `\\u${letter.codePointAt(0)!.toString(16).padStart(4, '0')}`

type Cell = string | number | boolean | null

const textOf = (cell: Cell): string => printable(cell === null ? '' : String(cell))

/** Writes a line. */
export const say = (text: string): void => console.log(printable(text))

/** Writes a line about what is wrong. */
export const complain = (text: string): void =>
  console.error(styleText('red', printable(text), { stream: process.stderr }))

/** Writes JSON. It escapes most control characters by itself; the line ends are its own. */
export const printJson = (data: unknown): void =>
  console.log(
    JSON.stringify(data, undefined, 2).replaceAll(controls, (letter) => (letter === '\n' ? letter : escaped(letter))),
  )

/** Writes rows: as a table on a terminal, otherwise as lines of fields between tabs, without the head. */
export function printTable(head: string[], rows: Cell[][]): void {
  const lines = rows.map((row) => row.map(textOf))
  if (!process.stdout.isTTY) {
    for (const line of lines) console.log(line.join('\t'))
    return
  }
  const widths = head.map((name, at) =>
    Math.max(...[name, ...lines.map((line) => line[at]!)].map((text) => stringWidth(text))),
  )
  const align = (line: string[]) =>
    line
      .map((text, at) => text + ' '.repeat(widths[at]! - stringWidth(text)))
      .join('  ')
      .trimEnd()
  console.log(styleText('bold', align(head), { stream: process.stdout }))
  for (const line of lines) console.log(align(line))
}

/** Writes one thing, field by field. */
export const printRecord = (record: Record<string, Cell>): void =>
  printTable(['field', 'value'], Object.entries(record))
