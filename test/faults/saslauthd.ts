import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Whom Cyrus SASL asks about passwords: `saslauthd`, in a few lines, so that a memcached with `-S`
 * needs no user database. It gets user, password, service and realm, each with its length in two
 * bytes before it, and answers `OK` or `NO` in the same form (cyrus-sasl, `lib/checkpw.c`).
 */
export class SaslAuthd implements AsyncDisposable {
  /** By user. May be changed at any time. */
  readonly passwords: Map<string, string>
  /** For memcached's environment variable `SASL_CONF_PATH`. */
  readonly folder: string
  readonly #server: Server

  private constructor(folder: string, passwords: Map<string, string>) {
    this.folder = folder
    this.passwords = passwords
    this.#server = createServer({ allowHalfOpen: true }, socket => {
      let bytes = Buffer.alloc(0)
      socket.on('error', () => {})
      socket.on('data', chunk => {
        bytes = Buffer.concat([bytes, chunk])
        const fields = parse(bytes)
        if (fields.length < 4) return
        const [user = '', password = ''] = fields
        socket.end(Buffer.from(this.passwords.get(user) === password ? '\0\x02OK' : '\0\x02NO', 'latin1'))
      })
    })
  }

  static async start(passwords: Record<string, string>): Promise<SaslAuthd> {
    const folder = await mkdtemp(join(tmpdir(), 'sasl-'))
    // memcached does not run as root.
    await chmod(folder, 0o755)
    const daemon = new SaslAuthd(folder, new Map(Object.entries(passwords)))
    const path = join(folder, 'mux')
    const config = `pwcheck_method: saslauthd\nsaslauthd_path: ${path}\nmech_list: plain\n`
    await writeFile(join(folder, 'memcached.conf'), config)
    daemon.#server.listen(path)
    await once(daemon.#server, 'listening')
    await chmod(path, 0o777)
    return daemon
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    await once(this.#server, 'close')
    await rm(this.folder, { recursive: true, force: true })
  }
}

function parse(bytes: Buffer): string[] {
  const fields: string[] = []
  for (let at = 0; at + 2 <= bytes.length; ) {
    const end = at + 2 + bytes.readUInt16BE(at)
    if (end > bytes.length) break
    fields.push(bytes.toString('utf8', at + 2, end))
    at = end
  }
  return fields
}
