import fc from 'fast-check'

const surrogates = 0x800
/** Any character: every code point, NUL and the byte order mark included. (fast-check's `binary` takes seconds to make.) */
const character = fc
  .oneof(fc.nat(0x7f), fc.nat(0xffff - surrogates), fc.nat(0x10_ffff - surrogates), fc.constant(0xfeff - surrogates))
  .map((index) => String.fromCodePoint(index < 0xd800 ? index : index + surrogates))

/** Any text that UTF-8 can hold. */
export const wellFormed = fc.string({ unit: character, maxLength: 100 })

/** Any string at all: half of a surrogate pair is likely in it. */
export const anyString = fc.string({
  unit: fc.oneof(character, fc.constantFrom('\0', ' ', '\ud800', '\udc00', '\udfff')),
  maxLength: 100,
})

const base64url = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']
/** A letter that a token may be written with, or one that looks or decodes alike. */
const letter = fc.constantFrom(...base64url, ...'.=+/ \n\0é')

/** One change to a text: a letter replaced, put in, left out, or moved behind its neighbour. */
interface Mutation {
  at: number
  letter: string
  kind: 'replace' | 'insert' | 'omit' | 'swap'
}
export const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(),
  letter,
  kind: fc.constantFrom('replace', 'insert', 'omit', 'swap'),
})

export function mutate(text: string, { at, letter: other, kind }: Mutation) {
  const index = at % text.length
  const [before, here, after] = [text.slice(0, index), text[index]!, text.slice(index + 1)]
  if (kind === 'replace') return before + other + after
  if (kind === 'insert') return before + other + here + after
  if (kind === 'omit') return before + after
  return before + after.slice(0, 1) + here + after.slice(1)
}

/** The other spellings of the same bytes in base64url: those with spare bits set in the last letter. */
export const otherSpellings = (part: string) =>
  base64url
    .map((last) => part.slice(0, -1) + last)
    .filter((text) => text !== part && Buffer.from(text, 'base64url').equals(Buffer.from(part, 'base64url')))
