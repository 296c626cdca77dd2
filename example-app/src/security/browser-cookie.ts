import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Request, Response } from 'express'

const NAME = 'browser'
const YEAR = 365 * 24 * 60 * 60 * 1000

/**
 * Tells apart the browsers that share a session: a random id in a cookie of its own, signed, so that
 * nobody can speak for another browser. It gives access to nothing.
 */
export class BrowserCookie {
  readonly #secret: string

  constructor(secret: string) {
    this.#secret = secret
  }

  /** The id of this browser; undefined where it was not given one, or the cookie was made up. */
  read(req: Request): string | undefined {
    const found = new RegExp(`(?:^|;\\s*)${NAME}=([\\w-]+)\\.([\\w-]+)(?:;|$)`).exec(req.get('cookie') ?? '')
    const [, id = '', signature = ''] = found ?? []
    const expected = Buffer.from(this.#sign(id))
    const given = Buffer.from(signature)
    return given.length === expected.length && timingSafeEqual(given, expected) ? id : undefined
  }

  /** The id of this browser; a new one where it has none. */
  ensure(req: Request, res: Response): string {
    const known = this.read(req)
    if (known !== undefined) return known
    const id = randomBytes(6).toString('base64url')
    res.cookie(NAME, `${id}.${this.#sign(id)}`, {
      httpOnly: true,
      sameSite: 'lax',
      secure: req.secure,
      maxAge: YEAR,
    })
    return id
  }

  #sign(id: string): string {
    return createHmac('sha256', this.#secret).update(`browser:${id}`).digest('base64url')
  }
}
