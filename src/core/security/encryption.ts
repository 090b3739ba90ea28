import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** Seconds by which another server's clock may be ahead, where the age of a token counts. */
const clockSkew = 60
const version = 0x80
/** Version, time and IV come before the ciphertext, the HMAC after it; one AES block is the least that is encrypted. */
const [headerLength, macLength, blockLength] = [25, 32, 16]

/** The one error for every failure: which of the checks it was would help an attacker alone. */
export class DecryptionError extends Error {
  override name = 'DecryptionError'
  constructor() {
    super('The value cannot be decrypted with any of the keys')
  }
}

export interface Encryption {
  /** Encrypts text under the first key. `now` (seconds since 1970) and `iv` are for the specification's vectors. */
  encrypt(text: string, options?: { now?: number; iv?: Uint8Array }): string
  /**
   * Decrypts what any of the keys encrypted.
   * @param options `ttl`: the greatest age to accept, in seconds; none by default
   * @throws DecryptionError whatever is wrong
   */
  decrypt(token: string, options?: { now?: number; ttl?: number }): string
  /** Whether a token was made under the first key; one that was not wants encrypting again. @throws DecryptionError for what is no token */
  isCurrent(token: string): boolean
}

/**
 * Authenticated encryption in the Fernet format (github.com/fernet/spec): AES-128-CBC under one half of
 * the key, HMAC-SHA256 under the other, checked before anything is decrypted.
 * @param keys newest first: 32 bytes each in URL-safe base64
 */
export function createEncryption(keys: readonly string[]): Encryption {
  const halves = keys.map((key) => {
    const bytes = Buffer.from(key, 'base64url')
    return { signing: bytes.subarray(0, 16), encryption: bytes.subarray(16) }
  })
  const [newest] = halves

  return {
    encrypt(text, { now = Math.floor(Date.now() / 1000), iv = randomBytes(blockLength) } = {}) {
      const header = Buffer.alloc(headerLength)
      header.writeUInt8(version)
      header.writeBigUInt64BE(BigInt(now), 1)
      header.set(iv, 9)
      const cipher = createCipheriv('aes-128-cbc', newest!.encryption, iv)
      const signed = Buffer.concat([header, cipher.update(text, 'utf8'), cipher.final()])
      return encode(Buffer.concat([signed, macOf(newest!, signed)]))
    },
    decrypt(token, { now = Math.floor(Date.now() / 1000), ttl } = {}) {
      const { signed, mac } = parse(token)
      const key = halves.find((candidate) => timingSafeEqual(macOf(candidate, signed), mac))
      if (!key) throw new DecryptionError()
      const made = Number(signed.readBigUInt64BE(1))
      if (ttl !== undefined && (made + ttl < now || made > now + clockSkew)) throw new DecryptionError()
      try {
        const decipher = createDecipheriv('aes-128-cbc', key.encryption, signed.subarray(9, headerLength))
        return utf8.decode(Buffer.concat([decipher.update(signed.subarray(headerLength)), decipher.final()]))
      } catch {
        throw new DecryptionError()
      }
    },
    isCurrent(token) {
      const { signed, mac } = parse(token)
      return timingSafeEqual(macOf(newest!, signed), mac)
    },
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const macOf = ({ signing }: { signing: Buffer }, signed: Buffer) =>
  createHmac('sha256', signing).update(signed).digest()

/** URL-safe base64 with its padding, as the format has it. */
const encode = (bytes: Buffer) => bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')

/** @throws DecryptionError for what cannot be a token, other spellings of the same bytes included */
function parse(token: string) {
  const bytes = Buffer.from(token, 'base64url')
  const blocks = (bytes.length - headerLength - macLength) / blockLength
  if (bytes[0] !== version || blocks < 1 || !Number.isInteger(blocks) || encode(bytes) !== token)
    throw new DecryptionError()
  return { signed: bytes.subarray(0, -macLength), mac: bytes.subarray(-macLength) }
}
